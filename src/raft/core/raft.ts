import { assert } from '../../runtime/index.ts';
import { campaign, handleVoteRequest, holdRequest, stepCandidate } from './candidate.ts';
import { stepFollower } from './follower.ts';
import { broadcastAppend, confirmReads, maybeSendAppend, stepLeader, tryCommit } from './leader.ts';
import { Membership } from './membership.ts';
import { RaftLog } from './raft-log.ts';
import { ReadQueue } from './read-index.ts';
import type { StableLog } from './stable-log.ts';
import {
  campaignTransfer,
  type ConfChange,
  type ConfState,
  entriesBytes,
  type Entry,
  type HardState,
  type Message,
  type MessageDraft,
  payloadBytes,
  type RaftConfig,
  type RaftId,
  type RaftRole,
  type ReadState,
  type SoftState,
  type StepRefusal,
} from './types.ts';

/** What a member remembers from its life before. */
export interface RaftMemory {
  readonly hardState: HardState;
  readonly confState: ConfState;
  /** What the state machine already holds. */
  readonly lastApplied: number;
}

/** What a draft may leave out. It is spread last: V8 is slow to add a property to what was spread. */
const blank = {
  index: 0,
  logTerm: 0,
  entries: [],
  commit: 0,
  snapshot: undefined,
  reject: false,
  rejectHint: 0,
  context: undefined,
};

/**
 * The state of one member, and the rules all roles share: terms, ticks, who answers a message.
 * Raft §5.1, Figure 2. The rules and their order are etcd's (raft.go, v3.6).
 *
 * What a role does stands in its file; all act on this state.
 */
export class Raft {
  readonly id: RaftId;
  readonly config: RaftConfig;
  readonly log: RaftLog;
  membership: Membership;

  currentTerm: number;
  votedFor: RaftId | undefined;
  role: RaftRole = 'follower';
  leaderId: RaftId | undefined;
  /** A candidate's votes so far, given or refused. */
  votes = new Map<RaftId, boolean>();

  /** The leader refuses a configuration change until it has applied this index. */
  pendingConfIndex = 0;
  /** To whom the leadership is being handed over. Thesis §3.10. */
  transferee: RaftId | undefined;
  uncommittedBytes = 0;
  reads = new ReadQueue();
  /**
   * Reads asked for before the leader has committed an entry of its term: until then it may not
   * know all that is committed. Raft §8.
   */
  postponedReads: Message[] = [];

  /** May leave at once. */
  messages: Message[] = [];
  /** Speak for what is on disk: they leave, or are taken by ourselves, once it is. */
  messagesAfterSave: Message[] = [];
  readStates: ReadState[] = [];

  /** Questions for a pre-vote that the leader's lease keeps unanswered; at most one a member. */
  readonly heldRequests = new Map<RaftId, { readonly request: Message; readonly atTick: number }>();

  /** Ticks since the beginning. */
  ticks = 0;
  /** Ticks since the last heartbeat or vote; of a leader: since it last checked its quorum. */
  electionElapsed = 0;
  #heartbeatElapsed = 0;
  /** Drawn anew at each change of role. Raft §5.2 */
  electionTimeoutTicks = 0;

  constructor(stable: StableLog, config: RaftConfig, memory: RaftMemory) {
    this.id = config.id;
    this.config = config;
    this.log = new RaftLog(stable, config.applyBytesMax);
    this.membership = new Membership(config, memory.confState, this.log.lastIndex);
    if (memory.hardState.commitIndex > 0) this.log.load(memory.hardState.commitIndex);
    if (memory.lastApplied > 0) this.log.appliedTo(memory.lastApplied, 0);
    this.currentTerm = memory.hardState.currentTerm;
    this.votedFor = memory.hardState.votedFor;
    this.becomeFollower(this.currentTerm, undefined);
  }

  get softState(): SoftState {
    return { role: this.role, leaderId: this.leaderId };
  }

  get hardState(): HardState {
    const { currentTerm, votedFor } = this;
    return { currentTerm, votedFor, commitIndex: this.log.commitIndex };
  }

  /** Whether this member may be elected: it is a voter, and its log is whole. */
  get isPromotable(): boolean {
    return this.membership.isVoter(this.id) && !this.log.hasUnstableSnapshot;
  }

  /** Queues a message. Its term is the current one, unless a vote names another. */
  send(draft: MessageDraft): void {
    const hasOwnTerm = draft.type === 'MsgProp' || draft.type === 'MsgReadIndex';
    const term = hasOwnTerm ? 0 : this.currentTerm;
    const message: Message = { term, from: this.id, ...blank, ...draft };
    const speaksForDisk =
      message.type === 'MsgAppResp' ||
      message.type === 'MsgVoteResp' ||
      message.type === 'MsgPreVoteResp';
    assert(speaksForDisk || message.to !== this.id, 'a member asks others, not itself');
    (speaksForDisk ? this.messagesAfterSave : this.messages).push(message);
  }

  /** Takes a message that never travelled. */
  stepLocal(draft: Omit<MessageDraft, 'to'>): StepRefusal | undefined {
    return this.step({ term: 0, from: this.id, to: this.id, ...blank, ...draft });
  }

