import type { Clock } from '../../../src/runtime/index.ts';
import type { Kernel, Life } from './kernel.ts';

const epochMs = Date.UTC(2024, 0, 1);

/** How long a turn of an event loop takes that has little to do. */
const turnMs = 0.05;

/** The clock of one host: it may run fast or slow, and somebody may set it. */
export class HostClock {
  readonly #kernel: Kernel;
  #rate = 1;
  #since = { world: 0, own: 0 };
  #offsetMs = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** From now on it counts `rate` seconds in each. */
  drift(rate: number): void {
    this.#since = { world: this.#kernel.now, own: this.monotonic() };
    this.#rate = rate;
  }

  /** Sets the time of day forward or back. */
  step(ms: number): void {
    this.#offsetMs += ms;
  }

  monotonic(): number {
    return this.#since.own + (this.#kernel.now - this.#since.world) * this.#rate;
  }

  now(): number {
    return Math.floor(epochMs + this.monotonic() + this.#offsetMs);
  }

  /** The clock as a process of this host sees it. */
  of(life: Life): Clock {
    return {
      now: () => this.now(),
      monotonic: () => this.monotonic(),
      sleep: async (ms, signal) => {
        signal.throwIfAborted();
        // A sleep ends no earlier than asked for, whatever fractions do: one of a moment takes some.
        const worldMs = ms > 0 ? ms / this.#rate + 0.001 : 0;
        await new Promise<void>((resolve, reject) => {
          const stop = (): void => {
            timer?.cancel();
            reject(signal.reason as Error);
          };
          // Beyond any end of the world nothing needs to be kept in mind.
          const timer =
            ms > 1e9
              ? undefined
              : this.#kernel.after(worldMs, life, () => {
                  signal.removeEventListener('abort', stop);
                  resolve();
                });
          signal.addEventListener('abort', stop, { once: true });
        });
      },
      turn: async () => {
        await new Promise<void>((resolve) => {
          this.#kernel.after(turnMs, life, resolve);
        });
      },
    };
  }
}
