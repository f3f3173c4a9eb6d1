import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { orAborted } from '../runtime/index.ts';

/**
 * Reads one line. On a terminal it asks for it, and what is typed is not shown; else it is the first
 * line of the input, without the space around it.
 *
 * @throws the signal's reason, if it aborts first; Ctrl-C at the prompt calls `interrupt`
 */
export async function readSecret(
  {
    input,
    output,
    interrupt,
  }: {
    readonly input: Readable & { readonly isTTY?: boolean };
    readonly output: NodeJS.WritableStream;
    readonly interrupt: () => void;
  },
  prompt: string,
  signal: AbortSignal,
): Promise<string> {
  const isTerminal = input.isTTY === true;
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: unseen, terminal: isTerminal });
  if (isTerminal) output.write(prompt);
  lines.once('SIGINT', interrupt); // A terminal in raw mode sends no signal.
  try {
    const line = await orAborted(
      new Promise<string>((resolve) => {
        lines.once('line', resolve);
        lines.once('close', () => resolve(''));
      }),
      signal,
    );
    return isTerminal ? line : line.trim();
  } finally {
    lines.close();
    input.destroy();
    if (isTerminal) output.write('\n');
  }
}
