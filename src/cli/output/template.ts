import { SwarmError } from '../../runtime/index.ts';
import {
  type Command,
  type Operand,
  parseTemplate,
  type Part,
  type PathRoot,
  type Pipe,
} from './template-parser.ts';

type Functions = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;

/** A template ready to be applied to any number of values. */
export type Template = (value: unknown) => string;

/**
 * Compiles a Go template as docker's `--format` takes one. In a template's text, `\t` and `\n`
 * written as two characters stand for a tab and a new line.
 *
 * @throws SwarmError invalid-argument `template parsing error: …`; the compiled template throws
 *   one that names a field the value does not have
 */
export function compileTemplate(source: string): Template {
  const parts = parseTemplate(source.replaceAll('\\t', '\t').replaceAll('\\n', '\n'));
  return (value) => {
    const scope: Scope = { dot: value, variables: new Map([['$', value]]) };
    return render(parts, scope);
  };
}

/** Data of the API's objects: base64 in JSON; bytes in a template, which `%s` makes a text. */
export class Bytes {
  readonly base64: string;

  constructor(base64: string) {
    this.base64 = base64;
  }

  get bytes(): Buffer {
    return Buffer.from(this.base64, 'base64');
  }

  toJSON(): string {
    return this.base64;
  }
}

/** A field of a row that takes an argument: `{{.Label "zone"}}`. */
type Method = (key: string) => unknown;

interface Scope {
  readonly dot: unknown;
  readonly variables: Map<string, unknown>;
}

const failure = (message: string): SwarmError =>
  new SwarmError('invalid-argument', `template: ${message}`);

const render = (parts: readonly Part[], scope: Scope): string =>
  parts.map((part) => renderPart(part, scope)).join('');

function renderPart(part: Part, scope: Scope): string {
  switch (part.kind) {
    case 'text':
      return part.text;
    case 'print':
      return show(evaluate(part.pipe, scope));
    case 'set':
      scope.variables.set(part.name, evaluate(part.pipe, scope));
      return '';
    case 'if':
      return render(isTruthy(evaluate(part.pipe, scope)) ? part.body : part.otherwise, scope);
    case 'with': {
      const value = evaluate(part.pipe, scope);
      return isTruthy(value)
        ? render(part.body, { dot: value, variables: new Map(scope.variables) })
        : render(part.otherwise, scope);
    }
    case 'range':
      return renderRange(part, scope);
  }
}

function renderRange(part: Extract<Part, { kind: 'range' }>, scope: Scope): string {
  const entries = entriesOf(evaluate(part.pipe, scope));
  if (entries.length === 0) return render(part.otherwise, scope);
  return entries
    .map(([key, value]) => {
      const variables = new Map(scope.variables);
      const [first, second] = part.variables;
      if (second !== undefined) variables.set(second, value);
      if (first !== undefined) variables.set(first, second === undefined ? value : key);
      return render(part.body, { dot: value, variables });
    })
    .join('');
}

function entriesOf(value: unknown): readonly (readonly [unknown, unknown])[] {
  if (Array.isArray(value)) return value.map((item: unknown, index) => [index, item] as const);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  }
  return [];
}

function evaluate(pipe: Pipe, scope: Scope): unknown {
  let result: unknown;
  for (const [index, command] of pipe.entries()) {
    result = run(command, scope, index === 0 ? [] : [result]);
  }
  return result;
}

function run(command: Command, scope: Scope, piped: readonly unknown[]): unknown {
  const [head, ...rest] = command;
  if (head === undefined) return undefined;
  if (head.kind !== 'name') {
    const value = resolve(head, scope);
    if (head.kind === 'literal' || typeof value !== 'function') return value;
    const args = [...rest.map((operand) => resolve(operand, scope)), ...piped];
    return call(value as Method, head.fields.at(-1) ?? '', args); // Rows have no other functions.
  }
  const called = functions[head.name];
  if (called === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `template parsing error: template: :1: function "${head.name}" not defined`,
    );
  }
  return called(...rest.map((operand) => resolve(operand, scope)), ...piped);
}

function call(method: Method, name: string, args: readonly unknown[]): unknown {
  if (args.length !== 1) {
    throw failure(`wrong number of args for ${name}: want 1 got ${args.length}`);
  }
  return method(text(args[0]));
}

