import { onAbort } from './abort.ts';

/** One reader's place in a {@link Watch}. Dispose of it to leave. */
export interface Subscription<T> extends Disposable {
  /**
   * What was published since the last call, oldest first; or `resync` if more was published than
   * the subscription may hold. The reader then reads the whole state anew.
   */
  drain(): readonly T[] | 'resync';

  /**
   * Resolves as soon as {@link drain} has something to give: at once, if it has already.
   *
   * @throws the signal's reason, if `signal` aborts first
   */
  changed(signal: AbortSignal): Promise<void>;
}

/** How many events a subscription may hold before it is told to resync. */
const heldMax = 50_000;

/**
 * A broadcast whose publisher never waits. Each subscriber has a bounded queue of its own; one
 * that is too slow loses the queue and is told so.
 */
export class Watch<T> {
  readonly #queues = new Set<Queue<T>>();

  /** Hands an event to every subscriber that wants it. Synchronous: no subscriber runs inside. */
  publish(event: T): void {
    for (const queue of this.#queues) queue.push(event);
  }

  /** Whether nobody is told of anything. */
  get isIdle(): boolean {
    return this.#queues.size === 0;
  }

  /** Tells every subscriber to read the whole state anew. */
  resync(): void {
    for (const queue of this.#queues) queue.overflow();
  }

  subscribe(wants: (event: T) => boolean = () => true, limit: number = heldMax): Subscription<T> {
    const queue = new Queue(wants, limit, () => this.#queues.delete(queue));
    this.#queues.add(queue);
    return queue;
  }
}

class Queue<T> implements Subscription<T> {
  #held: T[] = [];
  #isLost = false;
  #wake: (() => void) | undefined;
  readonly #wants: (event: T) => boolean;
  readonly #limit: number;
  readonly #leave: () => void;

  constructor(wants: (event: T) => boolean, limit: number, leave: () => void) {
    this.#wants = wants;
    this.#limit = limit;
    this.#leave = leave;
  }

  push(event: T): void {
    if (this.#isLost || !this.#wants(event)) return;
    if (this.#held.length >= this.#limit) {
      this.overflow();
      return;
    }
    this.#held.push(event);
    this.#wake?.();
  }

  overflow(): void {
    this.#held = [];
    this.#isLost = true;
    this.#wake?.();
  }

  drain(): readonly T[] | 'resync' {
    if (this.#isLost) {
      this.#isLost = false;
      return 'resync';
    }
    const drained = this.#held;
    this.#held = [];
    return drained;
  }

  async changed(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isLost || this.#held.length > 0) return;
    await new Promise<void>((resolve, reject) => {
      const waiting = onAbort(signal, () => {
        this.#wake = undefined;
        reject(signal.reason as Error);
      });
      this.#wake = () => {
        this.#wake = undefined;
        waiting[Symbol.dispose]();
        resolve();
      };
    });
  }

  [Symbol.dispose](): void {
    this.#leave();
  }
}
