import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { crc32c } from '../../../src/raft/storage/leveldb/crc32c.ts';
import { LevelLog } from '../../../src/raft/storage/level-log.ts';
import type { LogKeys } from '../../../src/raft/storage/log-keys.ts';
import { type LogIdentity, newHardState } from '../../../src/raft/storage/log-store.ts';
import { keyOf } from '../../../src/raft/storage/records.ts';
import { logKeys } from '../../support/log-keys.ts';
import { aLogIdentity } from '../../support/memory-log-store.ts';
import { anEntry } from '../../support/raft-network.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

let directory: TemporaryDirectory;
let count = 0;
let path: string;

beforeAll(async () => {
  directory = await TemporaryDirectory.create();
});
afterAll(async () => directory[Symbol.asyncDispose]());
beforeEach(() => {
  path = join(directory.path, `log-${(count += 1)}`);
});

const one = logKeys('one');
const confState = { voters: [], learners: [] };

/** A closed log of five entries of term 1, of which the first two are compacted. */
async function write(
  where: string,
  keys: LogKeys | undefined,
  identity: LogIdentity = aLogIdentity(),
): Promise<void> {
  const log = await LevelLog.create(where, identity, keys);
  await log.load();
  const entries = [1, 2, 3, 4, 5].map((index) => anEntry(1, index, `the secret ${index}`));
  await log.save({ hardState: { ...newHardState, currentTerm: 1 }, entries, snapshot: undefined });
  const pieces = [Buffer.from('the secret state')];
  await log.saveSnapshot({ index: 2, term: 1, confState, pieces }, 2);
  await log.close();
}

/** What somebody does who can write to the disk, and has no key. */
async function forge(
  where: string,
  change: (database: Level<Buffer, Buffer>) => Promise<void>,
): Promise<void> {
  const options = { keyEncoding: 'buffer', valueEncoding: 'buffer', compression: false } as const;
  const database = new Level<Buffer, Buffer>(join(where, 'db'), options);
  await change(database);
  await database.close();
}

/** A record with the checksum that it would have at this place: that is no secret. */
function withChecksum(record: Buffer, key: Buffer, owner: LogIdentity = aLogIdentity()): Buffer {
  const { clusterId, raftId, nodeId } = owner;
  const seed = crc32c(Buffer.from(JSON.stringify([clusterId, raftId, nodeId])));
  const forged = Buffer.from(record);
  forged.writeUInt32BE(crc32c(forged.subarray(4), crc32c(key, seed)));
  return forged;
}

