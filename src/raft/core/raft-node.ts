import { assert } from '../../runtime/index.ts';
import type { Progress } from './progress.ts';
import { leaderGone } from './candidate.ts';
import { Raft, type RaftMemory } from './raft.ts';
import type { StableLog } from './stable-log.ts';
import {
  type ConfChange,
  type ConfState,
  type Entry,
  type EntryType,
  type HardState,
  isConfChange,
  isResponse,
  isSameHardState,
  type Message,
  type RaftConfig,
  type RaftId,
  type Ready,
  type SoftState,
  type StepRefusal,
} from './types.ts';

export interface RaftNodeStatus extends SoftState {
  readonly currentTerm: number;
  readonly votedFor: RaftId | undefined;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly lastIndex: number;
  readonly transferee: RaftId | undefined;
}

/**
 * The core's face: time and messages go in, a {@link Ready} comes out. It does nothing by itself,
 * so the same inputs give the same outputs. etcd rawnode.go
 *
 * Between `ready` and `advance` it may be ticked, stepped and proposed to; what comes of it is in
 * the next Ready.
 */
export class RaftNode {
  readonly #raft: Raft;
  #told: { readonly softState: SoftState; readonly hardState: HardState };
  /** What becomes true once the Ready in hand is saved and applied. */
  #onAdvance: (() => void) | undefined;

  constructor(stable: StableLog, config: RaftConfig, memory: RaftMemory) {
    this.#raft = new Raft(stable, config, memory);
    this.#told = { softState: this.#raft.softState, hardState: this.#raft.hardState };
  }

  /** A unit of time has passed. */
  tick(): void {
    this.#raft.tick();
  }

  /** Takes a message from a peer. */
  step(message: Message): StepRefusal | undefined {
    const isUnknown = this.#raft.membership.progressOf(message.from) === undefined;
    if (isResponse(message.type) && isUnknown) return 'peer-not-found';
    return this.#raft.step(message);
  }

  /** Holds an election now. */
  campaign(): void {
    this.#raft.stepLocal({ type: 'MsgHup' });
  }

  /** Appends an entry, if this member leads. */
  propose(data: Buffer): StepRefusal | undefined {
    return this.#propose('EntryNormal', data);
  }

  /**
   * Appends a change of the configuration, encoded as the caller likes. It is applied by
   * {@link applyConfChange} when it is committed. While another waits for that, an empty entry
   * takes its place.
   */
  proposeConfChange(
    data: Buffer,
    type: 'EntryConfChange' | 'EntryConfChangeV2' = 'EntryConfChange',
  ): StepRefusal | undefined {
    return this.#propose(type, data);
  }

  /**
   * Puts a committed change of the configuration into effect; several are one step. A voter must
   * remain, and at most one member become, or cease to be, a voter.
   */
  applyConfChange(...changes: readonly ConfChange[]): ConfState {
    return this.#raft.applyConfChange(changes);
  }

  /** Replaces the election timeout that was drawn, until it is drawn again: to replay a recording. */
  setElectionTimeout(ticks: number): void {
    this.#raft.electionTimeoutTicks = ticks;
  }

  /** Asks for the right to read; the answer, with this unique context, is among the read states. */
  readIndex(context: Buffer): void {
    const entries = [{ index: 0, term: 0, type: 'EntryNormal' as const, data: context }];
    this.#raft.stepLocal({ type: 'MsgReadIndex', entries });
  }

  transferLeadership(to: RaftId): void {
    this.#raft.stepLocal({ type: 'MsgTransferLeader', from: to });
  }

  /** Stops believing in the leader, so that others may be voted for before its lease ends. */
  forgetLeader(): void {
    this.#raft.stepLocal({ type: 'MsgForgetLeader' });
  }

