import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DockerDaemon, startDockerDaemon } from '../../support/docker-daemon.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { Swarm } from '../../support/swarm.ts';
import { askSocket } from '../../support/unix-http.ts';

const shared = sharedEngine();
const taskLabel = encodeURIComponent(
  JSON.stringify({ label: ['com.docker.swarm.service.name=web'] }),
);

/** How many containers of the service an Engine runs. */
async function runningOn({ socketPath }: DockerDaemon): Promise<number> {
  const { body } = await askSocket(socketPath, `/containers/json?filters=${taskLabel}`);
  return (body as readonly unknown[]).length; // Engine API 1.47 `ContainerSummary[]`
}

const start = async (): Promise<DockerDaemon> =>
  startDockerDaemon({ images: ['hold:latest', 'nginx:latest'] });

// The tests of this file go on in one swarm: each begins where the one before it ended.
describe.skipIf(shared === undefined)('nodes with an Engine each', () => {
  const engines: DockerDaemon[] = [];
  let swarm: Swarm;

  const counts = async (): Promise<readonly number[]> => Promise.all(engines.map(runningOn));

  beforeAll(async () => {
    engines.push(...(await Promise.all([start(), start()])));
    swarm = await Swarm.start(engines.map(({ dockerHost }) => dockerHost));
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
    await Promise.all(engines.map(async (engine) => engine.stop()));
  });

  test('a service spreads over the Engines, and each runs what its node was given', async () => {
    await swarm.manager.docker([
      'service',
      'create',
      '-d',
      '--no-resolve-image',
      '--name',
      'web',
      '--replicas',
      '4',
      '--restart-delay',
      '0s',
      'hold',
    ]);
    await swarm.converge('web', 4);
    expect(await swarm.placement('web')).toEqual(['node-01', 'node-01', 'node-02', 'node-02']);
    expect(await counts()).toEqual([2, 2]);
  });

  test('a drained node leaves its Engine to others', async () => {
    await swarm.manager.docker(['node', 'update', '--availability', 'drain', 'node-02']);
    await swarm.manager.until('move the tasks', async () => (await counts()).join() === '4,0');
    await swarm.manager.docker(['node', 'update', '--availability', 'active', 'node-02']);
    await swarm.manager.docker(['service', 'update', '-d', '--force', 'web']);
    await swarm.manager.until('rebalance', async () => (await counts()).join() === '2,2');
    expect(await swarm.converge('web', 4)).toHaveLength(4);
  });

  test('a host-mode port is found at the address of the Engine that has it', async () => {
    await swarm.manager.docker([
      'service',
      'create',
      '-d',
      '--no-resolve-image',
      '--name',
      'site',
      '--mode',
      'global',
      '--publish',
      'published=8085,target=80,mode=host',
      'nginx',
    ]);
    await swarm.converge('site', 2);
    for (const { address } of engines) {
      await swarm.manager.until('answer', async () =>
        (await page(address)).includes('Welcome to nginx'),
      );
    }
    const ports = await swarm.manager.docker(['service', 'ps', 'site', '--format', '{{.Ports}}']);
    expect(ports.stdout.trim().split('\n')).toEqual(Array(2).fill('*:8085->80/tcp'));
    await swarm.manager.docker(['service', 'rm', 'site']);
  });

  test('an Engine that crashes under a worker takes its tasks with it; both come back', async () => {
    const [, engine] = engines;
    const worker = swarm.node(2);
    if (engine === undefined) throw new Error('two Engines were started');
    await engine.kill();
    // The daemon lives on and says what is missing.
    await worker.until('notice it', async () => {
      const { Warnings } = await worker.get<{ readonly Warnings: readonly string[] | null }>(
        '/info',
      );
      return (Warnings ?? []).some((warning) =>
        warning.includes('cannot reach the local Docker Engine'),
      );
    });
    expect(await worker.info()).toMatchObject({ LocalNodeState: 'active' });
    expect(await worker.docker(['ps'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot reach the local Docker Engine') as unknown,
    });
    // What it is given meanwhile waits, and says for what.
    await swarm.manager.docker(['service', 'scale', '-d', 'web=6']);
    await swarm.manager.until('say what a task waits for', async () => {
      const { stdout } = await swarm.manager.docker(['service', 'ps', '--no-trunc', 'web']);
      return /node-02 .* Preparing .* "the Docker Engine does not answer/u.test(stdout);
    });
    await engine.start();
    await swarm.manager.until('run on both again', async () => {
      const running = await swarm.running('web');
      return running.length === 6 && (await counts()).join() === '3,3';
    });
    expect((await swarm.nodes()).map(({ Status }) => Status.State)).toEqual(['ready', 'ready']);
    // It takes new tasks, too.
    await swarm.manager.docker(['service', 'scale', '-d', 'web=8']);
    await swarm.converge('web', 8);
    expect(
      (await swarm.placement('web')).filter((name) => name === 'node-02').length,
    ).toBeGreaterThanOrEqual(4);
  });

  test('service rm empties every Engine', async () => {
    await swarm.clear();
    expect(await counts()).toEqual([0, 0]);
    for (const daemon of swarm.daemons)
      expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  });
});

/** The page at an address; empty, if there is none. */
async function page(address: string): Promise<string> {
  const { get } = await import('node:http');
  return new Promise((resolve) => {
    const request = get({ host: address, port: 8085, timeout: 2_000, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve(text);
      });
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => {
      resolve('');
    });
  });
}