describe('a sealed log', () => {
  test('nothing that was proposed can be read in any of its files', async () => {
    await write(path, one);
    const log = await LevelLog.open(path, one); // It turns its journal into a table.
    await log.load();
    await log.save({
      hardState: newHardState,
      entries: [anEntry(1, 6, 'the secret 6')],
      snapshot: undefined,
    });
    await log.close();
    const names = (await readdir(path, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const files = await Promise.all(
      [...names, `${path}.witness`].map(async (name) => readFile(name)),
    );
    expect(names.some((name) => name.endsWith('.ldb'))).toBe(true);
    expect(files.filter((bytes) => bytes.includes('secret'))).toEqual([]);
    await write(`${path}.plain`, undefined);
    const plain = (await readdir(join(`${path}.plain`, 'db'))).find((name) =>
      name.endsWith('.log'),
    );
    expect(await readFile(join(`${path}.plain`, 'db', plain ?? ''), 'latin1')).toContain('secret');
  });

  test('without its key it is not damaged: the error names the key', async () => {
    await write(path, one);
    for (const keys of [logKeys('two', 'three'), undefined]) {
      await expect(LevelLog.open(path, keys)).rejects.toMatchObject({
        code: 'failed-precondition',
        message: 'raft log is sealed with key "one", which is not among this node\'s keys',
      });
    }
    await (await LevelLog.open(path, one)).close();
  });

  test('another secret under the key’s name opens nothing', async () => {
    await write(path, one);
    const other = { current: { id: 'one', secret: Buffer.alloc(32, 'x') }, older: [] };
    await expect(LevelLog.open(path, other)).rejects.toMatchObject({ code: 'data-loss' });
  });

  test('a key is in use until a snapshot and what was compacted with it have passed it', async () => {
    await write(path, one);
    let log = await LevelLog.open(path, one);
    await log.load();
    log.rekey(logKeys('two', 'one'));
    await log.save({ hardState: newHardState, entries: [anEntry(1, 6)], snapshot: undefined });
    expect(await log.keysInUse()).toEqual(new Set(['one', 'two']));
    await log.close();

    log = await LevelLog.open(path, logKeys('two', 'one'));
    await log.load();
    expect(await log.keysInUse()).toEqual(new Set(['one', 'two']));
    await log.saveSnapshot({ index: 6, term: 1, confState, pieces: [Buffer.from('x')] }, 4);
    expect(await log.keysInUse()).toEqual(new Set(['one', 'two']));
    await log.saveSnapshot({ index: 6, term: 1, confState, pieces: [Buffer.from('x')] }, 5);
    expect(await log.keysInUse()).toEqual(new Set(['two']));
    await log.save({ hardState: newHardState, entries: [anEntry(1, 7)], snapshot: undefined });
    await log.close();

    log = await LevelLog.open(path, logKeys('two'));
    expect((await log.load()).entries.map(({ index }) => index)).toEqual([6, 7]);
    await log.close();
  });

  test('a leader’s snapshot with nothing after it is sealed anew by one of the same index', async () => {
    await write(path, one);
    const log = await LevelLog.open(path, one);
    await log.load();
    const data = Buffer.from('the leader’s');
    const snapshot = { index: 9, term: 1, confState, data };
    await log.save({ hardState: newHardState, entries: [], snapshot });
    log.rekey(logKeys('two', 'one'));
    await log.saveSnapshot({ index: 9, term: 1, confState, pieces: [data] }, 9);
    expect(await log.keysInUse()).toEqual(new Set(['two']));
    await log.close();
    const again = await LevelLog.open(path, logKeys('two'));
    expect((await again.load()).snapshot?.data).toEqual(data);
    await again.close();
  });

  describe('refuses, with a right checksum,', () => {
    const forgeries: Record<string, (database: Level<Buffer, Buffer>) => Promise<void>> = {
      'an entry of another index': async (database) => {
        const record = await database.get(keyOf.entry(5));
        await database.put(keyOf.entry(4), withChecksum(record, keyOf.entry(4)));
      },
      'an entry of another term': async (database) => {
        const record = Buffer.from(await database.get(keyOf.entry(5)));
        const termAt = 4 + 1 + 'one'.length + 2 + 4;
        expect(record.readBigUInt64BE(termAt)).toBe(1n);
        record.writeBigUInt64BE(2n, termAt);
        await database.put(keyOf.entry(5), withChecksum(record, keyOf.entry(5)));
      },
      'an entry of another type': async (database) => {
        const record = Buffer.from(await database.get(keyOf.entry(5)));
        record.writeUInt8(1, 4 + 1 + 'one'.length + 2 + 12);
        await database.put(keyOf.entry(5), withChecksum(record, keyOf.entry(5)));
      },
      'an entry of another cluster, sealed with the same key': async (database) => {
        const other = { ...aLogIdentity(), clusterId: 'other' };
        await write(`${path}.other`, one, other);
        await forge(`${path}.other`, async (foreign) => {
          const record = await foreign.get(keyOf.entry(5));
          await database.put(keyOf.entry(5), withChecksum(record, keyOf.entry(5)));
        });
      },
      'an entry that is not sealed': async (database) => {
        await write(`${path}.other`, undefined);
        await forge(`${path}.other`, async (foreign) => {
          await database.put(keyOf.entry(5), await foreign.get(keyOf.entry(5)));
        });
      },
      'a tail with another vote': async (database) => {
        const record = Buffer.from(await database.get(keyOf.tail));
        record.writeUInt8(7, 4 + 1 + 'one'.length + 2 + 63);
        await database.put(keyOf.tail, withChecksum(record, keyOf.tail));
      },
      'a snapshot of another index': async (database) => {
        const record = Buffer.from(await database.get(keyOf.pointer));
        record.writeUInt8(3, 4 + 1 + 'one'.length + 2 + 7);
        await database.put(keyOf.pointer, withChecksum(record, keyOf.pointer));
      },
      'a chunk that was altered': async (database) => {
        const record = Buffer.from(await database.get(keyOf.chunk(1, 0)));
        record.writeUInt8(record.readUInt8(record.length - 1) ^ 1, record.length - 1);
        await database.put(keyOf.chunk(1, 0), withChecksum(record, keyOf.chunk(1, 0)));
      },
    };
    test.each(Object.entries(forgeries))('%s', async (_, change) => {
      await write(path, one);
      await forge(path, change);
      await expect(LevelLog.open(path, one)).rejects.toMatchObject({
        code: 'data-loss',
        message: expect.stringMatching(/was forged|is not sealed/u) as unknown,
      });
    });
  });
});
