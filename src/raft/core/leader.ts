import { assert } from '../../runtime/index.ts';
import type { Progress } from './progress.ts';
import type { Raft } from './raft.ts';
import { contextOf, type PendingRead } from './read-index.ts';
import {
  type Entry,
  isConfChange,
  type Message,
  type MessageType,
  payloadBytes,
  type Proposal,
  type RaftId,
  type StepRefusal,
} from './types.ts';

type Handler = (raft: Raft, message: Message) => StepRefusal | void;
type PeerHandler = (raft: Raft, message: Message, progress: Progress) => void;

const handlers: { readonly [T in MessageType]?: Handler } = {
  MsgBeat: broadcastHeartbeat,
  MsgCheckQuorum: handleCheckQuorum,
  MsgProp: handleProposal,
  MsgReadIndex: handleReadIndex,
};

const peerHandlers: { readonly [T in MessageType]?: PeerHandler } = {
  MsgAppResp: handleAppendResponse,
  MsgHeartbeatResp: handleHeartbeatResponse,
  MsgSnapStatus: handleSnapshotStatus,
  MsgUnreachable: (_, __, progress) => {
    // What was in flight is likely lost: probe, instead of sending more into nothing.
    if (progress.state === 'replicate') progress.becomeProbe();
  },
  MsgTransferLeader: handleTransfer,
};

/** What a leader does with a message of its term. Raft §5.3, §5.4.2. */
export function stepLeader(raft: Raft, message: Message): StepRefusal | undefined {
  const handle = handlers[message.type];
  if (handle !== undefined) return handle(raft, message) ?? undefined;
  const progress = raft.membership.progressOf(message.from);
  if (progress !== undefined) peerHandlers[message.type]?.(raft, message, progress);
  return undefined;
}

/** Takes the leadership of the current term, and begins it with an empty entry. Raft §8. */
export function becomeLeader(raft: Raft): void {
  raft.reset(raft.currentTerm);
  raft.leaderId = raft.id;
  raft.role = 'leader';
  const own = raft.membership.progressOf(raft.id);
  assert(own !== undefined, 'only a member becomes leader');
  own.becomeReplicate();
  own.isRecentlyActive = true;
  // A change that an earlier leader proposed may be among these entries.
  raft.pendingConfIndex = raft.log.lastIndex;
  const isTaken = append(raft, [{ type: 'EntryNormal', data: Buffer.alloc(0) }]);
  assert(isTaken, 'an empty entry is never refused');
}

/** Sends to every other member what it lacks, or at least the commit index. */
export function broadcastAppend(raft: Raft): void {
  for (const id of raft.membership.ids) if (id !== raft.id) sendAppend(raft, id);
}

/** Commits what a majority has stored. Raft §5.3, §5.4.2: only up to an entry of the own term. */
export function tryCommit(raft: Raft): boolean {
  return raft.log.tryCommit({ index: raft.membership.majorityIndex, term: raft.currentTerm });
}

/**
 * Sends entries that a member lacks, or the snapshot if they are gone.
 *
 * @returns whether a message was sent
 */
export function maybeSendAppend(raft: Raft, to: RaftId, { ifEmpty = false } = {}): boolean {
  const progress = raft.membership.progressOf(to);
  if (progress === undefined || progress.isPaused) return false;
  const { log } = raft;
  const index = progress.nextIndex - 1;
  const logTerm = log.term(index);
  if (logTerm === undefined) return maybeSendSnapshot(raft, to, progress);

  // With too much in flight an empty message still goes: it finds out whether all that was lost.
  const isFull = progress.state === 'replicate' && progress.inflights.isFull;
  const entries = isFull ? [] : log.entries(progress.nextIndex, raft.config.messageBytesMax);
  if (entries === undefined) return maybeSendSnapshot(raft, to, progress);
  if (entries.length === 0 && !ifEmpty) return false;
  const commit = log.commitIndex;
  raft.send({ type: 'MsgApp', to, index, logTerm, entries, commit });
  progress.sentEntries(entries.length, payloadBytes(entries));
  progress.sentCommit(commit);
  return true;
}

