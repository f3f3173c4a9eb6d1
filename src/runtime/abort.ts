/** An abort signal that follows another until it is disposed of. */
export interface ChildAbort extends Disposable {
  readonly signal: AbortSignal;
  /** Aborts the child, not its parent. */
  abort(reason?: unknown): void;
}

/**
 * Where a signal keeps what waits for it. A WeakMap would do, but most signals live for one call: to
 * put each into one took a tenth of a simulation's time.
 */
const ownWaits = Symbol('waits');

type Awaitable = AbortSignal & { [ownWaits]?: Set<Wait> };

/** Something to be done once a signal aborts. */
class Wait implements Disposable {
  readonly act: () => void;
  readonly #all: Set<Wait>;

  constructor(all: Set<Wait>, act: () => void) {
    this.#all = all;
    this.act = act;
    all.add(this);
  }

  [Symbol.dispose](): void {
    this.#all.delete(this);
  }
}

/**
 * Does something once `signal` aborts, unless it is disposed of before. What has aborted already
 * is not waited for: nothing is done.
 *
 * The signal has one listener, however many wait for it: Node takes more than ten for a leak, and
 * a signal that lives as long as a daemon has as many as there are calls under way.
 *
 * @param act must not throw
 */
export const onAbort = (signal: Awaitable, act: () => void): Disposable =>
  new Wait(signal[ownWaits] ?? firstWaitFor(signal), act);

function firstWaitFor(signal: Awaitable): Set<Wait> {
  const waits = new Set<Wait>();
  signal[ownWaits] = waits;
  const actAll = (): void => {
    for (const { act } of waits) act();
    waits.clear();
  };
  signal.addEventListener('abort', actAll, { once: true });
  return waits;
}

/** Why a child aborts unless it is told. One for all: to make one takes longer than all the rest. */
const noLongerWanted = new DOMException('This operation was aborted', 'AbortError');

/**
 * A signal that aborts with `parent`, or by itself.
 *
 * `AbortSignal.any` would do, but it keeps every signal it made alive as long as a long-lived
 * parent (Node 20): a loop that makes one per turn leaks. A child that is disposed of is forgotten.
 */
export const childOf = (parent: AbortSignal): ChildAbort => new Child(parent);

class Child implements ChildAbort {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #following: Disposable;

  constructor(parent: AbortSignal) {
    this.signal = this.#controller.signal;
    if (parent.aborted) this.#controller.abort(parent.reason);
    this.#following = onAbort(parent, () => {
      this.#controller.abort(parent.reason);
    });
  }

  abort(reason: unknown = noLongerWanted): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#following[Symbol.dispose]();
  }
}

/** A signal that aborts with either of two, or by itself. */
export function childOfBoth(first: AbortSignal, second: AbortSignal): ChildAbort {
  const child = childOf(first);
  const follow = (): void => {
    child.abort(second.reason);
  };
  if (second.aborted) follow();
  const following = onAbort(second, follow);
  return {
    signal: child.signal,
    abort: (reason) => {
      child.abort(reason);
    },
    [Symbol.dispose]: () => {
      following[Symbol.dispose]();
      child[Symbol.dispose]();
    },
  };
}

/**
 * Waits for a promise, but no longer than the signal lasts. The promise goes on by itself.
 *
 * @throws the signal's reason, if it aborts first
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) promise.catch(() => undefined); // Nobody will hear how it ends.
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const waiting = onAbort(signal, () => {
      reject(signal.reason as Error);
    });
    promise.then(resolve, reject).finally(() => {
      waiting[Symbol.dispose]();
    });
  });
}

/**
 * The first of several waits to end; the others are aborted and awaited.
 *
 * @throws what the first wait to end threw, or the signal's reason
 */
export async function firstOf<T>(
  signal: AbortSignal,
  ...waits: ReadonlyArray<(signal: AbortSignal) => Promise<T>>
): Promise<T> {
  using rest = childOf(signal);
  return await new Promise<T>((resolve, reject) => {
    let settle: (() => void) | undefined;
    let left = waits.length;
    const follow = async (wait: (signal: AbortSignal) => Promise<T>): Promise<void> => {
      const outcome = await wait(rest.signal).then(
        (value) => () => {
          resolve(value);
        },
        (error: unknown) => () => {
          reject(error);
        },
      );
      settle ??= outcome;
      rest.abort();
      left -= 1;
      if (left === 0) settle();
    };
    for (const wait of waits) void follow(wait); // Never rejects.
  });
}
