import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Membership } from '../../src/raft/core/membership.ts';
import { tally } from '../../src/raft/core/quorum.ts';
import type { Message, MessageType, RaftConfig } from '../../src/raft/core/types.ts';
import {
  aLog,
  aMessage,
  anEntry,
  aRaftConfig,
  raftId,
  RaftNetwork,
  RaftPeer,
} from '../support/raft-network.ts';

/**
 * The Raft paper (extended version), sentence by sentence: Figure 2, then sections 5 to 8, then the
 * single-server changes of Ongaro's thesis. Where etcd's Raft does it otherwise, the name says so.
 */

const three = { voters: [1, 2, 3].map(raftId), learners: [] };

interface Past {
  readonly terms?: readonly number[];
  readonly term?: number;
  readonly vote?: number;
  readonly commit?: number;
}

/** Member 1 of three, as it comes back with this past. */
function member(past: Past = {}, changes: Partial<RaftConfig> = {}): RaftPeer {
  const terms = past.terms ?? [];
  const peer = new RaftPeer(aRaftConfig(1, changes), three, aLog(...terms));
  peer.hardState = {
    currentTerm: past.term ?? terms.at(-1) ?? 0,
    votedFor: past.vote === undefined ? undefined : raftId(past.vote),
    commitIndex: past.commit ?? 0,
  };
  peer.restart();
  while (peer.node.hasReady) peer.handleReady();
  return peer;
}

/** Takes a message, and returns the answers that the next Ready lets out. */
function answersTo(peer: RaftPeer, message: Pick<Message, 'type'> & Partial<Message>): Message[] {
  peer.node.step(aMessage(message));
  return drain(peer);
}

function drain(peer: RaftPeer): Message[] {
  const sent: Message[] = [];
  while (peer.node.hasReady) sent.push(...peer.handleReady());
  return sent;
}

const ofType = (messages: readonly Message[], type: MessageType): Message[] =>
  messages.filter((message) => message.type === type);

/** Member 1 after it was elected by 2; what it sent at once is lost. */
function leader(past: Past = {}, changes: Partial<RaftConfig> = {}): RaftPeer {
  const peer = member(past, changes);
  peer.node.campaign();
  drain(peer);
  const term = peer.node.status.currentTerm;
  answersTo(peer, { type: 'MsgVoteResp', term });
  expect(peer.node.status.role).toBe('leader');
  return peer;
}

const isForNextButOne = ({ from, to }: Message): boolean => Number(to) === Number(from) + 2;

const isMajority = (some: readonly number[], all: readonly number[]): boolean =>
  tally(all.map((id) => some.includes(id))) === 'won';

const term = (peer: RaftPeer): number => peer.node.status.currentTerm;
const role = (peer: RaftPeer): string => peer.node.status.role;

function tick(peer: RaftPeer, count: number): Message[] {
  for (let n = 0; n < count; n += 1) peer.node.tick();
  return drain(peer);
}

describe('Figure 2, state', () => {
  test('a server begins in term 0, as a follower that has voted for nobody', () => {
    expect(member().node.status).toMatchObject({
      role: 'follower',
      currentTerm: 0,
      votedFor: undefined,
      commitIndex: 0,
      lastApplied: 0,
    });
  });

  test('currentTerm never goes back, and is on disk before anything of that term leaves', () => {
    const peer = member();
    const [answer] = answersTo(peer, { type: 'MsgVote', term: 7 });
    expect(answer).toMatchObject({ type: 'MsgVoteResp', term: 7 });
    expect(peer.hardState.currentTerm).toBe(7);
    answersTo(peer, { type: 'MsgApp', term: 6 });
    expect(term(peer)).toBe(7);
    peer.restart();
    expect(term(peer)).toBe(7);
  });

  test('votedFor is on disk before the vote leaves, and is empty in a new term', () => {
    const peer = member();
    peer.node.step(aMessage({ type: 'MsgVote', term: 1 }));
    const ready = peer.node.ready();
    expect(ready.messages).toMatchObject([{ type: 'MsgVoteResp', reject: false }]);
    expect(ready.hardState?.votedFor).toBe(raftId(2));
    expect(ready.mustSync).toBe(true);
    peer.node.advance();
    answersTo(peer, { type: 'MsgHeartbeat', term: 2, from: raftId(3) });
    expect(peer.node.status.votedFor).toBeUndefined();
  });

  test('log entries are on disk before they are acknowledged', () => {
    const peer = member();
    peer.node.step(aMessage({ type: 'MsgApp', term: 1, entries: aLog(1, 1) }));
    const ready = peer.node.ready();
    expect(ready.entries).toHaveLength(2);
    expect(ready.mustSync).toBe(true);
    expect(ready.messages).toMatchObject([{ type: 'MsgAppResp', index: 2 }]);
  });

  test('commitIndex only grows', () => {
    const peer = member({ terms: [1, 1, 1], commit: 2 });
    answersTo(peer, { type: 'MsgHeartbeat', term: 1, commit: 1 });
    expect(peer.node.status.commitIndex).toBe(2);
    answersTo(peer, { type: 'MsgHeartbeat', term: 1, commit: 3 });
    expect(peer.node.status.commitIndex).toBe(3);
  });

  test('lastApplied only grows, and each entry is applied once', () => {
    const peer = member({ terms: [1, 1, 1] });
    for (const commit of [1, 1, 3, 2]) answersTo(peer, { type: 'MsgHeartbeat', term: 1, commit });
    expect(peer.applied.map(({ index }) => index)).toEqual([1, 2, 3]);
    expect(peer.node.status.lastApplied).toBe(3);
  });

  test('a new leader sets nextIndex just after its last entry, and matchIndex to 0', () => {
    const peer = member({ terms: [1, 1] });
    peer.node.campaign();
    drain(peer);
    peer.node.step(aMessage({ type: 'MsgVoteResp', term: 2 }));
    expect(peer.node.progressOf(raftId(2))).toMatchObject({ nextIndex: 3, matchIndex: 0 });
  });

  test('matchIndex only grows while it leads, and begins anew with the next leadership', () => {
    const peer = leader({ terms: [1, 1] });
    answersTo(peer, { type: 'MsgAppResp', term: 2, index: 3 });
    answersTo(peer, { type: 'MsgAppResp', term: 2, index: 1 });
    expect(peer.node.progressOf(raftId(2))?.matchIndex).toBe(3);
    answersTo(peer, { type: 'MsgHeartbeat', term: 3 });
    peer.node.campaign();
    drain(peer);
    answersTo(peer, { type: 'MsgVoteResp', term: 4, from: raftId(3) });
    expect(peer.node.progressOf(raftId(2))?.matchIndex).toBe(0);
  });
});

