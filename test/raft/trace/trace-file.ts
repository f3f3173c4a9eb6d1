/** A command with its arguments: `name word key=value key=(value, value)`. */
export interface Directive {
  readonly name: string;
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, readonly string[]>;
}

/** One command of a trace, what is fed to it, and what it must print. */
export interface TraceCase {
  /** Where its expected output begins and ends in the file: line numbers from 0, the end not included. */
  readonly expectedLines: { readonly from: number; readonly below: number };
  /** The number of its first line, as editors count. */
  readonly line: number;
  readonly text: string;
  readonly directive: Directive;
  readonly input: string;
  readonly expected: string;
}

const separator = '----';

/** Reads the cases of a trace file. The grammar is that of cockroachdb/datadriven. */
export function parseTrace(text: string): TraceCase[] {
  const lines = text.split('\n');
  const cases: TraceCase[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at] ?? '';
    if (line.trim() === '' || line.startsWith('#')) {
      at += 1;
      continue;
    }
    const read = parseCase(lines, at);
    cases.push(read);
    at = read.expectedLines.below;
  }
  return cases;
}

function parseCase(lines: readonly string[], start: number): TraceCase {
  let text = lines[start] ?? '';
  let at = start + 1;
  while (text.endsWith('\\')) {
    text = `${text.slice(0, -1)} ${lines[at] ?? ''}`;
    at += 1;
  }
  const end = lines.indexOf(separator, at);
  if (end === -1) throw new Error(`line ${start + 1}: a command without ${separator}`);
  const from = end + 1;
  const { expected, below } = expectedAt(lines, from);
  return {
    expectedLines: { from, below },
    line: start + 1,
    text,
    directive: parseDirective(text),
    input: lines.slice(at, end).join('\n'),
    expected,
  };
}

/** Up to the first blank line; or, with blank lines in it, between two pairs of separators. */
function expectedAt(
  lines: readonly string[],
  from: number,
): { readonly expected: string; readonly below: number } {
  if (lines[from] === separator) {
    let end = from + 1;
    while (end < lines.length && !(lines[end] === separator && lines[end + 1] === separator)) {
      end += 1;
    }
    return { expected: lines.slice(from + 1, end).join('\n'), below: end + 2 };
  }
  let end = from;
  while (end < lines.length && lines[end] !== '') end += 1;
  return { expected: lines.slice(from, end).join('\n'), below: end };
}

function parseDirective(text: string): Directive {
  const [name = '', ...parts] = text.match(/[^\s=]+=\([^)]*\)|\S+/gu) ?? [];
  const words: string[] = [];
  const options = new Map<string, readonly string[]>();
  for (const part of parts) {
    const [, key, value] = /^([^=]+)=(.*)$/u.exec(part) ?? [];
    if (key === undefined || value === undefined) words.push(part);
    else options.set(key, value.replaceAll(/[()]/gu, '').split(/[ ,]+/u).filter(Boolean));
  }
  return { name, words, options };
}

/** Commands by name. Each prints something; it throws OutOfScope if this core cannot take part. */
export type CommandTable = Readonly<Record<string, (one: TraceCase) => string>>;
