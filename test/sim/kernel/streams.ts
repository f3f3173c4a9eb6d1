import type { Random } from '../../../src/runtime/index.ts';

/**
 * Chance from a seed. Each concern has a stream of its own, named for it, so that taking away one
 * fault leaves the draws of all others as they were: without that no failure could be shrunk.
 */
export class Stream implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** A seed may be any text: 128 bits are made of it and of the name. */
  constructor(seed: string, name: string) {
    [this.#a, this.#b, this.#c, this.#d] = spread(`${seed}/${name}`);
    for (let warm = 0; warm < 8; warm += 1) this.next();
  }

  /** 32 random bits. xoshiro128** */
  next(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.next() / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** An integer in [0, below). */
  integer(below: number): number {
    // As the real one has it: what ends a daemon is to end a world.
    if (!Number.isSafeInteger(below) || below < 1) throw new RangeError(`integer below ${below}`);
    return Math.floor(this.unit() * below);
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + this.unit() * (high - low);
  }

  /** A time with this mean, now and then much longer. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean;
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.integer(list.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count);
    for (let at = 0; at < count; at += 1) bytes[at] = this.next() >>> 24;
    return bytes;
  }
}

/** One of several, as often as its weight says. */
export function pickByWeight<T>(chance: Stream, choices: readonly (readonly [number, T])[]): T {
  let at = chance.unit() * choices.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, choice] of choices) {
    at -= weight;
    if (at < 0) return choice;
  }
  throw new Error('nothing to pick from');
}

/** 128 bits of a text. cyrb128 */
function spread(text: string): [number, number, number, number] {
  let [a, b, c, d] = [1_779_033_703, 3_144_134_277, 1_013_904_242, 2_773_480_762];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    a = b ^ Math.imul(a ^ code, 597_399_067);
    b = c ^ Math.imul(b ^ code, 2_869_860_233);
    c = d ^ Math.imul(c ^ code, 951_274_213);
    d = a ^ Math.imul(d ^ code, 2_716_044_179);
  }
  a = Math.imul(c ^ (a >>> 18), 597_399_067);
  b = Math.imul(d ^ (b >>> 22), 2_869_860_233);
  c = Math.imul(a ^ (c >>> 17), 951_274_213);
  d = Math.imul(b ^ (d >>> 19), 2_716_044_179);
  return [a ^ b ^ c ^ d, b ^ a, c ^ a, d ^ a];
}
