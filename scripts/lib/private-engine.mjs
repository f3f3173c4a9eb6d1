import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A Docker Engine of one's own, for tests and for the demo: it shares nothing with an Engine the
 * machine may already run, and leaves nothing behind.
 *
 * It lives in namespaces of its own for network, mounts and processes. Its containers therefore
 * have the ordinary bridge network, firewall rules and published ports, and none of that touches
 * the machine's. A pair of virtual interfaces joins it to the machine: published ports are found at
 * `address`. When the first process in there ends, the kernel ends all the others, and with the last
 * of them go its mounts. That happens, too, when the process that started the Engine is killed;
 * what it then leaves in the temporary directory goes when the next Engine is started.
 */

const prefix = 'eng-';
const startTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;

/** Why no private Engine can be started on this machine; undefined if one can. */
export function whyNoPrivateEngine() {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const command of ['dockerd', 'ip', 'nsenter', 'unshare', 'setpriv']) {
    if (spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0) {
      return `${command} is not installed`;
    }
  }
  return undefined;
}

/** Runs a command to its end. Fails with what it printed. */
function run(command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`.trim());
  return stdout;
}

/** Resolves once `attempt` gives something other than undefined. */
async function until(what, timeoutMs, attempt) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const result = await attempt();
    if (result !== undefined) return result;
    if (performance.now() > deadline) throw new Error(`${what} took longer than ${timeoutMs} ms`);
    await sleep(50);
  }
}

/** The first of the networks 10.213.N.0/30 that no interface of this machine has. */
function freeNetwork() {
  const taken = run('ip', '-4', '-o', 'addr');
  const start = process.pid % 250;
  for (let i = 0; i < 250; i += 1) {
    const network = `10.213.${(start + i) % 250}`;
    if (!taken.includes(`${network}.`)) return network;
  }
  throw new Error('every network 10.213.N.0/30 is in use');
}

/** Makes the network namespace and its link to the machine. Gives the addresses of both ends. */
function makeNetwork(name) {
  run('ip', 'netns', 'add', name);
  const network = freeNetwork();
  const inside = ['-n', name];
  run('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  run('ip', 'addr', 'add', `${network}.1/30`, 'dev', name);
  run('ip', 'link', 'set', name, 'up');
  run('ip', ...inside, 'addr', 'add', `${network}.2/30`, 'dev', 'eth0');
  run('ip', ...inside, 'link', 'set', 'lo', 'up');
  run('ip', ...inside, 'link', 'set', 'eth0', 'up');
  return { address: `${network}.2`, machineAddress: `${network}.1` };
}

/**
 * The script of the first process. `ip netns exec` would hide the cgroups, so /sys is mounted anew
 * and they are moved into it. The empty resolv.conf makes a pull fail at once. The loop at its end
 * buries what the processes of a killed Engine leave: an unburied containerd looks alive to the
 * next dockerd, which then waits for it in vain.
 */
const firstProcess = (directory) => `
set -e
mkdir -p ${directory}/cgroup
mount --rbind /sys/fs/cgroup ${directory}/cgroup
mount -t sysfs sysfs /sys
mount --move ${directory}/cgroup /sys/fs/cgroup
mkdir -p /run/containerd /etc/docker ${directory}/etc
mount -t tmpfs tmpfs /run/containerd
mount --bind ${directory}/etc /etc/docker
mount --bind ${directory}/resolv.conf /etc/resolv.conf
touch ${directory}/ready
while :; do sleep 1000000 & wait; done
`;

/** Whether an Engine answers on the socket. */
async function answers(socketPath) {
  return new Promise((resolve) => {
    const request = http.get({ socketPath, path: '/_ping', timeout: 2_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

/** The name of an Engine's network namespace and link, from its directory. */
const nameOf = (directory) => basename(directory).replaceAll('-', '').toLowerCase();

/** Removes the network and the files of an Engine whose processes have ended. */
async function discard(directory) {
  spawnSync('ip', ['link', 'del', nameOf(directory)]);
  spawnSync('ip', ['netns', 'del', nameOf(directory)]);
  await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

/** Removes what the Engines of killed processes have left. */
async function discardOrphans() {
  for (const entry of await readdir(tmpdir())) {
    if (!entry.startsWith(prefix)) continue;
    const owner = await readFile(join(tmpdir(), entry, 'owner'), 'utf8').catch(() => '');
    if (owner !== '' && !isAlive(Number(owner))) await discard(join(tmpdir(), entry));
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** The process IDs in the children file of a process. */
async function childrenOf(pid) {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** Runs a command that is named in its arguments under another host name. */
const underHostname = (hostname) => [
  ...['unshare', '--uts', '--', 'sh', '-c'],
  ...['echo "$0" > /proc/sys/kernel/hostname; exec "$@"', hostname],
];

/**
 * Starts a private Engine and waits until it answers.
 *
 * @param {{ args?: readonly string[], hostname?: string }} [options] further arguments for dockerd,
 *   and the name it has for its host; the machine's, if not given
 */
export async function startPrivateEngine({ args = [], hostname } = {}) {
  await discardOrphans();
  const directory = await mkdtemp(join(tmpdir(), prefix));
  await writeFile(join(directory, 'owner'), String(process.pid));
  const socketPath = join(directory, 'docker.sock');
  const log = join(directory, 'dockerd.log');
  await writeFile(join(directory, 'resolv.conf'), '');

  let first;
  let daemon;
  let keeper;
  let addresses = {};

  const start = async () => {
    const output = openSync(log, 'a');
    const command = [
      ...['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'exec')],
      ...['--pidfile', join(directory, 'pid'), '-H', `unix://${socketPath}`, ...args],
    ];
    const entered = spawn(
      'nsenter',
      [
        ...['--target', String(first), '--mount', '--pid', '--net', '--'],
        ...(hostname === undefined ? [] : underHostname(hostname)),
        'dockerd',
        ...command,
      ],
      { stdio: ['ignore', output, output], detached: true },
    );
    closeSync(output);
    entered.unref();
    await until('the start of a private Engine', startTimeoutMs, async () => {
      if (entered.exitCode !== null) {
        throw new Error(`dockerd ended: ${(await readFile(log, 'utf8')).slice(-2_000)}`);
      }
      return (await answers(socketPath)) ? true : undefined;
    });
    keeper = entered.pid;
    [daemon] = await childrenOf(keeper);
  };

  /** Sends the daemon a signal. nsenter stops with it, and must be woken with it to bury it. */
  const signal = (name) => {
    if (daemon === undefined) return;
    process.kill(daemon, name);
    if (name === 'SIGCONT') process.kill(keeper, name);
  };

  /** Waits until the daemon has ended, as it was told to. */
  const ended = async () => {
    const pid = daemon;
    daemon = undefined;
    if (pid === undefined) return;
    await until('the end of a private Engine', stopTimeoutMs, () =>
      isAlive(pid) ? undefined : true,
    );
  };

  /** Ends the daemon alone, as a crash (SIGKILL) or a stop (SIGTERM) would. */
  const end = async (name) => {
    if (daemon !== undefined) process.kill(daemon, name);
    await ended();
  };

  const stop = async () => {
    signal('SIGCONT');
    await end('SIGTERM').catch(() => undefined);
    if (first !== undefined && isAlive(first)) {
      process.kill(first, 'SIGKILL');
      await until('the end of its processes', stopTimeoutMs, () =>
        isAlive(first) ? undefined : true,
      );
    }
    await discard(directory);
  };

  try {
    addresses = makeNetwork(nameOf(directory));
    await mkdir(join(directory, 'etc'));
    const output = openSync(log, 'a');
    const holder = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', '--', 'nsenter', `--net=/run/netns/${nameOf(directory)}`, '--'],
        ...['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
        ...['sh', '-c', firstProcess(directory)],
      ],
      { stdio: ['ignore', output, output], detached: true },
    );
    closeSync(output);
    holder.unref();
    await until('the making of namespaces', startTimeoutMs, async () => {
      if (holder.exitCode !== null) throw new Error(await readFile(log, 'utf8'));
      return existsSync(join(directory, 'ready')) ? true : undefined;
    });
    [first] = await childrenOf(holder.pid);
    await start();
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    socketPath,
    dockerHost: `unix://${socketPath}`,
    networkNamespace: nameOf(directory),
    ...addresses,
    log,
    get pid() {
      return daemon;
    },
    kill: async () => end('SIGKILL'),
    signal,
    ended,
    start,
    stop,
  };
}