describe('Figure 2, AppendEntries', () => {
  test('1: of an older term it is refused; etcd: with the newer term, if quorums are checked', () => {
    const message = { type: 'MsgApp', term: 1, entries: [anEntry(1, 1)] } as const;
    const plain = member({ term: 2 });
    expect(answersTo(plain, message)).toEqual([]);
    expect(plain.log).toEqual([]);
    const [answer] = answersTo(member({ term: 2 }, { checksQuorum: true }), message);
    expect(answer).toMatchObject({ type: 'MsgAppResp', term: 2, index: 0 });
  });

  test('2: it is refused if the entry before the new ones is not there', () => {
    const peer = member({ terms: [1] });
    const entries = [anEntry(1, 3)];
    const [answer] = answersTo(peer, { type: 'MsgApp', term: 1, index: 2, logTerm: 1, entries });
    expect(answer).toMatchObject({ type: 'MsgAppResp', reject: true, index: 2 });
    expect(peer.log).toEqual(['1/1']);
  });

  test('2: it is refused if the entry before the new ones is of another term', () => {
    const peer = member({ terms: [1, 1] });
    const entries = [anEntry(2, 3)];
    const [answer] = answersTo(peer, { type: 'MsgApp', term: 2, index: 2, logTerm: 2, entries });
    expect(answer).toMatchObject({ type: 'MsgAppResp', reject: true });
    expect(peer.log).toEqual(['1/1', '1/2']);
  });

  test('3: an entry that conflicts with a new one goes, with all that follow it', () => {
    const peer = member({ terms: [1, 1, 1, 1] });
    const entries = [anEntry(2, 2)];
    answersTo(peer, { type: 'MsgApp', term: 2, index: 1, logTerm: 1, entries });
    expect(peer.log).toEqual(['1/1', '2/2']);
  });

  test('3: without a conflict nothing goes, though entries follow the new ones', () => {
    const peer = member({ terms: [1, 1, 1] });
    answersTo(peer, { type: 'MsgApp', term: 1, entries: aLog(1) });
    expect(peer.log).toEqual(['1/1', '1/2', '1/3']);
  });

  test('4: new entries are appended, those that are there are left as they are', () => {
    const peer = member({ terms: [1, 1] });
    const [answer] = answersTo(peer, { type: 'MsgApp', term: 1, entries: aLog(1, 1, 1, 1) });
    expect(answer).toMatchObject({ type: 'MsgAppResp', index: 4, reject: false });
    expect(peer.readies.at(-1)?.entries.map(({ index }) => index)).toEqual([3, 4]);
  });

  test('5: the commit index follows the leader’s, up to the last new entry', () => {
    const peer = member({ terms: [1, 1, 1] });
    answersTo(peer, { type: 'MsgApp', term: 1, entries: aLog(1), commit: 9 });
    expect(peer.node.status.commitIndex).toBe(1);
    const entries = aLog(1, 1, 1).slice(1);
    answersTo(peer, { type: 'MsgApp', term: 1, index: 1, logTerm: 1, entries, commit: 2 });
    expect(peer.node.status.commitIndex).toBe(2);
  });

  test('etcd: what is committed is not compared again; the answer says how far that is', () => {
    const peer = member({ terms: [1, 1, 1], commit: 3 });
    const [answer] = answersTo(peer, { type: 'MsgApp', term: 1, entries: aLog(1) });
    expect(answer).toMatchObject({ type: 'MsgAppResp', index: 3, reject: false });
    peer.compact();
    const [later] = answersTo(peer, { type: 'MsgApp', term: 1, index: 1, logTerm: 1 });
    expect(later).toMatchObject({ type: 'MsgAppResp', index: 3, reject: false });
  });
});

