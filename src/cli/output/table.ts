/** A cell is at least so wide, the space after it included. docker/cli formatter */
const cellWidthMin = 10;
/** So much space follows the widest cell of a column. */
const padding = 3;

/** The width of a text on a terminal, in characters. */
const widthOf = (text: string): number => Array.from(text).length;

/**
 * Rows of cells as docker prints them: columns as wide as their widest cell, and the last column
 * without padding.
 */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      if (column === row.length - 1) continue;
      const width = Math.max(cellWidthMin, widthOf(cell) + padding);
      widths[column] = Math.max(widths[column] ?? 0, width);
    }
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell)),
      )
      .join('');
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** At most `width` characters, the last of them an ellipsis if something was cut off. */
export function ellipsis(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}

/** An ID as tables show it: its first 12 characters. */
export const shortId = (id: string): string => id.slice(0, 12);

/** The first letter in upper case, the rest in lower. */
export const pretty = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1).toLowerCase();

/** Orders texts as a reader would: `a2` before `a10`. */
export function compareNaturally(a: string, b: string): number {
  const [left, right] = [chunksOf(a), chunksOf(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const [x = '', y = ''] = [left[i], right[i]];
    const [p, q] = [Number(x), Number(y)];
    if (!Number.isNaN(p) && !Number.isNaN(q) && p !== q) return p - q;
    if (x !== y) return x < y ? -1 : 1;
  }
  return left.length - right.length;
}

const chunksOf = (text: string): readonly string[] => text.match(/\d+|\D+/gu) ?? [];
