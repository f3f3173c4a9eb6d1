import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LogChunk } from '../../../src/worker/execution.ts';
import { messagesOf } from '../../../src/worker/docker/logs.ts';

const frame = (type: number, text: string): Buffer => {
  const data = Buffer.from(text);
  const header = Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
};

/** The bytes in pieces of some size, as a network may deliver them. */
async function* inPieces(bytes: Buffer, size: number): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

async function read(bytes: Buffer, isTerminal = false, size = 1_000): Promise<LogChunk[]> {
  const messages: LogChunk[] = [];
  for await (const message of messagesOf(inPieces(bytes, size), isTerminal)) messages.push(message);
  return messages;
}

const written = '2026-11-22T10:00:01.000000042Z';

describe('messagesOf', () => {
  test('a message has its stream, its time to the nanosecond and its attributes', async () => {
    const [message] = await read(frame(2, `${written} a=1,b%20c=x%2Cy oh no\n`));
    expect(message).toEqual({
      stream: 'STDERR',
      timestamp: { seconds: String(Date.UTC(2026, 10, 22, 10, 0, 1) / 1_000), nanos: 42 },
      attributes: { a: '1', 'b c': 'x,y' },
      data: Buffer.from('oh no\n'),
    });
  });

  test('without attributes what was written is left as it is, spaces and all', async () => {
    const [message] = await read(frame(1, `${written}   indented`));
    expect(message).toMatchObject({ attributes: {}, data: Buffer.from(' indented') });
  });

  test('however the bytes arrive, the messages are the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string({ unit: 'binary' })), { maxLength: 6 }),
        fc.integer({ min: 1, max: 40 }),
        async (messages, size) => {
          const bytes = Buffer.concat(
            messages.map(([type, text]) => frame(type, `${written}  ${text}`)),
          );
          const found = await read(bytes, false, size);
          expect(found.map(({ stream, data }) => [stream, data.toString()])).toEqual(
            messages.map(([type, text]) => [
              type === 2 ? 'STDERR' : 'STDOUT',
              Buffer.from(text).toString(),
            ]),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  test('of a terminal each line is a message', async () => {
    const bytes = Buffer.from(`${written}  one\r\n${written}  two\r\n${written}  rest`);
    const found = await read(bytes, true, 7);
    expect(found.map(({ data }) => data.toString())).toEqual(['one\r\n', 'two\r\n', 'rest']);
  });

  test('what has no prefix is passed on whole', async () => {
    const [message] = await read(frame(1, 'bare'));
    expect(message).toMatchObject({ timestamp: { seconds: '0' }, data: Buffer.from('bare') });
  });
});
