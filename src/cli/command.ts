import yargs, { type Options } from 'yargs';
import { messageOf } from '../runtime/index.ts';
import { helpOf, usageLine } from './help.ts';
import { CommandFailure, InvalidValue, type Shell } from './shell.ts';

/** A flag of a command. A text flag may be given several times; the last one counts, or all. */
export interface Flag {
  readonly kind: 'text' | 'switch';
  /** One letter. */
  readonly alias?: string;
  readonly describe: string;
  /** What it is if it is not given, for the help. */
  readonly shown?: string;
}

/** One command of the CLI. */
export interface Command {
  /** Its words after `swarmd`: `service ls`. */
  readonly words: string;
  /** Other names for the last word. */
  readonly aliases?: readonly string[];
  /** What follows the words, for messages: `SERVICE [SERVICE...]`. */
  readonly usage: string;
  /** How many arguments it takes. */
  readonly args: { readonly min: number; readonly max: number };
  readonly summary: string;
  readonly example: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** Flags end with the first argument: what follows belongs to a container's command. */
  readonly endsFlags?: boolean;
  readonly run: (call: Call, shell: Shell) => Promise<void>;
}

/** A command as it was typed. */
export interface Call {
  readonly args: readonly string[];
  readonly flags: Flags;
}

/** The flags that were given. */
export class Flags {
  readonly #given: ReadonlyMap<string, readonly (string | boolean)[]>;

  constructor(given: ReadonlyMap<string, readonly (string | boolean)[]>) {
    this.#given = given;
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** The names of all flags that were given. */
  get names(): readonly string[] {
    return [...this.#given.keys()];
  }

  /** The last value of a text flag. */
  text(name: string): string | undefined {
    const value = this.#given.get(name)?.at(-1);
    return typeof value === 'string' ? value : undefined;
  }

  /** Every value of a text flag, in the order given. */
  list(name: string): readonly string[] {
    return (this.#given.get(name) ?? []).filter((value) => typeof value === 'string');
  }

  /** Whether a switch is on; `undefined` if it was not given. */
  switch(name: string): boolean | undefined {
    const value = this.#given.get(name)?.at(-1);
    return typeof value === 'boolean' ? value : undefined;
  }

  /**
   * A text flag read by `readText`.
   *
   * @throws CommandFailure 125 in docker's words, if that gives nothing
   */
  read<T>(name: string, readText: (text: string) => T | undefined, reason: string): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = readText(text);
    if (value === undefined) {
      throw new InvalidValue(name, text, reason);
    }
    return value;
  }

  /** A whole number, not negative. */
  count(name: string): number | undefined {
    return this.read(name, wholeNumber, 'it is not a whole number of 0 or more');
  }
}

const wholeNumber = (text: string): number | undefined =>
  /^\d+$/u.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined;

const parserConfiguration = {
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'duplicate-arguments-array': true,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'strip-aliased': true,
};

const optionOf = ({ kind, alias, describe, shown }: Flag): Options => ({
  type: kind === 'text' ? 'string' : 'boolean',
  ...(kind === 'text' ? { nargs: 1 } : {}),
  ...(alias === undefined ? {} : { alias }),
  describe,
  ...(shown === undefined ? {} : { defaultDescription: shown }),
});

/** What somebody typed after `swarmd`, before the words of a command. */
export const globalFlags: Readonly<Record<string, Flag>> = {
  host: {
    kind: 'text',
    alias: 'H',
    describe: 'Socket of the daemon to talk to (SWARMD_HOST)',
    shown: 'unix:///run/swarmd/swarmd.sock',
  },
  stale: {
    kind: 'switch',
    describe: 'Show what this manager knows, even if there is no leader (SWARMD_STALE)',
  },
  help: { kind: 'switch', describe: 'Print usage' },
  version: { kind: 'switch', alias: 'v', describe: 'Print version and quit' },
};

/** Flags and arguments, taken apart by yargs. */
export function parse(
  typed: readonly string[],
  flags: Readonly<Record<string, Flag>>,
  { endsFlags }: { readonly endsFlags: boolean },
): Call {
  const failures: string[] = [];
  const parser = yargs([...typed])
    .help(false)
    .version(false)
    .exitProcess(false)
    .showHelpOnFail(false)
    .strictOptions()
    .parserConfiguration({ ...parserConfiguration, 'halt-at-non-option': endsFlags })
    .options(
      Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, optionOf(flag)])),
    )
    .fail((message: string, error: Error | undefined) => {
      failures.push(message || messageOf(error));
    });
  const parsed = parser.parseSync() as Readonly<Record<string, unknown>>; // As declared above.
  const [failure] = failures;
  if (failure !== undefined) throw new CommandFailure(flagFailure(failure, typed), 125);
  const given = new Map<string, readonly (string | boolean)[]>();
  for (const name of Object.keys(flags)) {
    const value = parsed[name];
    if (value === undefined) continue;
    given.set(name, (Array.isArray(value) ? value : [value]) as (string | boolean)[]); // As above.
  }
  const rest = (parsed['_'] ?? []) as readonly (string | number)[];
  return { args: rest.map(String), flags: new Flags(given) };
}

