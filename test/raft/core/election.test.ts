import { describe, expect, test } from 'vitest';
import {
  aLog,
  aMessage,
  aRaftConfig,
  raftId,
  RaftNetwork,
  RaftPeer,
} from '../../support/raft-network.ts';

const three = { voters: [raftId(1), raftId(2), raftId(3)], learners: [] };

/** The messages of one peer's next Ready, in short. */
const next = (peer: RaftPeer): string[] =>
  peer.node.hasReady
    ? peer
        .handleReady()
        .map((m) => `${m.type}${m.reject ? ' rejected' : ''} to ${m.to} in ${m.term}`)
    : [];

describe('elections', () => {
  test('§5.1: a message of a newer term makes any member a follower in that term', () => {
    for (const role of ['follower', 'candidate', 'leader'] as const) {
      const network = new RaftNetwork(3);
      if (role === 'leader') network.campaign(1);
      if (role === 'candidate') network.peer(1).node.campaign();
      network.peer(1).node.step(aMessage({ type: 'MsgApp', term: 9 }));
      expect(network.peer(1).node.status).toMatchObject({
        role: 'follower',
        currentTerm: 9,
        leaderId: raftId(2),
      });
    }
  });

  test('§5.1: a message of an older term changes nothing', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    const before = network.peer(1).node.status;
    network.peer(1).node.step(aMessage({ type: 'MsgApp', term: 0 + before.currentTerm - 1 }));
    expect(network.peer(1).node.status).toEqual(before);
  });

  test('§5.2: a follower that hears nothing for an election timeout asks for votes', () => {
    const peer = new RaftPeer(aRaftConfig(1), three);
    for (let tick = 0; tick < 9; tick += 1) peer.node.tick();
    expect(next(peer)).toEqual([]);
    peer.node.tick();
    expect(next(peer)).toEqual(['MsgVote to 2 in 1', 'MsgVote to 3 in 1']);
    expect(peer.hardState).toMatchObject({ currentTerm: 1, votedFor: raftId(1) });
  });

  test('§5.2: a heartbeat keeps a follower from it', () => {
    const peer = new RaftPeer(aRaftConfig(1), three);
    for (let tick = 0; tick < 30; tick += 1) {
      peer.node.tick();
      peer.node.step(aMessage({ type: 'MsgHeartbeat', term: 1 }));
    }
    expect(peer.node.status).toMatchObject({ role: 'follower', currentTerm: 1 });
  });

  test('§5.2: election timeouts are drawn at random, between one and two', () => {
    const timeouts = [0, 4, 9].map((drawn) => {
      const peer = new RaftPeer(aRaftConfig(1, { random: () => drawn }), three);
      let ticks = 0;
      while (peer.node.status.role === 'follower') {
        peer.node.tick();
        ticks += 1;
      }
      return ticks;
    });
    expect(timeouts).toEqual([10, 14, 19]);
  });

  test('§5.2: a majority of votes makes a leader, which says so at once', () => {
    const network = new RaftNetwork(5);
    network.isolate(4);
    network.isolate(5);
    network.campaign(1);
    expect(network.roles()).toEqual(['leader', 'follower', 'follower', 'follower', 'follower']);
    expect(network.peer(2).node.status.leaderId).toBe(raftId(1));
  });

  test('§5.2: without a majority there is no leader', () => {
    const network = new RaftNetwork(5);
    for (const number of [3, 4, 5]) network.isolate(number);
    network.campaign(1);
    expect(network.peer(1).node.status.role).toBe('candidate');
  });

  test('§5.2: one vote a term, for the first who asks; the same one may ask again', () => {
    const peer = new RaftPeer(aRaftConfig(1), three);
    const ask = (from: number): string[] => {
      peer.node.step(aMessage({ type: 'MsgVote', from: raftId(from), term: 1 }));
      return next(peer);
    };
    expect(ask(2)).toEqual(['MsgVoteResp to 2 in 1']);
    expect(ask(3)).toEqual(['MsgVoteResp rejected to 3 in 1']);
    expect(ask(2)).toEqual(['MsgVoteResp to 2 in 1']);
  });

  test('§5.2: a vote outlives a restart, and leaves only with the Ready that saves it', () => {
    const peer = new RaftPeer(aRaftConfig(1), three);
    peer.node.step(aMessage({ type: 'MsgVote', from: raftId(2), term: 1 }));
    const ready = peer.node.ready();
    expect(ready.hardState).toMatchObject({ currentTerm: 1, votedFor: raftId(2) });
    expect(ready.mustSync).toBe(true);
    expect(ready.messages.map(({ type }) => type)).toEqual(['MsgVoteResp']);
    peer.hardState = ready.hardState ?? peer.hardState;
    peer.restart();
    peer.node.step(aMessage({ type: 'MsgVote', from: raftId(3), term: 1 }));
    expect(next(peer)).toEqual(['MsgVoteResp rejected to 3 in 1']);
  });

  test('§5.2: a candidate gives way to a leader of its term', () => {
    const network = new RaftNetwork(3);
    network.isolate(1);
    network.campaign(1);
    network.peer(1).node.step(aMessage({ type: 'MsgApp', from: raftId(3), term: 1 }));
    expect(network.peer(1).node.status).toMatchObject({ role: 'follower', leaderId: raftId(3) });
  });

  test('§5.2: after a split vote a new term begins, and somebody wins', () => {
    const network = new RaftNetwork(4);
    for (const number of [1, 2]) network.peer(number).node.campaign();
    // 3 and 4 each hear one candidate first.
    network.cut(1, 4);
    network.cut(2, 3);
    network.settle();
    expect(network.roles().slice(0, 2)).toEqual(['candidate', 'candidate']);
    network.heal();
    network.campaign(1);
    expect(network.roles().filter((role) => role === 'leader')).toHaveLength(1);
    expect(network.terms()).toEqual([2, 2, 2, 2]);
  });

  test('§5.4.1: who lacks an entry that the voter has gets no vote', () => {
    const behind = new RaftPeer(aRaftConfig(1), three, aLog(1, 1));
    const votesFor = (index: number, logTerm: number): string[] => {
      const term = behind.node.status.currentTerm + 1;
      behind.node.step(aMessage({ type: 'MsgVote', term, index, logTerm }));
      return next(behind).map((text) => text.replace(/ in \d+/u, ''));
    };
    expect(votesFor(1, 1)).toEqual(['MsgVoteResp rejected to 2']);
    expect(votesFor(2, 1)).toEqual(['MsgVoteResp to 2']);
    expect(votesFor(1, 2)).toEqual(['MsgVoteResp to 2']);
  });

  test('§5.4.1: the committed entries of a leader that died are in the log of the next', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.propose(1, 'kept');
    network.heal();
    network.isolate(1);
    network.campaign(3);
    expect(network.peer(3).node.status.role).not.toBe('leader');
    network.campaign(2);
    expect(network.peer(2).node.status.role).toBe('leader');
    expect(network.peer(3).data).toEqual(['kept']);
  });

  test('thesis §4.2.1: a learner neither campaigns nor counts', () => {
    const confState = { voters: [raftId(2)], learners: [raftId(1)] };
    const learner = new RaftPeer(aRaftConfig(1), confState);
    for (let tick = 0; tick < 50; tick += 1) learner.node.tick();
    learner.node.campaign();
    expect(learner.node.status.role).toBe('follower');
  });

  test('a learner votes all the same, for it may have been made a voter', () => {
    const confState = { voters: [raftId(2)], learners: [raftId(1)] };
    const learner = new RaftPeer(aRaftConfig(1), confState);
    learner.node.step(aMessage({ type: 'MsgVote', term: 2 }));
    expect(next(learner)).toEqual(['MsgVoteResp to 2 in 2']);
  });

  test('a sole voter elects itself without a message', () => {
    const network = new RaftNetwork(1, { asksBeforeElection: true, checksQuorum: true });
    network.campaign(1);
    network.propose(1, 'alone');
    expect(network.peer(1).data).toEqual(['alone']);
    expect(network.sent).toEqual([]);
  });

  test('who has a committed change of the configuration unapplied does not campaign', () => {
    const log = aLog(1).map((entry) => ({ ...entry, type: 'EntryConfChange' as const }));
    const peer = new RaftPeer(aRaftConfig(1), three, log);
    peer.hardState = { currentTerm: 1, votedFor: undefined, commitIndex: 1 };
    peer.restart();
    peer.node.campaign();
    expect(peer.node.status.role).toBe('follower');
  });
});

