import type { Stream } from '../../kernel/streams.ts';
import { type Deed, type Fault, managerHosts, type Size } from './plan.ts';

/** Draws what goes wrong with managers in the moment that something else depends on them. */
export function drawMishaps(
  chance: Stream,
  deeds: readonly Deed[],
  healAt: number,
  size: Size,
): readonly Fault[] {
  const anyTime = (): number => Math.round(chance.between(8_000, healAt - 5_000));
  const anyHost = (): `m${number}` => `m${chance.integer(managerHosts(size))}`;
  const some = (share: number, most: number): readonly unknown[] =>
    Array.from({ length: chance.chance(share) ? 1 + chance.integer(most) : 0 });
  return [
    ...some(0.5, 6).map((): Fault => {
      const isArrived = chance.chance(0.4);
      return { time: anyTime(), kind: 'break-snapshot', host: anyHost(), isArrived };
    }),
    ...deeds
      .filter(({ kind }) => kind === 'demote' && chance.chance(0.1))
      .map(({ time }): Fault => {
        const ms = Math.round(chance.between(100, 12_000));
        return { time, kind: 'crash-successor', host: 'leader', ms, isPower: chance.chance(0.5) };
      }),
    ...some(0.3, 4).map((): Fault => {
      const ms = Math.round(chance.between(200, 20_000));
      return { time: anyTime(), kind: 'move', host: anyHost(), ms };
    }),
    ...some(0.3, 2).flatMap(() =>
      blackout(anyTime(), Math.round(chance.between(500, 20_000)), size),
    ),
  ];
}

/** All managers lose their power, and have it back, in the same moment. */
const blackout = (time: number, ms: number, size: Size): readonly Fault[] =>
  Array.from({ length: managerHosts(size) }, (_, number) => ({
    time,
    kind: 'crash',
    host: `m${number}`,
    ms,
    isPower: true,
  }));
