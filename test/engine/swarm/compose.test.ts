import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SystemClock } from '../../../src/runtime/index.ts';
import { type DockerDaemon, startDockerDaemon } from '../../support/docker-daemon.ts';
import { importNodeImage } from '../../support/node-image.ts';
import { type Outcome, runCommand } from '../../support/run-command.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { askSocket, type HttpAnswer } from '../../support/unix-http.ts';

const clock = new SystemClock();
const { signal: never } = new AbortController();
const root = new URL('../../..', import.meta.url).pathname;
const { PATH } = process.env;

/** docker's own plugin, or the program that was before it; undefined where there is neither. */
async function findCompose(): Promise<readonly [string, ...string[]] | undefined> {
  for (const command of [['docker', 'compose'], ['docker-compose']] as const) {
    const [file, ...args] = command;
    const found = await runCommand(file, [...args, 'version'], { env: { PATH } }).catch(() => ({
      code: 1,
    }));
    if (found.code === 0) return command;
  }
  return undefined;
}

const compose = sharedEngine() === undefined ? undefined : await findCompose();
if (compose === undefined) process.stderr.write('\nNo docker compose here: not brought up\n\n');

/** A node as `/nodes` shows it. Engine API 1.47 `Node` */
interface ListedNode {
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string };
}

describe.skipIf(compose === undefined)('docker-compose.yml', { timeout: 300_000 }, () => {
  let engine: DockerDaemon;
  let sockets: string;
  /** What is to be undone at the end, the last first. */
  const undo: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    // An Engine of its own, for the swarm's containers have fixed addresses.
    engine = await startDockerDaemon({ images: ['hold:latest'] });
    undo.push(async () => engine.stop());
    // A tmpfs, as /run is: secrets come there.
    sockets = await mkdtemp('/dev/shm/swarmd-');
    undo.push(async () => rm(sockets, { recursive: true }));
    await importNodeImage(engine.dockerHost, 'swarmd:local');
  }, 300_000);

  afterAll(async () => {
    for (const step of undo.toReversed()) await step();
  }, 60_000);

  const run = async (...args: readonly string[]): Promise<Outcome> => {
    const [file, ...before] = compose ?? [''];
    return runCommand(file, [...before, '-f', 'docker-compose.yml', '-p', 'six', ...args], {
      env: {
        PATH,
        PWD: root,
        DOCKER_HOST: engine.dockerHost,
        SWARMD_IMAGE: 'swarmd:local',
        SWARMD_RUN: sockets,
        DOCKER_SOCKET: engine.socketPath,
      },
      cwd: root,
      timeoutMs: 240_000,
    });
  };

  const ask = async (
    node: string,
    path: string,
    options?: { readonly method: string; readonly body?: unknown },
  ): Promise<HttpAnswer> => askSocket(join(sockets, `${node}.sock`), path, options);

  const nodesOf = async (node: string): Promise<readonly ListedNode[]> => {
    const { status, body } = await ask(node, '/nodes');
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body as readonly ListedNode[]; // Engine API 1.47
  };

  const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = clock.monotonic() + 120_000;
    while (!(await isSo().catch(() => false))) {
      if (clock.monotonic() > deadline) {
        const { stdout } = await run('logs', '--tail=8');
        throw new Error(`${what} took longer than two minutes:\n${stdout}`);
      }
      await clock.sleep(250, never);
    }
  };

  const isWhole = async (): Promise<boolean> => {
    const nodes = await nodesOf('manager-2');
    const managers = nodes.filter(({ ManagerStatus }) => ManagerStatus !== undefined);
    return (
      nodes.length === 6 &&
      nodes.every(({ Status }) => Status.State === 'ready') &&
      managers.length === 3 &&
      managers.every(({ ManagerStatus }) => ManagerStatus?.Reachability === 'reachable')
    );
  };

  const running = async (node: string, service: string): Promise<number> => {
    const filters = JSON.stringify({ service: [service], 'desired-state': ['running'] });
    const { body } = await ask(node, `/tasks?filters=${encodeURIComponent(filters)}`);
    const tasks = body as readonly { readonly Status: { readonly State: string } }[];
    return tasks.filter(({ Status }) => Status.State === 'running').length;
  };

  test('starts three managers and three workers, which are then healthy', async () => {
    const { code, stderr } = await run('up', '--detach', '--no-build');
    expect(code, stderr).toBe(0);
    await until('the swarm', isWhole);
    const docker = ['-H', engine.dockerHost, 'ps', '--filter', 'health=healthy', '--quiet'];
    await until('health', async () => {
      const { stdout } = await runCommand('docker', docker, { env: { PATH } });
      return stdout.trim().split('\n').length === 6;
    });
  });

  test('runs services, and goes on when its first manager is killed', async () => {
    const spec = {
      Name: 'web',
      TaskTemplate: { ContainerSpec: { Image: 'hold:latest' } },
      Mode: { Replicated: { Replicas: 6 } },
    };
    const { status } = await ask('manager-3', '/services/create', { method: 'POST', body: spec });
    expect(status).toBe(201);
    await until('six tasks', async () => (await running('manager-1', 'web')) === 6);
    expect((await run('kill', 'manager-1')).code).toBe(0);
    await until('another leader', async () => {
      const { status: created } = await ask('manager-2', '/services/create', {
        method: 'POST',
        body: { ...spec, Name: 'more' },
      });
      return created === 201 || created === 409;
    });
    await until('its tasks', async () => (await running('manager-3', 'more')) === 6);
    expect((await run('start', 'manager-1')).code).toBe(0);
    await until('its return', isWhole);
  });

  test('comes back as it was when all of it is stopped and started', async () => {
    expect((await run('stop')).code).toBe(0);
    expect((await run('up', '--detach', '--no-build')).code).toBe(0);
    await until('the swarm', isWhole);
    await until('the tasks', async () => (await running('manager-2', 'web')) === 6);
  });
});
