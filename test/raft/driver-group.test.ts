import { afterEach, describe, expect, test } from 'vitest';
import { Pace, raftDefaults } from '../../src/raft/config.ts';
import type { RaftId } from '../../src/raft/index.ts';
import { aLogIdentity, MemoryLogStore } from '../support/memory-log-store.ts';
import { RaftCluster, type RunningMember } from '../support/raft-cluster.ts';

let cluster = new RaftCluster();
afterEach(async () => {
  await cluster.stop();
  cluster = new RaftCluster();
});

const removal = (id: string) =>
  ({ type: 'ConfChangeRemoveNode', raftId: id as RaftId, member: undefined }) as const;

/** The disks of members answer nothing from now on, until they are let go. */
function stall(...members: readonly RunningMember[]): () => void {
  const gate = new AbortController();
  for (const { store } of members) {
    store.beforeWrite = async () =>
      new Promise((resolve) => {
        gate.signal.addEventListener('abort', () => {
          resolve();
        });
      });
  }
  return () => {
    for (const { store } of members) store.beforeWrite = async () => Promise.resolve();
    gate.abort();
  };
}

describe('a member among others', () => {
  test('a learner that has caught up is made a voter by its leader', async () => {
    const leader = await cluster.found();
    await leader.driver.propose(Buffer.from('a'));
    const learner = await cluster.open(new MemoryLogStore(aLogIdentity('2')));
    const { raftId, nodeId } = learner.store.identity;
    const member = { raftId, nodeId, addr: 'host-2:2377' };
    const added = leader.driver.changeMember({ type: 'ConfChangeAddLearnerNode', raftId, member });
    cluster.isolate('2');
    await cluster.pass(3);
    await added;
    expect(leader.driver.members()[1]).toMatchObject({ raftId: '2', isLearner: true });
    expect(leader.driver.isUnproven(raftId)).toBe(true);
    await leader.driver.propose(Buffer.from('b'));
    cluster.heal();
    await cluster.pass(20);
    expect(leader.driver.isUnproven(raftId)).toBe(false);
    expect(learner.machine.applied).toEqual(['a', 'b']);
    expect(learner.driver.members()[1]).toMatchObject({ isLearner: false });
  });

  test('whether a learner has ever said anything only the leader that has added it can know', async () => {
    const [first, second, third] = await cluster.ofThree();
    await cluster.open(new MemoryLogStore(aLogIdentity('4')));
    cluster.isolate('4');
    const { raftId, nodeId } = aLogIdentity('4');
    const member = { raftId, nodeId, addr: 'host-4:2377' };
    const added = first.driver.changeMember({ type: 'ConfChangeAddLearnerNode', raftId, member });
    await cluster.pass(3);
    await added;
    expect(first.driver.isUnproven(raftId)).toBe(true);
    cluster.isolate('1');
    await cluster.pass(40);
    const leader = [second, third].find(({ driver }) => driver.status().isLeader);
    expect(leader?.driver.members()).toHaveLength(4);
    expect(leader?.driver.isUnproven(raftId)).toBe(false);
  });

  test('a member that is added can be reached as soon as it has said something', async () => {
    const leader = await cluster.found();
    const learner = await cluster.open(new MemoryLogStore(aLogIdentity('2')));
    const { raftId, nodeId } = learner.store.identity;
    const member = { raftId, nodeId, addr: 'host-2:2377' };
    void leader.driver.changeMember({ type: 'ConfChangeAddLearnerNode', raftId, member });
    await cluster.settle();
    expect(leader.driver.members()[1]).toMatchObject({ raftId: '2', isReachable: true });
  });

  test('what a member said before it died arrives late, and does not make it reachable', async () => {
    const [leader, , third] = await cluster.ofThree();
    await cluster.pass(2);
    cluster.holdUp('3');
    await cluster.pass(2);
    await third.stop();
    await cluster.pass(12);
    cluster.release('3');
    await cluster.settle();
    const reachable = leader.driver.members().map(({ isReachable }) => isReachable);
    expect(reachable).toEqual([true, true, false]);
    expect(leader.driver.canRemove('2' as RaftId)).toBe(false);
  });

  test('a removed member learns of it at once, and ends', async () => {
    const [leader, , third] = await cluster.ofThree();
    const removed = leader.driver.changeMember(removal('3'));
    await cluster.pass(0);
    await removed;
    await third.ended;
    expect(third.driver.wasRemoved).toBe(true);
  });

  test('of two, one is removed: it goes once the other has written down that this is committed', async () => {
    const leader = await cluster.found();
    const second = await cluster.join('2', leader);
    const removed = leader.driver.changeMember(removal('2'));
    await cluster.settle();
    await second.ended;
    const { hardState, entries } = await leader.store.load();
    const change = entries.findLast(({ type }) => type === 'EntryConfChange');
    expect(hardState.commitIndex).toBeGreaterThanOrEqual(change?.index ?? Infinity);
    await removed;
    await leader.stop();
    const again = await cluster.open(leader.store.reopen());
    expect(again.driver.status()).toMatchObject({ isLeader: true });
  });

  test('it does not hear so before', async () => {
    const leader = await cluster.found();
    const second = await cluster.join('2', leader);
    const { commitIndex } = leader.driver.status();
    const releaseSecond = stall(second);
    const removed = leader.driver.changeMember(removal('2'));
    await cluster.settle(); // It is on the leader's disk alone.
    const release = stall(leader);
    releaseSecond();
    await cluster.pass(2);
    expect(second.driver.status().commitIndex).toBe(commitIndex);
    release();
    await cluster.pass(1);
    await removed;
    await second.ended;
  });

  test('of four, one is removed: it goes once a majority of the others has written that down', async () => {
    const [leader, second] = await cluster.ofThree();
    const fourth = await cluster.join('4', leader);
    cluster.isolate('3');
    let writes = 0;
    const gate = new AbortController();
    second.store.beforeWrite = async () => {
      writes += 1;
      if (writes === 1) return; // The removal, with which it is committed.
      await new Promise((resolve) => {
        gate.signal.addEventListener('abort', resolve);
      });
    };
    const removed = leader.driver.changeMember(removal('4'));
    await cluster.pass(1);
    await removed;
    expect(leader.driver.isRemoved('4' as RaftId)).toBe(true);
    expect(fourth.driver.wasRemoved).toBe(false);
    gate.abort();
    second.store.beforeWrite = async () => Promise.resolve();
    await cluster.pass(1);
    await fourth.ended;
    // The two that are left need not hear from anybody else.
    await leader.stop();
    cluster.heal();
    await cluster.pass(60);
    expect(cluster.leaders).toHaveLength(1);
  });

  test('one whom the others tell that it was removed ends', async () => {
    const [, second] = await cluster.ofThree();
    second.driver.noteRemoved();
    await second.ended;
    expect(second.driver.wasRemoved).toBe(true);
  });

  test('who speaks for a member is its node, and no other', async () => {
    const [leader] = await cluster.ofThree();
    const speak = (id: string, nodeId: string): void => {
      leader.driver.admit(id as RaftId, nodeId);
    };
    expect(() => {
      speak('2', 'node-2');
    }).not.toThrow();
    expect(() => {
      speak('2', 'node-3');
    }).toThrow('raft: node node-3 is not member 2');
    speak('9', 'node-9'); // Nobody in the log yet: the first to speak for it owns it.
    expect(() => {
      speak('9', 'node-3');
    }).toThrow('raft: node node-3 is not member 9');
  });

  test('followers have an entry before their leader has saved it', async () => {
    const [leader, second, third] = await cluster.ofThree();
    const release = stall(leader);
    const proposed = leader.driver.propose(Buffer.from('a'));
    await cluster.pass(2);
    const { lastIndex } = await lastOf(second);
    expect((await lastOf(third)).lastIndex).toBe(lastIndex);
    expect((await lastOf(leader)).lastIndex).toBe(lastIndex - 1);
    expect(leader.machine.applied).toEqual([]);
    release();
    await proposed;
    expect(leader.machine.applied).toEqual(['a']);
  });

  test('what others acknowledge is applied while the next batch is on its way to the disk', async () => {
    const [leader, second, third] = await cluster.ofThree();
    const releaseOthers = stall(second, third);
    const first = leader.driver.propose(Buffer.from('a'));
    await cluster.settle(); // It is on the leader's disk, and on nobody else's.
    const release = stall(leader);
    const next = leader.driver.propose(Buffer.from('b'));
    await cluster.settle();
    releaseOthers();
    await cluster.settle();
    await first;
    expect(leader.machine.applied).toEqual(['a']);
    release();
    await next;
    expect(leader.machine.applied).toEqual(['a', 'b']);
  });

  test('a change of the members waits for the batch, and so does what follows it', async () => {
    const [leader, second, third] = await cluster.ofThree();
    const releaseOthers = stall(second, third);
    const first = leader.driver.propose(Buffer.from('a'));
    const changed = leader.driver.changeMember(removal('3'));
    await cluster.settle();
    const after = leader.driver.propose(Buffer.from('b'));
    await cluster.settle();
    const release = stall(leader);
    const last = leader.driver.propose(Buffer.from('c'));
    await cluster.settle();
    releaseOthers();
    await cluster.settle();
    await first;
    expect([leader.driver.members().length, leader.machine.applied]).toEqual([3, ['a']]);
    release();
    await cluster.settle();
    await Promise.all([changed, after, last]);
    expect([leader.driver.members().length, leader.machine.applied]).toEqual([2, ['a', 'b', 'c']]);
  });

  test('a leader whose disk stalls longer than an election timeout steps down', async () => {
    const [leader] = await cluster.ofThree();
    const release = stall(leader);
    const proposed = expect(leader.driver.propose(Buffer.from('a'))).rejects.toThrow('lost leader');
    await cluster.pass(raftDefaults.electionTicks + 1);
    await proposed;
    expect(leader.driver.status()).toMatchObject({ role: 'follower', isLeader: false });
    await cluster.pass(3 * raftDefaults.electionTicks);
    const [other] = cluster.leaders;
    expect(other).not.toBe('1');
    release();
    await cluster.pass(5);
    expect(leader.driver.status().leaderId).toBe(other);
  });

  test('a member is spared only while a majority of the others is there', async () => {
    const [leader] = await cluster.ofThree();
    await cluster.pass(2);
    expect(leader.driver.canRemove('3' as RaftId)).toBe(true);
    cluster.isolate('2');
    await cluster.pass(raftDefaults.electionTicks + 1);
    expect(leader.driver.canRemove('3' as RaftId)).toBe(false);
    expect(leader.driver.canRemove('2' as RaftId)).toBe(true);
  });
});