  tick(): void {
    this.ticks += 1;
    this.electionElapsed += 1;
    if (this.role !== 'leader') {
      if (!this.isPromotable || this.electionElapsed < this.electionTimeoutTicks) return;
      this.electionElapsed = 0;
      this.stepLocal({ type: 'MsgHup' });
      return;
    }
    this.#heartbeatElapsed += 1;
    if (this.electionElapsed >= this.config.electionTicks) {
      this.electionElapsed = 0;
      if (this.config.checksQuorum) this.stepLocal({ type: 'MsgCheckQuorum' });
      // A transferee that has not taken over within an election timeout will not.
      this.transferee = undefined;
    }
    if (!this.#isLeader() || this.#heartbeatElapsed < this.config.heartbeatTicks) return;
    this.#heartbeatElapsed = 0;
    this.stepLocal({ type: 'MsgBeat' });
  }

  /** Takes a message: first its term (Raft §5.1), then what the role makes of it. */
  step(message: Message): StepRefusal | undefined {
    if (message.term > this.currentTerm) {
      if (this.#isWithinLease(message)) {
        holdRequest(this, message);
        return undefined;
      }
      this.#learnTerm(message);
    } else if (message.term !== 0 && message.term < this.currentTerm) {
      this.#answerOldTerm(message);
      return undefined;
    }

    if (message.type === 'MsgHup') {
      campaign(this, this.config.asksBeforeElection ? 'pre-election' : 'election');
      return undefined;
    }
    if (message.type === 'MsgVote' || message.type === 'MsgPreVote') {
      handleVoteRequest(this, message);
      return undefined;
    }
    return this.dispatch(message);
  }

  /** Gives a message of the current term to the present role. */
  dispatch(message: Message): StepRefusal | undefined {
    switch (this.role) {
      case 'follower':
        return stepFollower(this, message);
      case 'pre-candidate':
      case 'candidate':
        return stepCandidate(this, message);
      case 'leader':
        return stepLeader(this, message);
    }
  }

  becomeFollower(term: number, leaderId: RaftId | undefined): void {
    this.reset(term);
    this.role = 'follower';
    this.leaderId = leaderId;
  }

  /** Begins a role: nothing of the one before remains. */
  reset(term: number): void {
    if (this.currentTerm !== term) {
      this.currentTerm = term;
      this.votedFor = undefined;
    }
    this.leaderId = undefined;
    this.electionElapsed = 0;
    this.#heartbeatElapsed = 0;
    const { electionTicks, random } = this.config;
    this.electionTimeoutTicks = electionTicks + random(electionTicks);
    this.transferee = undefined;
    this.votes = new Map();
    this.heldRequests.clear();
    this.membership.resetProgress(this.id, this.log.lastIndex);
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.reads = new ReadQueue();
  }

  /**
   * Applies a committed change of the configuration, on every member at the same index. One that
   * comes before a snapshot which has arrived meanwhile has no effect any more: the configuration is
   * the snapshot's.
   */
  applyConfChange(changes: readonly ConfChange[]): ConfState {
    if (this.log.hasUnstableSnapshot) return this.membership.confState;
    this.membership.apply(changes, this.log.lastIndex);
    const { confState } = this.membership;
    if (this.role !== 'leader') return confState;
    if (!this.membership.isVoter(this.id)) {
      if (this.config.stepsDownOnRemoval) this.becomeFollower(this.currentTerm, undefined);
      return confState;
    }
    // Fewer voters may make a majority of what was none; a new member wants its first message.
    if (tryCommit(this)) broadcastAppend(this);
    else for (const id of this.membership.ids) if (id !== this.id) maybeSendAppend(this, id);
    confirmReads(this);
    if (this.transferee !== undefined && !this.membership.isVoter(this.transferee)) {
      this.transferee = undefined;
    }
    return confState;
  }

  /** Notes that entries are applied. */
  applied(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.log.appliedTo(last.index, entriesBytes(entries));
    this.uncommittedBytes = Math.max(0, this.uncommittedBytes - payloadBytes(entries));
  }

  /** Whether the leader has committed an entry of its own term: only then it knows all that is. */
  get hasCommittedInTerm(): boolean {
    return this.log.term(this.log.commitIndex) === this.currentTerm;
  }

  // A method, since a tick that checks the quorum may end the leadership.
  #isLeader(): boolean {
    return this.role === 'leader';
  }

  /**
   * Whether to ignore a vote because a leader was heard within the last election timeout: so a
   * member that was removed or cut off does not disturb the others. Raft §6, thesis §4.2.3.
   */
  #isWithinLease({ type, context }: Message): boolean {
    if (type !== 'MsgVote' && type !== 'MsgPreVote') return false;
    if (context?.toString('latin1') === campaignTransfer) return false;
    return (
      this.config.checksQuorum &&
      this.leaderId !== undefined &&
      this.electionElapsed < this.config.electionTicks
    );
  }

  #learnTerm({ type, term, from, reject }: Message): void {
    // A pre-vote asks about a term that has not begun; if it is granted, we raise ours ourselves.
    if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !reject)) return;
    const isFromLeader = type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap';
    this.becomeFollower(term, isFromLeader ? from : undefined);
  }

  #answerOldTerm({ type, from }: Message): void {
    const { checksQuorum, asksBeforeElection } = this.config;
    if ((checksQuorum || asksBeforeElection) && (type === 'MsgHeartbeat' || type === 'MsgApp')) {
      // A leader of an older term learns of ours; without this a member whose term has run ahead
      // could neither be elected, for the others' lease, nor follow. etcd TestFreeStuckCandidateWithCheckQuorum
      this.send({ type: 'MsgAppResp', to: from });
    } else if (type === 'MsgPreVote') {
      this.send({ type: 'MsgPreVoteResp', to: from, reject: true });
    }
  }
}
