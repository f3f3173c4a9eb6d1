import type { Command, Flag } from './command.ts';

/** `Usage:  swarmd service ls [OPTIONS]` */
export const usageLine = ({ words, usage }: Command): string =>
  `Usage:  swarmd ${words}${usage === '' ? '' : ` ${usage}`}`;

/** `swarmd service ls --help` */
export function helpOf(command: Command): string {
  const last = command.words.lastIndexOf(' ');
  const names = [
    command.words,
    ...(command.aliases ?? []).map((alias) => command.words.slice(0, last + 1) + alias),
  ];
  const aliases =
    names.length > 1 ? `\nAliases:\n  ${names.map((name) => `swarmd ${name}`).join(', ')}\n` : '';
  const example = `\nExample:\n${command.example.replaceAll(/^/gmu, '  ')}\n`;
  return `${usageLine(command)}\n\n${command.summary}\n${aliases}${flagsHelp(command.flags)}${example}`;
}

/** The flags of a command, one a line. */
export function flagsHelp(flags: Readonly<Record<string, Flag>>): string {
  const names = Object.keys(flags).toSorted();
  if (names.length === 0) return '';
  const rows = names.map((name) => {
    const { alias, kind, describe, shown } = flags[name] as Flag;
    const short = alias === undefined ? '    ' : `-${alias}, `;
    const fallback = shown === undefined ? '' : ` (default ${shown})`;
    return [
      `  ${short}--${name}${kind === 'text' ? ' value' : ''}`,
      `${describe}${fallback}`,
    ] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 3;
  return `\nOptions:\n${rows.map(([left, right]) => `${left.padEnd(width)}${right}\n`).join('')}`;
}

/** Names and what they are about, a line each, in two columns. */
export function listOf(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(10, ...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, text]) => `  ${name.padEnd(width)}${text}\n`).join('');
}
