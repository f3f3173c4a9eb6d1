import { assert } from '../../runtime/index.ts';
import { type Entry, type EntryId, limitBytes, type Snapshot } from './types.ts';

/** The log as far as it is durable, for the core to read: synchronous, so it is kept in memory. */
export interface StableLog {
  /** The first index whose entry is still there: one after the last that was compacted. */
  firstIndex(): number;
  lastIndex(): number;
  /** The term of an entry; `undefined` if it was compacted, or does not exist. */
  term(index: number): number | undefined;
  /** The entries in [from, below), as far as `bytesMax` goes, at least one; `undefined` if compacted. */
  entries(from: number, below: number, bytesMax: number): readonly Entry[] | undefined;
  /** The newest snapshot. */
  snapshot(): Snapshot | undefined;
}

/** A mirror of the log on disk. The shell tells it what was written. etcd storage.go, MemoryStorage */
export class MemoryLog implements StableLog {
  /** The last compacted entry: what comes before the first. */
  #before: EntryId = { index: 0, term: 0 };
  #entries: Entry[] = [];
  #snapshot: Snapshot | undefined;

  firstIndex(): number {
    return this.#before.index + 1;
  }

  lastIndex(): number {
    return this.#before.index + this.#entries.length;
  }

  term(index: number): number | undefined {
    if (index === this.#before.index) return this.#before.term;
    return this.#entries[index - this.firstIndex()]?.term;
  }

  entries(from: number, below: number, bytesMax: number): readonly Entry[] | undefined {
    const first = this.firstIndex();
    if (from < first) return undefined;
    return limitBytes(this.#entries.slice(from - first, below - first), bytesMax);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Adds entries; what they conflict with is gone, as are all entries after it. */
  append(entries: readonly Entry[]): void {
    const [head] = entries;
    if (head === undefined) return;
    const kept = head.index - this.firstIndex();
    assert(kept >= 0 && kept <= this.#entries.length, 'a log has no hole');
    this.#entries.length = kept;
    for (const entry of entries) this.#entries.push(entry);
  }

  /** Takes the entries that were found on disk, and which one came before them. */
  reset(before: EntryId, entries: readonly Entry[]): void {
    this.#before = before;
    this.#entries = [...entries];
  }

  /** Replaces everything by a snapshot from elsewhere. */
  restore(snapshot: Snapshot): void {
    this.#before = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
    this.#snapshot = snapshot;
  }

  /** Keeps a snapshot of our own, newer or taken anew; the entries stay until {@link compact}. */
  keepSnapshot(snapshot: Snapshot): void {
    assert(snapshot.index >= (this.#snapshot?.index ?? 0), 'no older snapshot replaces a newer');
    this.#snapshot = snapshot;
  }

  /** Forgets the entries through `index`. */
  compact(index: number): void {
    const term = this.term(index);
    assert(term !== undefined, 'a log is compacted up to an entry it has');
    this.#entries = this.#entries.slice(index - this.#before.index);
    this.#before = { index, term };
  }
}
