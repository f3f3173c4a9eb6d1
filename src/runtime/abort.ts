/** An abort signal that follows another until it is disposed of. */
export interface ChildAbort extends Disposable {
  readonly signal: AbortSignal;
  /** Aborts the child, not its parent. */
  abort(reason?: unknown): void;
}

/** The children of each signal that has some. It has one listener for all of them. */
const families = new WeakMap<AbortSignal, Set<AbortController>>();

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
  readonly #family: Set<AbortController>;

  constructor(parent: AbortSignal) {
    this.signal = this.#controller.signal;
    if (parent.aborted) this.#controller.abort(parent.reason);
    this.#family = familyOf(parent);
    this.#family.add(this.#controller);
  }

  abort(reason?: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#family.delete(this.#controller);
  }
}

function familyOf(parent: AbortSignal): Set<AbortController> {
  const known = families.get(parent);
  if (known !== undefined) return known;
  const family = new Set<AbortController>();
  families.set(parent, family);
  const abortAll = (): void => {
    for (const child of family) child.abort(parent.reason);
    family.clear();
  };
  parent.addEventListener('abort', abortAll, { once: true });
  return family;
}

/** A signal that aborts with either of two, or by itself. */
export function childOfBoth(first: AbortSignal, second: AbortSignal): ChildAbort {
  const child = childOf(first);
  const bridge = childOf(second);
  const follow = (): void => {
    child.abort(second.reason);
  };
  if (bridge.signal.aborted) follow();
  else bridge.signal.addEventListener('abort', follow, { once: true });
  return {
    signal: child.signal,
    abort: (reason) => {
      child.abort(reason);
    },
    [Symbol.dispose]: () => {
      bridge[Symbol.dispose]();
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
  signal.throwIfAborted();
  return new Promise<T>((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', stop);
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