function sendAppend(raft: Raft, to: RaftId): void {
  maybeSendAppend(raft, to, { ifEmpty: true });
}

function maybeSendSnapshot(raft: Raft, to: RaftId, progress: Progress): boolean {
  if (!progress.isRecentlyActive) return false;
  const { snapshot } = raft.log;
  assert(snapshot !== undefined, 'entries are compacted only under a snapshot');
  progress.becomeSnapshot(snapshot.index);
  raft.send({ type: 'MsgSnap', to, snapshot });
  return true;
}

function broadcastHeartbeat(raft: Raft): void {
  const { context } = raft.reads;
  for (const to of raft.membership.ids) {
    const progress = raft.membership.progressOf(to);
    if (to === raft.id || progress === undefined) continue;
    // Never beyond what the member is known to have: it may have something else there.
    const commit = Math.min(progress.matchIndex, raft.log.commitIndex);
    raft.send({ type: 'MsgHeartbeat', to, commit, context });
    progress.sentCommit(commit);
  }
}

/** Appends to the own log. Its acknowledgement is to ourselves, once it is on disk. */
function append(raft: Raft, proposals: readonly Proposal[]): boolean {
  const bytes = payloadBytes(proposals);
  const isFull = raft.uncommittedBytes + bytes > raft.config.uncommittedBytesMax;
  if (raft.uncommittedBytes > 0 && bytes > 0 && isFull) return false;
  raft.uncommittedBytes += bytes;
  const next = raft.log.lastIndex + 1;
  const entries = proposals.map(({ type, data }, offset): Entry => ({
    index: next + offset,
    term: raft.currentTerm,
    type,
    data,
  }));
  raft.log.append(entries);
  raft.send({ type: 'MsgAppResp', to: raft.id, index: raft.log.lastIndex });
  return true;
}

function handleProposal(raft: Raft, { entries }: Message): StepRefusal | undefined {
  const isMember = raft.membership.progressOf(raft.id) !== undefined;
  if (!isMember || raft.transferee !== undefined) return 'proposal-dropped';
  const proposals = entries.map((proposal, offset): Proposal => {
    if (!isConfChange(proposal)) return proposal;
    // One at a time; what is refused leaves an empty entry in its place. Thesis §4.1, etcd raft.go
    if (raft.pendingConfIndex > raft.log.lastApplied) {
      return { type: 'EntryNormal', data: Buffer.alloc(0) };
    }
    raft.pendingConfIndex = raft.log.lastIndex + offset + 1;
    return proposal;
  });
  if (!append(raft, proposals)) return 'proposal-dropped';
  broadcastAppend(raft);
  return undefined;
}

/** Steps down if no majority was heard from for an election timeout. Raft §6.2 of the thesis. */
function handleCheckQuorum(raft: Raft): void {
  if (!raft.membership.isQuorumActive) raft.becomeFollower(raft.currentTerm, undefined);
  for (const id of raft.membership.ids) {
    const progress = raft.membership.progressOf(id);
    if (id !== raft.id && progress !== undefined) progress.isRecentlyActive = false;
  }
}

function handleAppendResponse(raft: Raft, message: Message, progress: Progress): void {
  progress.isRecentlyActive = true;
  if (message.reject) handleRejection(raft, message, progress);
  else handleAcknowledgement(raft, message, progress);
}

function handleRejection(raft: Raft, message: Message, progress: Progress): void {
  const { from, index, rejectHint, logTerm } = message;
  const hint = logTerm > 0 ? raft.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.stepBack(index, hint)) return;
  if (progress.state === 'replicate') progress.becomeProbe();
  sendAppend(raft, from);
}

