import { randomBytes } from 'node:crypto';
import { link, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Level } from 'level';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import type { RaftId } from '../../../src/raft/core/types.ts';
import { diagnose } from '../../../src/raft/storage/diagnosis.ts';
import { LevelLog } from '../../../src/raft/storage/level-log.ts';
import { readDatabase } from '../../../src/raft/storage/leveldb/database-files.ts';
import {
  type LogStore,
  newHardState,
  type StoredLog,
} from '../../../src/raft/storage/log-store.ts';
import { Records } from '../../../src/raft/storage/records.ts';
import { recoverLog } from '../../../src/raft/storage/recovery.ts';
import { Sentinel } from '../../../src/raft/storage/sentinel/sentinel.ts';
import { logKeys } from '../../support/log-keys.ts';
import { LogImage } from '../../support/log-image.ts';
import { aLogIdentity } from '../../support/memory-log-store.ts';
import { anEntry } from '../../support/raft-network.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const keys = logKeys('k1');
const identity = aLogIdentity();
const confState = { voters: [identity.raftId], learners: [] };

let directory: TemporaryDirectory;
let count = 0;
let path: string;
let log: LevelLog | undefined;

beforeAll(async () => {
  directory = await TemporaryDirectory.inMemory();
});
afterAll(async () => directory[Symbol.asyncDispose]());
beforeEach(() => {
  path = join(directory.path, `log-${(count += 1)}`);
});
afterEach(async () => {
  await log?.close();
  log = undefined;
});

async function create(): Promise<LevelLog> {
  log = await LevelLog.create(path, identity, keys);
  await log.load();
  return log;
}

async function reopen(): Promise<LevelLog> {
  await log?.close();
  log = undefined;
  log = await LevelLog.open(path, keys);
  await log.load();
  return log;
}

/** A batch with one entry of so many bytes, which nothing compresses. */
async function save(store: LogStore, index: number, bytes = 20): Promise<void> {
  const hardState = { currentTerm: 1, votedFor: '1' as RaftId, commitIndex: index - 1 };
  const entries = [{ ...anEntry(1, index), data: randomBytes(bytes) }];
  await store.save({ hardState, entries, snapshot: undefined });
}

/** What the next process makes of an image. */
async function found(image: LogImage, theirs = keys): Promise<StoredLog> {
  await log?.close();
  log = undefined;
  await image.putTo(path);
  const next = await LevelLog.open(path, theirs);
  const stored = await next.load();
  await next.close();
  return stored;
}

/** Whether the next process finds what it should. (A difference would be long.) */
const finds = async (image: LogImage, truth: StoredLog): Promise<boolean> =>
  isDeepStrictEqual(await found(image), truth);

async function refusal(image: LogImage): Promise<string> {
  await image.putTo(path);
  const opening = LevelLog.open(path, keys);
  await expect(opening).rejects.toMatchObject({ code: 'data-loss' });
  const left = await LogImage.of(path);
  expect(left.sentinel.equals(image.sentinel)).toBe(true);
  expect(left.journal).toEqual(image.journal);
  return opening.then(String, String);
}

/** As a process leaves it that dies while the last batch is written to the journal. */
const withTornJournal = (image: LogImage, bytes = 1): LogImage =>
  image.withJournal((journal) => journal.subarray(0, -bytes));

/** A file of which some bytes are those it had, and the rest is new. */
function mixed(before: Buffer, after: Buffer, isNew: (place: number) => boolean): Buffer {
  const bytes = Buffer.from(before);
  for (let place = 0; place < after.length; place += 1) {
    if (isNew(place)) after.copy(bytes, place, place, place + 1);
  }
  return bytes;
}

const journals = async (): Promise<string[]> =>
  (await readdir(join(path, 'db'))).filter((name) => name.endsWith('.log'));

/** Where two files of a length differ: from, and below. */
function difference(before: Buffer, after: Buffer): readonly [number, number] {
  const places = [...after.keys()].filter((place) => before[place] !== after[place]);
  return [places[0] ?? 0, (places.at(-1) ?? 0) + 1];
}

/** The images before and after one save, or whatever is done last. */
async function around(
  work: () => Promise<void>,
): Promise<{ readonly before: LogImage; readonly after: LogImage }> {
  const before = await LogImage.of(path);
  await work();
  return { before, after: await LogImage.of(path) };
}

