import type { Plan, Size } from '../world/plan/plan.ts';
import { type Outcome, runSeed } from './seed.ts';

/** A run is shrunk with at most so many others. */
const runsMax = 100;

/** What is left of a plan, and what still comes of it. */
export interface Shrunk {
  readonly plan: Plan;
  readonly outcome: Outcome;
  readonly runs: number;
}

/**
 * Looks for a short plan that breaks the same rule: takes away faults, then deeds, by halves and
 * smaller parts. Zeller's ddmin. Since each concern draws from a stream of its own, what is left
 * happens as it did before.
 */
export function shrink(seed: string, size: Size, plan: Plan, rule: string): Shrunk {
  let best = plan;
  let outcome = runSeed(seed, size, { plan });
  let runs = 1;
  const stillFails = (candidate: Plan): boolean => {
    if (runs >= runsMax) return false;
    runs += 1;
    const tried = runSeed(seed, size, { plan: candidate });
    if (tried.violation?.rule !== rule) return false;
    best = candidate;
    outcome = tried;
    return true;
  };
  for (let before = Infinity; best.faults.length + best.deeds.length < before;) {
    before = best.faults.length + best.deeds.length;
    minimize(best.faults, (faults) => stillFails({ ...best, faults }));
    minimize(best.deeds, (deeds) => stillFails({ ...best, deeds }));
  }
  return { plan: best, outcome, runs };
}

/** @param isEnough whether a part of the list does what the whole does */
function minimize<T>(list: readonly T[], isEnough: (part: readonly T[]) => boolean): void {
  let left = list;
  let parts = 2;
  if (left.length > 0 && isEnough([])) return;
  while (left.length > 1) {
    const length = Math.ceil(left.length / parts);
    const current = left;
    const smaller = Array.from({ length: parts }, (_, at) =>
      current.filter((__, index) => Math.floor(index / length) !== at),
    ).find((part) => part.length < current.length && isEnough(part));
    if (smaller !== undefined) {
      left = smaller;
      parts = Math.max(parts - 1, 2);
    } else if (length === 1) return;
    else parts = Math.min(left.length, parts * 2);
  }
}