function handleAcknowledgement(raft: Raft, { from, index }: Message, progress: Progress): void {
  const isProbed = progress.state === 'probe' && progress.matchIndex === index;
  if (!progress.acknowledge(index) && !isProbed) return;
  switch (progress.state) {
    case 'probe':
      progress.becomeReplicate();
      break;
    case 'snapshot':
      // It may have got there by other means, or another snapshot: what counts is where it is.
      if (progress.matchIndex + 1 >= raft.log.firstIndex) progress.becomeReplicate();
      break;
    case 'replicate':
      progress.inflights.freeThrough(index);
      break;
  }

  const isPeer = from !== raft.id;
  if (tryCommit(raft)) {
    releasePostponedReads(raft);
    broadcastAppend(raft);
  } else if (isPeer && progress.mayLearnCommit(raft.log.commitIndex)) {
    sendAppend(raft, from);
  }
  if (!isPeer) return;
  while (maybeSendAppend(raft, from));
  if (from === raft.transferee && progress.matchIndex === raft.log.lastIndex) {
    raft.send({ type: 'MsgTimeoutNow', to: from });
  }
}

function handleHeartbeatResponse(raft: Raft, message: Message, progress: Progress): void {
  const { from, context } = message;
  progress.isRecentlyActive = true;
  progress.isHeld = false;
  if (progress.matchIndex < raft.log.lastIndex || progress.state === 'probe') {
    sendAppend(raft, from);
  }
  if (context === undefined || context.length === 0) return;
  for (const read of raft.reads.acknowledge(from, context, raft.membership)) answer(raft, read);
}

function handleSnapshotStatus(_: Raft, { reject }: Message, progress: Progress): void {
  if (progress.state !== 'snapshot') return;
  if (reject) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  // Sent, it answers when it is stored; not sent, the next heartbeat tries again.
  progress.isHeld = true;
}

/** Hands the leadership over, once the transferee has all entries. Thesis §3.10. */
function handleTransfer(raft: Raft, { from: transferee }: Message, progress: Progress): void {
  if (progress.isLearner || raft.transferee === transferee) return;
  // A wish for another, or for ourselves, ends a transfer under way.
  raft.transferee = undefined;
  if (transferee === raft.id) return;
  raft.electionElapsed = 0;
  raft.transferee = transferee;
  if (progress.matchIndex === raft.log.lastIndex) {
    raft.send({ type: 'MsgTimeoutNow', to: transferee });
  } else {
    sendAppend(raft, transferee);
  }
}

function handleReadIndex(raft: Raft, request: Message): void {
  if (!raft.hasCommittedInTerm) {
    // What its predecessor had committed it does not know yet, be it alone. Thesis §6.4, step 1
    raft.postponedReads.push(request);
  } else if (raft.membership.isSoleVoter(raft.id)) {
    answer(raft, { request, index: raft.log.commitIndex });
  } else {
    askToConfirm(raft, request);
  }
}

function releasePostponedReads(raft: Raft): void {
  if (!raft.hasCommittedInTerm) return;
  const postponed = raft.postponedReads;
  raft.postponedReads = [];
  for (const request of postponed) askToConfirm(raft, request);
}

/** Asks a majority whether we still lead. Thesis §6.4. */
function askToConfirm(raft: Raft, request: Message): void {
  raft.reads.add(request, raft.log.commitIndex);
  const { context } = raft.reads;
  assert(context !== undefined, 'a read waits');
  const confirmed = raft.reads.acknowledge(raft.id, context, raft.membership);
  for (const read of confirmed) answer(raft, read);
  broadcastHeartbeat(raft);
}

/**
 * Answers the reads that wait for nobody any more, once the voters are others: of those that are
 * left a majority may have confirmed them, or there may be none left to ask.
 */
export function confirmReads(raft: Raft): void {
  releasePostponedReads(raft);
  const { context } = raft.reads;
  if (context === undefined) return;
  const confirmed = raft.reads.acknowledge(raft.id, context, raft.membership);
  for (const read of confirmed) answer(raft, read);
}

function answer(raft: Raft, { request, index }: PendingRead): void {
  if (request.from === raft.id) {
    raft.readStates.push({ index, context: contextOf(request) });
  } else {
    raft.send({ type: 'MsgReadIndexResp', to: request.from, index, entries: request.entries });
  }
}
