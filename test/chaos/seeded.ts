/** Chance that a seed repeats. */
export class Seeded {
  #state: number;

  /** @param stream names what it is for, so that one use of a seed does not shift another's draws */
  constructor(seed: number, stream: string) {
    // FNV-1a over the name, started from the seed.
    let state = (0x811c9dc5 ^ seed) >>> 0;
    for (const letter of stream) {
      state = Math.imul(state ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    }
    this.#state = state;
  }

  /** An integer from 0 to below a limit. Mulberry32 */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    if (picked === undefined) throw new Error('there is nothing to pick from');
    return picked;
  }
}