describe('Figure 2, RequestVote', () => {
  test('1: of an older term it is not granted', () => {
    const peer = member({ term: 3 });
    expect(answersTo(peer, { type: 'MsgVote', term: 2 })).toEqual([]);
    expect(peer.node.status.votedFor).toBeUndefined();
  });

  test('2: it is granted if nobody has the vote, or this candidate has it already', () => {
    for (const vote of [undefined, 2]) {
      const peer = member(vote === undefined ? { term: 1 } : { term: 1, vote });
      const [answer] = answersTo(peer, { type: 'MsgVote', term: 1 });
      expect(answer).toMatchObject({ type: 'MsgVoteResp', reject: false });
    }
  });

  test('2: it is not granted if another has the vote', () => {
    const [answer] = answersTo(member({ term: 1, vote: 3 }), { type: 'MsgVote', term: 1 });
    expect(answer).toMatchObject({ type: 'MsgVoteResp', reject: true });
  });

  test('2: it is granted only if the candidate’s log is at least as up to date', () => {
    const cases = [
      { index: 3, logTerm: 1, isGranted: false },
      { index: 1, logTerm: 2, isGranted: false },
      { index: 2, logTerm: 2, isGranted: true },
      { index: 3, logTerm: 2, isGranted: true },
      { index: 1, logTerm: 3, isGranted: true },
    ];
    for (const { index, logTerm, isGranted } of cases) {
      const peer = member({ terms: [1, 2] });
      const [answer] = answersTo(peer, { type: 'MsgVote', term: 4, index, logTerm });
      expect(answer?.reject).toBe(!isGranted);
      expect(peer.hardState.votedFor).toBe(isGranted ? raftId(2) : undefined);
    }
  });
});

describe('Figure 2, rules for all servers', () => {
  test('what is committed and not yet applied is applied, in the order of the log', () => {
    const peer = member({ terms: [1, 1, 1] });
    answersTo(peer, { type: 'MsgHeartbeat', term: 1, commit: 3 });
    expect(peer.data).toEqual(['1/1', '1/2', '1/3']);
  });

  test('a message of a newer term makes a follower of any server, in that term', () => {
    const types = ['MsgApp', 'MsgAppResp', 'MsgVote', 'MsgVoteResp', 'MsgHeartbeat'] as const;
    for (const type of types) {
      const candidate = member();
      candidate.node.campaign();
      for (const peer of [member(), candidate, leader()]) {
        answersTo(peer, { type, term: 9 });
        expect(peer.node.status).toMatchObject({ role: 'follower', currentTerm: 9 });
      }
    }
  });
});

describe('Figure 2, rules for followers', () => {
  test('it answers leaders and candidates, and sends nothing of its own', () => {
    const peer = member();
    expect(drain(peer)).toEqual([]);
    expect(answersTo(peer, { type: 'MsgHeartbeat', term: 1 })).toHaveLength(1);
    expect(answersTo(peer, { type: 'MsgVote', term: 2, from: raftId(3) })).toHaveLength(1);
    expect(tick(peer, 9)).toEqual([]);
  });

  test('an election timeout without a leader or a vote makes it a candidate', () => {
    const peer = member();
    tick(peer, 9);
    expect(role(peer)).toBe('follower');
    tick(peer, 1);
    expect(role(peer)).toBe('candidate');
  });

  test('a message of the present leader begins the timeout anew, one of an earlier does not', () => {
    for (const [of, becomes] of [
      [2, 'follower'],
      [1, 'candidate'],
    ] as const) {
      const peer = member({ term: 2 });
      tick(peer, 9);
      answersTo(peer, { type: 'MsgHeartbeat', term: of });
      tick(peer, 1);
      expect(role(peer)).toBe(becomes);
    }
  });

  test('a vote that is given begins the timeout anew, one that is refused does not', () => {
    for (const [vote, becomes] of [
      [2, 'follower'],
      [3, 'candidate'],
    ] as const) {
      const peer = member({ term: 2, vote });
      tick(peer, 9);
      answersTo(peer, { type: 'MsgVote', term: 2 });
      tick(peer, 1);
      expect(role(peer)).toBe(becomes);
    }
  });
});

describe('Figure 2, rules for candidates', () => {
  test('it begins a term, votes for itself, and asks all others', () => {
    const peer = member({ terms: [1, 3], term: 4 });
    peer.node.campaign();
    const asked = ofType(drain(peer), 'MsgVote');
    expect(asked.map(({ to }) => to)).toEqual([raftId(2), raftId(3)]);
    expect(asked[0]).toMatchObject({ term: 5, index: 2, logTerm: 3 });
    expect(peer.hardState).toMatchObject({ currentTerm: 5, votedFor: raftId(1) });
  });

  test('it begins its timeout anew', () => {
    const peer = member();
    tick(peer, 10);
    tick(peer, 9);
    expect(term(peer)).toBe(1);
    tick(peer, 1);
    expect(term(peer)).toBe(2);
  });

  test('votes of a majority make it the leader', () => {
    const peer = member();
    peer.node.campaign();
    drain(peer);
    answersTo(peer, { type: 'MsgVoteResp', term: 1 });
    expect(role(peer)).toBe('leader');
  });

  test('its own vote counts once it is on disk, and a vote that comes twice counts once', () => {
    const five = { voters: [1, 2, 3, 4, 5].map(raftId), learners: [] };
    const peer = new RaftPeer(aRaftConfig(1), five);
    peer.node.campaign();
    peer.node.step(aMessage({ type: 'MsgVoteResp', term: 1 }));
    peer.node.step(aMessage({ type: 'MsgVoteResp', term: 1 }));
    drain(peer);
    expect(role(peer)).toBe('candidate');
    answersTo(peer, { type: 'MsgVoteResp', term: 1, from: raftId(3) });
    expect(role(peer)).toBe('leader');
  });

  test('a message of the new leader makes it a follower', () => {
    for (const type of ['MsgApp', 'MsgHeartbeat', 'MsgSnap'] as const) {
      const peer = member();
      peer.node.campaign();
      answersTo(peer, { type, term: 1, from: raftId(3) });
      expect(peer.node.status).toMatchObject({ role: 'follower', leaderId: raftId(3) });
    }
  });

  test('another election timeout begins another election', () => {
    const peer = member();
    peer.node.campaign();
    drain(peer);
    expect(ofType(tick(peer, 10), 'MsgVote').map((message) => message.term)).toEqual([2, 2]);
  });
});

