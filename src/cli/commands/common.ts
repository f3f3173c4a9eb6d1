import { CommandFailure, InvalidValue, type Shell } from '../shell.ts';
import type { Call, Flag, Flags } from '../command.ts';
import type { Filters } from '../client.ts';
import { table } from '../output/table.ts';
import { aRow, compileTemplate } from '../output/template.ts';

/** Flags that several commands have. */
export const listFlags = {
  filter: { kind: 'text', alias: 'f', describe: 'Filter output based on conditions provided' },
  format: {
    kind: 'text',
    describe: "Format output: 'table', 'table TEMPLATE', 'json', or a Go template",
  },
  quiet: { kind: 'switch', alias: 'q', describe: 'Only display IDs' },
} as const satisfies Readonly<Record<string, Flag>>;

export const inspectFlags = {
  format: { kind: 'text', alias: 'f', describe: "Format output: 'json', or a Go template" },
  pretty: {
    kind: 'switch',
    describe: 'Print the information in a human friendly format',
  },
} as const satisfies Readonly<Record<string, Flag>>;

/** `-f key=value`, any number of times. */
export function filtersOf(flags: Flags): Filters {
  const filters: Record<string, string[]> = {};
  for (const text of flags.list('filter')) {
    const at = text.indexOf('=');
    if (at < 0) {
      throw new InvalidValue('filter', text, 'bad format of filter (expected name=value)');
    }
    const key = text.slice(0, at).trim().toLowerCase();
    (filters[key] ??= []).push(text.slice(at + 1).trim());
  }
  return filters;
}

/** One thing of a list: what its table shows, and what templates may use. */
export type Fields = Readonly<Record<string, unknown>>;

/**
 * Prints a list as `--format` says: a table of the columns given, a table of a template's fields,
 * a JSON object a line, or a template applied to each.
 */
export function printList(
  shell: Shell,
  format: string | undefined,
  {
    columns,
    headers,
    rows,
  }: {
    /** The fields of the usual table, in order. */
    readonly columns: readonly string[];
    /** What stands above each field, in any table. */
    readonly headers: Readonly<Record<string, string>>;
    readonly rows: readonly Fields[];
  },
): void {
  const [kind = '', ...rest] = (format ?? 'table').split(/(?<=^table)\s+/u);
  if (kind === 'table' && rest.length === 0) {
    const cells = rows.map((row) => columns.map((column) => cellOf(row[column])));
    shell.out(table([columns.map((column) => headers[column] ?? column), ...cells]));
    return;
  }
  if (kind === 'json') {
    for (const row of rows) {
      const sorted = Object.entries(row).toSorted(([a], [b]) => (a < b ? -1 : 1));
      shell.out(`${JSON.stringify(Object.fromEntries(sorted))}\n`);
    }
    return;
  }
  const isTable = kind === 'table';
  const render = compileTemplate(isTable ? rest.join(' ') : (format ?? ''));
  const lines = rows.map((row) => render(aRow({ ...row })));
  if (!isTable) {
    for (const line of lines) shell.out(`${line}\n`);
    return;
  }
  const all = [render(aRow({ ...headers, Label: labelHeader })), ...lines];
  shell.out(table(all.map((line) => line.split('\t'))));
}

/** What stands above `{{.Label "com.example.zone"}}`: the last word of the label's key. */
const labelHeader = (key: string): string =>
  (key.split('.').at(-1) ?? '').replaceAll(/[-_]/gu, ' ');

/** A field as a table shows it: a text as it is, nothing for what is absent. */
const cellOf = (value: unknown): string =>
  value === undefined || value === null
    ? ''
    : typeof value === 'string'
      ? value
      : JSON.stringify(value);

/** Prints inspected objects as `--format` says: an indented JSON array, or a template a line. */
function printInspected(
  shell: Shell,
  format: string | undefined,
  objects: readonly unknown[],
): void {
  if (format === undefined || format === '') {
    shell.out(`${JSON.stringify(objects, undefined, 4)}\n`);
    return;
  }
  if (format === 'json') {
    shell.out(`${JSON.stringify(objects)}\n`);
    return;
  }
  const render = compileTemplate(format);
  for (const object of objects) shell.out(`${render(object)}\n`);
}

/**
 * Does something with each argument and goes on past failures.
 *
 * @throws CommandFailure 1 with every failure's message, a line each
 */
export async function forEach(
  args: readonly string[],
  act: (arg: string) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  for (const arg of args) {
    try {
      await act(arg);
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      failures.push(error.message);
    }
  }
  if (failures.length > 0) throw new CommandFailure(failures.join('\n'));
}

/** Like {@link forEach}, with the failures in hand. */
export async function collectFailures(
  args: readonly string[],
  act: (arg: string) => Promise<void>,
): Promise<CommandFailure | undefined> {
  try {
    await forEach(args, act);
    return undefined;
  } catch (error) {
    if (error instanceof CommandFailure) return error;
    throw error;
  }
}

/**
 * Inspects each argument, prints what was found as the flags say, and then fails for the rest.
 *
 * @param pretty how `--pretty` shows the objects, for commands that have it
 */
export async function inspectEach<T>(
  { args, flags }: Call,
  shell: Shell,
  get: (name: string) => Promise<T>,
  pretty?: (object: T) => string | Promise<string>,
): Promise<void> {
  const isPretty = flags.switch('pretty') === true;
  if (isPretty && flags.has('format')) {
    throw new CommandFailure('--format is incompatible with human friendly format');
  }
  const found: T[] = [];
  const failure = await collectFailures(args, async (name) => {
    found.push(await get(name));
  });
  if (isPretty && pretty !== undefined) {
    for (const object of found) shell.out(await pretty(object));
  } else {
    printInspected(shell, flags.text('format'), found);
  }
  if (failure !== undefined) throw failure;
}

/** `key=value` texts as a map. A text without a value stands for an empty one. */
export function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
