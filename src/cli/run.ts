import { isSwarmError, messageOf } from '../runtime/index.ts';
import { type Call, type Command, globalFlags, parse, runCommand } from './command.ts';
import { clientFor } from './client.ts';
import { completeWord, completionsOf } from './completion.ts';
import type { SystemInfo } from './engine-types.ts';
import { flagsHelp, listOf } from './help.ts';
import { CommandFailure, type Shell } from './shell.ts';

/** What groups of commands are about. */
const groups: Readonly<Record<string, string>> = {
  swarm: 'Manage Swarm',
  node: 'Manage Swarm nodes',
  service: 'Manage Swarm services',
  task: 'Look at the tasks of services',
  secret: 'Manage Swarm secrets',
  config: 'Manage Swarm configs',
  system: 'Look at this node',
};

/** Commands that start no node. */
const tools = new Set(['completion', 'version']);

interface Cli {
  readonly commands: readonly Command[];
  readonly version: string;
}

/**
 * Runs what was typed after `swarmd`.
 *
 * @returns the exit code: 0, 1 for an error, 125 for a flag that is none, as docker has them
 */
export async function runCli(typed: readonly string[], cli: Cli, shell: Shell): Promise<number> {
  try {
    await dispatch(typed, cli, shell);
    return 0;
  } catch (error) {
    if (error instanceof CommandFailure) {
      if (error.message !== '') shell.err(`${error.message}\n`);
      return error.exitCode;
    }
    shell.err(`${isSwarmError(error) ? error.message : messageOf(error)}\n`);
    return 1;
  }
}

async function dispatch(typed: readonly string[], cli: Cli, shell: Shell): Promise<void> {
  if (typed[0] === completeWord) {
    shell.out(
      completionsOf(typed.slice(1), cli.commands)
        .map((word) => `${word}\n`)
        .join(''),
    );
    return;
  }
  const { args, flags } = parseGlobal(typed);
  if (flags.switch('version') === true) {
    shell.out(`swarmd version ${cli.version}\n`);
    return;
  }
  const host = flags.text('host');
  const inner: Shell = {
    ...shell,
    env: {
      ...shell.env,
      ...(host === undefined ? {} : { SWARMD_HOST: host }),
      ...(flags.switch('stale') === true ? { SWARMD_STALE: 'true' } : {}),
    },
  };
  const isHelp = flags.switch('help') === true || args[0] === 'help';
  const words = args[0] === 'help' ? args.slice(1) : args;
  const found = find(words, cli.commands);
  if (found !== undefined) {
    await runCommand(found.command, isHelp ? ['--help'] : found.rest, inner);
    if (inner.env['SWARMD_STALE'] === 'true' && !isHelp) await noteStale(inner);
    return;
  }
  const [group] = words;
  if (group !== undefined && groups[group] !== undefined) {
    const [, name] = words.filter((word) => word !== '--help');
    if (name !== undefined) throw unknownCommand(`${group} ${name}`, group);
    shell.out(groupHelp(group, cli.commands));
    return;
  }
  if (group !== undefined) throw unknownCommand(group, undefined);
  shell.out(topHelp(cli.commands));
}

/** Says how old what was shown may be, beside it. */
async function noteStale(shell: Shell): Promise<void> {
  const { Swarm } = await clientFor(shell).get<SystemInfo>('/info');
  if (Swarm.LeaderlessSince === undefined) return;
  shell.err(
    `This is what this manager knows: it has had no leader since ${Swarm.LeaderlessSince}.\n`,
  );
}

function parseGlobal(typed: readonly string[]): Call {
  try {
    return parse(typed, globalFlags, { endsFlags: true });
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    const usage = "Usage:  swarmd [OPTIONS] COMMAND\n\nRun 'swarmd --help' for more information";
    throw new CommandFailure(`${error.message}\n\n${usage}`, error.exitCode);
  }
}

/** The command whose words the arguments begin with, and what follows them. */
function find(
  args: readonly string[],
  commands: readonly Command[],
): { readonly command: Command; readonly rest: readonly string[] } | undefined {
  for (const command of commands) {
    for (const words of namesOf(command)) {
      if (words.every((word, at) => args[at] === word)) {
        return { command, rest: args.slice(words.length) };
      }
    }
  }
  return undefined;
}

/** Every way to write a command, as words. */
function namesOf({ words, aliases = [] }: Command): readonly (readonly string[])[] {
  const own = words.split(' ');
  return [own, ...aliases.map((alias) => [...own.slice(0, -1), alias])];
}

function unknownCommand(words: string, group: string | undefined): CommandFailure {
  const help = `Run 'swarmd ${group === undefined ? '' : `${group} `}--help' for more information`;
  const usage = group === undefined ? '' : `\n\nUsage:  swarmd ${group}`;
  return new CommandFailure(`swarmd: unknown command: swarmd ${words}${usage}\n\n${help}`);
}

function groupHelp(group: string, commands: readonly Command[]): string {
  const rows = commands
    .filter(({ words }) => words.startsWith(`${group} `))
    .map(({ words, summary }) => [words.slice(group.length + 1), summary] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `Usage:  swarmd ${group} COMMAND\n\n${groups[group] ?? ''}\n\nCommands:\n${listOf(rows)}\nRun 'swarmd ${group} COMMAND --help' for more information on a command.\n`;
}

const isTool = ([name]: readonly [string, string]): boolean => tools.has(name);

function topHelp(commands: readonly Command[]): string {
  const single = commands
    .filter(({ words }) => !words.includes(' '))
    .map(({ words, summary }) => [words, summary] as const);
  return `Usage:  swarmd [OPTIONS] COMMAND

A cluster orchestrator for Docker Engines

Start a node:
${listOf(single.filter((row) => !isTool(row)))}
Manage the swarm:
${listOf(Object.entries(groups))}
Other commands:
${listOf(single.filter(isTool))}${flagsHelp(globalFlags)}
Run 'swarmd COMMAND --help' for more information on a command.
`;
}
