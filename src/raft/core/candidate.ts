import { becomeLeader, broadcastAppend } from './leader.ts';
import type { Raft } from './raft.ts';
import {
  campaignTransfer,
  compareRaftIds,
  type EntryId,
  isConfChange,
  type Message,
  type RaftId,
  type StepRefusal,
} from './types.ts';

/**
 * Why an election is held: `pre-election` only asks whether one could be won (thesis §9.6);
 * `transfer` at the leader's wish (thesis §3.10).
 */
export type Campaign = 'pre-election' | 'election' | 'transfer';

/** Asks for votes, unless this member may not be elected. Raft §5.2. */
export function campaign(raft: Raft, kind: Campaign): void {
  if (raft.role === 'leader' || !raft.isPromotable || hasUnappliedConfChange(raft)) return;
  start(raft, kind);
}

/**
 * Ends the lease of a leader that is known to be gone, and asks at once who would vote for us.
 *
 * Nobody is disturbed by an error: whoever still hears the leader does not answer (thesis §4.2.3),
 * no term begins, and the leader's next message makes us follow it again. If it is gone indeed, the
 * others find out too, each for itself; what was asked of them before, they answer then. So the
 * election is over as soon as a majority knows, whoever found out first and whose log is newest.
 *
 * @returns whether that was our leader
 */
export function leaderGone(raft: Raft, id: RaftId): boolean {
  if (raft.role !== 'follower' || raft.leaderId !== id) return false;
  raft.leaderId = undefined;
  const requests = [...raft.heldRequests.values()].filter(
    ({ atTick }) => raft.ticks - atTick < raft.config.electionTicks,
  );
  campaign(raft, 'pre-election');
  for (const { request } of requests) raft.step(request);
  return true;
}

/** Keeps a question for a pre-vote that a lease forbids to answer, until {@link leaderGone}. */
export function holdRequest(raft: Raft, request: Message): void {
  const isOfPeer = raft.membership.progressOf(request.from) !== undefined;
  if (request.type !== 'MsgPreVote' || raft.role !== 'follower' || !isOfPeer) return;
  raft.heldRequests.set(request.from, { request, atTick: raft.ticks });
}

/** Answers a request for a vote, whatever the role. Raft §5.2, §5.4.1. */
export function handleVoteRequest(raft: Raft, message: Message): void {
  const { type, from, term, index, logTerm } = message;
  const mayVote =
    raft.votedFor === from ||
    (raft.votedFor === undefined && raft.leaderId === undefined) ||
    (type === 'MsgPreVote' && term > raft.currentTerm);
  const answer = type === 'MsgVote' ? 'MsgVoteResp' : 'MsgPreVoteResp';
  // A learner votes too: it may not know yet that it was made a voter. etcd raft.go
  if (!mayVote || !raft.log.isUpToDate({ index, term: logTerm })) {
    raft.send({ type: answer, to: from, reject: true });
    return;
  }
  // The asked-for term, else an answer to a pre-vote would be ignored as an old one.
  raft.send({ type: answer, to: from, term });
  if (type === 'MsgVote') {
    raft.electionElapsed = 0;
    raft.votedFor = from;
  } else if (mayConcede(raft, from, { index, term: logTerm })) {
    raft.becomeFollower(raft.currentTerm, undefined);
  }
}

/**
 * Whether to give up our own pre-election in favour of another's: the newer log goes first, of
 * equal ones the smaller ID. Else two that ask at the same time win both, and split the vote.
 */
function mayConcede(raft: Raft, to: RaftId, theirs: EntryId): boolean {
  if (!raft.config.concedesPreElections || raft.role !== 'pre-candidate' || to === raft.id) {
    return false;
  }
  const { index, term } = raft.log.lastId;
  const isEqual = theirs.index === index && theirs.term === term;
  return !isEqual || compareRaftIds(to, raft.id) < 0;
}

/** What a candidate or pre-candidate does with a message of its term. */
export function stepCandidate(raft: Raft, message: Message): StepRefusal | undefined {
  const { type } = message;
  if (type === 'MsgProp') return 'proposal-dropped';
  if (type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap') {
    // Somebody has won this term. Raft §5.2
    raft.becomeFollower(message.term, message.from);
    return raft.dispatch(message);
  }
  // Answers to the question that is asked now, and not to the one before.
  const awaited = raft.role === 'candidate' ? 'MsgVoteResp' : 'MsgPreVoteResp';
  if (type === awaited) countVote(raft, message);
  return undefined;
}

function start(raft: Raft, kind: Campaign): void {
  const isPreElection = kind === 'pre-election';
  if (isPreElection) becomePreCandidate(raft);
  else becomeCandidate(raft);
  const term = raft.currentTerm + (isPreElection ? 1 : 0);
  const context = kind === 'transfer' ? { context: Buffer.from(campaignTransfer) } : {};
  const last = raft.log.lastId;
  for (const to of raft.membership.voters) {
    if (to === raft.id) {
      // Our own vote counts once it is on disk, as everybody's does.
      raft.send({ type: isPreElection ? 'MsgPreVoteResp' : 'MsgVoteResp', to, term });
    } else {
      const type = isPreElection ? 'MsgPreVote' : 'MsgVote';
      raft.send({ type, to, term, index: last.index, logTerm: last.term, ...context });
    }
  }
}

function becomeCandidate(raft: Raft): void {
  raft.reset(raft.currentTerm + 1);
  raft.votedFor = raft.id;
  raft.role = 'candidate';
}

/** Changes neither term nor vote. */
function becomePreCandidate(raft: Raft): void {
  raft.votes = new Map();
  raft.leaderId = undefined;
  raft.role = 'pre-candidate';
}

function countVote(raft: Raft, { from, reject }: Message): void {
  // The first answer counts.
  if (!raft.votes.has(from)) raft.votes.set(from, !reject);
  switch (raft.membership.tally(raft.votes)) {
    case 'won':
      if (raft.role === 'pre-candidate') {
        start(raft, 'election');
      } else {
        becomeLeader(raft);
        broadcastAppend(raft);
      }
      break;
    case 'lost':
      raft.becomeFollower(raft.currentTerm, undefined);
      break;
    case 'pending':
      break;
  }
}

/** A member that does not know the newest configuration must not be elected under an older one. */
function hasUnappliedConfChange({ log, config }: Raft): boolean {
  for (let from = log.lastApplied + 1; from <= log.commitIndex;) {
    const page = log.slice(from, log.commitIndex + 1, config.applyBytesMax) ?? [];
    if (page.some(isConfChange)) return true;
    from += Math.max(page.length, 1);
  }
  return false;
}
