/** What differs between any two swarms, and what stands for it. */
const masks: readonly (readonly [pattern: RegExp, word: string])[] = [
  [/-----BEGIN CERTIFICATE-----[^"]*?-----END CERTIFICATE-----(?:\\n)?/gu, 'CERTIFICATE'],
  [/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/gu, 'TOKEN'],
  [/MFkw[A-Za-z0-9+/=]{60,}/gu, 'PUBLIC-KEY'],
  [/MBM[A-Za-z0-9+/=]{20,}/gu, 'SUBJECT'],
  [/\b[0-9a-f]{64}\b/gu, 'HASH'],
  [/\b[0-9a-z]{25}\b/gu, 'ID'],
  [/^( *)[0-9a-z]{12}\b(?! converged)/gmu, '$1ID'],
  [/(?<=\.\d\.)[0-9a-z]{12}(?=@)/gu, 'ID'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z/gu, 'TIME'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]* \+0000 utc/gu, 'TIME'],
  [/\b(?:less than a|about a|an?|\d+) (?:second|minute)s? ago/giu, 'AGO'],
  [/(?<="Index": ?)\d+/gu, 'N'],
  [/"PID": ?\d+/gu, '"PID": N'],
  [/10\.88\.\d\.(\d)/gu, 'ADDRESS-$1'],
];

/** What a display of progress prints before it has come to its end; how often is chance. */
const progress = /^(?:overall progress: |\d+\/\d+: |\S{1,30}: (?:running|\[=*>)|verify: Waiting )/u;

/** What else is left out of account. */
export interface Masking {
  /** The order of lines. */
  readonly sorts: boolean;
  /** Which nodes they name. */
  readonly hidesNodes: boolean;
}

/**
 * What a command printed, without what is another in any two swarms: IDs, times, addresses, the
 * width of columns that depends on these, and the steps of a display of progress.
 */
export function masked(text: string, { sorts, hidesNodes }: Masking): string {
  let result = text;
  for (const [pattern, word] of masks) result = result.replaceAll(pattern, word);
  if (hidesNodes) result = result.replaceAll(/\bnode-\d\d\b/gu, 'NODE');
  const lines = result
    .split('\n')
    .map((line) => line.replaceAll(/(?<=\S) {2,}/gu, '  ').trimEnd())
    .filter((line) => line !== '' && !progress.test(line));
  return (sorts ? lines.toSorted() : lines).join('\n');
}
