import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ConfChange } from '../../../src/raft/core/types.ts';
import {
  aLog,
  aMessage,
  anEntry,
  aRaftConfig,
  raftId,
  RaftNetwork,
  RaftPeer,
} from '../../support/raft-network.ts';

const three = { voters: [raftId(1), raftId(2), raftId(3)], learners: [] };
const read = Buffer.from('read');
const change =
  (type: ConfChange['type']) =>
  (number: number): ConfChange => ({ type, raftId: raftId(number) });
const add = change('ConfChangeAddNode');
const remove = change('ConfChangeRemoveNode');
const learn = change('ConfChangeAddLearnerNode');

/** A leader whose log, before its own empty entry, has these terms. */
function aLeader(terms: readonly number[], changes = {}): RaftPeer {
  const peer = new RaftPeer(aRaftConfig(1, changes), three, aLog(...terms));
  peer.hardState = { currentTerm: terms.at(-1) ?? 0, votedFor: undefined, commitIndex: 0 };
  peer.restart();
  peer.node.campaign();
  peer.handleReady();
  const { currentTerm: term } = peer.node.status;
  peer.node.step(aMessage({ type: 'MsgVoteResp', term }));
  return peer;
}

const acknowledge = (peer: RaftPeer, from: number, index: number): void => {
  const { currentTerm: term } = peer.node.status;
  peer.node.step(aMessage({ type: 'MsgAppResp', from: raftId(from), term, index }));
};

/** A leader that has compacted what its third member lacks. */
function withLaggard(): RaftNetwork {
  const network = new RaftNetwork(3);
  network.campaign(1);
  network.isolate(3);
  network.propose(1, 'a', 'b', 'c');
  network.peer(1).compact();
  network.peer(1).node.reportUnreachable(raftId(3));
  network.heal();
  return network;
}

