import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MixedSwarm, mixtures } from '../../support/mixed-swarm.ts';
import { printed } from '../../support/run-command.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { containersOf } from '../../support/swarm.ts';

const shared = sharedEngine();

const configsOn = async (node: MixedSwarm['worker']): Promise<readonly string[]> =>
  printed(await node.docker(['config', 'ls', '--format', '{{.Name}}']))
    .trim()
    .split('\n')
    .toSorted();

// The tests of a swarm go on in it: each begins where the one before it ended.
describe.skipIf(shared === undefined).each(mixtures)('nodes in a swarm of $who', (mixture) => {
  let swarm: MixedSwarm;

  beforeAll(async () => {
    swarm = await MixedSwarm.start(mixture, shared?.dockerHost ?? '', {
      heartbeat: '1s',
      // A group of managers has one pace.
      args: ['--raft-tick', '1000'],
    });
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  test('a worker joins with a token, and runs what it is given', async () => {
    expect(await swarm.worker.info()).toMatchObject({
      LocalNodeState: 'active',
      ControlAvailable: false,
      Error: '',
    });
    await swarm.createService('web', '--mode', 'global', 'nginx:1.24');
    expect(await swarm.untilSpread('web', { manager: 1, worker: 1 })).toHaveLength(1);
  });

  test('it leaves, keeps nothing, is removed, and joins anew as another', async () => {
    const before = await swarm.workerId();
    printed(await swarm.worker.docker(['swarm', 'leave']));
    await swarm.worker.until('keep nothing', async () => {
      return (await containersOf(swarm.worker.dockerHost, before)).length === 0;
    });
    await swarm.manager.until('call it down', async () => {
      const { Status } = await swarm.manager.get<{ Status: { State: string } }>(`/nodes/${before}`);
      return Status.State === 'down';
    });
    await swarm.docker('node', 'rm', before);
    // An agent that loses its manager may wait for 8 s, and is not to be called down for it.
    await swarm.setHeartbeat('5s');
    await swarm.join();
    const ids = [(await swarm.manager.info()).NodeID, await swarm.workerId()];
    expect(ids).not.toContain(before);
    const listed = await swarm.docker('node', 'ls', '--quiet');
    expect(listed.trim().split('\n').toSorted()).toEqual(ids.toSorted());
    expect(await swarm.untilSpread('web', { manager: 1, worker: 1 })).toHaveLength(1);
  });

  test('it is promoted, and what one manager writes the other knows', async () => {
    const before = await swarm.running();
    await swarm.promote();
    for (const [name, node] of Object.entries({ one: swarm.manager, two: swarm.worker })) {
      printed(await node.docker(['config', 'create', name, '-'], { input: name }));
    }
    expect(await configsOn(swarm.manager)).toEqual(['one', 'two']);
    expect(await configsOn(swarm.worker)).toEqual(['one', 'two']);
    expect(await swarm.running()).toEqual(before);
  });

  test('swarmd is demoted: the stock manager leads it, and no container of it is touched', async () => {
    const before = await swarm.running(swarm.swarmd);
    expect(before).toHaveLength(1);
    await swarm.demote(swarm.swarmd);
    expect(swarm.manager).toBe(swarm.stock);
    await swarm.createService('more', '--mode', 'global', 'nginx:1.24');
    expect(await swarm.untilSpread('more', { manager: 1, worker: 1 })).toHaveLength(1);
    expect(await swarm.running()).toEqual(expect.arrayContaining([...before]));
    expect((await swarm.workerNode()).ManagerStatus).toBeUndefined();
    expect(swarm.swarmd.complaints).toEqual([]);
  });
});
