import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shareEvenly } from '../../src/scheduler/spread.ts';

describe('shareEvenly', () => {
  test('the emptiest branches are filled first, and of equals the first get the remainder', () => {
    expect(shareEvenly(12, [0, 0])).toEqual([6, 6]);
    expect(shareEvenly(3, [0, 0])).toEqual([2, 1]);
    expect(shareEvenly(2, [10, 0, 0])).toEqual([0, 1, 1]);
    expect(shareEvenly(5, [3, 0, 1])).toEqual([0, 3, 2]);
    expect(shareEvenly(0, [1, 2])).toEqual([0, 0]);
  });

  test('it gives the same as handing out one by one to the emptiest', () => {
    const counts = fc.array(fc.nat(20), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.nat(60), counts, (amount, before) => {
        const after = [...before];
        for (let left = amount; left > 0; left -= 1) {
          const emptiest = after.indexOf(Math.min(...after));
          after[emptiest] = (after[emptiest] ?? 0) + 1;
        }
        const shares = shareEvenly(amount, before);
        expect(shares.map((share, index) => share + (before[index] ?? 0))).toEqual(after);
      }),
    );
  });
});