describe('a process that dies between the two writes of a batch', () => {
  /** What may be the last batch of a log of three entries. */
  const batches: Record<string, (store: LevelLog) => Promise<void>> = {
    'an entry': async (store) => save(store, 4),
    'a term and a vote': async (store) =>
      store.save({
        hardState: { currentTerm: 9, votedFor: '7' as RaftId, commitIndex: 3 },
        entries: [],
        snapshot: undefined,
      }),
    'other entries in place of the last': async (store) => save(store, 2),
    'a snapshot with compaction': async (store) =>
      store.saveSnapshot({ index: 3, term: 1, confState, pieces: [randomBytes(600_000)] }, 2),
    'a leader’s snapshot': async (store) =>
      store.save({
        hardState: { ...newHardState, currentTerm: 5, commitIndex: 10 },
        entries: [anEntry(5, 11)],
        snapshot: { index: 10, term: 5, confState, data: randomBytes(600_000) },
      }),
  };

  test.each(Object.entries(batches))('leaves all of %s, whichever is there', async (_, batch) => {
    const store = await create();
    for (const index of [1, 2, 3]) await save(store, index);
    const { before, after } = await around(async () => batch(store));
    const [old, truth] = [await found(before), await found(after)];
    expect(isDeepStrictEqual(truth, old)).toBe(false);
    const { sentinel, witness } = before;
    expect(await finds(after.with({ sentinel, witness }), truth)).toBe(true);
    expect(await finds(withTornJournal(after).with({ witness }), truth)).toBe(true);
    expect(await finds(withTornJournal(after).with({ sentinel, witness }), old)).toBe(true);
  });

  test('leaves it in the database too, before anything is served', async () => {
    const store = await create();
    for (const index of [1, 2, 3]) await save(store, index);
    const image = withTornJournal(await LogImage.of(path));
    await store.close();
    log = undefined;
    await image.putTo(path);
    log = await LevelLog.open(path, keys);
    expect(log.isRedone).toBe(true);
    const { values, problems } = await readDatabase(join(path, 'db'));
    expect(problems).toEqual([]);
    expect(new Records(identity, keys).verifyTail(values.get('t')).value.seq).toBe(4);
    const stored = await log.load();
    expect(stored.entries).toHaveLength(3);
    expect(await log.entries(3, 4)).toEqual(stored.entries.slice(-1));

    await save(log, 4);
    await (await reopen()).close();
    log = await LevelLog.open(path, keys);
    expect(log.isRedone).toBe(false);
    expect((await log.load()).entries.slice(0, 3)).toEqual(stored.entries);
  });
});

