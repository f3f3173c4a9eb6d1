import { setImmediate as nextTurn } from 'node:timers/promises';
import { onAbort } from './abort.ts';

/** The passing of time for one process. The simulator supplies a virtual one. */
export interface Clock {
  /** Wall-clock time, in milliseconds since the Unix epoch. It may jump: never measure with it. */
  now(): number;

  /** Milliseconds since an arbitrary start. It never goes back: measure with it. */
  monotonic(): number;

  /**
   * Resolves once `ms` milliseconds have passed.
   *
   * @throws the signal's reason, if `signal` aborts first
   */
  sleep(ms: number, signal: AbortSignal): Promise<void>;

  /**
   * Resolves in the next turn of the event loop: what has arrived meanwhile was taken in. It takes
   * as long as that, some microseconds in a process at rest.
   */
  turn(): Promise<void>;
}

export class SystemClock implements Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting[Symbol.dispose]();
        resolve();
      }, ms);
      const waiting = onAbort(signal, () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      });
    });
  }

  async turn(): Promise<void> {
    await nextTurn();
  }
}

/** The time of day in so many milliseconds, as gRPC takes a deadline. Real time, always. */
export const deadlineIn = (ms: number): Date => new Date(Date.now() + ms);
