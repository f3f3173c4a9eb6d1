import { assert, SwarmError } from '../../src/runtime/index.ts';
import { MemoryLog } from '../../src/raft/core/stable-log.ts';
import type { Entry, HardState, RaftId } from '../../src/raft/core/types.ts';
import {
  type LogBatch,
  type LogIdentity,
  type LogStore,
  newHardState,
  type SnapshotInPieces,
  type StoredLog,
} from '../../src/raft/storage/log-store.ts';

export const aLogIdentity = (raftId = '1'): LogIdentity => ({
  clusterId: 'cluster',
  raftId: raftId as RaftId,
  nodeId: `node-${raftId}`,
});

/** A disk in memory. What was saved outlives the store: {@link reopen} is the next process. */
export class MemoryLogStore implements LogStore {
  readonly identity: LogIdentity;
  /** How many batches were saved. */
  saves = 0;
  /** Runs before each write; it may wait, or fail. */
  beforeWrite: () => Promise<void> = async () => Promise.resolve();
  #log: MemoryLog;
  #hardState: HardState;

  constructor(
    identity: LogIdentity = aLogIdentity(),
    log = new MemoryLog(),
    hardState = newHardState,
  ) {
    this.identity = identity;
    this.#log = log;
    this.#hardState = hardState;
  }

  reopen(): MemoryLogStore {
    return new MemoryLogStore(this.identity, this.#log, this.#hardState);
  }

  get isEmpty(): boolean {
    return this.#log.lastIndex() === 0 && this.#hardState.currentTerm === 0;
  }

  async load(): Promise<StoredLog> {
    const index = this.#log.firstIndex() - 1;
    return Promise.resolve({
      hardState: this.#hardState,
      snapshot: this.#log.snapshot(),
      before: { index, term: this.#log.term(index) ?? 0 },
      entries: this.#log.entries(index + 1, this.#log.lastIndex() + 1, Infinity) ?? [],
    });
  }

  async save({ hardState, entries, snapshot }: LogBatch): Promise<void> {
    await this.beforeWrite();
    this.saves += 1;
    this.#hardState = hardState;
    if (snapshot !== undefined) this.#log.restore(snapshot);
    this.#log.append(entries);
  }

  async saveSnapshot(
    { pieces, ...snapshot }: SnapshotInPieces,
    compactThrough: number,
  ): Promise<void> {
    const written: Buffer[] = [];
    for await (const piece of pieces) {
      await this.beforeWrite();
      written.push(piece);
    }
    await this.beforeWrite();
    if (snapshot.index < (this.#log.snapshot()?.index ?? 0)) return;
    this.#log.keepSnapshot({ ...snapshot, data: Buffer.concat(written) });
    if (compactThrough >= this.#log.firstIndex()) this.#log.compact(compactThrough);
  }

  async entries(from: number, below: number): Promise<readonly Entry[]> {
    const found = this.#log.entries(from, below, Infinity);
    if (found === undefined || below > this.#log.lastIndex() + 1) {
      throw new SwarmError('out-of-range', `raft log has no entries ${from} to ${below - 1}`);
    }
    return Promise.resolve(found);
  }

  async term(index: number): Promise<number> {
    if (index === this.#log.firstIndex() - 1) return this.#log.term(index) ?? 0;
    const [entry] = await this.entries(index, index + 1);
    assert(entry !== undefined, 'one entry was asked for');
    return entry.term;
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}
