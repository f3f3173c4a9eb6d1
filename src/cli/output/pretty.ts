/** `2026-11-22T18:00:00.1Z` as docker shows a moment in its pretty forms. */
export function moment(text: string): string {
  const [date = '', time = ''] = text.replace(/Z$/u, '').split('T');
  return `${date} ${time} +0000 utc`;
}

/** Labels by their keys, a line each, as docker's pretty forms show them. */
export const labelLines = (labels: Readonly<Record<string, string>> = {}): readonly string[] =>
  Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ` - ${key}${value === '' ? '' : `=${value}`}`);
