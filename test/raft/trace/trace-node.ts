import { RaftNode } from '../../../src/raft/core/raft-node.ts';
import { MemoryLog, type StableLog } from '../../../src/raft/core/stable-log.ts';
import type {
  ConfState,
  HardState,
  Message,
  RaftConfig,
  Ready,
  Snapshot,
} from '../../../src/raft/core/types.ts';
import { newHardState } from '../../../src/raft/storage/log-store.ts';
import { decodeChange } from './changes.ts';

/**
 * A member of a trace: its core, its disk, and a state machine that strings together the data of
 * all entries. After each entry it has a snapshot at hand; a leader that must send one takes the
 * newest, whatever the log was compacted under.
 */
export class TraceNode {
  readonly config: RaftConfig;
  readonly disk = new MemoryLog();
  /** The state after each entry applied, oldest first. */
  #history: Snapshot[];
  #hardState: HardState = newHardState;
  core: RaftNode;

  /** @param boot where it begins: with nothing at index 0, else with a snapshot */
  constructor(config: RaftConfig, boot: Snapshot) {
    this.config = config;
    this.#history = [boot];
    if (boot.index > 0) this.disk.restore(boot);
    this.core = this.#newCore(boot.index);
  }

  get newestSnapshot(): Snapshot {
    const newest = this.#history.at(-1);
    if (newest === undefined) throw new Error('a member has at least the snapshot it began with');
    return newest;
  }

  /** Does what one Ready says. What is to be sent is returned, not sent. */
  handle(ready: Ready): readonly Message[] {
    this.#hardState = ready.hardState ?? this.#hardState;
    if (ready.snapshot !== undefined) {
      this.disk.restore(ready.snapshot);
      this.#remember(ready.snapshot);
    }
    this.disk.append(ready.entries);
    for (const entry of ready.committedEntries) {
      const { index, term } = entry;
      const { confState, data } = this.newestSnapshot;
      if (entry.type === 'EntryNormal') {
        this.#remember({ index, term, confState, data: Buffer.concat([data, entry.data]) });
      } else {
        const changed = this.core.applyConfChange(decodeChange(entry));
        this.#remember({ index, term, confState: changed, data });
      }
    }
    this.core.advance();
    return ready.messages;
  }

  /** Keeps the snapshot of `index` on disk, and forgets the log up to it. */
  keepSnapshot(index: number): void {
    const snapshot = this.#history.find((one) => one.index === index);
    if (snapshot === undefined) throw new Error(`there is no snapshot at ${index}`);
    this.disk.keepSnapshot(snapshot);
    if (index >= this.disk.firstIndex()) this.disk.compact(index);
  }

  /** Loses what is not on disk, and applies again what is not in its snapshot. */
  restart(): void {
    const lastApplied = this.disk.firstIndex() - 1;
    this.#history = this.#history.filter(({ index }) => index <= lastApplied);
    this.core = this.#newCore(lastApplied);
  }

  #remember(snapshot: Snapshot): void {
    if (snapshot.index > this.newestSnapshot.index) this.#history.push(snapshot);
  }

  #newCore(lastApplied: number): RaftNode {
    const { disk } = this;
    const stable: StableLog = {
      firstIndex: () => disk.firstIndex(),
      lastIndex: () => disk.lastIndex(),
      term: (index) => disk.term(index),
      entries: (from, below, bytesMax) => disk.entries(from, below, bytesMax),
      snapshot: () => this.newestSnapshot,
    };
    const nobody: ConfState = { voters: [], learners: [] };
    return new RaftNode(stable, this.config, {
      hardState: this.#hardState,
      confState: disk.snapshot()?.confState ?? nobody,
      lastApplied,
    });
  }
}