  /**
   * The connection to a member was closed, and a new one refused: its process is gone. If it is the
   * leader, its lease ends here and this member asks at once whether it would be elected; that
   * disturbs nobody if the leader lives. The caller waits a random moment first (up to a heartbeat
   * period), so that the survivors do not all ask together.
   *
   * @returns whether it was the leader
   */
  leaderGone(id: RaftId): boolean {
    return leaderGone(this.#raft, id);
  }

  /**
   * Stops leading, without a successor: for a leader that cannot do its work, as when its disk
   * stalls. To hand over, {@link transferLeadership}.
   *
   * @returns whether it led
   */
  stepDown(): boolean {
    if (this.#raft.role !== 'leader') return false;
    this.#raft.becomeFollower(this.#raft.currentTerm, undefined);
    return true;
  }

  /** A message to a peer was not delivered. */
  reportUnreachable(id: RaftId): void {
    this.#raft.stepLocal({ type: 'MsgUnreachable', from: id });
  }

  /** A snapshot was delivered to a peer, or was not. */
  reportSnapshot(id: RaftId, isDelivered: boolean): void {
    this.#raft.stepLocal({ type: 'MsgSnapStatus', from: id, reject: !isDelivered });
  }

  get hasReady(): boolean {
    const { log, messages, messagesAfterSave, readStates, softState, hardState } = this.#raft;
    return (
      messages.length > 0 ||
      messagesAfterSave.length > 0 ||
      log.hasNextUnstable ||
      log.hasNextCommitted ||
      log.nextSnapshot !== undefined ||
      readStates.length > 0 ||
      !isSameSoftState(softState, this.#told.softState) ||
      !isSameHardState(hardState, this.#told.hardState)
    );
  }

  /** What is to be done next. {@link advance} must follow before the next call. */
  ready(): Ready {
    assert(this.#onAdvance === undefined, 'a Ready is finished before the next is begun');
    const raft = this.#raft;
    const { softState, hardState } = raft;
    const entries = raft.log.nextUnstable;
    const told = this.#told;
    const ready: Ready = {
      softState: isSameSoftState(softState, told.softState) ? undefined : softState,
      hardState: isSameHardState(hardState, told.hardState) ? undefined : hardState,
      entries,
      snapshot: raft.log.nextSnapshot,
      // The shell saves before it sends, so both kinds may leave together.
      messages: [...raft.messages, ...raft.messagesAfterSave.filter(({ to }) => to !== raft.id)],
      committedEntries: raft.log.nextCommitted,
      readStates: raft.readStates,
      mustSync:
        entries.length > 0 ||
        hardState.currentTerm !== told.hardState.currentTerm ||
        hardState.votedFor !== told.hardState.votedFor,
    };
    this.#accept(ready);
    return ready;
  }

  /** Whether a Ready has a committed change of the configuration. */
  changesMembers({ committedEntries }: Ready): boolean {
    return committedEntries.some(isConfChange);
  }

  /**
   * While a Ready is being saved: how many of its committed entries are durable already, and may be
   * applied before it is. A change of the configuration may not, nor what follows it.
   */
  durableIn({ committedEntries }: Ready): number {
    const { log } = this.#raft;
    const later = committedEntries.findIndex(
      (entry) => !log.isDurable(entry) || isConfChange(entry),
    );
    return later === -1 ? committedEntries.length : later;
  }

  /**
   * While a Ready is being saved, and all its committed entries are applied: has what was committed
   * since, and is durable, applied as well. A change of the configuration waits for the next Ready,
   * and whatever follows it. Thesis §10.2.1
   */
  applyDurable(apply: (entries: readonly Entry[]) => void): void {
    const { log } = this.#raft;
    const next = log.nextDurable;
    const change = next.findIndex(isConfChange);
    const entries = change === -1 ? next : next.slice(0, change);
    log.acceptApplying(entries);
    apply(entries);
    this.#raft.applied(entries);
  }

  /** The last Ready is saved, sent and applied. */
  advance(): void {
    const finish = this.#onAdvance;
    assert(finish !== undefined, 'what is finished was begun');
    this.#onAdvance = undefined;
    finish();
  }

  get status(): RaftNodeStatus {
    const { role, leaderId, currentTerm, votedFor, transferee, log } = this.#raft;
    const { commitIndex, lastApplied, lastIndex } = log;
    return {
      role,
      leaderId,
      currentTerm,
      votedFor,
      transferee,
      commitIndex,
      lastApplied,
      lastIndex,
    };
  }

  get confState(): ConfState {
    return this.#raft.membership.confState;
  }

  /** Whether this member alone decides. */
  get isSoleVoter(): boolean {
    return this.#raft.membership.isSoleVoter(this.#raft.id);
  }

  /** A member as this leader sees it. */
  progressOf(id: RaftId): Readonly<Progress> | undefined {
    return this.#raft.membership.progressOf(id);
  }

  #propose(type: EntryType, data: Buffer): StepRefusal | undefined {
    return this.#raft.stepLocal({ type: 'MsgProp', entries: [{ index: 0, term: 0, type, data }] });
  }

  #accept(ready: Ready): void {
    const raft = this.#raft;
    this.#told = { softState: raft.softState, hardState: raft.hardState };
    const toSelf = raft.messagesAfterSave.filter(({ to }) => to === raft.id);
    const saved = raft.log.hasUnstable ? raft.log.lastId : undefined;
    const term = raft.currentTerm;
    raft.messages = [];
    raft.messagesAfterSave = [];
    raft.readStates = [];
    raft.log.acceptUnstable();
    raft.log.acceptApplying(ready.committedEntries);

    this.#onAdvance = () => {
      for (const message of toSelf) raft.step(message);
      // Under a newer term the same index may hold another entry by now: it is saved again.
      if (saved !== undefined && term >= raft.currentTerm) raft.log.stableTo(saved);
      if (ready.snapshot !== undefined) {
        raft.log.stableSnapshotTo(ready.snapshot.index);
        raft.log.appliedTo(ready.snapshot.index, 0);
      }
      raft.applied(ready.committedEntries);
    };
  }
}

const isSameSoftState = (a: SoftState, b: SoftState): boolean =>
  a.role === b.role && a.leaderId === b.leaderId;