describe('PreVote (thesis §9.6)', () => {
  const settings = { asksBeforeElection: true, checksQuorum: true };

  test('a member that cannot win does not raise the term', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    network.isolate(3);
    network.tick(100, [3]);
    expect(network.peer(3).node.status).toMatchObject({ role: 'pre-candidate', currentTerm: 1 });
  });

  test('a member that comes back from a partition does not depose the leader', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    network.isolate(3);
    network.tick(30);
    network.heal();
    network.tick(5);
    expect(network.roles()).toEqual(['leader', 'follower', 'follower']);
    expect(network.terms()).toEqual([1, 1, 1]);
  });

  test('when the leader is gone, a pre-election is followed by an election', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    network.isolate(1);
    network.tick(10, [2, 3]);
    network.tick(10, [2]);
    expect(network.peer(2).node.status).toMatchObject({ role: 'leader', currentTerm: 2 });
  });

  test('a pre-vote is granted without being a vote: it is neither stored nor does it bind', () => {
    const peer = new RaftPeer(aRaftConfig(1, settings), three);
    for (const from of [2, 3]) {
      peer.node.step(aMessage({ type: 'MsgPreVote', from: raftId(from), term: 1 }));
    }
    expect(next(peer)).toEqual(['MsgPreVoteResp to 2 in 1', 'MsgPreVoteResp to 3 in 1']);
    expect(peer.hardState).toMatchObject({ currentTerm: 0, votedFor: undefined });
  });

  test('a pre-candidate with an old term learns the newer one from its refusal', () => {
    const network = new RaftNetwork(3, settings);
    network.peer(2).node.step(aMessage({ type: 'MsgHeartbeat', from: raftId(3), term: 7 }));
    network.settle();
    network.peer(2).node.forgetLeader();
    network.cut(1, 3);
    network.campaign(1);
    expect(network.peer(1).node.status).toMatchObject({ role: 'follower', currentTerm: 7 });
  });
});

