import { afterEach, describe, expect, test } from 'vitest';
import { RaftDriver, type RaftId } from '../../src/raft/index.ts';
import { countingRandom } from '../support/counting-random.ts';
import { ListMachine } from '../support/list-machine.ts';
import { MemoryLogStore } from '../support/memory-log-store.ts';
import { RaftCluster, type RunningMember } from '../support/raft-cluster.ts';
import { silentLog } from '../support/silent-log.ts';

const never = new AbortController().signal;
const unavailable = {
  code: 'unavailable',
  message: 'raft: failed to process the request: node lost leader status',
};
const notLeading = { code: 'unavailable', message: 'raft: no elected cluster leader' };

let cluster: RaftCluster;
const aCluster = (...settings: ConstructorParameters<typeof RaftCluster>): RaftCluster =>
  (cluster = new RaftCluster(...settings));
afterEach(async () => cluster.stop());

const propose = async ({ driver }: RunningMember, ...data: readonly string[]): Promise<void> => {
  await Promise.all(data.map(async (text) => driver.propose(Buffer.from(text))));
};

/** Makes a member's writes wait until they are let go. */
function holdWrites(member: RunningMember): () => void {
  const gate = new AbortController();
  member.store.beforeWrite = async () =>
    new Promise((resolve) => {
      if (gate.signal.aborted) resolve();
      gate.signal.addEventListener('abort', () => {
        resolve();
      });
    });
  return () => {
    gate.abort();
  };
}

const removal = (raftId: string) => ({
  type: 'ConfChangeRemoveNode' as const,
  raftId: raftId as RaftId,
  member: undefined,
});
const addition = (id: string, nodeId = `node-${id}`) => {
  const raftId = id as RaftId;
  const member = { raftId, nodeId, addr: `host-${id}:1` };
  return { type: 'ConfChangeAddNode' as const, raftId, member };
};

