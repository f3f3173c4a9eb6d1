import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { Level } from 'level';
import { describe, expect, test } from 'vitest';
import { readJournal } from '../../../src/raft/storage/leveldb/journal.ts';
import {
  decodeBatch,
  encodeBatch,
  type Operation,
} from '../../../src/raft/storage/leveldb/write-batch.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const someBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const someKey = fc.uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => Buffer.from(bytes));
const someOperations: fc.Arbitrary<Operation[]> = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant('put' as const), key: someKey, value: someBytes }),
    fc.record({ type: fc.constant('del' as const), key: someKey }),
  ),
  { minLength: 1, maxLength: 20 },
);

describe('a batch', () => {
  test('is read as it was written, if it has room', () => {
    fc.assert(
      fc.property(someOperations, (operations) => {
        const bytes = encodeBatch(operations, Infinity) ?? Buffer.alloc(0);
        expect(decodeBatch(bytes)).toEqual({ sequence: 0, operations });
        expect(encodeBatch(operations, bytes.length)).toEqual(bytes);
        expect(encodeBatch(operations, bytes.length - 1)).toBeUndefined();
      }),
    );
  });

  test('has the form that LevelDB gives it', async () => {
    await using directory = await TemporaryDirectory.create();
    const options = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;
    const database = new Level<Buffer, Buffer>(directory.path, options);
    const [operations] = fc.sample(someOperations, { numRuns: 1, seed: 7 });
    const long = { type: 'put', key: Buffer.from('k'), value: Buffer.alloc(20_000, 'x') } as const;
    await database.batch([...(operations ?? []), long]);
    await database.close();
    const [name = ''] = (await readdir(directory.path)).filter((file) => file.endsWith('.log'));
    const [item] = readJournal(await readFile(join(directory.path, name)));
    if (item?.kind !== 'record') throw new Error('it is there');
    const written = encodeBatch([...(operations ?? []), long], Infinity);
    expect(item.data.subarray(8)).toEqual(written?.subarray(8));
  });
});
