import { assert } from '../runtime/index.ts';

interface WireTime {
  readonly seconds?: string | number | object;
  readonly nanos?: number;
}

const secondsOf = (time: WireTime): number => {
  const seconds = Number(time.seconds ?? 0);
  assert(Number.isSafeInteger(seconds), 'the seconds of a time are a safe integer');
  return seconds;
};

/** A `Timestamp` or `Duration`, in milliseconds. `undefined` where the field is absent. */
export const toMs = (time: WireTime | null | undefined): number | undefined =>
  time === null || time === undefined
    ? undefined
    : secondsOf(time) * 1_000 + (time.nanos ?? 0) / 1_000_000;

/** Milliseconds since the epoch as a `Timestamp`; its `nanos` are never negative. */
export function timestampFromMs(ms: number): { seconds: string; nanos: number } {
  const seconds = Math.floor(ms / 1_000);
  return { seconds: String(seconds), nanos: Math.round((ms - seconds * 1_000) * 1_000_000) };
}

/** Milliseconds as a `Duration`; its `nanos` have the sign of its `seconds`. */
export function durationFromMs(ms: number): { seconds: string; nanos: number } {
  const seconds = Math.trunc(ms / 1_000);
  return { seconds: String(seconds), nanos: Math.round((ms - seconds * 1_000) * 1_000_000) };
}

/** Nanoseconds, as the Engine API counts time, as a `Duration`. */
export function durationFromNanos(nanos: bigint): { seconds: string; nanos: number } {
  return { seconds: String(nanos / 1_000_000_000n), nanos: Number(nanos % 1_000_000_000n) };
}

/** A `Duration` in nanoseconds, as the Engine API counts time. */
export const nanosOf = (duration: WireTime): bigint =>
  BigInt(secondsOf(duration)) * 1_000_000_000n + BigInt(duration.nanos ?? 0);
