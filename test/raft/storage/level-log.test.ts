import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { Level } from 'level';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LevelLog } from '../../../src/raft/storage/level-log.ts';
import { newHardState } from '../../../src/raft/storage/log-store.ts';
import { crc32c } from '../../../src/raft/storage/leveldb/crc32c.ts';
import { keyOf } from '../../../src/raft/storage/records.ts';
import { testLogStore } from '../../compliance/log-store.ts';
import { logKeys } from '../../support/log-keys.ts';
import { aLogIdentity } from '../../support/memory-log-store.ts';
import { aLog, anEntry } from '../../support/raft-network.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const keys = logKeys('k1');

let directory: TemporaryDirectory;
let count = 0;
const newPath = (): string => join(directory.path, `log-${(count += 1)}`);

beforeAll(async () => {
  directory = await TemporaryDirectory.create();
});
afterAll(async () => directory[Symbol.asyncDispose]());

let latest: string;
testLogStore('LevelLog', {
  create: async () => LevelLog.create((latest = newPath()), aLogIdentity(), undefined),
  reopen: async () => LevelLog.open(latest, undefined),
});
testLogStore('LevelLog, sealed', {
  create: async () => LevelLog.create((latest = newPath()), aLogIdentity(), keys),
  reopen: async () => LevelLog.open(latest, keys),
});

const bitByBit = (bytes: Uint8Array): number => {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
};

describe('crc32c', () => {
  test('gives the value of RFC 3720, in one go or in parts', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.from('6789'), crc32c(Buffer.from('12345')))).toBe(0xe3069283);
  });

  test('is the remainder of bytes of any number, taken bit by bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
        expect(crc32c(bytes)).toBe(bitByBit(bytes));
        expect(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut)))).toBe(bitByBit(bytes));
      }),
    );
  });
});

/** Every file of a log, but for LevelDB's diary and its lock. */
async function contents(path: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const below = dirname(path);
  for (const entry of await readdir(below, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!file.startsWith(path) || !entry.isFile() || /^LO(?:G|G\.old|CK)$/u.test(entry.name))
      continue;
    files[file] = (await readFile(file)).toString('hex');
  }
  return files;
}

