import { env } from 'node:process';
import { CryptoRandom } from '../../src/runtime/index.ts';

const numberOf = (name: string, usual: number): number => Number(env[name] ?? usual);

/** How much is tried: by `npm test` little, by `npm run torture` as much as it is told. */
export const plan = {
  flips: numberOf('TORTURE_FLIPS', 2_000),
  kills: numberOf('TORTURE_KILLS', 100),
  seed: numberOf('TORTURE_SEED', new CryptoRandom().integer(2 ** 31)),
} as const;

/** The command that does the same once more. */
export const replay = `npm run torture -- --flips ${plan.flips} --kills ${plan.kills} --seed ${plan.seed}`;

/** Chance that can be had again: numbers below `below`. mulberry32 */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
