/**
 * What a measure has started. It is gone when the measure is over, and at once if the whole is
 * ended: whoever still waits for it then fails.
 */
export class Resources {
  readonly #held: AsyncDisposable[] = [];
  readonly #signal: AbortSignal;
  readonly #errors: unknown[] = [];

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  readonly #onAbort = (): void => void this.dispose(); // Never rejects.

  /** Takes charge of something. What comes too late is gone before long, too. */
  readonly use = <T extends AsyncDisposable>(resource: T): T => {
    this.#held.push(resource);
    if (this.#signal.aborted) void this.dispose();
    this.#signal.throwIfAborted();
    return resource;
  };

  /** Ends all, the newest first. @returns what went wrong */
  async dispose(): Promise<readonly unknown[]> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    for (let resource = this.#held.pop(); resource !== undefined; resource = this.#held.pop()) {
      try {
        await resource[Symbol.asyncDispose]();
      } catch (error) {
        this.#errors.push(error);
      }
    }
    return this.#errors.splice(0);
  }
}
