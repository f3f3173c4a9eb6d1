import type { Clock } from '../runtime/index.ts';
import type { MemoryLog } from './core/stable-log.ts';
import type { HardState, Ready } from './core/types.ts';
import type { LogStore } from './storage/log-store.ts';
import type { Stored } from './stored.ts';

interface Deps {
  readonly clock: Clock;
  readonly logStore: LogStore;
  /** A batch has reached the disk, or failed to, after so many milliseconds. */
  readonly onSaved: (ms: number) => void;
}

/** What a member has on its disk, with a mirror of it that the core reads. */
export class Durable {
  readonly mirror: MemoryLog;
  readonly #deps: Deps;
  #hardState: HardState;
  #isCommitSaved = true;
  #since: number | undefined;

  constructor(deps: Deps, { mirror, hardState }: Stored) {
    this.#deps = deps;
    this.mirror = mirror;
    this.#hardState = hardState;
  }

  /** How long a batch is on its way to the disk, in milliseconds; `undefined`, if there is none. */
  get savingMs(): number | undefined {
    return this.#since === undefined ? undefined : this.#deps.clock.monotonic() - this.#since;
  }

  /** Saves what a Ready wants durable. One at a time. */
  async save({ hardState, entries, snapshot, mustSync }: Ready): Promise<void> {
    if (hardState !== undefined) {
      this.#hardState = hardState;
      this.#isCommitSaved = false;
    }
    // A commit index alone is not worth a write: it goes with the next batch.
    if (!mustSync && snapshot === undefined) return;
    const { clock, logStore, onSaved } = this.#deps;
    const since = clock.monotonic();
    this.#since = since;
    try {
      await logStore.save({ hardState: this.#hardState, entries, snapshot });
    } finally {
      this.#since = undefined;
      onSaved(clock.monotonic() - since);
    }
    this.#isCommitSaved = true;
    if (snapshot !== undefined) this.mirror.restore(snapshot);
    this.mirror.append(entries);
  }

  /** Saves the commit index, if it has changed since the last batch. */
  async saveCommitIndex(): Promise<void> {
    if (this.#isCommitSaved) return;
    const { logStore } = this.#deps;
    await logStore.save({ hardState: this.#hardState, entries: [], snapshot: undefined });
  }
}
