const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

/** How long ago, or how long, in docker's rough words. go-units HumanDuration */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1_000);
  const hours = Math.round(ms / 3_600_000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < minute) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / minute);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(seconds / day / 365)} years`;
}

const goUnits: readonly (readonly [unit: string, nanos: bigint])[] = [
  ['h', 3_600_000_000_000n],
  ['m', 60_000_000_000n],
  ['s', 1_000_000_000n],
];

/** Nanoseconds as Go prints a duration: `1h0m0s`, `1.5s`, `100ms`, `0s`. */
export function goDuration(nanos: number | bigint): string {
  const total = BigInt(nanos);
  if (total === 0n) return '0s';
  if (total < 0n) return `-${goDuration(-total)}`;
  if (total < 1_000_000_000n) {
    for (const [unit, size] of [
      ['ms', 1_000_000],
      ['µs', 1_000],
    ] as const) {
      if (total >= BigInt(size)) return `${Number(total) / size}${unit}`;
    }
    return `${total}ns`;
  }
  let rest = total;
  let text = '';
  for (const [unit, size] of goUnits) {
    if (unit === 's') text += `${Number(rest) / Number(size)}s`;
    else if (text !== '' || rest >= size) {
      text += `${rest / size}${unit}`;
      rest %= size;
    }
  }
  return text;
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * A Go duration (`1m30s`, `500ms`) in nanoseconds.
 *
 * @returns `undefined` if the text is none
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^-?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/u.test(text)) return undefined;
  let nanos = 0;
  for (const [, amount = '0', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/gu)) {
    nanos += Number(amount) * (durationUnits[unit] ?? 0);
  }
  return Math.round(text.startsWith('-') ? -nanos : nanos);
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes with four significant digits and a binary unit. go-units BytesSize */
export function byteSize(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toPrecision(4))}${byteUnits[unit]}`;
}

/**
 * A size such as `64m`, `1.5GiB` or `1024`, in bytes. go-units RAMInBytes
 *
 * @returns `undefined` if the text is none
 */
export function parseBytes(text: string): number | undefined {
  const match = /^(?<value>\d+(?:\.\d+)?) ?(?<unit>[kmgtp]?)(?:i?b)?$/iu.exec(text);
  if (match === null) return undefined;
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf((match.groups?.['unit'] ?? '').toLowerCase());
  return Math.trunc(Number(match.groups?.['value']) * 1024 ** power);
}
