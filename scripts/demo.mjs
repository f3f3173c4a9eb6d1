// npm run demo: a swarm of one manager and three workers on this machine, and the tutorial walked
// through on it. `-- --keep` leaves it running until Ctrl-C.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureBuilt, ensureEngine, root } from './lib/prerequisites.mjs';

const keeps = process.argv.includes('--keep');
const main = join(root, 'dist/cli/main.js');
const image = 'nginx:latest';
/** A registry that has not answered by then does not answer. */
const registryMs = 6_000;
const startMs = 30_000;
/** The daemons share one machine, and so each has a loopback address of its own. */
const nodes = [1, 2, 3, 4].map((n) => ({ name: `node-0${n}`, address: `127.0.0.${n}` }));

const isTerminal = process.stdout.isTTY;
const styled = (code, text) => (isTerminal ? `\u001B[${code}m${text}\u001B[0m` : text);
const say = (text) => console.log(`\n${styled('1;36', `# ${text}`)}`);

/** What is to be undone at the end, the last first. */
const undo = [];
let isEnding = false;

async function end(code) {
  if (isEnding) return;
  isEnding = true;
  if (undo.length > 0) say('Cleaning up');
  for (const step of undo.reverse()) {
    await step().catch((error) => console.error(`cleaning up: ${error.message}`));
  }
  process.exit(code);
}

for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => void end(130));

try {
  await demo();
  await end(0);
} catch (error) {
  if (!isEnding) console.error(`\n${styled('31', 'The demo failed')}: ${error.message}`);
  await end(1);
}

async function demo() {
  ensureBuilt();
  const engine = await findEngine();
  await findImage(engine);
  const swarm = await startSwarm(engine);
  await walkThrough(swarm, engine);
  if (!keeps) return;
  say('The swarm goes on until Ctrl-C. In another terminal:');
  console.log(`
  export SWARMD_HOST=unix://${swarm.socket}
  alias swarmd='node ${main}'
  swarmd node ls
  docker -H $SWARMD_HOST service create --name web ${image}
`);
  await new Promise(() => setInterval(() => undefined, 1e6));
}

