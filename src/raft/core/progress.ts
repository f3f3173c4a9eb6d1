import { assert } from '../../runtime/index.ts';

/**
 * How a leader sends to a follower. `probe`: one message at a time, to find where the logs agree.
 * `replicate`: as fast as the limits allow. `snapshot`: nothing, until the snapshot has arrived.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export interface InflightLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

/** Messages with entries that a follower has not acknowledged, oldest first. */
class Inflights {
  readonly #limits: InflightLimits;
  #sent: { readonly lastIndex: number; readonly bytes: number }[] = [];
  #bytes = 0;

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#sent.length;
  }

  get isFull(): boolean {
    const { inflightMessagesMax, inflightBytesMax } = this.#limits;
    return this.#sent.length >= inflightMessagesMax || this.#bytes >= inflightBytesMax;
  }

  add(lastIndex: number, bytes: number): void {
    assert(!this.isFull, 'a message is sent only while fewer than the limit are in flight');
    this.#sent.push({ lastIndex, bytes });
    this.#bytes += bytes;
  }

  /** Forgets the messages that an acknowledgement of `index` covers. */
  freeThrough(index: number): void {
    const covered = this.#sent.findIndex(({ lastIndex }) => lastIndex > index);
    const freed = this.#sent.splice(0, covered === -1 ? this.#sent.length : covered);
    for (const { bytes } of freed) this.#bytes -= bytes;
  }

  clear(): void {
    this.#sent = [];
    this.#bytes = 0;
  }
}

/** A member as its leader sees it. Raft Figure 2, `nextIndex` and `matchIndex`. etcd tracker/progress.go */
export class Progress {
  matchIndex = 0;
  /** Always larger than `matchIndex`. */
  nextIndex: number;
  state: ProgressState = 'probe';
  isLearner: boolean;
  /** Whether anything was heard from it since the quorum was checked last. */
  isRecentlyActive = false;
  /** Whether to hold back until the next answer: a probe is out, or too much is in flight. */
  isHeld = false;
  /** The index of the snapshot on its way; 0 if none is. */
  pendingSnapshot = 0;
  readonly inflights: Inflights;
  /** The commit index that the messages in flight carry. */
  #sentCommit = 0;

  constructor(
    next: { readonly nextIndex: number; readonly isLearner: boolean },
    limits: InflightLimits,
  ) {
    this.nextIndex = next.nextIndex;
    this.isLearner = next.isLearner;
    this.inflights = new Inflights(limits);
  }

  get isPaused(): boolean {
    return this.state === 'snapshot' || this.isHeld;
  }

  becomeProbe(): void {
    // A snapshot that arrived is already stored: go on after it.
    const after = this.state === 'snapshot' ? this.pendingSnapshot : 0;
    this.#enter('probe');
    this.nextIndex = Math.max(this.matchIndex, after) + 1;
    this.#capSentCommit();
  }

  becomeReplicate(): void {
    this.#enter('replicate');
    this.nextIndex = this.matchIndex + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.nextIndex = index + 1;
    this.#sentCommit = index;
  }

  /** Notes a MsgApp that has left. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === 'probe') {
      if (count > 0) this.isHeld = true;
      return;
    }
    assert(this.state === 'replicate', 'nothing is appended while a snapshot is on its way');
    if (count > 0) {
      this.nextIndex += count;
      this.inflights.add(this.nextIndex - 1, bytes);
    }
    this.isHeld = this.inflights.isFull;
  }

  sentCommit(index: number): void {
    this.#sentCommit = index;
  }

  /** Whether a message with this commit index would tell it something new. */
  mayLearnCommit(index: number): boolean {
    return index > this.#sentCommit && this.#sentCommit < this.nextIndex - 1;
  }

  /**
   * Takes an acknowledgement.
   *
   * @returns whether it was news
   */
  acknowledge(index: number): boolean {
    if (index <= this.matchIndex) return false;
    this.matchIndex = index;
    this.nextIndex = Math.max(this.nextIndex, index + 1);
    this.isHeld = false;
    return true;
  }

  /**
   * Takes a rejection of the entry at `rejected`, and steps back to the follower's hint.
   *
   * @returns whether it was news, and not the answer to an older message
   */
  stepBack(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.matchIndex) return false;
      this.nextIndex = this.matchIndex + 1;
      this.#capSentCommit();
      return true;
    }
    if (this.nextIndex - 1 !== rejected) return false;
    this.nextIndex = Math.max(Math.min(rejected, hint + 1), this.matchIndex + 1);
    this.#capSentCommit();
    this.isHeld = false;
    return true;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.isHeld = false;
    this.pendingSnapshot = 0;
    this.inflights.clear();
  }

  #capSentCommit(): void {
    this.#sentCommit = Math.min(this.#sentCommit, this.nextIndex - 1);
  }
}