describe('Figure 2, rules for leaders', () => {
  test('once elected, it tells all others at once', () => {
    const peer = member();
    peer.node.campaign();
    drain(peer);
    const sent = answersTo(peer, { type: 'MsgVoteResp', term: 1 });
    expect(ofType(sent, 'MsgApp').map(({ to }) => to)).toEqual([raftId(2), raftId(3)]);
  });

  test('while idle it sends heartbeats, so that nobody’s election timeout ends', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.tick(100);
    expect(network.roles()).toEqual(['leader', 'follower', 'follower']);
    expect(network.terms()).toEqual([1, 1, 1]);
  });

  test('a command goes into its log, and is answered for when it is applied', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    const { node, disk } = network.peer(1);
    node.propose(Buffer.from('command'));
    network.peer(1).handleReady();
    expect(disk.lastIndex()).toBe(2);
    expect(network.peer(1).data).toEqual([]);
  });

  test('a follower whose nextIndex is in the log is sent all from there on', () => {
    const peer = leader({ terms: [1, 1] });
    answersTo(peer, { type: 'MsgAppResp', term: 2, index: 3 });
    peer.node.propose(Buffer.from('more'));
    const [sent] = drain(peer).filter(({ to }) => to === raftId(2));
    expect(sent).toMatchObject({ type: 'MsgApp', index: 3, logTerm: 2 });
    expect(sent?.entries.map(({ index }) => index)).toEqual([4]);
  });

  test('success moves nextIndex and matchIndex forward', () => {
    const peer = leader({ terms: [1, 1] });
    answersTo(peer, { type: 'MsgAppResp', term: 2, index: 3 });
    expect(peer.node.progressOf(raftId(2))).toMatchObject({ matchIndex: 3, nextIndex: 4 });
  });

  test('a refusal moves nextIndex back, and it tries again', () => {
    const peer = leader({ terms: [1, 1] });
    const refusal = { index: 2, reject: true, rejectHint: 1, logTerm: 1 };
    const [again] = answersTo(peer, { type: 'MsgAppResp', term: 2, ...refusal });
    expect(again).toMatchObject({ type: 'MsgApp', to: raftId(2), index: 1, logTerm: 1 });
    expect(again?.entries.map(({ index }) => index)).toEqual([2, 3]);
  });

  test('what a majority has stored is committed, if it is of its own term', () => {
    const peer = leader({ terms: [1, 1] });
    answersTo(peer, { type: 'MsgAppResp', term: 2, index: 2 });
    expect(peer.node.status.commitIndex).toBe(0);
    answersTo(peer, { type: 'MsgAppResp', term: 2, index: 3 });
    expect(peer.node.status.commitIndex).toBe(3);
  });
});

describe('§5.1, basics', () => {
  test('a term has at most one leader', () => {
    const network = new RaftNetwork(5);
    for (const number of [1, 2, 3, 4, 5]) network.peer(number).node.campaign();
    network.settle();
    expect(network.roles().filter((one) => one === 'leader').length).toBeLessThanOrEqual(1);
  });

  test('servers tell each other their terms: the smaller one is raised', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.tick(40, [3]);
    network.heal();
    expect(network.terms()[2]).toBeGreaterThan(1);
    network.tick(30);
    expect(new Set(network.terms()).size).toBe(1);
  });

  test('an answer of an older term says nothing any more', () => {
    const peer = leader({ terms: [1, 1] });
    answersTo(peer, { type: 'MsgAppResp', term: 1, index: 3 });
    answersTo(peer, { type: 'MsgAppResp', term: 1, index: 3, from: raftId(3) });
    expect(peer.node.progressOf(raftId(2))?.matchIndex).toBe(0);
    expect(peer.node.status.commitIndex).toBe(0);
    const candidate = member({ terms: [1] });
    candidate.node.campaign();
    drain(candidate);
    answersTo(candidate, { type: 'MsgVoteResp', term: 1 });
    expect(role(candidate)).toBe('candidate');
  });

  test('a leader or candidate whose term is out of date becomes a follower', () => {
    const peer = leader();
    answersTo(peer, { type: 'MsgAppResp', term: 5 });
    expect(peer.node.status).toMatchObject({ role: 'follower', leaderId: undefined });
  });
});