async function lastOf({ store }: RunningMember): Promise<{ readonly lastIndex: number }> {
  const { entries } = await store.load();
  return { lastIndex: entries.at(-1)?.index ?? 0 };
}

describe('the pace', () => {
  const config = { tickMs: 100, electionTicks: 10 };

  test('is as configured while nothing is slow', () => {
    const pace = new Pace();
    pace.observe(240);
    expect(pace.next(config)).toBe(100);
  });

  test('keeps the election timeout above four times what is slow, and recovers', () => {
    const pace = new Pace();
    pace.observe(500);
    expect(pace.next(config)).toBe(200);
    for (let tick = 0; tick < 20; tick += 1) pace.next(config);
    expect(pace.next(config)).toBe(100);
  });

  test('is as before when the process was frozen: others have gone on without it', () => {
    const pace = new Pace();
    pace.observeTick(3_000, config);
    expect(pace.next(config)).toBe(100);
    pace.observeTick(500, config);
    expect(pace.next(config)).toBe(200);
  });

  test('is never slower than by a factor of five, however long the disk took', () => {
    const pace = new Pace();
    pace.observe(3_600_000);
    expect(pace.next(config)).toBe(500);
    for (let tick = 0; tick < 80; tick += 1) pace.next(config);
    expect(pace.next(config)).toBe(100);
  });
});