describe('replication', () => {
  test('§5.3: an entry is committed once a majority has stored it, and then applied by all', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.propose(1, 'a', 'b');
    for (const number of [1, 2, 3]) expect(network.peer(number).data).toEqual(['a', 'b']);
  });

  test('§5.3: a minority commits nothing', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(1);
    network.propose(1, 'lost');
    expect(network.peer(1).data).toEqual([]);
  });

  test('§5.3: a leader counts itself only once the entry is on its own disk', () => {
    const leader = aLeader([]);
    acknowledge(leader, 2, 1);
    expect(leader.node.status.commitIndex).toBe(0);
    leader.handleReady();
    expect(leader.node.status.commitIndex).toBe(1);
  });

  test('§5.3: a follower acknowledges only with the Ready that saves the entries', () => {
    const follower = new RaftPeer(aRaftConfig(1), three);
    follower.node.step(aMessage({ type: 'MsgApp', term: 1, entries: [anEntry(1, 1)] }));
    const ready = follower.node.ready();
    expect(ready.entries.map(({ index }) => index)).toEqual([1]);
    expect(ready.mustSync).toBe(true);
    expect(ready.messages).toMatchObject([{ type: 'MsgAppResp', to: '2', index: 1 }]);
  });

  test('§5.3: what conflicts with the leader’s log is replaced by it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 12 }), (followerTerms) => {
        const network = new RaftNetwork(3);
        const terms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
        network.peer(1).disk.append(aLog(...terms));
        network.peer(2).disk.append(aLog(...followerTerms.toSorted((a, b) => a - b)));
        for (const number of [1, 2, 3]) {
          const peer = network.peer(number);
          peer.hardState = { currentTerm: 7, votedFor: undefined, commitIndex: 0 };
          peer.restart();
        }
        network.campaign(1);
        expect(network.peer(2).log).toEqual(network.peer(1).log);
        expect(network.peer(3).log).toEqual(network.peer(1).log);
      }),
    );
  });

  test('§5.3: agreement is found with at most one probe for each conflicting term', () => {
    const network = new RaftNetwork(2);
    network.peer(1).disk.append(aLog(...Array.from({ length: 100 }, () => 1), 5));
    network.peer(2).disk.append(aLog(...Array.from({ length: 50 }, () => 1), 2, 2, 3, 3, 3, 3));
    for (const number of [1, 2]) {
      const peer = network.peer(number);
      peer.hardState = { currentTerm: 5, votedFor: undefined, commitIndex: 0 };
      peer.restart();
    }
    network.campaign(1);
    expect(network.sent.filter(({ reject }) => reject)).toHaveLength(2);
    expect(network.peer(2).log).toEqual(network.peer(1).log);
  });

  test('§5.4.2: an entry of an earlier term is not committed by counting', () => {
    const leader = aLeader([1, 2]);
    leader.handleReady();
    acknowledge(leader, 2, 2);
    expect(leader.node.status.commitIndex).toBe(0);
    acknowledge(leader, 2, 3);
    expect(leader.node.status.commitIndex).toBe(3);
  });

  test('§8: a new leader begins its term with an empty entry', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    expect(network.peer(3).applied).toMatchObject([{ term: 1, index: 1, data: Buffer.alloc(0) }]);
  });

  test('a heartbeat tells no more of the commit index than the follower is known to have', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.propose(1, 'a');
    network.heal();
    network.sent.length = 0;
    network.ignore('MsgHeartbeatResp');
    network.tick(1, [1]);
    const commits = network.sent.map(({ to, commit }) => [to, commit]);
    expect(commits).toEqual([
      ['2', 2],
      ['3', 1],
    ]);
  });

  test('no more is in flight than the limit, until a follower answers', () => {
    const leader = aLeader([], { inflightMessagesMax: 3 });
    leader.handleReady();
    acknowledge(leader, 2, 1);
    leader.handleReady();
    let sent = 0;
    for (let n = 0; n < 5; n += 1) {
      leader.node.propose(Buffer.from('x'));
      sent += leader
        .handleReady()
        .filter(({ to, entries }) => to === '2' && entries.length > 0).length;
    }
    expect(sent).toBe(3);
    acknowledge(leader, 2, 2);
    expect(leader.handleReady().filter(({ to }) => to === '2')).toHaveLength(1);
  });

  test('a message is at most so large, and has at least one entry', () => {
    const leader = aLeader([], { messageBytesMax: 1 });
    leader.handleReady();
    leader.node.propose(Buffer.from('x'));
    leader.handleReady();
    acknowledge(leader, 2, 1);
    const sizes = leader
      .handleReady()
      .filter(({ to }) => to === '2')
      .map((m) => m.entries.length);
    expect(sizes).toEqual([1]);
  });

  test('a leader refuses proposals while too much waits to be committed', () => {
    const leader = aLeader([], { uncommittedBytesMax: 10 });
    leader.handleReady();
    const big = Buffer.alloc(8);
    expect(leader.node.propose(big)).toBeUndefined();
    expect(leader.node.propose(big)).toBe('proposal-dropped');
    leader.handleReady();
    acknowledge(leader, 2, 2);
    leader.handleReady();
    expect(leader.node.propose(big)).toBeUndefined();
  });

  test('one whose messages do not arrive is probed, and not sent more and more', () => {
    const leader = aLeader([]);
    leader.handleReady();
    acknowledge(leader, 2, 1);
    leader.handleReady();
    leader.node.reportUnreachable(raftId(2));
    expect(leader.node.progressOf(raftId(2))?.state).toBe('probe');
  });

  test('an answer from somebody who is no member is refused', () => {
    const leader = aLeader([]);
    const stray = aMessage({ type: 'MsgAppResp', from: raftId(9), term: 1, index: 1 });
    expect(leader.node.step(stray)).toBe('peer-not-found');
  });

  test('a follower passes a proposal on to its leader, if it may; a candidate cannot', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.propose(2, 'forwarded');
    expect(network.peer(3).data).toEqual(['forwarded']);
    const alone = new RaftPeer(aRaftConfig(1, { forwardsProposals: false }), three);
    expect(alone.node.propose(Buffer.from('x'))).toBe('proposal-dropped');
  });
});

