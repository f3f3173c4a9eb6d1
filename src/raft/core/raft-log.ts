import { assert } from '../../runtime/index.ts';
import type { StableLog } from './stable-log.ts';
import { entriesBytes, type Entry, type EntryId, limitBytes, type Snapshot } from './types.ts';

/** What is not yet durable: perhaps a snapshot, and the entries from `offset` on. */
class UnstableLog {
  snapshot: Snapshot | undefined;
  entries: Entry[] = [];
  offset: number;
  /** Everything before it has been handed out to be saved. */
  #offsetInProgress: number;
  #isSnapshotInProgress = false;

  constructor(offset: number) {
    this.offset = offset;
    this.#offsetInProgress = offset;
  }

  get lastIndex(): number | undefined {
    return this.entries.length > 0 ? this.offset + this.entries.length - 1 : this.snapshot?.index;
  }

  term(index: number): number | undefined {
    if (index === this.snapshot?.index) return this.snapshot.term;
    return this.entries[index - this.offset]?.term;
  }

  get nextEntries(): readonly Entry[] {
    return this.entries.slice(this.#offsetInProgress - this.offset);
  }

  get hasNextEntries(): boolean {
    return this.#offsetInProgress - this.offset < this.entries.length;
  }

  get nextSnapshot(): Snapshot | undefined {
    return this.#isSnapshotInProgress ? undefined : this.snapshot;
  }

  accept(): void {
    this.#offsetInProgress = this.offset + this.entries.length;
    this.#isSnapshotInProgress = this.snapshot !== undefined;
  }

  /** Notes that the log is durable through an entry, if that entry is still the one here. */
  stableTo({ index, term }: EntryId): void {
    if (index < this.offset || this.term(index) !== term) return;
    this.entries.splice(0, index + 1 - this.offset);
    this.offset = index + 1;
    this.#offsetInProgress = Math.max(this.#offsetInProgress, this.offset);
  }

  stableSnapshotTo(index: number): void {
    if (this.snapshot?.index !== index) return;
    this.snapshot = undefined;
    this.#isSnapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.snapshot = snapshot;
    this.#isSnapshotInProgress = false;
    this.entries = [];
    this.offset = snapshot.index + 1;
    this.#offsetInProgress = this.offset;
  }

  append(entries: readonly Entry[]): void {
    const from = entries[0]?.index ?? Infinity;
    if (from < this.offset) {
      this.entries = [...entries];
      this.offset = from;
      this.#offsetInProgress = from;
      return;
    }
    assert(from <= this.offset + this.entries.length, 'a log has no hole');
    this.entries.length = from - this.offset;
    for (const entry of entries) this.entries.push(entry);
    this.#offsetInProgress = Math.min(this.#offsetInProgress, from);
  }
}

/**
 * The log: an unstable tail over what is durable, and how far it is committed and applied. etcd log.go
 */
export class RaftLog {
  readonly #stable: StableLog;
  readonly #unstable: UnstableLog;
  readonly #applyBytesMax: number;
  #commitIndex: number;
  #lastApplied: number;
  /** Handed out to be applied. */
  #applying: number;
  #applyingBytes = 0;
  #isApplyingPaused = false;

  constructor(stable: StableLog, applyBytesMax: number) {
    this.#stable = stable;
    this.#unstable = new UnstableLog(stable.lastIndex() + 1);
    this.#applyBytesMax = applyBytesMax;
    const compacted = stable.firstIndex() - 1;
    this.#commitIndex = compacted;
    this.#lastApplied = compacted;
    this.#applying = compacted;
  }

  get commitIndex(): number {
    return this.#commitIndex;
  }

  get lastApplied(): number {
    return this.#lastApplied;
  }

  get firstIndex(): number {
    const { snapshot } = this.#unstable;
    return snapshot === undefined ? this.#stable.firstIndex() : snapshot.index + 1;
  }

  get lastIndex(): number {
    return this.#unstable.lastIndex ?? this.#stable.lastIndex();
  }

  get lastId(): EntryId {
    const index = this.lastIndex;
    const term = this.term(index);
    assert(term !== undefined, 'the term of the last entry is known');
    return { index, term };
  }

  /** The term of an entry; `undefined` if it was compacted, or does not exist. */
  term(index: number): number | undefined {
    const unstable = this.#unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index + 1 < this.firstIndex || index > this.lastIndex) return undefined;
    return this.#stable.term(index);
  }

  has({ index, term }: EntryId): boolean {
    return this.term(index) === term;
  }

  /** Whether another log is at least as new as this one: later term first, then longer. Raft §5.4.1 */
  isUpToDate(their: EntryId): boolean {
    const our = this.lastId;
    return their.term > our.term || (their.term === our.term && their.index >= our.index);
  }

  /**
   * Takes a leader's entries after `previous`. Raft §5.3, AppendEntries.
   *
   * @returns the index of the last of them, or `undefined` if this log does not have `previous`
   */
  tryAppend(previous: EntryId, entries: readonly Entry[], commit: number): number | undefined {
    if (!this.has(previous)) return undefined;
    const lastNew = previous.index + entries.length;
    const conflict = entries.findIndex((entry) => !this.has(entry));
    if (conflict !== -1) this.append(entries.slice(conflict));
    this.commitTo(Math.min(commit, lastNew));
    return lastNew;
  }

