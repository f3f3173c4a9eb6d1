import { parseBytes, parseDuration } from '../../output/units.ts';
import { InvalidValue } from '../../shell.ts';

/** A flag's value that cannot be read; the command shows its usage with it. */
export const invalid = (flag: string, text: string, reason: string): InvalidValue =>
  new InvalidValue(flag, text, reason);

/** A duration in nanoseconds. */
export function duration(flag: string, text: string): number {
  const nanos = parseDuration(text);
  if (nanos === undefined) throw invalid(flag, text, 'it is a duration such as 90s or 1m30s');
  return nanos;
}

/** A size in bytes. */
export function bytes(flag: string, text: string): number {
  const size = parseBytes(text);
  if (size === undefined) throw invalid(flag, text, `invalid size: '${text}'`);
  return size;
}

/** A whole number, which may be negative. */
export function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (!/^-?\d+$/u.test(text) || !Number.isSafeInteger(value)) {
    throw invalid(flag, text, 'it is not a whole number');
  }
  return value;
}

/** A whole number of 0 or more. */
export function count(flag: string, text: string): number {
  const value = wholeNumber(flag, text);
  if (value < 0) throw invalid(flag, text, 'it is not a whole number of 0 or more');
  return value;
}

/** A number such as `0.25`. */
export function fraction(flag: string, text: string): number {
  const value = Number(text);
  if (text === '' || Number.isNaN(value)) throw invalid(flag, text, 'it is not a number');
  return value;
}

/** CPUs, such as `0.5`, in billionths of one. */
export function nanoCpus(flag: string, text: string): number {
  if (!/^(?:\d+(?:\.\d{0,9})?|\.\d{1,9})$/u.test(text)) {
    throw invalid(flag, text, `failed to parse ${text} as a rational number`);
  }
  return Math.round(Number(text) * 1e9);
}

/** `key=value`. A text without a value stands for an empty one. */
export function pair(flag: string, text: string): readonly [key: string, value: string] {
  const at = text.indexOf('=');
  const key = at < 0 ? text : text.slice(0, at);
  if (key === '') throw invalid(flag, text, 'it needs a name before the =');
  return [key, at < 0 ? '' : text.slice(at + 1)];
}

/** `a=b,c=d`, with quotes round parts that have commas. */
export function fields(flag: string, text: string): ReadonlyMap<string, string> {
  const parts = [...text.matchAll(/(?:"((?:[^"]|"")*)"|([^,]*))(?:,|$)/gu)]
    .map((match) => (match[1] ?? match[2] ?? '').replaceAll('""', '"'))
    .filter((part) => part !== '');
  return new Map(parts.map((part) => pair(flag, part)));
}

/** The limits that Linux knows. getrlimit(2) */
const ulimits = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  ),
);

/** `nofile=1024:2048` */
export function ulimit(flag: string, text: string): { Name: string; Soft: number; Hard: number } {
  const [Name, limits] = pair(flag, text);
  if (limits === '') throw invalid(flag, text, `invalid ulimit argument: ${text}`);
  if (!ulimits.has(Name)) throw invalid(flag, text, `invalid ulimit type: ${Name}`);
  const [soft = '', hard = soft] = limits.split(':');
  const [Soft, Hard] = [wholeNumber(flag, soft), wholeNumber(flag, hard)];
  if (Hard !== -1 && Soft > Hard) {
    const reason = `ulimit soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`;
    throw invalid(flag, text, reason);
  }
  return { Name, Soft, Hard };
}