describe('what is torn', () => {
  const most = 25;

  test('a slot, at any byte: the batch is there as far as the database has it', async () => {
    const store = await create();
    for (const index of [1, 2, 3]) await save(store, index);
    const { before, after } = await around(async () => save(store, 4, 600));
    const [old, truth] = [await found(before), await found(after)];
    const [from, below] = difference(before.sentinel, after.sentinel);
    expect(below - from).toBeGreaterThan(700);
    const step = Math.ceil((below - from) / most);
    const torn = [];
    for (let cut = from; cut < below; cut += step) {
      torn.push(mixed(before.sentinel, after.sentinel, (place) => place < cut));
      if (cut > from) torn.push(mixed(before.sentinel, after.sentinel, (place) => place >= cut));
    }
    for (const sentinel of torn) {
      const image = after.with({ sentinel, witness: before.witness });
      expect(await finds(image, truth)).toBe(true);
      expect(await finds(withTornJournal(image), old)).toBe(true);
    }
  }, 60_000);

  test('the journal, at any byte of its last batch: the sentinel has it', async () => {
    const store = await create();
    for (const index of [1, 2, 3]) await save(store, index);
    const { before, after } = await around(async () => save(store, 4, 600));
    const truth = await found(after);
    const length = after.journal.bytes.length - before.journal.bytes.length;
    for (let bytes = 1; bytes <= length; bytes += Math.ceil(length / most)) {
      expect(await finds(withTornJournal(after, bytes), truth)).toBe(true);
      const spoilt = after.withJournal((journal) => journal.fill(0, journal.length - bytes));
      expect(await finds(spoilt, truth)).toBe(true);
    }
    expect(await finds(after.with({ database: before.database }), truth)).toBe(true);
  }, 60_000);

  test('a batch that a switch of journals has come before: the sentinel has it', async () => {
    const store = await create();
    let index = 0;
    const [first] = await journals();
    while ((await journals()).includes(first ?? '')) await save(store, (index += 1), 60_000);
    const { before, after } = await around(async () => save(store, (index += 1)));
    const truth = await found(after);
    expect(truth.entries).toHaveLength(index);
    expect(await finds(withTornJournal(after), truth)).toBe(true);
    expect(await finds(after.with({ database: before.database }), truth)).toBe(true);
  }, 60_000);

  const histories: Record<string, () => Promise<LevelLog>> = {
    'in a new log': create,
    'after a batch': async () => {
      const store = await create();
      await save(store, 1);
      return store;
    },
    'after a boot': async () => {
      await save(await create(), 1);
      return reopen();
    },
    'after a boot that was the second without a batch': async () => {
      await save(await create(), 1);
      await reopen();
      return reopen();
    },
    'after a batch without room': async () => {
      const store = await create();
      await save(store, 1, 70_000);
      return store;
    },
    'after one without room and one with': async () => {
      const store = await create();
      await save(store, 1, 70_000);
      await save(store, 2);
      return store;
    },
    'after a boot that found a torn slot': async () => {
      const store = await create();
      await save(store, 1);
      const { before, after } = await around(async () => save(store, 2));
      const [from, below] = difference(before.sentinel, after.sentinel);
      await store.close();
      log = undefined;
      const sentinel = Buffer.from(after.sentinel).fill(0xff, from, below);
      await after.with({ sentinel, witness: before.witness }).putTo(path);
      return reopen();
    },
    'after a boot that took the last batch from it': async () => {
      const store = await create();
      await save(store, 1);
      await save(store, 2);
      const image = withTornJournal(await LogImage.of(path));
      await store.close();
      log = undefined;
      await image.putTo(path);
      return reopen();
    },
    'after a recovery': async () => {
      const store = await create();
      for (const index of [1, 2, 3]) await save(store, index);
      await store.close();
      log = undefined;
      await rm(join(path, 'db', 'CURRENT'));
      const diagnosis = await diagnose(path, keys);
      await recoverLog(path, keys, { diagnosis, now: 0 });
      return reopen();
    },
  };
  test.each(Object.entries(histories))('a slot %s: the one before is whole', async (_, history) => {
    const store = await history();
    const last = (await LogImage.of(path)).sentinel;
    const next = (await Sentinel.read(join(path, 'sentinel'), identity)).newest?.seq ?? 0;
    for (const [batch, bytes] of [20, 20, 70_000, 20].entries()) {
      const { before, after } = await around(async () => {
        const { lastIndex = 0 } =
          (await Sentinel.read(join(path, 'sentinel'), identity)).newest ?? {};
        await save(store, lastIndex + 1, bytes);
      });
      const [from, below] = difference(before.sentinel, after.sentinel);
      const torn = `${path}.torn`;
      await writeFile(torn, Buffer.from(after.sentinel).fill(0xff, from, below));
      const { newest, isWhole } = await Sentinel.read(torn, identity);
      expect(isWhole).toBe(false);
      expect(newest?.seq).toBe(next + batch);
    }
    expect((await readFile(join(path, 'sentinel'))).length).toBe(last.length);
  });
});

type Methods = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** Holds up calls of a method, until they are let go, and for no longer than a test lasts. */
function hold(owner: Methods, method: string, isHeld: (args: unknown[]) => boolean): () => void {
  const original = owner[method];
  const gate = new AbortController();
  const opened = new Promise((resolve) => {
    gate.signal.addEventListener('abort', resolve);
  });
  const spy = vi.spyOn(owner, method);
  spy.mockImplementation(async function late(this: unknown, ...args: unknown[]): Promise<unknown> {
    if (isHeld(args)) await opened;
    return original?.apply(this, args);
  });
  onTestFinished(() => {
    spy.mockRestore();
  });
  return () => {
    gate.abort();
  };
}

// It has methods of these types, among others.
const holdDatabase = (): (() => void) =>
  hold(Level.prototype as unknown as Methods, 'batch', () => true);

/** All that is written to slots of a sentinel; those of a witness lie elsewhere in their file. */
async function holdSentinel(): Promise<() => void> {
  const probe = await open(`${path}.probe`, 'w');
  const files = Object.getPrototypeOf(probe) as Methods;
  await probe.close();
  return hold(files, 'write', ([, , , place]) => Number(place) >= 4_096);
}