describe('a cluster of one', () => {
  test('leads as soon as it runs: no time passes', async () => {
    const { driver } = await aCluster().found();
    expect(cluster.clock.monotonic()).toBe(0);
    expect(driver.status()).toMatchObject({
      role: 'leader',
      isLeader: true,
      term: 2,
      leaderId: '1',
    });
    expect(driver.members()).toEqual([
      {
        raftId: '1',
        nodeId: 'node-1',
        addr: 'host-1:2377',
        isLearner: false,
        isLeader: true,
        isReachable: true,
      },
    ]);
  });

  test('a proposal settles once it is applied, in the order of proposals', async () => {
    const member = await aCluster().found();
    const order: string[] = [];
    const one = member.driver.propose(Buffer.from('a')).then(() => order.push('a'));
    const two = member.driver.propose(Buffer.from('b')).then(() => order.push('b'));
    expect(member.machine.applied).toEqual([]);
    await Promise.all([one, two]);
    expect(order).toEqual(['a', 'b']);
    expect(member.machine.applied).toEqual(['a', 'b']);
  });

  test('nextIndex is the index that the next proposal gets', async () => {
    const member = await aCluster().found();
    const indexes: number[] = [];
    member.machine.onApply = (index) => indexes.push(index);
    const expected = [member.driver.nextIndex()];
    const first = propose(member, 'a');
    expected.push(member.driver.nextIndex());
    await Promise.all([first, propose(member, 'b')]);
    expect(indexes).toEqual(expected);
  });

  test('nothing is applied or acknowledged before it is saved', async () => {
    const member = await aCluster().found();
    const release = holdWrites(member);
    let isSettled = false;
    const proposed = propose(member, 'a').then(() => (isSettled = true));
    await cluster.pass(1);
    expect([isSettled, member.machine.applied]).toEqual([false, []]);
    release();
    await proposed;
    expect(member.machine.applied).toEqual(['a']);
  });

  test('proposals made while a batch is being saved share the next one', async () => {
    const member = await aCluster().found();
    const release = holdWrites(member);
    const first = propose(member, 'first');
    await cluster.pass(1);
    const before = member.store.saves;
    const rest = propose(member, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    release();
    await Promise.all([first, rest]);
    expect(member.store.saves - before).toBe(2);
  });

  test('who was answered together, and asks again one by one, shares a batch again', async () => {
    const member = await aCluster().found();
    await propose(member, 'a', 'b', 'c', 'd');
    const before = member.store.saves;
    const asked: Promise<void>[] = [];
    for (const data of ['e', 'f', 'g', 'h']) {
      asked.push(propose(member, data));
      await cluster.clock.turn();
    }
    await Promise.all(asked);
    expect(member.store.saves - before).toBe(1);
  });

  test('a failed write ends it, and fails what is in flight', async () => {
    const member = await aCluster().found();
    member.store.beforeWrite = async () => Promise.reject(new Error('disk on fire'));
    const proposed = propose(member, 'a');
    await expect(member.ended).rejects.toThrow('disk on fire');
    await expect(proposed).rejects.toMatchObject({ code: 'unavailable' });
    await expect(propose(member, 'b')).rejects.toThrow('node is stopped');
    expect(member.driver.status().isLeader).toBe(false);
    expect(member.machine.applied).toEqual([]);
  });

  test('a state machine that cannot apply an entry ends it: nobody goes on without', async () => {
    const member = await aCluster().found();
    member.machine.apply = () => {
      throw new Error('unknown object');
    };
    const proposed = propose(member, 'a');
    await expect(member.ended).rejects.toThrow('unknown object');
    await expect(proposed).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('stopped, it fails what comes, and has saved what it knows to be committed', async () => {
    const member = await aCluster().found();
    await propose(member, 'a');
    await member.stop();
    await expect(propose(member, 'b')).rejects.toThrow('node is stopped');
    expect((await member.store.load()).hardState.commitIndex).toBe(3);
  });

  test('an entry larger than a transaction may be is refused', async () => {
    const member = await aCluster().found();
    await expect(member.driver.propose(Buffer.alloc(1_572_865))).rejects.toMatchObject({
      code: 'resource-exhausted',
    });
  });

  test('confirms its leadership at once', async () => {
    const { driver } = await aCluster().found();
    await expect(driver.confirmLeadership(never)).resolves.toBeUndefined();
  });

  test('watchers are told of the leadership', async () => {
    aCluster();
    const machine = new ListMachine();
    const deps = { clock: cluster.clock, random: countingRandom(), log: silentLog };
    const driver = await RaftDriver.found(
      { ...deps, logStore: new MemoryLogStore(), stateMachine: machine, send: () => undefined },
      { addr: 'host:1' },
    );
    const watch = driver.watchStatus();
    const controller = new AbortController();
    const ended = driver.run(controller.signal);
    await cluster.clock.advance(0);
    const told = watch.drain();
    if (told === 'resync') throw new Error('three changes are not too many');
    expect(told.map(({ isLeader }) => isLeader)).toEqual([false, false, true]);
    controller.abort();
    await ended;
  });
});

describe('a restart', () => {
  test('applies again what was committed, each entry once', async () => {
    const member = await aCluster().found();
    await propose(member, 'a', 'b');
    await member.stop();
    const again = await cluster.open(member.store.reopen());
    expect(again.machine.applied).toEqual(['a', 'b']);
    await propose(again, 'c');
    expect(again.machine.applied).toEqual(['a', 'b', 'c']);
    expect(again.driver.members()).toMatchObject([{ nodeId: 'node-1', addr: 'host-1:2377' }]);
  });

  test('goes on after a snapshot: the log before it is gone', async () => {
    const member = await aCluster({ snapshotEntries: 5, keptEntries: 2 }).found();
    for (const text of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await propose(member, text);
    const stored = await member.store.load();
    expect(stored.snapshot?.index).toBe(5);
    expect(stored.before.index).toBe(3);
    await member.stop();
    const again = await cluster.open(member.store.reopen());
    expect(again.machine.restores).toBe(1);
    expect(again.machine.applied.join('')).toBe('abcdefg');
    expect(again.driver.members()).toMatchObject([{ nodeId: 'node-1', addr: 'host-1:2377' }]);
  });

  test('begins anew when it is asked to, with nothing from before', async () => {
    const member = await aCluster({}).found();
    await propose(member, 'a', 'b');
    member.driver.compact();
    await expect.poll(async () => (await member.store.load()).snapshot?.index).toBe(4);
    expect((await member.store.load()).entries).toEqual([]);
    await propose(member, 'c');
    expect((await member.store.load()).snapshot?.index).toBe(4);
  });

  test('begins anew though nothing is new: a swarm at rest need not be written to first', async () => {
    const member = await aCluster({}).found();
    await propose(member, 'a');
    member.driver.compact();
    await expect.poll(async () => (await member.store.load()).snapshot?.index).toBe(3);
    let writes = 0;
    member.store.beforeWrite = async () => {
      writes += 1;
      return Promise.resolve();
    };
    member.driver.compact();
    await expect.poll(() => writes).toBeGreaterThan(0);
    await propose(member, 'b');
    expect((await member.store.load()).snapshot?.index).toBe(3);
    expect(member.machine.applied.join('')).toBe('ab');
  });

  test('large entries bring the snapshot forward', async () => {
    const member = await aCluster({ snapshotBytes: 1_000 }).found();
    await propose(member, 'x'.repeat(600));
    expect((await member.store.load()).snapshot).toBeUndefined();
    await propose(member, 'x'.repeat(600));
    await cluster.pass(1);
    expect((await member.store.load()).snapshot?.index).toBe(4);
  });
});

describe('a cluster of three', () => {
  test('applies everything everywhere', async () => {
    const members = await aCluster().ofThree();
    await propose(members[0], 'a', 'b');
    await cluster.pass(1);
    for (const { machine, driver } of members) {
      expect(machine.applied).toEqual(['a', 'b']);
      expect(driver.members().map(({ nodeId }) => nodeId)).toEqual(['node-1', 'node-2', 'node-3']);
    }
  });

  test('a follower does not take proposals', async () => {
    const [, follower] = await aCluster().ofThree();
    await expect(propose(follower, 'a')).rejects.toMatchObject(notLeading);
    await expect(follower.driver.confirmLeadership(never)).rejects.toMatchObject(notLeading);
  });

  test('everything in flight fails together when the leadership is lost', async () => {
    const [leader] = await aCluster().ofThree();
    cluster.isolate('1');
    const all = ['a', 'b', 'c'].map(async (text) => propose(leader, text));
    const results = Promise.allSettled(all);
    await cluster.pass(25);
    for (const result of await results) {
      expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
    }
    expect(leader.driver.status().isLeader).toBe(false);
    expect(leader.machine.applied).toEqual([]);
  });

  test('another leads when the leader is gone, and it follows when it is back', async () => {
    const members = await aCluster().ofThree();
    await propose(members[0], 'before');
    cluster.isolate('1');
    await cluster.pass(40);
    expect(cluster.leaders).toHaveLength(1);
    expect(cluster.leaders).not.toContain('1');
    const leader = members[Number(cluster.leaders[0]) - 1] ?? members[0];
    await propose(leader, 'after');
    cluster.heal();
    await cluster.pass(3);
    for (const { machine } of members) expect(machine.applied).toEqual(['before', 'after']);
    expect(members[0].driver.status().role).toBe('follower');
  });

  test('a leader may propose only after it has applied an entry of its own term', async () => {
    const [first, second, third] = await aCluster().ofThree();
    await first.stop();
    const release = holdWrites(third);
    second.driver.transferLeadership(second.driver.status().raftId);
    release();
    await cluster.pass(40);
    const [id] = cluster.leaders;
    const leader = id === '2' ? second : third;
    expect(leader.driver.status()).toMatchObject({ role: 'leader', isLeader: true });
  });

  test('the leadership is handed over on demand, without an election timeout', async () => {
    const [leader] = await aCluster().ofThree();
    const before = cluster.clock.monotonic();
    leader.driver.transferLeadership();
    await cluster.clock.advance(0);
    expect(cluster.leaders).toHaveLength(1);
    expect(cluster.leaders).not.toContain('1');
    expect(cluster.clock.monotonic()).toBe(before);
  });

  test('a leader confirms that it leads with a majority; one round serves all who ask', async () => {
    const [leader] = await aCluster().ofThree();
    await Promise.all([1, 2, 3].map(async () => leader.driver.confirmLeadership(never)));
    cluster.isolate('1');
    const alone = leader.driver.confirmLeadership(never);
    const verdict = expect(alone).rejects.toMatchObject(notLeading);
    await cluster.pass(25);
    await verdict;
  });

  test('who waits for a confirmation may leave', async () => {
    const [leader] = await aCluster().ofThree();
    cluster.isolate('1');
    const controller = new AbortController();
    const waiting = leader.driver.confirmLeadership(controller.signal);
    controller.abort(new Error('gave up'));
    await expect(waiting).rejects.toThrow('gave up');
  });

  test('a member that is behind the log gets a snapshot, and the members with it', async () => {
    const [leader] = await aCluster({ snapshotEntries: 5, keptEntries: 0 }).ofThree();
    for (const text of ['a', 'b', 'c', 'd', 'e', 'f']) await propose(leader, text);
    const joiner = await cluster.join('4', leader);
    await cluster.pass(3);
    expect(joiner.machine.restores).toBe(1);
    expect(joiner.machine.applied).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(joiner.driver.members()).toHaveLength(4);
  });

  test('a leader tells who is reachable', async () => {
    const [leader] = await aCluster().ofThree();
    await cluster.pass(2);
    cluster.isolate('3');
    await cluster.pass(15);
    const reachable = leader.driver.members().map(({ isReachable }) => isReachable);
    expect(reachable).toEqual([true, true, false]);
  });

  test('a new address is published to all', async () => {
    const members = await aCluster().ofThree();
    const updated = members[0].driver.updateAddress('elsewhere:2377');
    await cluster.pass(1);
    await updated;
    await cluster.pass(1);
    for (const { driver } of members) {
      expect(driver.members()[0]).toMatchObject({ nodeId: 'node-1', addr: 'elsewhere:2377' });
    }
  });
});

describe('changes of the membership', () => {
  test('one that was removed never comes back, nor is it heard', async () => {
    const [leader, , third] = await aCluster().ofThree();
    const removed = leader.driver.changeMember(removal('3'));
    await cluster.pass(1);
    await removed;
    expect(leader.driver.members()).toHaveLength(2);
    expect(leader.driver.isRemoved('3' as RaftId)).toBe(true);
    await expect(leader.driver.changeMember(addition('3'))).rejects.toMatchObject({
      code: 'failed-precondition',
      message: 'raft: member was removed from the cluster',
    });
    await cluster.pass(100);
    expect(leader.driver.status()).toMatchObject({ isLeader: true, term: 2 });
    expect(third.driver.status().role).not.toBe('leader');
  });

  test('the last member, an unknown one, and a second of one node are refused', async () => {
    const { driver } = await aCluster().found();
    await expect(driver.changeMember(removal('1'))).rejects.toThrow('loss of quorum');
    await expect(driver.changeMember(removal('9'))).rejects.toThrow('raft: member unknown');
    await expect(driver.changeMember(addition('9', 'node-1'))).rejects.toThrow('duplicate');
  });

  test('one is made after the other, and the log goes on', async () => {
    const [leader] = await aCluster().ofThree();
    const first = leader.driver.changeMember(removal('3'));
    const second = leader.driver.changeMember(removal('2'));
    await cluster.pass(2);
    await Promise.all([first, second]);
    await propose(leader, 'a');
    expect(leader.driver.members()).toHaveLength(1);
  });

  test('when the leader removes itself the others elect another at once', async () => {
    const [leader] = await aCluster().ofThree();
    const removed = leader.driver.changeMember(removal('1'));
    await cluster.pass(2);
    await removed;
    expect(cluster.leaders).toHaveLength(1);
    expect(cluster.leaders).not.toContain('1');
  });
});
