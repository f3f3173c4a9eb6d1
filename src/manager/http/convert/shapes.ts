import { durationFromNanos, nanosOf } from '../../../api/index.ts';
import type { Driver, DriverInput, Meta } from '../../../api/gen/types.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Fields } from './fields.ts';

/** A string, left out if empty: Go's `omitempty`, as are the next ones. */
export const text = (value: string): string | undefined => (value === '' ? undefined : value);

export const flag = (value: boolean): true | undefined => (value ? true : undefined);

export const list = <T extends Json>(values: readonly T[]): readonly T[] | undefined =>
  values.length === 0 ? undefined : values;

export const map = (
  values: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> | undefined =>
  Object.keys(values).length === 0 ? undefined : values;

/** A 64-bit integer: a number, if that holds it. Of those JSON.stringify knows by itself. */
export function integer(value: string | bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value);
}

/** A 64-bit field, left out if zero. */
export const count = (value: string): number | bigint | undefined =>
  value === '0' ? undefined : integer(value);

export const small = (value: number): number | undefined => (value === 0 ? undefined : value);

/** Bytes in base64, left out if there are none. */
export const bytes = (value: Uint8Array): string | undefined =>
  value.length === 0 ? undefined : base64(value);

const base64 = (value: Uint8Array): string =>
  Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64');

interface WireTime {
  readonly seconds: string;
  readonly nanos: number;
}

/**
 * A time as Go prints it: RFC 3339 in UTC, with as many digits of the second as it has. An absent
 * one is the epoch.
 */
export function time(timestamp: WireTime | null | undefined): string {
  const { seconds, nanos } = timestamp ?? { seconds: '0', nanos: 0 };
  const whole = new Date(Number(seconds) * 1_000).toISOString().slice(0, -'.000Z'.length);
  const fraction = String(nanos).padStart(9, '0').replace(/0+$/u, '');
  return fraction === '' ? `${whole}Z` : `${whole}.${fraction}Z`;
}

/** A time, left out if it is absent or the epoch. */
export const optionalTime = (timestamp: WireTime | null): string | undefined =>
  timestamp === null || (timestamp.seconds === '0' && timestamp.nanos === 0)
    ? undefined
    : time(timestamp);

/** A duration in nanoseconds, left out if it is absent or zero. */
export const duration = (value: WireTime | null): number | bigint | undefined =>
  value === null || nanosOf(value) === 0n ? undefined : integer(nanosOf(value));

/** A duration in nanoseconds, left out if it is absent: Go's `*time.Duration`. */
export const optionalDuration = (value: WireTime | null): number | bigint | undefined =>
  value === null ? undefined : integer(nanosOf(value));

/** A duration of nanoseconds; zero if absent. */
export const durationFrom = (fields: Fields, name: string): WireTime =>
  durationFromNanos(BigInt(fields.integer(name)));

/** A duration of nanoseconds, if the member is there. */
export const optionalDurationFrom = (fields: Fields, name: string): WireTime | null =>
  fields.has(name) ? durationFrom(fields, name) : null;

/** A duration of nanoseconds, if the member is there and not zero. */
export const nonZeroDurationFrom = (fields: Fields, name: string): WireTime | null =>
  fields.integer(name) === '0' ? null : durationFrom(fields, name);

/** `Version`, `CreatedAt`, `UpdatedAt`: what every object begins with after its ID. */
export const metaToEngine = (meta: Meta | null): JsonObject => ({
  Version: { Index: count(meta?.version?.index ?? '0') },
  CreatedAt: time(meta?.createdAt),
  UpdatedAt: time(meta?.updatedAt),
});

/** `Name` and `Labels`: what every spec begins with. Labels are never null. */
export const annotationsToEngine = (
  annotations: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  } | null,
): JsonObject => ({ Name: text(annotations?.name ?? ''), Labels: annotations?.labels ?? {} });

export const annotationsFromEngine = (
  spec: Fields,
): { name: string; labels: Record<string, string> } => ({
  name: spec.text('Name'),
  labels: spec.map('Labels'),
});

export const driverToEngine = ({ name, options }: Driver): JsonObject => ({
  Name: text(name),
  Options: map(options),
});

export const optionalDriverToEngine = (driver: Driver | null): JsonObject | undefined =>
  driver === null ? undefined : driverToEngine(driver);

export const driverFromEngine = (fields: Fields | undefined): DriverInput | null =>
  fields === undefined ? null : { name: fields.text('Name'), options: fields.map('Options') };

/** An enumeration's value as the Engine API writes it: `ON_FAILURE` is `on-failure`. */
export const lower = (value: string): string => value.toLowerCase().replaceAll('_', '-');

/** The value of an enumeration that the Engine API writes as `text`, if there is one. */
export const valueOf = <T extends string>(values: readonly T[], written: string): T | undefined =>
  values.find((value) => lower(value) === written.toLowerCase());