  append(entries: readonly Entry[]): void {
    const [head] = entries;
    if (head === undefined) return;
    assert(head.index > this.#commitIndex, 'a committed entry never changes');
    this.#unstable.append(entries);
  }

  /**
   * The last entry at or before `index` whose term is at most `term`: no entry after it can be the
   * same in a log with that term there. Its term is 0 if it is not known. Raft §5.3, fast backoff.
   */
  findConflictByTerm(index: number, term: number): EntryId {
    for (let at = index; at > 0; at -= 1) {
      const ours = this.term(at);
      if (ours === undefined) return { index: at, term: 0 };
      if (ours <= term) return { index: at, term: ours };
    }
    return { index: 0, term: 0 };
  }

  /** Entries from `from` on; none after the end; `undefined` if `from` was compacted. */
  entries(from: number, bytesMax: number): readonly Entry[] | undefined {
    return from > this.lastIndex ? [] : this.slice(from, this.lastIndex + 1, bytesMax);
  }

  /** Entries in [from, below), as far as `bytesMax` goes, at least one; `undefined` if compacted. */
  slice(from: number, below: number, bytesMax: number): readonly Entry[] | undefined {
    if (from < this.firstIndex) return undefined;
    const { offset, entries } = this.#unstable;
    if (from >= offset) return limitBytes(entries.slice(from - offset, below - offset), bytesMax);

    const cut = Math.min(below, offset);
    const stable = this.#stable.entries(from, cut, bytesMax);
    if (stable === undefined || cut === below || stable.length < cut - from) return stable;
    const bytes = entriesBytes(stable);
    if (bytes >= bytesMax) return stable;
    const rest = limitBytes(entries.slice(0, below - offset), bytesMax - bytes);
    const isTooMuch = rest.length === 1 && bytes + entriesBytes(rest) > bytesMax;
    return isTooMuch ? stable : [...stable, ...rest];
  }

  get snapshot(): Snapshot | undefined {
    return this.#unstable.snapshot ?? this.#stable.snapshot();
  }

  commitTo(index: number): void {
    if (index <= this.#commitIndex) return;
    assert(index <= this.lastIndex, 'only an entry that is in the log is committed');
    this.#commitIndex = index;
  }

  /** Commits up to an entry, if it is there and is news. Raft §5.4.2: `at.term` is the leader's. */
  tryCommit(at: EntryId): boolean {
    if (at.term === 0 || at.index <= this.#commitIndex || !this.has(at)) return false;
    this.commitTo(at.index);
    return true;
  }

  restore(snapshot: Snapshot): void {
    this.#commitIndex = snapshot.index;
    this.#unstable.restore(snapshot);
  }

  get nextUnstable(): readonly Entry[] {
    return this.#unstable.nextEntries;
  }

  get hasNextUnstable(): boolean {
    return this.#unstable.hasNextEntries;
  }

  /** Whether anything is unstable, be it already on its way to the disk. */
  get hasUnstable(): boolean {
    return this.#unstable.entries.length > 0;
  }

  get nextSnapshot(): Snapshot | undefined {
    return this.#unstable.nextSnapshot;
  }

  /** Whether a snapshot waits to become durable. Nothing is applied meanwhile. */
  get hasUnstableSnapshot(): boolean {
    return this.#unstable.snapshot !== undefined;
  }

  acceptUnstable(): void {
    this.#unstable.accept();
  }

  stableTo(id: EntryId): void {
    this.#unstable.stableTo(id);
  }

  stableSnapshotTo(index: number): void {
    this.#unstable.stableSnapshotTo(index);
  }

  get hasNextCommitted(): boolean {
    return (
      !this.#isApplyingPaused && !this.hasUnstableSnapshot && this.#applying < this.#commitIndex
    );
  }

  /** Entries to apply next, as far as the limit goes. */
  get nextCommitted(): readonly Entry[] {
    if (!this.hasNextCommitted) return [];
    const bytesMax = this.#applyBytesMax - this.#applyingBytes;
    const entries = this.slice(this.#applying + 1, this.#commitIndex + 1, bytesMax);
    assert(entries !== undefined, 'an entry is applied before it is compacted');
    return entries;
  }

  /** The same, of those that are durable. */
  get nextDurable(): readonly Entry[] {
    const before = this.#unstable.offset;
    return this.hasNextCommitted && this.#applying + 1 < before
      ? this.nextCommitted.filter(({ index }) => index < before)
      : [];
  }

  isDurable({ index }: Entry): boolean {
    return index < this.#unstable.offset;
  }

  acceptApplying(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#applying = last.index;
    this.#applyingBytes += entriesBytes(entries);
    this.#isApplyingPaused =
      this.#applyingBytes >= this.#applyBytesMax || last.index < this.#commitIndex;
  }

  appliedTo(index: number, bytes: number): void {
    assert(index <= this.#commitIndex, 'only a committed entry is applied');
    this.#lastApplied = Math.max(this.#lastApplied, index);
    this.#applying = Math.max(this.#applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#isApplyingPaused = this.#applyingBytes >= this.#applyBytesMax;
  }

  /** Takes the commit index that was on disk. */
  load(commitIndex: number): void {
    const inRange = commitIndex >= this.#commitIndex && commitIndex <= this.lastIndex;
    assert(inRange, 'the stored commit index lies within the stored log');
    this.#commitIndex = commitIndex;
  }
}
