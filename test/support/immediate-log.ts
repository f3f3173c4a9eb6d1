import { SwarmError, SystemClock, type Clock } from '../../src/runtime/index.ts';
import type { Proposer } from '../../src/manager/store/proposer.ts';
import { Store } from '../../src/manager/store/store.ts';

/** A log of one voter without a disk: each proposal is committed a microtask later. */
class ImmediateLog implements Proposer {
  readonly entries: Buffer[] = [];
  readonly #store: Store;
  #isLeader = true;

  constructor(store: Store) {
    this.#store = store;
  }

  nextIndex(): number {
    return this.entries.length + 1;
  }

  async propose(data: Buffer): Promise<void> {
    if (!this.#isLeader) throw lostLeadership();
    const index = this.entries.push(data);
    await Promise.resolve();
    this.#store.apply({ index, data });
  }

  /** From now on every proposal is refused. */
  loseLeadership(): void {
    this.#isLeader = false;
  }
}

/** A log whose entries are committed, or lost, when a test says so. */
export class ManualLog implements Proposer {
  readonly #store: Store;
  #index = 0;
  #pending: { index: number; data: Buffer; resolve: () => void; reject: (e: Error) => void }[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  get pending(): number {
    return this.#pending.length;
  }

  nextIndex(): number {
    return this.#index + 1;
  }

  async propose(data: Buffer): Promise<void> {
    this.#index += 1;
    const index = this.#index;
    await new Promise<void>((resolve, reject) => {
      this.#pending.push({ index, data, resolve, reject });
    });
  }

  /** Commits the oldest `count` entries in flight. */
  commit(count: number = this.#pending.length): void {
    for (const { index, data, resolve } of this.#pending.splice(0, count)) {
      this.#store.apply({ index, data });
      resolve();
    }
  }

  /** Fails everything in flight, as a lost leadership does. Its entries are overwritten. */
  fail(): void {
    const lost = this.#pending.splice(0);
    this.#index -= lost.length;
    for (const { reject } of lost) reject(lostLeadership());
  }
}

const lostLeadership = (): SwarmError =>
  new SwarmError('unavailable', 'raft: failed to process the request: node lost leader status');

/** Freezes an object and everything in it: whoever changes what the store handed out throws. */
function freezeDeeply(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freezeDeeply(inner);
}

/** A store that can be written to, in memory. What it hands out is frozen. */
export function aStore(clock: Clock = new SystemClock()): Store {
  const store = new Store({ clock, seal: freezeDeeply });
  store.attach(new ImmediateLog(store));
  return store;
}
