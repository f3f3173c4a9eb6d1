import { describe, expect, test } from 'vitest';
import { JoinRate, joinRate } from '../../../src/manager/authority/join-rate.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/** How many of `count` nodes may join now. */
function admitted(rate: JoinRate, count: number): number {
  let joined = 0;
  for (let asked = 0; asked < count; asked += 1) {
    try {
      rate.take();
      joined += 1;
    } catch {
      // Refused.
    }
  }
  return joined;
}

describe('the join rate', () => {
  test('lets so many nodes in at once, then so many a second, and no more after a long pause', async () => {
    const clock = new VirtualClock();
    const rate = new JoinRate({ clock });
    expect(admitted(rate, 2 * joinRate.burst)).toBe(joinRate.burst);
    await clock.advance(1_000);
    expect(admitted(rate, joinRate.burst)).toBe(joinRate.perSecond);
    await clock.advance(3_600_000);
    expect(admitted(rate, 2 * joinRate.burst)).toBe(joinRate.burst);
  });

  test('says that there are too many', () => {
    const rate = new JoinRate({ clock: new VirtualClock() });
    admitted(rate, joinRate.burst);
    expect(() => {
      rate.take();
    }).toThrow('too many nodes are joining at once');
  });
});