/** What yargs says of a flag, in docker's words. */
function flagFailure(message: string, typed: readonly string[]): string {
  const unknown = /^Unknown arguments?: (?<names>.*)$/u.exec(message)?.groups?.['names'];
  if (unknown !== undefined) {
    const [name = ''] = unknown.split(', ');
    const cluster = typed.find((word) => /^-[^-]/u.test(word) && word.includes(name));
    return name.length === 1 && cluster !== undefined
      ? `unknown shorthand flag: '${name}' in ${cluster}`
      : `unknown flag: --${name}`;
  }
  const missing = /^Not enough arguments following: (?<name>.*)$/u.exec(message)?.groups?.['name'];
  if (missing?.length === 1) return `flag needs an argument: '${missing}' in -${missing}`;
  if (missing !== undefined) return `flag needs an argument: --${missing}`;
  return message;
}

/**
 * Runs a command with what follows its words.
 *
 * @throws CommandFailure with docker's text and exit code, if the flags or arguments are wrong
 */
export async function runCommand(
  command: Command,
  typed: readonly string[],
  shell: Shell,
): Promise<void> {
  const flags = { ...command.flags, help: globalFlags['help'] as Flag };
  const seeHelp = `Run 'swarmd ${command.words} --help' for more information`;
  try {
    const call = parse(typed, flags, { endsFlags: command.endsFlags ?? false });
    if (call.flags.switch('help') === true) {
      shell.out(helpOf(command));
      return;
    }
    checkArgs(command, call, seeHelp);
    await command.run(call, shell);
  } catch (error) {
    throw explained(command, seeHelp, error);
  }
}

function checkArgs(command: Command, { args: { length } }: Call, seeHelp: string): void {
  const { min, max } = command.args;
  if (length >= min && length <= max) return;
  const problem = `swarmd: 'swarmd ${command.words}' ${expected(command.args)}`;
  const see = min > 0 && max === Infinity ? seeHelp.replace('Run ', 'See ') : seeHelp;
  throw new CommandFailure(`${problem}\n\n${usageLine(command)}\n\n${see}`);
}

function expected({ min, max }: Command['args']): string {
  if (max === 0) return 'accepts no arguments';
  const [some, few] = [
    `${min} argument${min === 1 ? '' : 's'}`,
    `${max} argument${max === 1 ? '' : 's'}`,
  ];
  if (min === max) return `requires ${some}`;
  return max === Infinity
    ? `requires at least ${some}`
    : `requires at least ${min} and at most ${few}`;
}

/** A flag that cannot be read is shown with how the command is used. */
function explained(command: Command, seeHelp: string, error: unknown): unknown {
  if (!(error instanceof CommandFailure) || error.exitCode !== 125) return error;
  const message = error instanceof InvalidValue ? namedInFull(error, command) : error.message;
  return new CommandFailure(`${message}\n\n${usageLine(command)}\n\n${seeHelp}`, 125);
}

/** The message with the flag's letter: `for "-p, --publish" flag`. */
function namedInFull({ flag, value, reason }: InvalidValue, { flags }: Command): string {
  const alias = flags[flag]?.alias;
  const name = alias === undefined ? `--${flag}` : `-${alias}, --${flag}`;
  return `invalid argument "${value}" for "${name}" flag: ${reason}`;
}
