/** When to look at something again: one time each, in milliseconds of the monotonic clock. */
export class Alarms {
  readonly #at = new Map<string, number>();

  /** Sets the time for a key, in place of any before. */
  set(key: string, at: number): void {
    this.#at.set(key, at);
  }

  clear(key: string): void {
    this.#at.delete(key);
  }

  /** The earliest time set, or `Infinity`. */
  next(): number {
    let next = Infinity;
    for (const at of this.#at.values()) if (at < next) next = at;
    return next;
  }

  /** Takes out the keys whose time has come. */
  takeDue(now: number): readonly string[] {
    const due = [...this.#at].filter(([, at]) => at <= now).map(([key]) => key);
    for (const key of due) this.#at.delete(key);
    return due;
  }
}
