type Listener = () => void;

/**
 * An AbortSignal that costs next to nothing: Node's own takes some nine microseconds to make, use
 * and forget, and the product makes several for each call. It does what the product asks of one.
 */
class PlainSignal {
  aborted = false;
  reason: unknown;
  #only: Listener | undefined;
  #more: Set<Listener> | undefined;

  addEventListener(_type: 'abort', listener: Listener): void {
    if (this.aborted) return;
    if (this.#more !== undefined) this.#more.add(listener);
    else if (this.#only === undefined) this.#only = listener;
    else {
      this.#more = new Set([this.#only, listener]);
      this.#only = undefined;
    }
  }

  removeEventListener(_type: 'abort', listener: Listener): void {
    if (this.#only === listener) this.#only = undefined;
    else this.#more?.delete(listener);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** For the controller alone. */
  end(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason ?? abortError;
    const [only, more] = [this.#only, this.#more];
    this.#only = undefined;
    this.#more = undefined;
    only?.();
    if (more !== undefined) for (const listener of more) listener();
  }

  static abort(reason?: unknown): PlainSignal {
    const signal = new PlainSignal();
    signal.end(reason);
    return signal;
  }
}

class PlainController {
  readonly signal = new PlainSignal();

  abort(reason?: unknown): void {
    this.signal.end(reason);
  }
}

/** One for all: to make an error is dear. */
const abortError = Object.assign(new Error('This operation was aborted'), { name: 'AbortError' });

const real = { AbortController, AbortSignal };

/** From now on `new AbortController()` makes plain ones; or Node's again. */
export function usePlainAborts(isPlain: boolean): void {
  Object.assign(
    globalThis,
    isPlain ? { AbortController: PlainController, AbortSignal: PlainSignal } : real,
  );
}
