import { OutOfScope } from './arguments.ts';
import { confChangeCommands } from './confchange.ts';
import { TraceEnvironment } from './environment.ts';
import { interactionCommands } from './interaction.ts';
import { quorumCommands } from './quorum.ts';
import { type CommandTable, parseTrace, type TraceCase } from './trace-file.ts';

/** Where a core and a trace part. */
export interface Difference {
  readonly line: number;
  readonly command: string;
  readonly expected: string;
  readonly actual: string;
}

/** How far a core answers as a trace says. */
export interface TraceResult {
  readonly cases: number;
  readonly agreed: number;
  /** From the first case that this core has no means for, to the end; they are not compared. */
  readonly skipped: { readonly cases: number; readonly why: string } | undefined;
  readonly difference: Difference | undefined;
}

/** Does what a trace says, and compares, up to the first difference. */
export function replay(text: string): TraceResult {
  const all = parseTrace(text);
  const run = newRunner();
  for (const [agreed, one] of all.entries()) {
    const answer = attempt(run, one);
    if (answer instanceof OutOfScope) {
      const skipped = { cases: all.length - agreed, why: answer.message };
      return { cases: all.length, agreed, skipped, difference: undefined };
    }
    const expected = essenceOf(one.expected, one);
    const actual = essenceOf(answer, one);
    if (expected !== actual) {
      const difference = { line: one.line, command: one.text, expected, actual };
      return { cases: all.length, agreed, skipped: undefined, difference };
    }
  }
  return { cases: all.length, agreed: all.length, skipped: undefined, difference: undefined };
}

/** The trace with what this core answers in place of what was expected. */
export function record(text: string): string {
  const lines = text.split('\n');
  const run = newRunner();
  const answers = parseTrace(text).map((one) => ({ one, answer: run(one).trimEnd() || 'ok' }));
  for (const { one, answer } of answers.toReversed()) {
    const { from, below } = one.expectedLines;
    lines.splice(from, below - from, ...answer.split('\n'));
  }
  return lines.join('\n');
}

function newRunner(): (one: TraceCase) => string {
  const env = new TraceEnvironment();
  const commands: CommandTable = {
    ...interactionCommands(env),
    ...confChangeCommands(),
    ...quorumCommands,
  };
  return (one) => {
    const { name, options } = one.directive;
    const command = commands[name];
    if (command === undefined) throw new Error(`there is no command ${name}`);
    const output = command(one);
    return env.isQuiet || options.get('log-level')?.[0] === 'none' ? '' : output;
  };
}

function attempt(run: (one: TraceCase) => string, one: TraceCase): string | OutOfScope {
  try {
    return run(one);
  } catch (error) {
    if (error instanceof OutOfScope) return error;
    throw new Error(`line ${one.line}: ${one.text}`, { cause: error });
  }
}

/** What of an output every implementation must print: no log lines, no pictures. */
function essenceOf(output: string, { directive }: TraceCase): string {
  const lines = output
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !/^\s*(?:DEBUG|INFO|WARN|ERROR|FATAL) /u.test(line));
  if (directive.name === 'committed') {
    return lines.at(-1)?.replace('<empty majority quorum>', '') ?? '';
  }
  const essence = lines.join('\n');
  return essence === 'ok' ? '' : essence;
}
