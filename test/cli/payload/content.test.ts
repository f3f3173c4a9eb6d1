import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { readStart } from '../../../src/cli/payload/content.ts';

const never = new AbortController().signal;

describe('what is read of an input', () => {
  test('is all of it, if it ends in time', async () => {
    const input = Readable.from([Buffer.from('ab'), Buffer.from('c')]);
    expect(String(await readStart(input, 100, never))).toBe('abc');
  });

  test('is no more than was asked for, however long it goes on, and then it is closed', async () => {
    const input = new PassThrough();
    input.write('abcdef');
    expect(String(await readStart(input, 4, never))).toBe('abcd');
    expect(input.destroyed).toBe(true);
  });

  test('is nothing, if the wait is given up', async () => {
    const input = new PassThrough();
    const controller = new AbortController();
    const reading = readStart(input, 4, controller.signal);
    input.write('a');
    controller.abort(new Error('SIGINT'));
    await expect(reading).rejects.toThrow('SIGINT');
    expect(input.destroyed).toBe(true);
  });
});
