import type { Entry, EntryId, HardState, RaftId, Snapshot } from '../core/types.ts';

/** Whose log it is. It never changes: a member that lost its log comes back as another. */
export interface LogIdentity {
  readonly clusterId: string;
  readonly raftId: RaftId;
  readonly nodeId: string;
}

/** What one Ready wants durable. */
export interface LogBatch {
  readonly hardState: HardState;
  /** They replace whatever the log has at their indexes, and everything after. */
  readonly entries: readonly Entry[];
  /** From a leader: it replaces the whole log, before `entries` are added. */
  readonly snapshot: Snapshot | undefined;
}

/** Everything a member remembers. */
export interface StoredLog {
  readonly hardState: HardState;
  readonly snapshot: Snapshot | undefined;
  /** The last entry that was compacted; index 0 if none was. */
  readonly before: EntryId;
  /** Without a gap, from the one after `before`. */
  readonly entries: readonly Entry[];
}

/** A snapshot of which the data comes piece by piece. */
export interface SnapshotInPieces extends Omit<Snapshot, 'data'> {
  /** May take its time, and end early by throwing. */
  readonly pieces: Iterable<Buffer> | AsyncIterable<Buffer>;
}

/**
 * What must be durable, and when.
 *
 * A method that resolves has reached the disk; the caller may then tell others. One that rejects
 * leaves the store unusable: every later call rejects too, and the process must end, since nobody
 * knows what a disk holds after a failed write. Calls are made one at a time, but that batches are
 * saved while a snapshot is.
 */
export interface LogStore {
  readonly identity: LogIdentity;

  /** Whether nothing was ever saved. */
  readonly isEmpty: boolean;

  /** Everything, as it was verified when the store was opened. */
  load(): Promise<StoredLog>;

  /** Saves all of a batch, or, if the process dies meanwhile, perhaps nothing of it. */
  save(batch: LogBatch): Promise<void>;

  /**
   * Keeps a snapshot of our own in place of the one before, and forgets entries. Until it resolves
   * the one before is valid, which may be of the same index: this one is then sealed anew. One at a
   * time; {@link save} may be called meanwhile, and if that saves a newer snapshot of a leader's,
   * this one is forgotten.
   *
   * @throws what the pieces threw: nothing has changed then, and the store can be used
   */
  saveSnapshot(snapshot: SnapshotInPieces, compactThrough: number): Promise<void>;

  /**
   * Reads back the entries in [from, below).
   *
   * @throws SwarmError out-of-range, if the log does not have all of them; data-loss, if one is not
   *   what was written
   */
  entries(from: number, below: number): Promise<readonly Entry[]>;

  /** Reads back the term of an entry; as {@link entries}. */
  term(index: number): Promise<number>;

  close(): Promise<void>;
}

/** What a new log begins with. Raft Figure 2. */
export const newHardState: HardState = { currentTerm: 0, votedFor: undefined, commitIndex: 0 };
