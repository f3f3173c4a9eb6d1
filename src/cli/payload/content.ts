import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { messageOf, orAborted } from '../../runtime/index.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import type { PayloadKind } from './kind.ts';

/**
 * The beginning of an input, which is closed afterwards: somebody may hold on to a pipe, or write
 * into it for ever.
 *
 * @throws the signal's reason, if it aborts first
 */
export async function readStart(
  input: Readable,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    signal.throwIfAborted();
    return await orAborted(start(input, bytesMax), signal);
  } finally {
    input.destroy();
  }
}

async function start(input: Readable, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= bytesMax) break;
  }
  return Buffer.concat(chunks).subarray(0, bytesMax);
}

/**
 * The data of a payload that is to be: what a file holds, or for `-` what comes on standard input.
 *
 * @throws CommandFailure in docker's words, if there is none; 130 after Ctrl-C
 */
export async function contentOf(
  { name, bytesMax }: PayloadKind,
  file: string,
  shell: Shell,
): Promise<Buffer> {
  if (file === '') throw new CommandFailure(`${name} file is required`);
  const source = file === '-' ? 'STDIN' : file;
  const data = await read(file, bytesMax, shell).catch((error: unknown) => {
    if (shell.signal.aborted) throw new CommandFailure('', 130);
    throw new CommandFailure(`error reading from ${source}: ${reasonOf(error, file)}`);
  });
  if (data.length === 0) throw new CommandFailure(`error reading from ${source}: data is empty`);
  return data;
}

const read = async (file: string, bytesMax: number, shell: Shell): Promise<Buffer> =>
  file === '-' ? shell.input(bytesMax) : readStart(createReadStream(file), bytesMax, shell.signal);

/** Reasons for which Go has other words than Node.js. */
const reasons: Readonly<Record<string, string>> = {
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
};

/** Why the system would not have something read: `open /nosuch: no such file or directory`. */
function reasonOf(error: unknown, file: string): string {
  const { code = '', syscall } = error as NodeJS.ErrnoException; // Or has neither.
  const message = messageOf(error);
  if (syscall === undefined) return message;
  const told = /^[A-Z\d]+: (?<reason>.*?), \w+/u.exec(message)?.groups?.['reason'];
  return `${syscall} ${file}: ${reasons[code] ?? told ?? message}`;
}