/** What a save has written while one of its writes is held up; then it is let go. */
async function heldUp(
  which: 'database' | 'sentinel',
  bytes: number,
): Promise<Record<'before' | 'meanwhile' | 'after', LogImage>> {
  const store = await create();
  await save(store, 1);
  const before = await LogImage.of(path);
  const release = which === 'database' ? holdDatabase() : await holdSentinel();
  let isTold = false;
  const saved = save(store, 2, bytes).finally(() => {
    isTold = true;
  });
  await delay(200);
  expect(isTold).toBe(false);
  const meanwhile = await LogImage.of(path);
  release();
  await saved;
  return { before, meanwhile, after: await LogImage.of(path) };
}

describe('both at once', () => {
  test('the sentinel does not wait for the database; nobody is told, and no witness', async () => {
    const { before, meanwhile, after } = await heldUp('database', 20);
    expect(meanwhile.journal).toEqual(before.journal);
    expect(meanwhile.sentinel.equals(after.sentinel)).toBe(true);
    expect(meanwhile.witness.equals(before.witness)).toBe(true);
    expect(after.witness.equals(before.witness)).toBe(false);
    expect(after.journal).not.toEqual(before.journal);
  });

  test('the database does not wait for the sentinel; nobody is told, and no witness', async () => {
    const { before, meanwhile, after } = await heldUp('sentinel', 20);
    expect(meanwhile.sentinel.equals(before.sentinel)).toBe(true);
    expect(meanwhile.journal).toEqual(after.journal);
    expect(meanwhile.witness.equals(before.witness)).toBe(true);
    expect(after.sentinel.equals(before.sentinel)).toBe(false);
  });

  test('a batch that has no room in the sentinel is in the database before it is known there', async () => {
    const { before, meanwhile, after } = await heldUp('database', 70_000);
    expect(meanwhile.sentinel.equals(before.sentinel)).toBe(true);
    expect(after.sentinel.equals(before.sentinel)).toBe(false);
  });

  test('what is told is in both', async () => {
    const store = await create();
    for (let index = 1; index <= 20; index += 1) {
      const bytes = index % 5 === 0 ? 70_000 : 20;
      await save(store, index, bytes);
      const { values } = await readDatabase(join(path, 'db'));
      const tail = new Records(identity, keys).verifyTail(values.get('t')).value;
      const { newest } = await Sentinel.read(join(path, 'sentinel'), identity);
      expect(tail).toMatchObject({ seq: index + 1, lastIndex: index });
      expect(newest).toMatchObject({ seq: index + 1, lastIndex: index });
      expect(newest?.batch === undefined).toBe(bytes > 65_536);
    }
  });
});

/** Of five entries in as many batches, and what it was before the last of them. */
async function written(bytes = 20): Promise<{ before: LogImage; after: LogImage }> {
  const store = await create();
  for (const index of [1, 2, 3, 4]) await save(store, index);
  const images = await around(async () => save(store, 5, bytes));
  await store.close();
  log = undefined;
  return images;
}

describe('refused is', () => {
  test('a database that lacks two batches, though the sentinel has the last', async () => {
    const { before, after } = await written();
    const image = after.with({ database: withTornJournal(before).database });
    expect(await refusal(image)).toContain('it ends at index 3');
  });

  test('a database that lacks a batch which had no room in the sentinel', async () => {
    const { after } = await written(70_000);
    expect(await refusal(withTornJournal(after))).toContain('it ends at index 4');
  });

  test('a flipped bit before the last batch, though the sentinel has that one', async () => {
    const { before, after } = await written();
    const flipped = after.withJournal((journal) => {
      const place = before.journal.bytes.length - 20;
      journal.writeUInt8(journal.readUInt8(place) ^ 1, place);
      return journal;
    });
    expect(await refusal(flipped)).toContain('it is damaged at');
  });

  test('a log behind its witness, though the sentinel is ahead of the database', async () => {
    const { before, after } = await written();
    const old = withTornJournal(before).with({ witness: after.witness });
    expect(await refusal(old)).toContain('it ends at index 4');
  });

  test('a batch that does not follow what the database holds', async () => {
    const { after } = await written();
    const other = `${path}.other`;
    const store = await LevelLog.create(other, identity, keys);
    await store.load();
    for (const index of [1, 2, 3, 4]) await save(store, index);
    await store.close();
    const { database } = await LogImage.of(other);
    expect(await refusal(after.with({ database }))).toContain('does not follow the one before it');
  });

  test('a log of which a slot, and the batch in the database, are gone', async () => {
    const { before, after } = await written();
    const [from] = difference(before.sentinel, after.sentinel);
    const sentinel = Buffer.from(after.sentinel);
    sentinel.writeUInt8(sentinel.readUInt8(from + 100) ^ 1, from + 100);
    expect(await refusal(withTornJournal(after).with({ sentinel }))).toContain(
      'but index 5 of term 1 (batch 6) was acknowledged',
    );
  });

  test('a sentinel that is whole in neither slot', async () => {
    const { after } = await written();
    const sentinel = Buffer.from(after.sentinel);
    for (const slot of [4_096, 4_096 + 65_536]) {
      sentinel.writeUInt8(sentinel.readUInt8(slot + 60) ^ 1, slot + 60);
    }
    expect(await refusal(after.with({ sentinel }))).toContain(
      'the sentinel is not what was written',
    );
  });
});

