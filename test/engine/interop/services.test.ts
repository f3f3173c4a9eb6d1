import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MixedSwarm, mixtures } from '../../support/mixed-swarm.ts';
import { printed } from '../../support/run-command.ts';
import { runningTasks } from '../../support/service-tasks.ts';
import { sharedEngine } from '../../support/shared-engine.ts';

const shared = sharedEngine();

const script =
  'trap "exit 0" TERM; echo $VERSION: $(cat /motd) $(cat /run/secrets/pw); while :; do sleep 1000 & wait $!; done';

// The tests of a swarm go on in it: each begins where the one before it ended. No node runs more
// than two tasks, so where they run is no chance.
describe.skipIf(shared === undefined).each(mixtures)('services in a swarm of $who', (mixture) => {
  let swarm: MixedSwarm;

  beforeAll(async () => {
    swarm = await MixedSwarm.start(mixture, shared?.dockerHost ?? '');
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  test('a service runs on both nodes, with its secrets and configs, and is heard from both', async () => {
    const more = ['--replicas', '4', '--replicas-max-per-node', '2', '--restart-delay', '0s'];
    const files = ['--secret', 'pw', '--config', 'source=motd,target=/motd'];
    printed(await swarm.manager.docker(['secret', 'create', 'pw', '-'], { input: 's3cret' }));
    printed(await swarm.manager.docker(['config', 'create', 'motd', '-'], { input: 'hello' }));
    await swarm.createService('web', ...more, ...files, 'nginx:1.24', 'sh', '-c', script);
    expect(await swarm.untilSpread('web', { manager: 2, worker: 2 })).toHaveLength(2);
    await swarm.manager.until('hear all four', async () => {
      const heard = await swarm.docker('service', 'logs', '--raw', 'web');
      return heard === '1.24: hello s3cret\n'.repeat(4);
    });
  });

  test('it is scaled down on both, and up on both', async () => {
    await swarm.docker('service', 'scale', '-d', 'web=2');
    const kept = await swarm.untilSpread('web', { manager: 1, worker: 1 });
    expect(kept).toHaveLength(1);
    await swarm.docker('service', 'scale', '-d', 'web=4');
    const grown = await swarm.untilSpread('web', { manager: 2, worker: 2 });
    expect(grown).toHaveLength(2);
    expect(grown).toEqual(expect.arrayContaining([...kept]));
  });

  test('a container that dies is replaced, and no other is touched', async () => {
    const [victim, other] = await swarm.untilSpread('web', { manager: 2, worker: 2 });
    printed(await swarm.worker.docker(['kill', victim?.id ?? '']));
    await swarm.manager.until('replace it', async () => {
      const tasks = await runningTasks(swarm.manager, 'web');
      return tasks.length === 4 && tasks.every(({ ID }) => ID !== victim?.taskId);
    });
    const now = await swarm.untilSpread('web', { manager: 2, worker: 2 });
    expect(now).toHaveLength(2);
    expect(now).toContainEqual(other);
  });

  test('all its containers get another image, on both', async () => {
    const update = ['update', '-d', '--no-resolve-image', '--update-parallelism', '2'];
    await swarm.docker('service', ...update, '--image', 'nginx:1.25', 'web');
    await swarm.manager.until('update all four', async () => {
      const tasks = await runningTasks(swarm.manager, 'web');
      const updated = tasks.filter(({ Spec }) => Spec.ContainerSpec.Image === 'nginx:1.25');
      return updated.length === 4;
    });
    expect(await swarm.untilSpread('web', { manager: 2, worker: 2 })).toHaveLength(2);
    await swarm.manager.until('hear the new ones', async () => {
      const heard = await swarm.docker('service', 'logs', '--raw', 'web');
      return heard.split('\n').filter((line) => line === '1.25: hello s3cret').length === 4;
    });
  });

  test('the worker is drained, and comes back', async () => {
    await swarm.docker('service', 'scale', '-d', 'web=2');
    await swarm.untilSpread('web', { manager: 1, worker: 1 });
    const worker = await swarm.workerId();
    await swarm.docker('node', 'update', '--availability', 'drain', worker);
    expect(await swarm.untilSpread('web', { manager: 2, worker: 0 })).toEqual([]);
    await swarm.worker.until('stop them', async () => (await swarm.running()).length === 0);
    await swarm.docker('node', 'update', '--availability', 'active', worker);
    await swarm.docker('service', 'scale', '-d', 'web=4');
    expect(await swarm.untilSpread('web', { manager: 2, worker: 2 })).toHaveLength(2);
  });

  test('a service that is removed leaves no container on either', async () => {
    await swarm.docker('service', 'rm', 'web');
    for (const node of [swarm.manager, swarm.worker]) {
      await node.until('remove them', async () => {
        const label = 'label=com.docker.swarm.service.name=web';
        return printed(await node.docker(['ps', '-aq', '--filter', label])) === '';
      });
    }
    expect(swarm.swarmd.complaints).toEqual([]);
  });
});
