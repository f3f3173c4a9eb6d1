import { assert } from '../../runtime/index.ts';
import { type InflightLimits, Progress } from './progress.ts';
import { majorityIndex, tally, type VoteResult } from './quorum.ts';
import { compareRaftIds, type ConfChange, type ConfState, type RaftId } from './types.ts';

/**
 * Who votes and who only learns, with the progress of each. It changes by one member at a time, so
 * that any majority before a change and any after it have a member in common. Thesis §4.1.
 */
export class Membership {
  readonly #limits: InflightLimits;
  readonly #progress = new Map<RaftId, Progress>();
  /** In numerical order, which is the order of the messages to them. */
  #ids: readonly RaftId[] = [];

  constructor(limits: InflightLimits, confState: ConfState, lastIndex: number) {
    this.#limits = limits;
    for (const id of confState.voters) this.#add(id, false, lastIndex);
    for (const id of confState.learners) this.#add(id, true, lastIndex);
  }

  get ids(): readonly RaftId[] {
    return this.#ids;
  }

  get voters(): readonly RaftId[] {
    return this.#ids.filter((id) => this.#progress.get(id)?.isLearner === false);
  }

  get confState(): ConfState {
    return { voters: this.voters, learners: this.#ids.filter((id) => this.isLearner(id)) };
  }

  progressOf(id: RaftId): Progress | undefined {
    return this.#progress.get(id);
  }

  isVoter(id: RaftId): boolean {
    return this.#progress.get(id)?.isLearner === false;
  }

  isLearner(id: RaftId): boolean {
    return this.#progress.get(id)?.isLearner === true;
  }

  isSoleVoter(id: RaftId): boolean {
    return this.isVoter(id) && this.voters.length === 1;
  }

  /** The largest index that a majority of voters has stored. */
  get majorityIndex(): number {
    return this.majorityOf((id) => this.#progress.get(id)?.matchIndex ?? 0);
  }

  /** The largest number that a majority of voters has reached. */
  majorityOf(numberOf: (voter: RaftId) => number): number {
    return majorityIndex(this.voters.map(numberOf));
  }

  /** Whether a majority of voters was heard from since the last check. */
  get isQuorumActive(): boolean {
    return tally(this.voters.map((id) => this.#progress.get(id)?.isRecentlyActive)) === 'won';
  }

  tally(votes: ReadonlyMap<RaftId, boolean>): VoteResult {
    return tally(this.voters.map((id) => votes.get(id)));
  }

  /** Begins anew, as a new leader does: nothing is known of anybody. Raft Figure 2. */
  resetProgress(self: RaftId, lastIndex: number): void {
    for (const [id, { isLearner }] of this.#progress) {
      const progress = new Progress({ nextIndex: lastIndex + 1, isLearner }, this.#limits);
      if (id === self) progress.matchIndex = lastIndex;
      this.#progress.set(id, progress);
    }
  }

  /**
   * Why changes may not be made in one step: a voter must remain, and any two majorities, one from
   * before and one from after, must have a member in common. The words are etcd's (confchange.go).
   */
  refusalOf(changes: readonly ConfChange[]): string | undefined {
    const before = this.voters;
    const after = new Set(before);
    for (const { type, raftId } of changes.filter(isForMember)) {
      if (type === 'ConfChangeAddNode') after.add(raftId);
      else if (type !== 'ConfChangeUpdateNode') after.delete(raftId);
    }
    if (after.size === 0) return 'removed all voters';
    const kept = before.filter((id) => after.has(id)).length;
    if (before.length + after.size - 2 * kept <= 1) return undefined;
    return 'more than one voter changed without entering joint config';
  }

  /** Takes committed changes, which the caller has seen to be allowed. */
  apply(changes: readonly ConfChange[], lastIndex: number): void {
    assert(this.refusalOf(changes) === undefined, 'majorities before and after a change overlap');
    for (const change of changes.filter(isForMember)) this.#apply(change, lastIndex);
  }

  #apply({ type, raftId }: ConfChange, lastIndex: number): void {
    const progress = this.#progress.get(raftId);
    switch (type) {
      case 'ConfChangeAddNode':
        if (progress === undefined) this.#add(raftId, false, lastIndex);
        else progress.isLearner = false;
        break;
      case 'ConfChangeAddLearnerNode':
        if (progress === undefined) this.#add(raftId, true, lastIndex);
        else progress.isLearner = true;
        break;
      case 'ConfChangeRemoveNode':
        this.#progress.delete(raftId);
        this.#ids = this.#ids.filter((id) => id !== raftId);
        break;
      case 'ConfChangeUpdateNode':
        break;
    }
  }

  #add(id: RaftId, isLearner: boolean, lastIndex: number): void {
    const progress = new Progress({ nextIndex: Math.max(lastIndex, 1), isLearner }, this.#limits);
    // Else the next check of the quorum would count a member against it that had no time to answer.
    progress.isRecentlyActive = true;
    this.#progress.set(id, progress);
    this.#ids = [...this.#progress.keys()].toSorted(compareRaftIds);
  }
}

/** A change of the member 0, who does not exist, is an empty one: etcd's way to refuse a change. */
const isForMember = ({ raftId }: ConfChange): boolean => raftId !== '0';
