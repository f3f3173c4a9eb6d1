import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { majorityIndex, tally } from '../../../src/raft/core/quorum.ts';

describe('majorityIndex', () => {
  test('§5.3: is the largest index that more than half have stored', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 9 }), (matches) => {
        const stored = (index: number): number => matches.filter((m) => m >= index).length;
        const index = majorityIndex(matches);
        expect(stored(index)).toBeGreaterThan(matches.length / 2);
        expect(stored(index + 1)).toBeLessThanOrEqual(matches.length / 2);
      }),
    );
  });
});

describe('tally', () => {
  test('§5.2: an election is decided exactly when no missing vote can change it', () => {
    const vote = fc.constantFrom(true, false, undefined);
    fc.assert(
      fc.property(fc.array(vote, { minLength: 1, maxLength: 9 }), (votes) => {
        const wins = (missing: boolean): boolean =>
          votes.filter((v) => v ?? missing).length > votes.length / 2;
        const expected = wins(false) ? 'won' : wins(true) ? 'pending' : 'lost';
        expect(tally(votes)).toBe(expected);
      }),
    );
  });
});
