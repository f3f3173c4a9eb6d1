import { generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { NodeSpecInput } from '../../../src/api/gen/types.ts';
import { toMs } from '../../../src/api/index.ts';
import { RootCa } from '../../../src/ca/index.ts';
import type { RaftMember } from '../../../src/manager/control/deps.ts';
import { CryptoRandom } from '../../../src/runtime/index.ts';
import { aNode, aTask } from '../../support/builders.ts';
import { aControlClient, type ControlClient } from '../../support/control-client.ts';

let client: ControlClient;
beforeEach(async () => {
  client = await aControlClient();
});

const manager = (id: string) =>
  aNode({
    id,
    role: 'MANAGER',
    spec: { membership: 'ACCEPTED', desiredRole: 'MANAGER' },
    description: { hostname: `host-${id}` },
  });
const member = (nodeId: string, input: Partial<RaftMember> = {}): RaftMember => ({
  raftId: `9007199254740993${nodeId.length}`,
  nodeId,
  addr: '10.0.0.1:2377',
  isLeader: false,
  isLearner: false,
  isReachable: true,
  ...input,
});

async function withManagers(...members: RaftMember[]) {
  client.members.push(...members.map((one, index) => ({ ...one, raftId: String(index + 1) })));
  await client.write((tx) => {
    for (const { nodeId } of members) tx.create('node', manager(nodeId));
  });
}

async function update(nodeId: string, spec: NodeSpecInput) {
  const { node } = await client.call('GetNode', { nodeId });
  return client.call('UpdateNode', { nodeId, nodeVersion: node?.meta?.version ?? null, spec });
}
const demote = async (nodeId: string) =>
  update(nodeId, { membership: 'ACCEPTED', desiredRole: 'WORKER' });

describe('getNode and listNodes', () => {
  test('a manager is shown with its standing in Raft, a worker with none', async () => {
    await withManagers(member('m1', { isLeader: true }), member('m2', { isReachable: false }));
    await client.write((tx) => {
      tx.create('node', aNode({ id: 'w' }));
    });
    const { nodes } = await client.call('ListNodes', {});
    expect(nodes.map(({ id, managerStatus }) => [id, managerStatus])).toEqual([
      ['m1', { raftId: '1', addr: '10.0.0.1:2377', leader: true, reachability: 'REACHABLE' }],
      ['m2', { raftId: '2', addr: '10.0.0.1:2377', leader: false, reachability: 'UNREACHABLE' }],
      ['w', null],
    ]);
    const { node } = await client.call('GetNode', { nodeId: 'm1' });
    expect(node?.managerStatus?.leader).toBe(true);
    expect(client.store.view((view) => view.get('node', 'm1'))?.managerStatus).toBeNull();
  });

  test('labels are the engine’s, node labels those a person gave', async () => {
    await client.write((tx) => {
      tx.create(
        'node',
        aNode({ id: 'a', description: { hostname: 'Alpha', engine: { labels: { disk: 'ssd' } } } }),
      );
      tx.create('node', aNode({ id: 'b', spec: { annotations: { labels: { zone: 'x' } } } }));
    });
    const ids = async (filters: object) =>
      (await client.call('ListNodes', { filters })).nodes.map(({ id }) => id);
    expect(await ids({ labels: { disk: 'ssd' } })).toEqual(['a']);
    expect(await ids({ nodeLabels: { zone: '' } })).toEqual(['b']);
    expect(await ids({ names: ['Alpha'] })).toEqual(['a']);
    expect(await ids({ names: ['alpha'] })).toEqual([]);
    expect(await ids({ roles: ['MANAGER'] })).toEqual([]);
    expect(await ids({ memberships: ['ACCEPTED'] })).toEqual(['a']);
  });
});

describe('updateNode', () => {
  test('replaces the whole spec', async () => {
    await client.write((tx) => {
      tx.create('node', aNode({ id: 'w', spec: { annotations: { labels: { a: 'b' } } } }));
    });
    const { node } = await update('w', { membership: 'ACCEPTED', availability: 'DRAIN' });
    expect(node?.spec).toMatchObject({ annotations: null, availability: 'DRAIN' });
  });

  test('the last manager is not demoted', async () => {
    await withManagers(member('m1'));
    await expect(demote('m1')).rejects.toMatchObject({
      code: 'failed-precondition',
      message: 'attempting to demote the last manager of the swarm',
    });
  });

  test('a manager that Raft does not know is not demoted', async () => {
    await withManagers(member('m1'), member('m2'));
    client.members.pop();
    await expect(demote('m2')).rejects.toMatchObject({
      code: 'not-found',
      message: "can't find manager in raft memberlist",
    });
  });

  test('a demotion leaves a quorum that can be reached', async () => {
    await withManagers(member('m1'), member('m2'), member('m3', { isReachable: false }));
    await expect(demote('m2')).rejects.toMatchObject({
      code: 'failed-precondition',
      message: "can't remove member from the raft: this would result in a loss of quorum",
    });
    const { node } = await demote('m3');
    expect(node?.spec?.desiredRole).toBe('WORKER');
  });

  test('it leaves one also without those that are on their way out', async () => {
    const managers = [member('m1'), member('m2'), member('m3', { isReachable: false })];
    await withManagers(...managers, member('m4'));
    await demote('m4');
    await expect(demote('m2')).rejects.toMatchObject({
      code: 'failed-precondition',
      message: "can't remove member from the raft: this would result in a loss of quorum",
    });
    await demote('m3'); // One that is down may go as well.
    await demote('m2');
  });

  test('a manager that has no vote yet counts in no quorum', async () => {
    const learner = member('m3', { isLearner: true, isReachable: false });
    await withManagers(member('m1'), member('m2'), learner);
    const { node } = await demote('m2');
    expect(node?.spec?.desiredRole).toBe('WORKER');
  });

  test('of the last two managers one stays, though both are asked to go at once', async () => {
    await withManagers(member('m1'), member('m2'));
    await demote('m1');
    await expect(demote('m2')).rejects.toMatchObject({
      message: 'attempting to demote the last manager of the swarm',
    });
  });

  test('a worker is to be a manager from then on; its role follows', async () => {
    await client.write((tx) => {
      tx.create('node', aNode({ id: 'w' }));
    });
    const { node } = await update('w', { membership: 'ACCEPTED', desiredRole: 'MANAGER' });
    expect(node).toMatchObject({ role: 'WORKER', spec: { desiredRole: 'MANAGER' } });
  });

  test('a manager that has not joined Raft yet is not demoted', async () => {
    await withManagers(member('m1'));
    await client.write((tx) => {
      tx.create('node', aNode({ id: 'w' }));
    });
    await update('w', { membership: 'ACCEPTED', desiredRole: 'MANAGER' });
    await expect(demote('w')).rejects.toMatchObject({
      code: 'not-found',
      message: "can't find manager in raft memberlist",
    });
  });
});

describe('removeNode', () => {
  test('a node that is up is removed by force only', async () => {
    await client.write((tx) => {
      tx.create('node', aNode({ id: 'w' }));
    });
    await expect(client.call('RemoveNode', { nodeId: 'w' })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: "node w is not down and can't be removed",
    });
    await client.call('RemoveNode', { nodeId: 'w', force: true });
    expect(client.store.view((view) => view.get('node', 'w'))).toBeUndefined();
  });

  test('a manager that is being demoted is removed by force, though it is still a member', async () => {
    await withManagers(member('m1'), member('m2'), member('m3'));
    await demote('m2');
    await client.call('RemoveNode', { nodeId: 'm2', force: true });
    expect(client.store.view((view) => view.get('node', 'm2'))).toBeUndefined();
  });

  test('not one of two: it goes by its own vote, and nobody would hear it', async () => {
    await withManagers(member('m1'), member('m2'));
    await demote('m2');
    await expect(client.call('RemoveNode', { nodeId: 'm2', force: true })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: "can't remove member from the raft: this would result in a loss of quorum",
    });
    client.members.pop(); // It is out of the group.
    await client.call('RemoveNode', { nodeId: 'm2', force: true });
  });

  test('nor one of three, while another of them is about to go, and may go first', async () => {
    await withManagers(member('m1'), member('m2', { isLeader: true }), member('m3'));
    await demote('m2');
    await demote('m3');
    await expect(client.call('RemoveNode', { nodeId: 'm2', force: true })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: "can't remove member from the raft: this would result in a loss of quorum",
    });
    client.members.splice(1, 1); // It is out of the group.
    await client.call('RemoveNode', { nodeId: 'm2', force: true });
  });

  test('and none is demoted that is needed as long as a forgotten one still counts', async () => {
    await withManagers(member('m1'), member('m2', { isLeader: true }), member('m3'));
    await demote('m2');
    await client.call('RemoveNode', { nodeId: 'm2', force: true });
    await expect(demote('m3')).rejects.toMatchObject({
      code: 'failed-precondition',
      message: "can't remove member from the raft: this would result in a loss of quorum",
    });
    client.members.splice(1, 1); // It is out of the group.
    await demote('m3');
  });

  test('a manager whose demotion waits for a quorum of the others is not removed, even by force', async () => {
    await withManagers(member('m1', { isLeader: true }), member('m2'), member('m3'));
    await demote('m2');
    const third = client.members[2];
    client.members[2] = { ...member('m3'), ...third, isReachable: false };
    await expect(client.call('RemoveNode', { nodeId: 'm2', force: true })).rejects.toMatchObject({
      code: 'failed-precondition',
      message: "can't remove member from the raft: this would result in a loss of quorum",
    });
    client.members[2] = { ...member('m3'), ...third };
    await client.call('RemoveNode', { nodeId: 'm2', force: true });
  });

  test('a manager is not removed, even by force', async () => {
    await withManagers(member('m1'), member('m2'));
    await expect(client.call('RemoveNode', { nodeId: 'm2', force: true })).rejects.toMatchObject({
      code: 'failed-precondition',
      message:
        'node m2 is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal',
    });
  });

  test('its certificate is worthless, and what it ran is lost, however much it was', async () => {
    await client.write((tx) => {
      tx.create('node', aNode({ id: 'w', status: { state: 'DOWN' } }));
      tx.create('task', aTask({ id: 'done', nodeId: 'w', status: { state: 'COMPLETE' } }));
      for (let n = 0; n < 150; n += 1) tx.create('task', aTask({ nodeId: 'w' }));
    });
    await client.write((tx) => {
      for (let n = 0; n < 150; n += 1) tx.create('task', aTask({ nodeId: 'w' }));
    });
    await client.call('RemoveNode', { nodeId: 'w' });
    const states = client.store.view((view) =>
      view.find('task').map(({ id, status }) => (id === 'done' ? id : status?.state)),
    );
    expect(new Set(states)).toEqual(new Set(['done', 'ORPHANED']));
    const [cluster] = client.store.view((view) => view.find('cluster'));
    expect(cluster?.blacklistedCertificates).toEqual({ w: { expiry: null } });
  });

  test('a certificate is remembered until it ends, if that can be read', async () => {
    const random = new CryptoRandom();
    const deps = { random, clock: client.clock };
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const subject = { nodeId: 'w', role: 'swarm-worker', clusterId: 'c' } as const;
    const expiryMs = 2 * 3_600_000;
    const chain = RootCa.create(deps).sign(deps, publicKey, { ...subject, expiryMs });
    const removed = async (id: string, certificate: string) => {
      await client.write((tx) => {
        const given = { certificate: Buffer.from(certificate) };
        tx.create('node', aNode({ id, status: { state: 'DOWN' }, certificate: given }));
      });
      await client.call('RemoveNode', { nodeId: id });
      const [cluster] = client.store.view((view) => view.find('cluster'));
      return cluster?.blacklistedCertificates[id]?.expiry;
    };
    expect(toMs(await removed('w', chain))).toBe(client.clock.now() + expiryMs);
    expect(await removed('odd', 'no certificate')).toBeNull();
  });

  test('certificates that ended a week ago are forgotten', async () => {
    const at = (days: number) => ({
      expiry: { seconds: String(client.clock.now() / 1_000 + days * 86_400), nanos: 0 },
    });
    await client.write((tx) => {
      const [cluster] = tx.find('cluster');
      if (cluster === undefined) throw new Error('no cluster');
      const blacklistedCertificates = { old: at(-8), recent: at(-6), ever: { expiry: null } };
      tx.update('cluster', { ...cluster, blacklistedCertificates });
      tx.create('node', aNode({ id: 'w', status: { state: 'DOWN' } }));
    });
    await client.call('RemoveNode', { nodeId: 'w' });
    const [cluster] = client.store.view((view) => view.find('cluster'));
    expect(Object.keys(cluster?.blacklistedCertificates ?? {})).toEqual(['recent', 'ever', 'w']);
  });
});