describe('§5.2, leader election', () => {
  test('a server stays a follower as long as a leader speaks to it', () => {
    const peer = member({ term: 1 });
    for (let n = 0; n < 50; n += 1) {
      tick(peer, 9);
      answersTo(peer, { type: 'MsgHeartbeat', term: 1 });
    }
    expect(peer.node.status).toMatchObject({ role: 'follower', currentTerm: 1 });
  });

  test('votes go to who asks first', () => {
    const peer = member();
    const [first] = answersTo(peer, { type: 'MsgVote', term: 1, from: raftId(3) });
    const [second] = answersTo(peer, { type: 'MsgVote', term: 1, from: raftId(2) });
    expect([first?.reject, second?.reject]).toEqual([false, true]);
  });

  test('a candidate does not give way to a leader of an older term', () => {
    const peer = member({ term: 3 });
    peer.node.campaign();
    answersTo(peer, { type: 'MsgApp', term: 3, from: raftId(3) });
    expect(peer.node.status).toMatchObject({ role: 'candidate', currentTerm: 4 });
  });

  test('if votes are split, the term ends without a leader, and another begins', () => {
    const network = new RaftNetwork(4);
    network.peer(1).node.campaign();
    network.peer(2).node.campaign();
    const asked = [1, 2].flatMap((number) => [...network.peer(number).handleReady()]);
    network.deliver(asked.filter(isForNextButOne));
    network.settle();
    expect(network.roles()).toEqual(['candidate', 'candidate', 'follower', 'follower']);
    network.tick(10, [1]);
    expect(network.roles()[0]).toBe('leader');
    expect(network.terms()).toEqual([2, 2, 2, 2]);
  });

  test('timeouts are drawn from an interval, each candidate’s anew, so that splits are rare', () => {
    let draws = 0;
    const random = (below: number): number => (draws += 1) % below;
    const peer = member({}, { random });
    const lengths = new Set<number>();
    for (let n = 0; n < 30; n += 1) {
      let ticks = 0;
      for (const before = term(peer); term(peer) === before; ticks += 1) tick(peer, 1);
      lengths.add(ticks);
    }
    expect(Math.min(...lengths)).toBe(10);
    expect(Math.max(...lengths)).toBe(19);
    expect(lengths.size).toBe(10);
  });
});

describe('§5.3, log replication', () => {
  test('all followers are sent an entry at the same time', () => {
    const network = new RaftNetwork(5);
    network.campaign(1);
    network.peer(1).node.propose(Buffer.from('x'));
    const sent = ofType(network.peer(1).handleReady(), 'MsgApp');
    expect(sent.map(({ to }) => to)).toEqual([2, 3, 4, 5].map(raftId));
  });

  test('what was committed without a follower is sent to it until it has everything', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.propose(1, 'a', 'b');
    expect(network.peer(1).data).toEqual(['a', 'b']);
    network.tick(5);
    network.heal();
    network.tick(2, [1]);
    expect(network.peer(3).data).toEqual(['a', 'b']);
  });

  test('an entry keeps its term and its index for ever', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.propose(1, 'a');
    network.campaign(2);
    network.propose(2, 'b');
    for (const peer of network.peers.values()) {
      expect(peer.log).toEqual(['1/1', '1/2', '2/3', '2/4']);
    }
  });

  test('committing an entry commits all before it, those of earlier leaders included', () => {
    const peer = leader({ terms: [1, 1, 2], term: 2 });
    answersTo(peer, { type: 'MsgAppResp', term: 3, index: 4 });
    expect(peer.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4]);
  });

  test('the commit index is in every message to a follower, heartbeats included', () => {
    const peer = leader();
    answersTo(peer, { type: 'MsgAppResp', term: 1, index: 1 });
    const [beat] = ofType(tick(peer, 1), 'MsgHeartbeat');
    expect(beat).toMatchObject({ to: raftId(2), commit: 1 });
  });

  test('a leader never overwrites or deletes an entry of its own log', () => {
    const peer = leader({ terms: [1, 1] });
    peer.node.propose(Buffer.from('x'));
    drain(peer);
    const before = peer.log;
    const refusal = { index: 2, reject: true, rejectHint: 0 };
    answersTo(peer, { type: 'MsgAppResp', term: 2, ...refusal });
    expect(peer.log).toEqual(before);
  });

  test('logs of every kind in Figure 7 are brought to agree with the leader’s', () => {
    const ofLeader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const followers = [
      [1, 1, 1, 4, 4, 5, 5, 6, 6],
      [1, 1, 1, 4],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
      [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
      [1, 1, 1, 4, 4, 4, 4],
      [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for (const terms of followers) {
      const network = new RaftNetwork(3);
      for (const [number, log, currentTerm] of [
        [1, ofLeader, 7],
        [2, terms, 7],
        [3, [], 7],
      ] as const) {
        const peer = network.peer(number);
        peer.disk.append(aLog(...log));
        peer.hardState = { ...peer.hardState, currentTerm };
        peer.restart();
      }
      // The third gives the vote that the second may refuse.
      network.campaign(1);
      network.propose(1, 'x');
      expect(network.roles()[0]).toBe('leader');
      expect(network.peer(2).log).toEqual(network.peer(1).log);
    }
  });

  test('a refusal names the follower’s term there, so one probe a term is enough', () => {
    const peer = member({ terms: [1, 1, 1, 1, 1] });
    const [answer] = answersTo(peer, { type: 'MsgApp', term: 3, index: 9, logTerm: 3 });
    expect(answer).toMatchObject({ reject: true, rejectHint: 5, logTerm: 1 });
    const other = member({ terms: [1, 4, 4, 4], term: 4 });
    const [skipped] = answersTo(other, { type: 'MsgApp', term: 5, index: 4, logTerm: 2 });
    expect(skipped).toMatchObject({ reject: true, rejectHint: 1, logTerm: 1 });
  });
});

describe('§5.4, safety', () => {
  test('§5.4.1: who lacks a committed entry is not elected', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.propose(1, 'committed');
    network.heal();
    network.isolate(1);
    network.campaign(3);
    expect(network.roles()[2]).not.toBe('leader');
    network.campaign(2);
    expect(network.roles()[1]).toBe('leader');
  });

  test('§5.4.2: Figure 8: an old entry on a majority may still be replaced; a leader waits', () => {
    const network = new RaftNetwork(5);
    network.campaign(1);
    // (a) 1 leads term 1 and stores an entry on 2 alone.
    for (const number of [3, 4, 5]) network.isolate(number);
    network.propose(1, 'old');
    expect(network.peer(1).data).toEqual([]);
    // (b) 5 leads term 2 with the votes of 3 and 4, and stores another on itself alone.
    network.heal();
    network.isolate(1);
    network.isolate(2);
    network.ignore('MsgApp');
    network.campaign(5);
    network.propose(5, 'other');
    // (c) 1 leads term 3 and stores the old entry on 3, as on 2; its own entry gets nowhere.
    network.heal();
    network.isolate(5);
    network.ignore('MsgApp');
    network.campaign(1);
    network.campaign(1);
    expect(network.roles()[0]).toBe('leader');
    expect(network.peer(1).node.status.commitIndex).toBe(1);
    // (d) 5 may win, and its entry replaces the old one everywhere: nothing was committed.
    network.heal();
    network.isolate(1);
    network.campaign(5);
    network.campaign(5);
    network.heal();
    network.tick(2, [5]);
    expect(network.peer(3).data).toEqual(['other']);
    expect(network.peer(1).data).toEqual(['other']);
  });

  test('§5.4.2: (e) once an entry of its own term is on a majority, the old one is safe', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.ignore('MsgAppResp');
    network.propose(1, 'old');
    network.heal();
    network.campaign(2);
    expect(network.peer(2).data).toEqual(['old']);
    network.isolate(2);
    network.campaign(3);
    expect(network.peer(3).data).toEqual(['old']);
  });
});