function resolve(operand: Operand, scope: Scope): unknown {
  switch (operand.kind) {
    case 'literal':
      return operand.value;
    case 'name':
      return run([operand], scope, []);
    case 'path':
      return operand.fields.reduce(field, rootOf(operand.root, scope));
  }
}

function rootOf(root: PathRoot, scope: Scope): unknown {
  switch (root.kind) {
    case 'dot':
      return scope.dot;
    case 'variable': {
      if (!scope.variables.has(root.name)) throw failure(`undefined variable "${root.name}"`);
      return scope.variables.get(root.name);
    }
    case 'pipe':
      return evaluate(root.pipe, scope);
  }
}

const rows = new WeakSet<object>();

/** A row of a table: a field it does not have is a mistake, not an absence. */
export function aRow<T extends object>(fields: T): T {
  rows.add(fields);
  return fields;
}

const isRow = (value: object): boolean => rows.has(value);

function field(value: unknown, name: string): unknown {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'object' && name in value) return (value as Record<string, unknown>)[name];
  if (typeof value === 'object' && !isRow(value)) return undefined;
  throw failure(`can't evaluate field ${name}`);
}

/** What Go's `{{if}}` takes for true. */
function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** A value as Go prints it with `%v`. */
function show(value: unknown): string {
  if (value === undefined || value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (value instanceof Bytes) return `[${value.bytes.join(' ')}]`;
  if (typeof value === 'object') {
    const entries = entriesOf(value).map(([key, item]) => `${String(key)}:${show(item)}`);
    return `map[${entries.join(' ')}]`;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const text = (value: unknown): string => (value === undefined ? '' : show(value));

function length(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (value instanceof Bytes) return value.bytes.length;
  return entriesOf(value).length;
}

/** `printf` with the verbs people write: %s %v %d %q %%, with a width. */
function format(pattern: unknown, ...values: readonly unknown[]): string {
  const rest = [...values];
  return text(pattern).replaceAll(
    /%(?<left>-?)(?<width>\d*)(?<verb>[svdq%])/gu,
    (_, left: string, width: string, verb: string) => {
      if (verb === '%') return '%';
      const given = rest.shift();
      const isText = given instanceof Bytes && (verb === 's' || verb === 'q');
      const value = isText ? given.bytes.toString() : text(given);
      const shown = verb === 'q' ? JSON.stringify(value) : value;
      return left === '' ? shown.padStart(Number(width)) : shown.padEnd(Number(width));
    },
  );
}

const compare = (a: unknown, b: unknown): number =>
  typeof a === 'number' && typeof b === 'number' ? a - b : text(a) < text(b) ? -1 : 1;

const functions: Functions = {
  json: (value) => JSON.stringify(value ?? null),
  upper: (value) => text(value).toUpperCase(),
  lower: (value) => text(value).toLowerCase(),
  title: (value) => text(value).replaceAll(/\b\w/gu, (letter) => letter.toUpperCase()),
  trim: (value) => text(value).trim(),
  join: (list, separator) =>
    entriesOf(list)
      .map(([, item]) => text(item))
      .join(text(separator)),
  split: (value, separator) => text(value).split(text(separator)),
  pad: (value, before, after) =>
    `${' '.repeat(Number(before))}${text(value)}${' '.repeat(Number(after))}`,
  truncate: (value, width) => text(value).slice(0, Number(width)),
  println: (...values) => `${values.map(text).join(' ')}\n`,
  print: (...values) => values.map(text).join(' '),
  printf: format,
  len: length,
  index: (value, ...keys) =>
    keys.reduce((held: unknown, key) => field(held, text(key)), value) ?? '',
  eq: (a, ...others) => others.some((b) => a === b || text(a) === text(b)),
  ne: (a, b) => text(a) !== text(b),
  lt: (a, b) => compare(a, b) < 0,
  gt: (a, b) => compare(a, b) > 0,
  le: (a, b) => text(a) === text(b) || compare(a, b) < 0,
  ge: (a, b) => text(a) === text(b) || compare(a, b) > 0,
  and: (...values) => values.find((value) => !isTruthy(value)) ?? values.at(-1),
  or: (...values) => values.find(isTruthy) ?? values.at(-1),
  not: (value) => !isTruthy(value),
};