describe('the sentinel', () => {
  test('with a flipped bit in its newest slot is passed over: the database has that batch', async () => {
    const store = await create();
    for (const index of [1, 2, 3]) await save(store, index);
    const { before, after } = await around(async () => save(store, 4));
    const truth = await found(after);
    const [from, below] = difference(before.sentinel, after.sentinel);
    for (let place = from; place < below; place += 9) {
      const sentinel = Buffer.from(after.sentinel);
      sentinel.writeUInt8(sentinel.readUInt8(place) ^ 16, place);
      expect(await finds(after.with({ sentinel }), truth)).toBe(true);
    }
  }, 60_000);

  test('is not written over by a boot, which puts another in its place', async () => {
    const store = await create();
    await save(store, 1);
    const before = await readFile(join(path, 'sentinel'));
    await link(join(path, 'sentinel'), `${path}.link`);
    await reopen();
    expect((await readFile(`${path}.link`)).equals(before)).toBe(true);
    expect((await readFile(join(path, 'sentinel'))).equals(before)).toBe(false);
  });

  test('of a log of before, without batches, is taken and made anew', async () => {
    const store = await create();
    await save(store, 1);
    const { newest } = await Sentinel.read(join(path, 'sentinel'), identity);
    if (newest === undefined) throw new Error('it has one');
    await store.close();
    const old = await Sentinel.create(join(path, 'sentinel'), identity, newest, 'witness');
    await old[Symbol.asyncDispose]();
    log = undefined;
    expect((await readFile(join(path, 'sentinel'))).length).toBe(1_536);
    await save(await reopen(), 2);
    const image = await LogImage.of(path);
    expect(image.sentinel.length).toBe(4_096 + 2 * 65_536);
    expect((await found(withTornJournal(image))).entries).toHaveLength(2);
  });

  test('has a batch that is not lost where the log is damaged and recovered', async () => {
    const store = await create();
    for (const index of [1, 2, 3]) await save(store, index);
    const { after } = await around(async () => save(store, 4));
    const truth = await found(after);
    await withTornJournal(after).putTo(path);
    await rm(join(path, 'db', 'CURRENT'));
    const diagnosis = await diagnose(path, keys);
    expect(diagnosis.problems).not.toEqual([]);
    expect(diagnosis.verified?.entries).toEqual(truth.entries);
    const { kept } = await recoverLog(path, keys, { diagnosis, now: 0 });
    expect(kept.entries).toEqual(truth.entries);
    await reopen();
    expect(await log?.entries(1, 5)).toEqual(truth.entries);
  });

  test('holds what nobody reads without its key: the error names it', async () => {
    const store = await create();
    await save(store, 1);
    store.rekey(logKeys('k2', 'k1'));
    await save(store, 2);
    const image = withTornJournal(await LogImage.of(path));
    await expect(found(image)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: 'raft log is sealed with key "k2", which is not among this node\'s keys',
    });
    expect((await found(image, logKeys('k2', 'k1'))).entries).toHaveLength(2);
  });

  test('needs no key that is not in use', async () => {
    const store = await create();
    for (const index of [1, 2, 3]) await save(store, index);
    store.rekey(logKeys('k2', 'k1'));
    expect(await store.keysInUse()).toEqual(new Set(['k1']));
    await store.save({ hardState: newHardState, entries: [], snapshot: undefined });
    expect(await store.keysInUse()).toEqual(new Set(['k1', 'k2']));
    await store.saveSnapshot({ index: 3, term: 1, confState, pieces: [randomBytes(10)] }, 3);
    expect(await store.keysInUse()).toEqual(new Set(['k2']));
    const image = await LogImage.of(path);
    const truth = await found(image, logKeys('k2'));
    expect(await found(withTornJournal(image), logKeys('k2'))).toEqual(truth);
  });
});