describe('§5.5 and §5.6, crashes and time', () => {
  test('§5.5: a server that was down is sent what it missed', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(2);
    network.propose(1, 'a');
    network.peer(2).restart();
    network.heal();
    network.tick(2, [1]);
    expect(network.peer(2).data).toEqual(['a']);
  });

  test('§5.5: a message that comes twice does no harm', () => {
    const peer = member();
    const message = { type: 'MsgApp', term: 1, entries: aLog(1, 1), commit: 1 } as const;
    answersTo(peer, message);
    const { log, data } = peer;
    const twice = answersTo(peer, message);
    expect(twice).toMatchObject([{ type: 'MsgAppResp', reject: false }]);
    expect([peer.log, peer.data]).toEqual([log, data]);
  });

  test.each([10, 15, 20])(
    '§5.6: with %i ticks of 100 ms nobody times out while heartbeats come each tick',
    (electionTicks) => {
      const settings = { electionTicks, checksQuorum: true, asksBeforeElection: true };
      const network = new RaftNetwork(5, { ...settings, heartbeatTicks: 1 });
      network.campaign(1);
      for (let n = 0; n < 50; n += 1) {
        // All but one heartbeat of each election timeout are lost.
        for (const number of [2, 3, 4, 5]) network.cut(1, number);
        network.tick(electionTicks - 2);
        network.heal();
        network.tick(1);
      }
      expect(network.roles()[0]).toBe('leader');
      expect(network.terms()).toEqual([1, 1, 1, 1, 1]);
      network.isolate(1);
      network.tick(electionTicks);
      network.tick(electionTicks);
      expect(network.roles().slice(1)).toContain('leader');
      expect(network.roles()[0]).toBe('follower');
    },
  );
});