describe('CheckQuorum (thesis §6.2)', () => {
  test('a leader that hears from no majority steps down', () => {
    const network = new RaftNetwork(3, { checksQuorum: true });
    network.campaign(1);
    network.isolate(1);
    network.tick(10, [1]);
    network.tick(10, [1]);
    expect(network.peer(1).node.status.role).toBe('follower');
  });

  test('a leader that hears from a majority stays', () => {
    const network = new RaftNetwork(5, { checksQuorum: true });
    network.campaign(1);
    for (const number of [4, 5]) network.isolate(number);
    network.tick(50, [1, 2, 3]);
    expect(network.peer(1).node.status.role).toBe('leader');
  });

  test('§6: a vote is not even looked at while a leader is fresh', () => {
    const network = new RaftNetwork(3, { checksQuorum: true });
    network.campaign(1);
    network
      .peer(2)
      .node.step(aMessage({ type: 'MsgVote', from: raftId(3), to: raftId(2), term: 9 }));
    expect(network.peer(2).node.status.currentTerm).toBe(1);
    expect(network.peer(2).node.hasReady).toBe(false);
  });

  test('a member that forgets its leader may vote at once', () => {
    const network = new RaftNetwork(3, { checksQuorum: true });
    network.campaign(1);
    network.isolate(1);
    network.peer(3).node.forgetLeader();
    network.campaign(2);
    expect(network.peer(2).node.status.role).toBe('leader');
  });

  test('a member whose term ran ahead is let in again: the leader learns of its term', () => {
    const network = new RaftNetwork(3, { checksQuorum: true });
    network.campaign(1);
    network.isolate(3);
    network.campaign(3);
    network.campaign(3);
    network.heal();
    network.tick(1);
    expect(network.peer(1).node.status).toMatchObject({ role: 'follower', currentTerm: 3 });
    network.campaign(1);
    expect(network.roles()).toEqual(['leader', 'follower', 'follower']);
  });
});

describe('leadership transfer (thesis §3.10)', () => {
  const settings = { asksBeforeElection: true, checksQuorum: true };

  test('a transferee that has the whole log takes over at once, within the lease', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    network.peer(1).node.transferLeadership(raftId(2));
    network.settle();
    expect(network.roles()).toEqual(['follower', 'leader', 'follower']);
  });

  test('a transferee that lags is brought up to date first', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    network.isolate(3);
    network.propose(1, 'a', 'b');
    network.heal();
    network.peer(1).node.transferLeadership(raftId(3));
    network.tick(1, [1]);
    expect(network.peer(3).node.status.role).toBe('leader');
    expect(network.peer(3).data).toEqual(['a', 'b']);
  });

  test('proposals are refused meanwhile, and taken again if it fails', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    network.isolate(3);
    const leader = network.peer(1).node;
    leader.transferLeadership(raftId(3));
    expect(leader.propose(Buffer.from('x'))).toBe('proposal-dropped');
    network.tick(10, [1, 2]);
    expect(leader.propose(Buffer.from('x'))).toBeUndefined();
  });

  test('it is not handed to a learner, to nobody, or to itself', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    for (const number of [1, 9]) network.peer(1).node.transferLeadership(raftId(number));
    network.settle();
    expect(network.peer(1).node.status.transferee).toBeUndefined();
    expect(network.peer(1).node.status.role).toBe('leader');
  });

  test('a follower passes the wish on to its leader', () => {
    const network = new RaftNetwork(3, settings);
    network.campaign(1);
    network.peer(2).node.transferLeadership(raftId(2));
    network.settle();
    expect(network.peer(2).node.status.role).toBe('leader');
  });
});