describe('LevelLog', () => {
  let path: string;
  let store: LevelLog | undefined;
  beforeEach(() => {
    path = newPath();
  });
  afterEach(async () => {
    await store?.close();
    store = undefined;
  });

  /** A closed log with entries of these terms, one batch each. */
  async function write(...terms: readonly number[]): Promise<void> {
    const log = await LevelLog.create(path, aLogIdentity(), keys);
    await log.load();
    for (const entry of aLog(...terms)) {
      const hardState = { ...newHardState, currentTerm: entry.term };
      await log.save({ hardState, entries: [entry], snapshot: undefined });
    }
    await log.close();
  }

  const open = async (): Promise<LevelLog> => (store = await LevelLog.open(path, keys));

  /** Changes the database behind the log's back. */
  async function tamper(
    change: (database: Level<Buffer, Buffer>) => Promise<void>,
    where = path,
  ): Promise<void> {
    const options = {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      compression: false,
    } as const;
    const database = new Level<Buffer, Buffer>(join(where, 'db'), options);
    await change(database);
    await database.close();
  }

  test('a log is made once', async () => {
    await write();
    await expect(LevelLog.create(path, aLogIdentity(), keys)).rejects.toMatchObject({
      code: 'already-exists',
    });
  });

  test('half of a log, left by a process that died while making it, is in nobody’s way', async () => {
    await write(1);
    await cp(path, `${path}.new`, { recursive: true });
    await LevelLog.remove(path);
    await write(1, 1);
    expect((await (await open()).load()).entries).toHaveLength(2);
  });

  test('two processes do not open one log', async () => {
    await write(1);
    await open();
    await expect(LevelLog.open(path, keys)).rejects.toMatchObject({ code: 'failed-precondition' });
  });

  test('after a failed write nothing works any more', async () => {
    await write(1);
    const log = await open();
    await log.load();
    const hole = { hardState: newHardState, entries: [anEntry(1, 5)], snapshot: undefined };
    await expect(log.save(hole)).rejects.toMatchObject({ code: 'internal' });
    const good = { hardState: newHardState, entries: [anEntry(1, 2)], snapshot: undefined };
    await expect(log.save(good)).rejects.toMatchObject({ code: 'internal' });
    await expect(log.entries(1, 2)).rejects.toMatchObject({ code: 'internal' });
  });

  test('a batch that was written but not acknowledged is kept', async () => {
    await write(1);
    const sentinel = await readFile(join(path, 'sentinel'));
    const log = await open();
    await log.load();
    await log.save({ hardState: newHardState, entries: [anEntry(1, 2)], snapshot: undefined });
    await log.close();
    await writeFile(join(path, 'sentinel'), sentinel);
    expect((await (await open()).load()).entries).toHaveLength(2);
  });

  test('so is one more, of the next process that died before it told the sentinel', async () => {
    await write(1);
    for (const index of [2, 3, 4]) {
      const log = await open();
      await log.load();
      const sentinel = await readFile(join(path, 'sentinel'));
      await log.save({
        hardState: newHardState,
        entries: [anEntry(1, index)],
        snapshot: undefined,
      });
      await log.close();
      await writeFile(join(path, 'sentinel'), sentinel);
    }
    expect((await (await open()).load()).entries).toHaveLength(4);
  });

  describe('refuses to open, and repairs nothing,', () => {
    const damages: Record<string, () => Promise<void>> = {
      'a log whose last two batches are gone': async () => {
        await cp(path, `${path}.old`, { recursive: true });
        const log = await LevelLog.open(path, keys);
        await log.load();
        for (const index of [4, 5]) {
          const entries = [anEntry(1, index)];
          await log.save({ hardState: newHardState, entries, snapshot: undefined });
        }
        await log.close();
        await rm(join(path, 'db'), { recursive: true });
        await cp(join(`${path}.old`, 'db'), join(path, 'db'), { recursive: true });
      },
      'a log whose journal has a flipped bit': async () => {
        const files = await readdir(join(path, 'db'));
        const journal = join(path, 'db', files.find((name) => name.endsWith('.log')) ?? '');
        const bytes = await readFile(journal);
        const middle = Math.floor(bytes.length / 2);
        bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
        await writeFile(journal, bytes);
      },
      'a log of which only the witness is left': async () => {
        await rm(path, { recursive: true });
      },
      'a log without its database': async () => {
        await rm(join(path, 'db'), { recursive: true });
      },
      'a database without its CURRENT': async () => {
        await rm(join(path, 'db', 'CURRENT'));
      },
      'a sentinel that is older than the database': async () => {
        const sentinel = await readFile(join(path, 'sentinel'));
        const log = await LevelLog.open(path, keys);
        await log.load();
        for (const index of [4, 5]) {
          const entries = [anEntry(1, index)];
          await log.save({ hardState: newHardState, entries, snapshot: undefined });
        }
        await log.close();
        await writeFile(join(path, 'sentinel'), sentinel);
      },
      'a log that is older than its witness': async () => {
        await cp(path, `${path}.old`, { recursive: true });
        const log = await LevelLog.open(path, keys);
        await log.load();
        await log.save({ hardState: newHardState, entries: [anEntry(1, 4)], snapshot: undefined });
        await log.close();
        await rm(path, { recursive: true });
        await cp(`${path}.old`, path, { recursive: true });
      },
      'a log without its sentinel': async () => {
        await rm(join(path, 'sentinel'));
      },
      'a sentinel with two bad slots': async () => {
        await writeFile(join(path, 'sentinel'), Buffer.alloc(1024, 1));
      },
      'a log without its identity': async () => {
        await rm(join(path, 'identity.json'));
      },
      'a log under another identity': async () => {
        const other = `${path}.other`;
        await (await LevelLog.create(other, aLogIdentity('2'), keys)).close();
        await cp(join(other, 'identity.json'), join(path, 'identity.json'));
      },
      'an identity that was edited': async () => {
        const file = join(path, 'identity.json');
        await writeFile(file, (await readFile(file, 'utf8')).replace('node-1', 'node-2'));
      },
      'an entry with a flipped bit': async () =>
        tamper(async (database) => {
          const record = Buffer.from(await database.get(keyOf.entry(2)));
          record.writeUInt8(record.readUInt8(18) ^ 1, 18);
          await database.put(keyOf.entry(2), record);
        }),
      'a log with a hole': async () => tamper(async (database) => database.del(keyOf.entry(2))),
      'a log that lost its last entry': async () =>
        tamper(async (database) => database.del(keyOf.entry(3))),
      'an entry in another’s place': async () =>
        tamper(async (database) =>
          database.put(keyOf.entry(2), await database.get(keyOf.entry(3))),
        ),
      'an entry of the same member’s other log': async () => {
        const other = `${path}.other`;
        const log = await LevelLog.create(other, aLogIdentity(), keys);
        await log.load();
        const entries = [anEntry(1, 1, 'x'), anEntry(1, 2, 'y')];
        await log.save({ hardState: newHardState, entries, snapshot: undefined });
        await log.close();
        let foreign: Buffer = Buffer.alloc(0);
        await tamper(async (database) => {
          foreign = await database.get(keyOf.entry(2));
        }, other);
        await tamper(async (database) => database.put(keyOf.entry(2), foreign));
      },
      'a tail, with its term and vote, that went back': async () =>
        tamper(async (database) => {
          const other = `${path}.other`;
          await (await LevelLog.create(other, aLogIdentity(), keys)).close();
          await tamper(async (young) => {
            await database.put(keyOf.tail, await young.get(keyOf.tail));
          }, other);
        }),
      'a log without a tail': async () => tamper(async (database) => database.del(keyOf.tail)),
    };

    test.each(Object.entries(damages))('%s', async (_, damage) => {
      await write(1, 1, 1);
      await damage();
      const before = await contents(path);
      await expect(LevelLog.open(path, keys)).rejects.toMatchObject({
        name: 'SwarmError',
        code: 'data-loss',
      });
      expect(await contents(path)).toEqual(before);
      await expect(LevelLog.open(path, keys)).rejects.toMatchObject({ code: 'data-loss' });
    });

    test('a compacted log without its snapshot, or with a piece of it missing', async () => {
      await write(1, 1, 1);
      const log = await open();
      await log.load();
      const confState = { voters: [], learners: [] };
      const data = Buffer.alloc(2_000_000, 'x');
      await log.saveSnapshot({ index: 2, term: 1, confState, pieces: [data] }, 2);
      await log.close();
      await cp(path, `${path}.copy`, { recursive: true });
      await tamper(async (database) => database.del(keyOf.pointer));
      await expect(LevelLog.open(path, keys)).rejects.toThrow('the snapshot is missing');
      await tamper(async (database) => database.del(keyOf.chunk(1, 1)), `${path}.copy`);
      await expect(LevelLog.open(`${path}.copy`, keys)).rejects.toMatchObject({
        code: 'data-loss',
      });
    });
  });
});