describe('§6, members that come and go', () => {
  test('a new server gets the log first, without a vote', () => {
    const network = new RaftNetwork(2);
    network.campaign(1);
    network.propose(1, 'a');
    network.join(3);
    network.isolate(3);
    network.peer(1).proposeChange({ type: 'ConfChangeAddLearnerNode', raftId: raftId(3) });
    network.settle();
    network.peer(1).compact();
    network.propose(1, 'b');
    network.heal();
    network.tick(2, [1]);
    expect(network.peer(3).data).toEqual(['b']);
    expect(network.peer(1).node.confState.learners).toEqual([raftId(3)]);
    network.isolate(2);
    network.propose(1, 'c');
    expect(network.peer(1).data).not.toContain('c');
  });

  test('a leader that removes itself does not count itself, and steps down when it is done', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.peer(1).proposeChange({ type: 'ConfChangeRemoveNode', raftId: raftId(1) });
    network.settle();
    expect(network.roles()[0]).toBe('follower');
    // Until it is applied, etcd counts by the old configuration: 1 and 2 were a majority.
    expect(network.peer(2).node.confState.voters).toEqual([raftId(2), raftId(3)]);
  });

  test('a removed server disturbs nobody: while a leader is heard, its question is ignored', () => {
    const network = new RaftNetwork(3, { checksQuorum: true });
    network.campaign(1);
    network.isolate(3);
    network.peer(1).proposeChange({ type: 'ConfChangeRemoveNode', raftId: raftId(3) });
    network.settle();
    network.heal();
    network.tick(5, [1]);
    network.campaign(3);
    expect(network.roles().slice(0, 2)).toEqual(['leader', 'follower']);
    expect(network.terms().slice(0, 2)).toEqual([1, 1]);
  });
});

describe('§7, log compaction', () => {
  test('a snapshot has the index and term of the last entry it replaces, and the members', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.propose(1, 'a');
    const peer = network.peer(1);
    peer.compact();
    expect(peer.disk.snapshot()).toMatchObject({ index: 2, term: 1, confState: three });
    expect(peer.log).toEqual([]);
    network.propose(1, 'b');
    expect(network.peer(2).data).toEqual(['a', 'b']);
  });

  test('each server takes its own, without the leader', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.propose(1, 'a');
    network.peer(2).compact();
    network.propose(1, 'b');
    expect(network.peer(2).log).toEqual(['1/3']);
    expect(network.peer(1).log).toEqual(['1/1', '1/2', '1/3']);
  });

  test('a follower is sent one when what it needs next is gone', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(3);
    network.propose(1, 'a');
    network.peer(1).compact();
    network.heal();
    network.tick(3, [1]);
    expect(ofType(network.sent, 'MsgSnap').map(({ to }) => to)).toEqual([raftId(3)]);
    expect(network.peer(3).disk.firstIndex()).toBe(3);
  });

  const snapshot = { index: 3, term: 2, confState: three, data: Buffer.from('state') };

  test('InstallSnapshot 1: of an older term it is ignored', () => {
    const peer = member({ term: 5 });
    expect(answersTo(peer, { type: 'MsgSnap', term: 4, snapshot })).toEqual([]);
    expect(peer.disk.snapshot()).toBeUndefined();
  });

  test('InstallSnapshot: one of what is committed already is ignored', () => {
    const peer = member({ terms: [1, 2, 2, 2], commit: 4 });
    const [answer] = answersTo(peer, { type: 'MsgSnap', term: 2, snapshot });
    expect(answer).toMatchObject({ type: 'MsgAppResp', index: 4 });
    expect(peer.log).toHaveLength(4);
    peer.compact();
    const [later] = answersTo(peer, { type: 'MsgSnap', term: 2, snapshot });
    expect(later).toMatchObject({ type: 'MsgAppResp', index: 4 });
    expect(peer.disk.snapshot()?.index).toBe(4);
  });

  test('InstallSnapshot 6: entries that follow it stay; etcd: those before it too', () => {
    const peer = member({ terms: [1, 2, 2, 2], commit: 1 });
    const [answer] = answersTo(peer, { type: 'MsgSnap', term: 2, snapshot });
    expect(answer).toMatchObject({ type: 'MsgAppResp', index: 3 });
    expect(peer.log).toHaveLength(4);
    expect(peer.node.status.commitIndex).toBe(3);
  });

  test('InstallSnapshot 7 and 8: else it replaces the log, the state and the members', () => {
    const peer = member({ terms: [1, 1, 1, 1], term: 2, commit: 1 });
    const voters = [raftId(1), raftId(2)];
    const theirs = { ...snapshot, confState: { voters, learners: [] } };
    const [answer] = answersTo(peer, { type: 'MsgSnap', term: 2, snapshot: theirs });
    expect(answer).toMatchObject({ type: 'MsgAppResp', index: 3 });
    expect(peer.log).toEqual([]);
    expect(peer.readies.at(-1)?.snapshot?.data.toString()).toBe('state');
    expect(peer.node.confState.voters).toEqual(voters);
    expect(peer.node.status).toMatchObject({ commitIndex: 3, lastApplied: 3 });
  });
});

describe('§8, clients', () => {
  test('only the leader takes a command; others know it, or take none', () => {
    const network = new RaftNetwork(3, { forwardsProposals: false });
    network.campaign(1);
    expect(network.peer(2).node.propose(Buffer.from('x'))).toBe('proposal-dropped');
    expect(network.peer(2).node.status.leaderId).toBe(raftId(1));
  });

  test('a leader begins its term with an empty entry: so it learns what is committed', () => {
    const peer = leader({ terms: [1] });
    expect(peer.log).toEqual(['1/1', '2/2']);
    expect(peer.disk.entries(2, 3, Infinity)?.[0]?.data).toHaveLength(0);
  });

  test('it answers a read only after a majority has heard from it since', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(1);
    network.peer(1).node.readIndex(Buffer.from('read'));
    network.settle();
    expect(network.peer(1).readStates).toEqual([]);
    network.heal();
    network.tick(1, [1]);
    expect(network.peer(1).readStates).toEqual([{ index: 1, context: 'read' }]);
  });

  test('a leader that was replaced without knowing it answers none', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(1);
    network.campaign(2);
    network.propose(2, 'newer');
    network.peer(1).node.readIndex(Buffer.from('stale'));
    network.heal();
    network.settle();
    network.tick(2);
    expect(network.peer(1).readStates).toEqual([]);
  });
});