describe('snapshots (§7)', () => {
  test('a follower whose entries are gone is sent the snapshot, and then what follows', () => {
    const network = withLaggard();
    network.tick(1, [1]);
    expect(network.peer(3).disk.snapshot()).toMatchObject({ index: 4, data: Buffer.from('state') });
    network.propose(1, 'd');
    expect(network.peer(3).data).toEqual(['d']);
    expect(network.peer(1).node.progressOf(raftId(3))?.state).toBe('replicate');
  });

  test('nothing else is sent while it is on its way', () => {
    const network = withLaggard();
    network.cut(3, 1);
    network.peer(1).node.step(aMessage({ type: 'MsgHeartbeatResp', from: raftId(3), term: 1 }));
    network.settle();
    network.sent.length = 0;
    network.propose(1, 'd');
    expect(network.sent.filter(({ to }) => to === '3')).toEqual([]);
  });

  test('one that was not delivered is sent again', () => {
    const network = withLaggard();
    network.cut(1, 3);
    network.peer(1).node.step(aMessage({ type: 'MsgHeartbeatResp', from: raftId(3), term: 1 }));
    network.settle();
    expect(network.peer(1).node.progressOf(raftId(3))?.state).toBe('snapshot');
    network.peer(1).node.reportSnapshot(raftId(3), false);
    network.heal();
    network.tick(1, [1]);
    expect(network.peer(3).disk.lastIndex()).toBe(4);
  });

  test('one that tells nothing new is answered with what the follower has', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.propose(1, 'a', 'b');
    const snapshot = { index: 2, term: 1, confState: three, data: Buffer.alloc(0) };
    const follower = network.peer(2);
    follower.node.step(aMessage({ type: 'MsgSnap', from: raftId(1), term: 1, snapshot }));
    const ready = follower.node.ready();
    expect(ready.snapshot).toBeUndefined();
    expect(ready.messages).toMatchObject([{ type: 'MsgAppResp', index: 3 }]);
  });

  test('one of which the log has everything only moves the commit index', () => {
    const follower = new RaftPeer(aRaftConfig(1), three, aLog(1, 1, 1));
    const snapshot = { index: 2, term: 1, confState: three, data: Buffer.alloc(0) };
    follower.node.step(aMessage({ type: 'MsgSnap', term: 1, snapshot }));
    expect(follower.node.status).toMatchObject({ commitIndex: 2, lastIndex: 3 });
  });

  test('it brings the configuration with it', () => {
    const joiner = new RaftPeer(aRaftConfig(4), { voters: [], learners: [] });
    const confState = { voters: three.voters, learners: [raftId(4)] };
    const snapshot = { index: 9, term: 2, confState, data: Buffer.alloc(0) };
    joiner.node.step(aMessage({ type: 'MsgSnap', to: raftId(4), term: 2, snapshot }));
    expect(joiner.node.confState).toEqual(confState);
  });

  test('a change from before it, that is applied after it has arrived, has no effect', () => {
    const joiner = new RaftPeer(aRaftConfig(4), { voters: [], learners: [] });
    const confState = { voters: three.voters, learners: [raftId(4)] };
    const snapshot = { index: 9, term: 2, confState, data: Buffer.alloc(0) };
    joiner.node.step(aMessage({ type: 'MsgSnap', to: raftId(4), term: 2, snapshot }));
    expect(joiner.node.applyConfChange(learn(2))).toEqual(confState);
    expect(joiner.node.confState).toEqual(confState);
    joiner.handleReady();
    expect(joiner.node.applyConfChange(add(4)).voters).toContain(raftId(4));
  });
});

describe('ReadIndex (thesis §6.4)', () => {
  test('a leader answers a read once a majority has confirmed that it leads', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.propose(1, 'a');
    network.peer(1).node.readIndex(read);
    expect(network.peer(1).readStates).toEqual([]);
    network.settle();
    expect(network.peer(1).readStates).toEqual([{ index: 2, context: 'read' }]);
  });

  test('a sole voter that has begun anew answers none before it knows what was committed', () => {
    const one = { voters: [raftId(1)], learners: [raftId(2)] };
    const peer = new RaftPeer(aRaftConfig(1), one, aLog(1, 1));
    peer.hardState = { currentTerm: 1, votedFor: raftId(1), commitIndex: 1 };
    peer.restart();
    peer.node.campaign();
    peer.handleReady();
    peer.node.readIndex(read);
    expect(peer.node.status).toMatchObject({ role: 'leader', commitIndex: 1 });
    while (peer.node.hasReady) peer.handleReady();
    expect(peer.readStates).toEqual([{ index: 3, context: 'read' }]);
  });

  test('one that was deposed without noticing answers no read', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(1);
    network.campaign(2);
    network.peer(1).node.readIndex(read);
    network.settle();
    expect(network.peer(1).readStates).toEqual([]);
  });

  test('§8: a read waits until the leader has committed an entry of its own term', () => {
    const network = new RaftNetwork(3);
    network.ignore('MsgApp');
    network.campaign(1);
    network.peer(1).node.readIndex(read);
    network.settle();
    expect(network.peer(1).readStates).toEqual([]);
    network.heal();
    network.tick(1, [1]);
    expect(network.peer(1).readStates).toEqual([{ index: 1, context: 'read' }]);
  });

  test('a read that waits for a member that is removed meanwhile is answered', () => {
    const network = new RaftNetwork(2);
    network.campaign(1);
    const leader = network.peer(1);
    leader.node.readIndex(read);
    leader.handleReady();
    expect(leader.readStates).toEqual([]);
    leader.node.applyConfChange(remove(2));
    leader.handleReady();
    expect(leader.readStates).toEqual([{ index: 1, context: 'read' }]);
  });

  test('an answer to a younger read confirms the older ones', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    const leader = network.peer(1);
    leader.node.readIndex(Buffer.from('older'));
    leader.node.readIndex(Buffer.from('younger'));
    const context = leader.handleReady().findLast(({ to }) => to === raftId(2))?.context;
    leader.node.step(aMessage({ type: 'MsgHeartbeatResp', term: 1, context }));
    leader.handleReady();
    expect(leader.readStates.map((state) => state.context)).toEqual(['older', 'younger']);
  });

  test('an answer that comes late confirms no younger read, though it repeats the words', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    const leader = network.peer(1);
    leader.node.readIndex(read);
    const context = leader.handleReady().find(({ to }) => to === raftId(2))?.context;
    const answered = aMessage({ type: 'MsgHeartbeatResp', term: 1, context });
    leader.node.step(answered);
    leader.node.readIndex(read);
    leader.node.step(answered);
    leader.handleReady();
    expect(leader.readStates).toHaveLength(1);
    // An answer to what was never asked, or in a form we never use, confirms nothing either.
    leader.node.step({ ...answered, context: Buffer.from('odd') });
    expect(leader.node.hasReady).toBe(false);
  });

  test('a follower asks its leader', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.peer(3).node.readIndex(read);
    network.settle();
    expect(network.peer(3).readStates).toEqual([{ index: 1, context: 'read' }]);
  });
});

