import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Entry, HardState, RaftId, Snapshot } from '../../src/raft/core/types.ts';
import type { LogStore, StoredLog } from '../../src/raft/storage/log-store.ts';
import { aLog, anEntry } from '../support/raft-network.ts';

/** One implementation: how to make a store, and how the next process finds it. */
export interface LogStoreMaker {
  create(): Promise<LogStore>;
  /** Called with the store closed. */
  reopen(store: LogStore): Promise<LogStore>;
}

const hardStateOf = (currentTerm: number, commitIndex = 0): HardState => ({
  currentTerm,
  votedFor: '18446744073709551615' as RaftId,
  commitIndex,
});

const aSnapshot = (index: number, term: number, data = 'state'): Snapshot => ({
  index,
  term,
  confState: {
    voters: ['1' as RaftId, '9223372036854775807' as RaftId],
    learners: ['3' as RaftId],
  },
  data: Buffer.from(data),
});

const idsOf = (entries: readonly Entry[]): string[] =>
  entries.map(({ term, index, data }) => `${term}/${index}:${data.toString()}`);

function* brokenPieces(): Generator<Buffer> {
  yield Buffer.alloc(600_000);
  throw new Error('enough');
}

/** What every LogStore promises. */
export function testLogStore(name: string, maker: LogStoreMaker): void {
  describe(`${name} as a LogStore`, () => {
    let store: LogStore;
    beforeEach(async () => {
      store = await maker.create();
      await store.load();
    });
    afterEach(async () => store.close());

    const save = async (entries: readonly Entry[], hardState = hardStateOf(1)): Promise<void> =>
      store.save({ hardState, entries, snapshot: undefined });

    const saveSnapshot = async (
      { data, ...snapshot }: Snapshot,
      compactThrough: number,
    ): Promise<void> => store.saveSnapshot({ ...snapshot, pieces: [data] }, compactThrough);

    const afterRestart = async (): Promise<StoredLog> => {
      await store.close();
      store = await maker.reopen(store);
      return store.load();
    };

    test('a new one is empty, and stays so when it is opened again', async () => {
      expect(store.isEmpty).toBe(true);
      expect(await afterRestart()).toEqual({
        hardState: { currentTerm: 0, votedFor: undefined, commitIndex: 0 },
        snapshot: undefined,
        before: { index: 0, term: 0 },
        entries: [],
      });
      expect(store.isEmpty).toBe(true);
    });

    test('it knows whose it is', async () => {
      const { identity } = store;
      await afterRestart();
      expect(store.identity).toEqual(identity);
    });

    test('what was saved is there after a restart: entries, term and vote', async () => {
      await save(aLog(1, 1, 2), hardStateOf(3, 2));
      const stored = await afterRestart();
      expect(idsOf(stored.entries)).toEqual(['1/1:1/1', '1/2:1/2', '2/3:2/3']);
      expect(stored.hardState).toEqual(hardStateOf(3, 2));
      expect(store.isEmpty).toBe(false);
    });

    test('an entry keeps its type, and data of any length', async () => {
      const entries: Entry[] = [
        { index: 1, term: 1, type: 'EntryConfChange', data: Buffer.from([0, 255]) },
        { index: 2, term: 1, type: 'EntryNormal', data: Buffer.alloc(0) },
        { index: 3, term: 1, type: 'EntryNormal', data: Buffer.alloc(1_572_864, 7) },
      ];
      await save(entries);
      const stored = await afterRestart();
      expect(stored.entries.map(({ type, data }) => [type, data.length])).toEqual([
        ['EntryConfChange', 2],
        ['EntryNormal', 0],
        ['EntryNormal', 1_572_864],
      ]);
    });

    test('batches follow each other', async () => {
      await save(aLog(1, 1));
      await save([anEntry(1, 3)]);
      await save([]);
      await save([anEntry(2, 4)], hardStateOf(2));
      expect(idsOf((await afterRestart()).entries)).toHaveLength(4);
    });

    test('a conflicting suffix is replaced, shorter or longer', async () => {
      await save(aLog(1, 1, 1, 1, 1));
      await save([anEntry(2, 3)], hardStateOf(2));
      expect(idsOf((await afterRestart()).entries)).toEqual(['1/1:1/1', '1/2:1/2', '2/3:2/3']);
      await save([anEntry(3, 1, 'x'), anEntry(3, 2), anEntry(3, 3), anEntry(3, 4)], hardStateOf(3));
      expect(idsOf((await afterRestart()).entries)[0]).toBe('3/1:x');
      expect(await store.term(4)).toBe(3);
    });

    test('entries are read back, from and to where one wants', async () => {
      await save(aLog(1, 1, 2, 2));
      expect(idsOf(await store.entries(2, 4))).toEqual(['1/2:1/2', '2/3:2/3']);
      expect(await store.entries(3, 3)).toEqual([]);
      expect([await store.term(2), await store.term(3)]).toEqual([1, 2]);
    });

    test('what the log does not have is not made up', async () => {
      await save(aLog(1, 1));
      await expect(store.entries(1, 4)).rejects.toMatchObject({ code: 'out-of-range' });
      await expect(store.term(3)).rejects.toMatchObject({ code: 'out-of-range' });
      await save([anEntry(1, 3)]);
    });

    test('a snapshot of our own leaves the entries after the point of compaction', async () => {
      await save(aLog(1, 1, 2, 2));
      await saveSnapshot(aSnapshot(3, 2), 2);
      await expect(store.entries(2, 3)).rejects.toMatchObject({ code: 'out-of-range' });
      expect(await store.term(2)).toBe(1);
      await save([anEntry(2, 5)]);
      const stored = await afterRestart();
      expect(stored.snapshot).toEqual(aSnapshot(3, 2));
      expect(stored.before).toEqual({ index: 2, term: 1 });
      expect(idsOf(stored.entries)).toEqual(['2/3:2/3', '2/4:2/4', '2/5:2/5']);
    });

    test('a snapshot may leave all entries, or none', async () => {
      await save(aLog(1, 1));
      await saveSnapshot(aSnapshot(1, 1), 0);
      expect((await afterRestart()).entries).toHaveLength(2);
      await saveSnapshot(aSnapshot(2, 1), 2);
      const stored = await afterRestart();
      expect(stored.entries).toEqual([]);
      expect(stored.before).toEqual({ index: 2, term: 1 });
    });

    test('the newer of two snapshots is the one, be it large or empty', async () => {
      await save(aLog(1, 1, 1));
      await saveSnapshot(aSnapshot(1, 1, 'x'.repeat(3_000_000)), 1);
      expect((await afterRestart()).snapshot?.data).toHaveLength(3_000_000);
      await saveSnapshot(aSnapshot(2, 1, ''), 1);
      expect((await afterRestart()).snapshot).toEqual(aSnapshot(2, 1, ''));
    });

    test('a snapshot that is taken anew takes the place of the one of its index', async () => {
      await save(aLog(1, 1, 1));
      await saveSnapshot(aSnapshot(2, 1), 0);
      await saveSnapshot(aSnapshot(2, 1, 'anew'), 2);
      await save([anEntry(1, 4)]);
      const stored = await afterRestart();
      expect(stored.snapshot).toEqual(aSnapshot(2, 1, 'anew'));
      expect(idsOf(stored.entries)).toEqual(['1/3:1/3', '1/4:1/4']);
      await saveSnapshot(aSnapshot(2, 1, 'once more'), 2); // Nothing is left to be forgotten.
      expect((await afterRestart()).snapshot).toEqual(aSnapshot(2, 1, 'once more'));
    });

    test('batches are saved while a snapshot of our own is written', async () => {
      await save(aLog(1, 1, 1));
      async function* pieces(): AsyncGenerator<Buffer> {
        yield Buffer.from('sta');
        await save([anEntry(1, 4)]);
        yield Buffer.from('te');
      }
      await store.saveSnapshot({ ...aSnapshot(3, 1), pieces: pieces() }, 2);
      const stored = await afterRestart();
      expect(stored.snapshot).toEqual(aSnapshot(3, 1));
      expect(idsOf(stored.entries)).toEqual(['1/3:1/3', '1/4:1/4']);
    });

    test('a snapshot of our own is forgotten if a leader’s comes meanwhile', async () => {
      await save(aLog(1, 1, 1));
      const snapshot = aSnapshot(9, 2, 'the leader’s');
      async function* pieces(): AsyncGenerator<Buffer> {
        yield Buffer.from('sta');
        await store.save({ hardState: hardStateOf(2, 9), entries: [anEntry(2, 10)], snapshot });
        yield Buffer.from('te');
      }
      await store.saveSnapshot({ ...aSnapshot(3, 1), pieces: pieces() }, 2);
      await save([anEntry(2, 11)], hardStateOf(2));
      const stored = await afterRestart();
      expect(stored.snapshot).toEqual(snapshot);
      expect(stored.before).toEqual({ index: 9, term: 2 });
      expect(idsOf(stored.entries)).toEqual(['2/10:2/10', '2/11:2/11']);
    });

    test('a snapshot of which the pieces end early changes nothing', async () => {
      await save(aLog(1, 1, 1));
      await saveSnapshot(aSnapshot(1, 1), 0);
      const broken = store.saveSnapshot({ ...aSnapshot(3, 1), pieces: brokenPieces() }, 2);
      await expect(broken).rejects.toThrow('enough');
      await save([anEntry(1, 4)]);
      const stored = await afterRestart();
      expect(stored.snapshot).toEqual(aSnapshot(1, 1));
      expect(stored.entries).toHaveLength(4);
      await saveSnapshot(aSnapshot(2, 1), 1);
      expect((await afterRestart()).snapshot).toEqual(aSnapshot(2, 1));
    });

    test('a leader’s snapshot replaces the log, and entries may follow it in one batch', async () => {
      await save(aLog(1, 1, 1));
      const snapshot = aSnapshot(10, 4);
      await store.save({ hardState: hardStateOf(5, 10), entries: [anEntry(5, 11)], snapshot });
      const stored = await afterRestart();
      expect(stored.snapshot).toEqual(snapshot);
      expect(stored.before).toEqual({ index: 10, term: 4 });
      expect(idsOf(stored.entries)).toEqual(['5/11:5/11']);
    });

    test('a leader’s snapshot may lie within the old log', async () => {
      await save(aLog(1, 1, 1, 1));
      const snapshot = aSnapshot(2, 2);
      await store.save({ hardState: hardStateOf(2, 2), entries: [anEntry(2, 3)], snapshot });
      expect(idsOf((await afterRestart()).entries)).toEqual(['2/3:2/3']);
    });
  });
}