describe('thesis §4.1, one server at a time', () => {
  const servers = fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { minLength: 1 });

  test('any majority before a change and any after it have a server in common', () => {
    const limits = { inflightMessagesMax: 1, inflightBytesMax: 1 };
    fc.assert(
      fc.property(
        servers,
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom('ConfChangeAddNode' as const, 'ConfChangeRemoveNode' as const),
        fc.subarray([1, 2, 3, 4, 5, 6, 7, 8]),
        (before, changed, type, some) => {
          const voters = before.map(raftId);
          const membership = new Membership(limits, { voters, learners: [] }, 0);
          const change = { type, raftId: raftId(changed) };
          fc.pre(membership.refusalOf([change]) === undefined);
          membership.apply([change], 0);
          const after = membership.voters.map(Number);
          const others = [1, 2, 3, 4, 5, 6, 7, 8].filter((id) => !some.includes(id));
          expect(isMajority(some, before) && isMajority(others, after)).toBe(false);
        },
      ),
    );
  });

  test('changes of two servers at once, or of the last, are refused', () => {
    const limits = { inflightMessagesMax: 1, inflightBytesMax: 1 };
    const membership = new Membership(limits, three, 0);
    const remove = (...numbers: number[]): string | undefined =>
      membership.refusalOf(
        numbers.map((number) => ({ type: 'ConfChangeRemoveNode', raftId: raftId(number) })),
      );
    expect(remove(1)).toBeUndefined();
    expect(remove(1, 2)).toContain('more than one voter');
    expect(remove(1, 2, 3)).toBe('removed all voters');
  });

  test('a change waits until the one before it is committed; etcd: applied', () => {
    const network = new RaftNetwork(3);
    network.campaign(1);
    network.isolate(1);
    const peer = network.peer(1);
    peer.proposeChange({ type: 'ConfChangeRemoveNode', raftId: raftId(3) });
    peer.proposeChange({ type: 'ConfChangeRemoveNode', raftId: raftId(2) });
    network.settle();
    const types = peer.disk.entries(2, 4, Infinity)?.map(({ type }) => type);
    expect(types).toEqual(['EntryConfChange', 'EntryNormal']);
  });

  test('the bug of 2015: changes of two leaders that did not know of each other', () => {
    const network = new RaftNetwork(4);
    network.campaign(1);
    network.join(5);
    // 1 adds 5; only it has the change.
    network.isolate(1);
    network.peer(1).proposeChange({ type: 'ConfChangeAddNode', raftId: raftId(5) });
    network.settle();
    // 2 leads next and removes 1; of the others only 3 has the change.
    network.campaign(2);
    expect(network.roles()[1]).toBe('leader');
    network.isolate(4);
    network.peer(2).proposeChange({ type: 'ConfChangeRemoveNode', raftId: raftId(1) });
    network.settle();
    // Two of four are no majority, though they would be one of the three that remain.
    expect(network.peer(2).node.confState.voters).toHaveLength(4);
    // 1 asks 4, which knows of neither; 5 does not count, as the change is not committed.
    network.heal();
    network.isolate(2);
    network.isolate(3);
    network.peer(1).restart();
    network.campaign(1);
    network.campaign(1);
    expect(network.roles()[0]).not.toBe('leader');
    // With everybody back only one of the two changes takes place anywhere.
    network.heal();
    network.campaign(3);
    network.campaign(3);
    network.tick(2, [3]);
    const states = [1, 2, 3, 4].map((number) => network.peer(number).applied);
    for (const applied of states) {
      const changes = applied.filter(({ type }) => type === 'EntryConfChange');
      expect(
        changes.map(({ data }) => data.toString()).filter((text) => text.includes('Add')),
      ).toEqual([]);
    }
    expect(network.peer(2).node.confState.voters).toEqual([2, 3, 4].map(raftId));
  });

  test('a new leader takes no change before it has committed an entry of its own term', () => {
    const peer = leader({ terms: [1] });
    peer.proposeChange({ type: 'ConfChangeRemoveNode', raftId: raftId(3) });
    drain(peer);
    expect(peer.disk.entries(3, 4, Infinity)?.[0]?.type).toBe('EntryNormal');
    answersTo(peer, { type: 'MsgAppResp', term: 2, index: 3 });
    peer.proposeChange({ type: 'ConfChangeRemoveNode', raftId: raftId(3) });
    drain(peer);
    expect(peer.disk.entries(4, 5, Infinity)?.[0]?.type).toBe('EntryConfChange');
  });

  test('who has not applied a committed change does not campaign', () => {
    const peer = member({ terms: [1] });
    const change = { ...anEntry(1, 2), type: 'EntryConfChange' as const };
    peer.node.step(
      aMessage({ type: 'MsgApp', term: 1, index: 1, logTerm: 1, entries: [change], commit: 2 }),
    );
    peer.node.campaign();
    expect(role(peer)).toBe('follower');
  });
});