describe('membership (thesis §4.1)', () => {
  test('a member that is added gets the log, and counts', () => {
    const network = new RaftNetwork(1);
    network.campaign(1);
    network.propose(1, 'a');
    network.join(2);
    network.peer(2).confState = { voters: [raftId(1)], learners: [] };
    network.peer(2).restart();
    network.peer(1).proposeChange(add(2));
    network.settle();
    network.tick(1);
    expect(network.peer(2).data).toEqual(['a']);
    expect(network.peer(2).node.confState.voters).toEqual(['1', '2']);
    network.isolate(2);
    network.propose(1, 'alone');
    expect(network.peer(1).data).toEqual(['a']);
  });

  test('a second change is not taken while one waits: an empty entry stands in its place', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.peer(1).proposeChange(add(4));
    network.peer(1).proposeChange(add(5));
    network.settle();
    expect(network.peer(1).node.confState.voters).toEqual(['1', '2', '3', '4']);
    expect(network.peer(1).applied.at(-1)).toMatchObject({ type: 'EntryNormal' });
  });

  test('a new leader takes none before it has applied what was in its log', () => {
    const leader = aLeader([1]);
    leader.proposeChange(add(4));
    leader.handleReady();
    expect(leader.disk.entries(3, 4, 99)).toMatchObject([{ type: 'EntryNormal' }]);
  });

  test('removing a voter may commit what had no majority before', () => {
    const network = new RaftNetwork(2);
    network.campaign(1);
    network.peer(1).proposeChange(remove(2));
    network.peer(1).node.propose(Buffer.from('waits'));
    network.settle();
    network.isolate(2);
    network.propose(1, 'alone');
    expect(network.peer(1).data).toEqual(['waits', 'alone']);
  });

  test('a leader that removes itself steps down', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.peer(1).proposeChange(remove(1));
    network.settle();
    expect(network.peer(1).node.status.role).toBe('follower');
    network.campaign(2);
    expect(network.peer(2).node.status.role).toBe('leader');
  });

  test('a learner gets the log and does not count; made a voter, it does', () => {
    const network = new RaftNetwork(2);
    network.campaign(1);
    network.join(3);
    network.peer(3).confState = network.peer(1).node.confState;
    network.peer(3).restart();
    network.peer(1).proposeChange(learn(3));
    network.settle();
    network.tick(1);
    expect(network.peer(3).node.confState.learners).toEqual(['3']);
    network.isolate(2);
    network.propose(1, 'a');
    expect(network.peer(1).data).toEqual([]);
    network.heal();
    network.tick(1);
    network.peer(1).proposeChange(add(3));
    network.settle();
    network.isolate(2);
    network.propose(1, 'b');
    expect(network.peer(3).data).toEqual(['a', 'b']);
  });

  test('the last voter cannot be removed', () => {
    const network = new RaftNetwork(1);
    network.campaign(1);
    network.peer(1).proposeChange(remove(1));
    expect(() => {
      network.settle();
    }).toThrow('majorities before and after a change overlap');
  });
});
