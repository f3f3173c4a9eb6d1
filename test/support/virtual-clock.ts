import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../src/runtime/index.ts';

interface Sleeper {
  readonly dueAt: number;
  readonly order: number;
  readonly wake: () => void;
}

/** A clock that moves only when told to, and lets every consequence settle before it moves on. */
export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  #sleepers: Sleeper[] = [];

  now(): number {
    return Date.UTC(2024, 0, 1) + this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal.reason as Error);
      };
      const wake = (): void => {
        signal.removeEventListener('abort', stop);
        resolve();
      };
      const sleeper = { dueAt: this.#now + ms, order: (this.#order += 1), wake };
      this.#sleepers.push(sleeper);
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  async turn(): Promise<void> {
    await turn();
  }

  /** Moves time forward by `ms`, waking sleepers in the order in which they are due. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await turn(); // every pending microtask runs before a new turn begins
      const [next] = this.#sleepers
        .filter((sleeper) => sleeper.dueAt <= until)
        .toSorted((a, b) => a.dueAt - b.dueAt || a.order - b.order);
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      this.#now = next.dueAt;
      next.wake();
    }
    this.#now = until;
  }
}