/** The Engine of this machine, if it answers; else one of the demo's own. */
async function findEngine() {
  const { answers, startPrivateEngine, whyNoPrivateEngine } = await import(
    './lib/private-engine.mjs'
  );
  const usual = (process.env['DOCKER_HOST'] ?? '/var/run/docker.sock').replace(/^unix:\/\//u, '');
  if (existsSync(usual) && (await answers(usual))) {
    say(`Docker Engine: this machine's, at unix://${usual}`);
    return { socketPath: usual, dockerHost: `unix://${usual}` };
  }
  const whyNot = ensureEngine() ?? whyNoPrivateEngine();
  if (whyNot !== undefined) {
    throw new Error(
      `no Docker Engine answers at unix://${usual}, and none can be started here: ${whyNot}.\nStart Docker, or install it: https://docs.docker.com/engine/install/`,
    );
  }
  say('Docker Engine: none answers here, so the demo starts one of its own');
  const engine = await startPrivateEngine();
  undo.push(() => engine.stop());
  return engine;
}

function docker(engine, args, options = {}) {
  return spawnSync('docker', ['-H', engine.dockerHost, ...args], { encoding: 'utf8', ...options });
}

/** nginx from its registry; a stand-in where none answers. */
async function findImage(engine) {
  if (docker(engine, ['image', 'inspect', image]).status === 0) return;
  const pulled = docker(engine, ['pull', image], { timeout: registryMs });
  if (pulled.status === 0) {
    undo.push(async () => void docker(engine, ['image', 'rm', image]));
    return;
  }
  const noPackages = ensureEngine();
  const { importStandIns, whyNoStandIn } = await import('./lib/stand-in-image.mjs');
  const whyNot = noPackages ?? whyNoStandIn();
  if (whyNot !== undefined) throw new Error(`no registry answers, and ${whyNot}`);
  say('No registry answers: a small web server made from busybox stands in for nginx');
  await importStandIns(engine.socketPath, [image]);
  undo.push(async () => void docker(engine, ['image', 'rm', image]));
}

/** A port of the loopback interface that nobody listens on. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Four daemons, each with its own state directory, socket and address. */
async function startSwarm(engine) {
  const directory = mkdtempSync(join(tmpdir(), 'swarmd-demo-'));
  undo.push(async () => rmSync(directory, { recursive: true, force: true }));
  const [manager, ...workers] = nodes;
  const port = await freePort();
  say('swarmd manager, on node-01');
  const socket = startDaemon({ directory, engine, node: manager }, 'manager', [
    '--listen-addr', `${manager.address}:${port}`,
  ]);
  const told = () => readFileSync(join(directory, `${manager.name}.out`), 'utf8').trimEnd();
  await until('the manager to serve', () => told() !== '');
  console.log(told());
  const token = swarmd(socket, ['swarm', 'join-token', '--quiet', 'worker']).stdout.trim();
  say(`swarmd worker --join ${manager.address}:${port} --token SWMTKN-1-…, on the others`);
  for (const node of workers) {
    startDaemon({ directory, engine, node }, 'worker', [
      '--join', `${manager.address}:${port}`, '--token', token,
    ]);
  }
  await until('the workers to join', () => {
    const { stdout } = swarmd(socket, ['node', 'ls', '--format', '{{.Status}}']);
    return stdout.match(/Ready/gu)?.length === nodes.length;
  });
  return { socket, directory };
}

/** Starts a daemon. At the end it leaves the swarm, so that no container stays behind. */
function startDaemon({ directory, engine, node }, mode, args) {
  const socket = join(directory, `${node.name}.sock`);
  const file = (kind) => openSync(join(directory, `${node.name}.${kind}`), 'w');
  const daemon = spawn(
    process.execPath,
    [
      main, mode,
      '--state-dir', join(directory, node.name),
      '--host', `unix://${socket}`,
      '--docker-host', engine.dockerHost,
      '--hostname', node.name,
      '--advertise-addr', node.address,
      ...args,
    ],
    { stdio: ['ignore', file('out'), file('log')], detached: true },
  );
  const ended = new Promise((resolve) => daemon.once('exit', resolve));
  undo.push(async () => {
    swarmd(socket, ['swarm', 'leave', '--force']);
    daemon.kill('SIGTERM');
    await ended;
  });
  void ended.then((code) => {
    if (isEnding) return;
    const log = readFileSync(join(directory, `${node.name}.log`), 'utf8').trim().split('\n');
    console.error(`\n${node.name} ended (${code}): ${log.slice(-3).join('\n')}`);
    void end(1);
  });
  return socket;
}

function swarmd(socket, args, options = {}) {
  return spawnSync(process.execPath, [main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, SWARMD_HOST: `unix://${socket}` },
    ...options,
  });
}

async function until(what, isTrue) {
  const deadline = Date.now() + startMs;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`waited ${startMs / 1_000} s for ${what}`);
    await sleep(100);
  }
}

async function walkThrough({ socket }, engine) {
  const run = (...args) => {
    console.log(`\n${styled(32, '$')} ${styled(1, `swarmd ${args.join(' ')}`)}`);
    const { status } = swarmd(socket, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) throw new Error(`swarmd ${args.join(' ')} ended with ${status}`);
  };
  run('node', 'ls');
  say('One container');
  run('service', 'create', '--name', 'nginx', '--no-resolve-image', 'nginx');
  run('service', 'ls');
  run('service', 'ps', 'nginx');
  say('Eight of them, two on each node');
  run('service', 'scale', 'nginx=8');
  run('service', 'ps', 'nginx');
  say('node-03 is to be serviced: its tasks move');
  run('node', 'update', '--availability', 'drain', 'node-03');
  await until('eight tasks to run', () => {
    const { stdout } = swarmd(socket, ['service', 'ls', '--format', '{{.Replicas}}']);
    return stdout.trim() === '8/8';
  });
  run('service', 'ps', 'nginx', '--filter', 'desired-state=running');
  run('node', 'update', '--availability', 'active', 'node-03');
  say('The same from the docker CLI');
  console.log(`\n${styled(32, '$')} ${styled(1, `docker -H unix://${socket} service ls`)}`);
  docker({ dockerHost: `unix://${socket}` }, ['service', 'ls'], { stdio: 'inherit' });
  say('And away again');
  run('service', 'rm', 'nginx');
  const label = 'label=com.docker.swarm.service.name=nginx';
  await until('the containers to go', () => {
    const { stdout } = docker(engine, ['ps', '--all', '--quiet', '--filter', label]);
    return stdout.trim() === '';
  });
  console.log('no container of the service is left');
}
