import type { Stream } from '../../kernel/streams.ts';
import { type Deed, type Fault, managerHosts, type Size } from './plan.ts';

/** How many worlds are rebuilt from one manager. */
const share = 0.35;

/** Draws whether a swarm loses most managers, and goes on with one that may be behind them. */
export function drawRebuild(
  chance: Stream,
  healAt: number,
  size: Size,
): { readonly deeds: readonly Deed[]; readonly faults: readonly Fault[] } {
  if (!chance.chance(share)) return { deeds: [], faults: [] };
  const time = Math.round(chance.between(30_000, healAt - 50_000));
  const host = `m${chance.integer(managerHosts(size))}` as const;
  const way = chance.chance(0.6) ? 'stopped' : 'cut';
  const waitMs = Math.round(chance.between(1_000, 15_000));
  const backMs = Math.round(chance.between(1_000, 60_000));
  // What the others committed in the last seconds it does not have.
  const isBehind = chance.chance(0.5);
  const since = Math.round(chance.between(500, 6_000));
  const isMoved = chance.chance(0.5);
  const split: Fault = {
    time: time - since,
    kind: 'split',
    host,
    with: [],
    way: 'both',
    ms: since + waitMs,
  };
  return {
    deeds: [{ time, kind: 'rebuild', host, way, isMoved, waitMs, backMs }],
    faults: isBehind ? [split] : [],
  };
}
