import { campaign } from './candidate.ts';
import { Membership } from './membership.ts';
import type { Raft } from './raft.ts';
import { contextOf } from './read-index.ts';
import type { Message, MessageType, Snapshot, StepRefusal } from './types.ts';

type Handler = (raft: Raft, message: Message) => StepRefusal | void;

const handlers: { readonly [T in MessageType]?: Handler } = {
  MsgProp: handleProposal,
  MsgApp: fromLeader(handleAppend),
  MsgHeartbeat: fromLeader(handleHeartbeat),
  MsgSnap: fromLeader(handleSnapshot),
  MsgTransferLeader: forwardToLeader,
  MsgReadIndex: forwardToLeader,
  MsgReadIndexResp: (raft, message) => {
    raft.readStates.push({ index: message.index, context: contextOf(message) });
  },
  MsgTimeoutNow: (raft) => {
    campaign(raft, 'transfer');
  },
  MsgForgetLeader: (raft) => {
    raft.leaderId = undefined;
  },
};

/** What a follower does with a message of its term. Raft §5.2, §5.3, §7. */
export function stepFollower(raft: Raft, message: Message): StepRefusal | undefined {
  return handlers[message.type]?.(raft, message) ?? undefined;
}

/** A message only the leader of this term sends: it lives, and this is it. */
function fromLeader(handle: (raft: Raft, message: Message) => void): Handler {
  return (raft, message) => {
    raft.electionElapsed = 0;
    raft.leaderId = message.from;
    handle(raft, message);
  };
}

function handleProposal(raft: Raft, message: Message): StepRefusal | undefined {
  if (raft.leaderId === undefined || !raft.config.forwardsProposals) return 'proposal-dropped';
  raft.send({ ...message, to: raft.leaderId });
  return undefined;
}

function forwardToLeader(raft: Raft, message: Message): void {
  if (raft.leaderId === undefined) return;
  // A message carries the term of its last sender; a read has none.
  const { type, from, entries } = message;
  raft.send({ type, to: raft.leaderId, from, entries });
}

/** AppendEntries. Raft §5.3. */
function handleAppend(raft: Raft, message: Message): void {
  const { from, index, logTerm, entries, commit } = message;
  const { log } = raft;
  if (index < log.commitIndex) {
    raft.send({ type: 'MsgAppResp', to: from, index: log.commitIndex });
    return;
  }
  const lastNew = log.tryAppend({ index, term: logTerm }, entries, commit);
  if (lastNew !== undefined) {
    raft.send({ type: 'MsgAppResp', to: from, index: lastNew });
    return;
  }
  // Where the logs may still agree, so that the leader steps back a term at a time, not an entry.
  const hint = log.findConflictByTerm(Math.min(index, log.lastIndex), logTerm);
  const rejection = { index, reject: true, rejectHint: hint.index, logTerm: hint.term };
  raft.send({ type: 'MsgAppResp', to: from, ...rejection });
}

function handleHeartbeat(raft: Raft, { from, commit, context }: Message): void {
  raft.log.commitTo(commit);
  raft.send({ type: 'MsgHeartbeatResp', to: from, context });
}

/** InstallSnapshot. Raft §7. */
function handleSnapshot(raft: Raft, { from, snapshot }: Message): void {
  const isRestored = snapshot !== undefined && restore(raft, snapshot);
  const index = isRestored ? raft.log.lastIndex : raft.log.commitIndex;
  raft.send({ type: 'MsgAppResp', to: from, index });
}

/**
 * Replaces log and configuration by a snapshot.
 *
 * @returns false if there was nothing to learn from it
 */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  const { index, term, confState } = snapshot;
  if (index <= raft.log.commitIndex) return false;
  if (!confState.voters.includes(raft.id) && !confState.learners.includes(raft.id)) return false;
  if (raft.log.has({ index, term })) {
    // The log has all of it, and more perhaps: only the commit index is news.
    raft.log.commitTo(index);
    return false;
  }
  raft.log.restore(snapshot);
  raft.membership = new Membership(raft.config, confState, raft.log.lastIndex);
  return true;
}
