import { nanosOf } from '../../../api/index.ts';
import { invalid, invalidArgument } from '../common/errors.ts';

/** A duration as the wire has it; `null` where the field is absent. */
export type WireDuration = { readonly seconds: string; readonly nanos: number } | null;

/** Go's longest duration, in seconds: some 292 years. */
const secondsMax = 9_223_372_036;

/**
 * A duration in nanoseconds; 0 where it is absent.
 *
 * @throws SwarmError invalid-argument, if it is longer than a docker CLI can express
 */
export function nanosIn(duration: WireDuration): bigint {
  if (duration === null) return 0n;
  if (Math.abs(Number(duration.seconds)) > secondsMax) throw invalidArgument();
  return nanosOf(duration);
}

/** @throws SwarmError invalid-argument `<what> cannot be negative` */
export function checkNotNegative(what: string, duration: WireDuration): void {
  if (nanosIn(duration) < 0n) throw invalid(`${what} cannot be negative`);
}

/**
 * Refuses a number that no client means. One beyond 2^63 was negative before it was sent; one
 * beyond 2^53 cannot be calculated with.
 *
 * @throws SwarmError invalid-argument
 */
export function checkCount(what: string, field: string | undefined): void {
  const value = Number(field ?? 0);
  if (value >= 2 ** 63 || value < 0) throw invalid(`${what} must be non-negative`);
  if (!Number.isSafeInteger(value)) throw invalid(`${what} is too large`);
}
