import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CryptoRandom } from '../../../src/runtime/index.ts';
import { heartbeatPeriodMs, jitteredPeriodMs } from '../../../src/manager/dispatcher/period.ts';
import { aCluster } from '../../support/builders.ts';

const configured = (heartbeatPeriod: { seconds: number; nanos?: number } | null): number =>
  heartbeatPeriodMs(aCluster({ spec: { dispatcher: { heartbeatPeriod } } }));

describe('heartbeat period', () => {
  test('it is what the cluster says, or else five seconds', () => {
    expect(configured({ seconds: 2 })).toBe(2_000);
    expect(configured(null)).toBe(5_000);
    expect(heartbeatPeriodMs(undefined)).toBe(5_000);
  });

  test('nothing makes it zero or close to it', () => {
    expect(configured({ seconds: 0 })).toBe(5_000);
    expect(configured({ seconds: -5 })).toBe(5_000);
    expect(configured({ seconds: 0, nanos: 1 })).toBe(100);
  });

  test('it is jittered by at most half a second and never gone', () => {
    const random = new CryptoRandom();
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 60_000 }), (period) => {
        const jittered = jitteredPeriodMs(period, random);
        expect(Math.abs(jittered - period)).toBeLessThanOrEqual(Math.min(500, period / 10));
      }),
    );
  });
});
