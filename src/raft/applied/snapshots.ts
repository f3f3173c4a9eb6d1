import type { Log } from '../../runtime/index.ts';
import { Bell } from '../bell.ts';
import type { RaftDriverConfig } from '../config.ts';
import type { MemoryLog } from '../core/stable-log.ts';
import type { LogStore, SnapshotInPieces } from '../storage/log-store.ts';

interface SnapshotsDeps {
  readonly log: Log;
  readonly logStore: LogStore;
  readonly mirror: MemoryLog;
}

type Pace = Pick<RaftDriverConfig, 'snapshotEntries' | 'snapshotBytes' | 'keptEntries'>;

interface DueSnapshot extends SnapshotInPieces {
  /** So many entries before it are not forgotten. */
  readonly keptEntries: number;
}

/** When snapshots of our own are due; it writes them, one at a time, while the log goes on. */
export class Snapshots {
  readonly #deps: SnapshotsDeps;
  readonly #bell = new Bell();
  readonly #pace: Pace;
  /** What was applied since the last one. */
  #bytes = 0;
  #isCompactionAsked = false;
  #due: DueSnapshot | undefined;

  constructor(deps: SnapshotsDeps, pace: Pace) {
    this.#deps = deps;
    this.#pace = pace;
  }

  /** An entry of so many bytes was applied. */
  applied(bytes: number): void {
    this.#bytes += bytes;
  }

  /** A leader's snapshot has taken the place of ours. */
  restored(): void {
    this.#bytes = 0;
  }

  /**
   * A snapshot is due at once, and no entry before it is kept. It is taken though there may be
   * nothing new: who asks wants what lies on the disk to be written anew, and in a swarm at rest no
   * entry may come for hours.
   */
  compactNext(): void {
    this.#isCompactionAsked = true;
  }

  isDue(appliedIndex: number): boolean {
    if (this.#due !== undefined) return false;
    if (this.#isCompactionAsked) return appliedIndex > 0;
    const entries = appliedIndex - (this.#deps.mirror.snapshot()?.index ?? 0);
    return entries >= this.#pace.snapshotEntries || this.#bytes >= this.#pace.snapshotBytes;
  }

  /** Begins with the next one. */
  take(snapshot: SnapshotInPieces): void {
    this.#due = {
      ...snapshot,
      keptEntries: this.#isCompactionAsked ? 0 : this.#pace.keptEntries,
    };
    this.#bytes = 0;
    this.#isCompactionAsked = false;
    this.#bell.ring();
  }

  /** Runs until the signal aborts; a snapshot that is not whole by then is given up. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#bell.heard(signal);
      if (this.#due !== undefined) await this.#write(this.#due, signal);
      this.#due = undefined;
    }
  }

  async #write(
    { pieces, keptEntries, ...snapshot }: DueSnapshot,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, logStore, mirror } = this.#deps;
    const compacted = mirror.firstIndex() - 1;
    const through = Math.max(compacted, snapshot.index - keptEntries);
    const written: Buffer[] = [];
    async function* unlessAborted(): AsyncGenerator<Buffer> {
      for await (const piece of pieces) {
        signal.throwIfAborted();
        written.push(piece);
        yield piece;
      }
    }
    await logStore.saveSnapshot({ ...snapshot, pieces: unlessAborted() }, through);
    // Meanwhile a leader may have sent a newer one, and with it all that was compacted.
    if (snapshot.index < (mirror.snapshot()?.index ?? 0)) return;
    const data = Buffer.concat(written);
    mirror.keepSnapshot({ ...snapshot, data });
    if (through > compacted) mirror.compact(through);
    const { raftId } = logStore.identity;
    const fields = { 'raft.id': raftId, 'raft.index': snapshot.index, bytes: data.length };
    log.info(fields, 'snapshot taken');
  }
}
