import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mask } from '../../support/mask.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { standings, untilStanding } from '../../support/standing.ts';
import { type NodeObject, Swarm, type TaskContainer } from '../../support/swarm.ts';
import type { SwarmDaemon } from '../../support/swarm-daemon.ts';
import { expectUntouched } from '../../support/untouched.ts';

const shared = sharedEngine();

/** What `node ls` shows of a node as a manager. */
const standingOf = ({ ManagerStatus }: NodeObject): string =>
  ManagerStatus?.Leader === true ? 'leader' : (ManagerStatus?.Reachability ?? 'worker');

// The tests of this file are the steps of one walk: each begins where the one before it ended.
describe.skipIf(shared === undefined)('managers that come and go', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;
  let before: readonly TaskContainer[];

  const untouched = async (...of: readonly SwarmDaemon[]): Promise<void> =>
    expectUntouched(swarm, before, of);

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost, dockerHost, dockerHost]);
    await swarm.manager.prints(
      'service',
      'create',
      '--detach',
      '--name',
      'web',
      '--replicas=8',
      'hold',
    );
    await swarm.converge('web', 8);
    before = await swarm.containers();
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  test('a promoted worker becomes a manager in place, and promotes another', async () => {
    const [first, second, third] = [swarm.node(1), swarm.node(2), swarm.node(3)];
    expect(await first.prints('node', 'promote', 'node-02')).toBe(
      'Node node-02 promoted to a manager in the swarm.\n',
    );
    await second.until('serve as a manager', async () => (await second.info()).ControlAvailable);
    expect(await second.prints('node', 'promote', 'node-03')).toBe(
      'Node node-03 promoted to a manager in the swarm.\n',
    );
    await third.until('serve as a manager', async () => (await third.info()).ControlAvailable);
    const all = { 'node-01': 'leader', 'node-02': 'reachable', 'node-03': 'reachable' };
    for (const daemon of [first, second, third]) {
      await untilStanding(daemon, standingOf, { ...all, 'node-04': 'worker' });
    }
    expect(mask(await third.prints('node', 'ls')).split('\n')).toEqual([
      'ID                            HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION',
      'ID-----------------------     node-01    Ready     Active         Leader           VERSION',
      'ID-----------------------     node-02    Ready     Active         Reachable        VERSION',
      'ID----------------------- *   node-03    Ready     Active         Reachable        VERSION',
      'ID-----------------------     node-04    Ready     Active                          VERSION',
      '',
    ]);
    await untouched(...swarm.daemons);
  });

  test('every manager takes changes, and promotes nobody twice', async () => {
    expect(await swarm.node(3).prints('service', 'scale', '--detach', 'web=9')).toBe(
      'web scaled to 9\n',
    );
    const { NodeID } = await swarm.node(2).info();
    expect(await swarm.node(3).prints('node', 'promote', 'node-02')).toBe(
      `Node ${NodeID} is already a manager.\n`,
    );
    await swarm.converge('web', 9);
  });

  test('the swarm goes on through any other manager when its leader is killed', async () => {
    await swarm.node(1).kill();
    swarm.manager = swarm.node(2);
    expect(await swarm.node(3).prints('service', 'ls')).toContain('web');
    expect(await swarm.node(2).prints('service', 'scale', '--detach', 'web=10')).toBe(
      'web scaled to 10\n',
    );
    await swarm.node(3).prints('service', 'create', '--detach', '--name', 'new', 'hold');
    await swarm.converge('new', 1);
    await untilStanding(swarm.node(3), standingOf, { 'node-01': 'unreachable' });
    expect(Object.values(await standings(swarm.node(2), standingOf))).toContain('leader');
    await untouched(swarm.node(2), swarm.node(3), swarm.node(4));
  });

  test('without a quorum to spare no manager is demoted', async () => {
    expect(await swarm.node(2).swarmd('node', 'demote', 'node-03')).toMatchObject({
      code: 1,
      stderr:
        "Error response from daemon: rpc error: code = FailedPrecondition desc = can't remove member from the raft: this would result in a loss of quorum\n",
    });
  });

  test('a leader that comes back is a manager among the others', async () => {
    await swarm.node(1).start();
    await untilStanding(swarm.node(2), standingOf, { 'node-01': 'reachable' });
    expect(await swarm.node(1).info()).toMatchObject({ ControlAvailable: true });
    await swarm.converge('web', 10);
  });

  test('a manager joins by its token; a token of workers is refused with what to do', async () => {
    const wrong = await swarm.create({ mode: 'manager', dockerHost });
    wrong.launch('--join', swarm.node(2).address, '--token', await swarm.token('worker'));
    expect(await wrong.ended).toMatchObject({ code: 1 });
    expect(wrong.log.at(-1)).toContain(
      "this token lets workers join, not managers: start this node with swarmd worker, or get the managers' token with swarmd swarm join-token manager",
    );
    const joined = await swarm.join(dockerHost, 'manager');
    await untilStanding(joined, standingOf, { [joined.hostname]: 'reachable' });
    expect(await standings(swarm.node(2), standingOf)).not.toHaveProperty(wrong.hostname);
  });

  test('managers are demoted in place, the leader among them, and are workers then', async () => {
    const manager = swarm.node(1); // One that stays: another would soon have nothing to say.
    const leader = Object.entries(await standings(manager, standingOf)).find(
      ([, status]) => status === 'leader',
    );
    expect(await manager.prints('node', 'demote', 'node-02', 'node-03')).toBe(
      'Manager node-02 demoted in the swarm.\nManager node-03 demoted in the swarm.\n',
    );
    expect(['node-02', 'node-03']).toContain(leader?.[0]);
    swarm.manager = swarm.node(1);
    await untilStanding(swarm.node(1), standingOf, { 'node-02': 'worker', 'node-03': 'worker' });
    for (const daemon of [swarm.node(2), swarm.node(3)]) {
      await daemon.until('be a worker', async () => {
        const { LocalNodeState, ControlAvailable } = await daemon.info();
        return LocalNodeState === 'active' && !ControlAvailable;
      });
      await daemon.until('say that it is no manager', async () =>
        (await daemon.swarmd('node', 'ls')).stderr.includes("Worker nodes can't be used"),
      );
    }
    await swarm.converge('web', 10);
    await untouched(swarm.node(2), swarm.node(3), swarm.node(4));
  });

  test('a demoted manager is promoted again; what a crash cuts short the next start finishes', async () => {
    const [manager, node] = [swarm.node(1), swarm.node(2)];
    await manager.prints('node', 'promote', 'node-02');
    await node.kill();
    await node.start();
    await untilStanding(manager, standingOf, { 'node-02': 'reachable' });
    await manager.prints('node', 'demote', 'node-02');
    await node.kill();
    await node.start();
    await untilStanding(manager, standingOf, { 'node-02': 'worker' });
    await node.until('be a worker', async () => !(await node.info()).ControlAvailable);
    await manager.prints('node', 'promote', 'node-02');
    await untilStanding(manager, standingOf, { 'node-02': 'reachable' });
    expect(await node.info()).toMatchObject({ LocalNodeState: 'active' });
    await swarm.converge('web', 10);
  });

  test('nobody has complained', () => {
    expect(swarm.daemons.filter(({ log }) => log.length > 0).length).toBeGreaterThan(3);
    expect(swarm.complaints.filter((line) => !line.includes('token lets workers'))).toEqual([]);
  });
});
