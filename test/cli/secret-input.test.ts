import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { readSecret } from '../../src/cli/secret-input.ts';

/** What is read from `typed`, on a terminal or from a pipe that stays open. */
async function read(typed: string, { isTTY }: { readonly isTTY: boolean }) {
  const input = Object.assign(new PassThrough(), { isTTY, setRawMode: () => undefined });
  const output = new PassThrough().setEncoding('utf8');
  const controller = new AbortController();
  const interrupt = (): void => {
    controller.abort(new Error('SIGINT'));
  };
  const reading = readSecret({ input, output, interrupt }, 'Key: ', controller.signal);
  input.write(typed);
  const secret = await reading.catch(String);
  return { secret, shown: (output.read() ?? '') as string };
}

describe('a secret that is typed', () => {
  test('is asked for, and not shown, on a terminal', async () => {
    expect(await read('abd\u007fc\r', { isTTY: true })).toEqual({
      secret: 'abc',
      shown: 'Key: \n',
    });
  });

  test('is the first line of a pipe', async () => {
    expect(await read(' abc \nmore', { isTTY: false })).toEqual({ secret: 'abc', shown: '' });
  });

  test('is given up with Ctrl-C', async () => {
    const { secret } = await read('ab\u0003', { isTTY: true });
    expect(secret).toContain('SIGINT');
  });
});
