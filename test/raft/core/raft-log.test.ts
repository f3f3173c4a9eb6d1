import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RaftLog } from '../../../src/raft/core/raft-log.ts';
import { MemoryLog } from '../../../src/raft/core/stable-log.ts';
import { entriesBytes } from '../../../src/raft/core/types.ts';
import { aLog, anEntry } from '../../support/raft-network.ts';

const noLimit = Number.MAX_SAFE_INTEGER;

/** A log with the first `stable` entries on disk. */
function aRaftLog(terms: readonly number[], stable = terms.length): RaftLog {
  const disk = new MemoryLog();
  disk.append(aLog(...terms).slice(0, stable));
  const log = new RaftLog(disk, noLimit);
  log.append(aLog(...terms).slice(stable));
  return log;
}

const termsOf = (log: RaftLog): (number | undefined)[] =>
  Array.from({ length: log.lastIndex }, (_, position) => log.term(position + 1));

describe('RaftLog', () => {
  test('§5.3: entries are refused if the one before them is not there', () => {
    const log = aRaftLog([1, 1, 2]);
    expect(log.tryAppend({ index: 3, term: 3 }, [anEntry(3, 4)], 0)).toBeUndefined();
    expect(log.tryAppend({ index: 4, term: 2 }, [anEntry(3, 5)], 0)).toBeUndefined();
    expect(termsOf(log)).toEqual([1, 1, 2]);
  });

  test('§5.3: a conflicting entry goes, with all that follow it', () => {
    for (const stable of [0, 1, 2, 3, 4]) {
      const log = aRaftLog([1, 1, 2, 2], stable);
      const entries = [anEntry(1, 2), anEntry(3, 3)];
      expect(log.tryAppend({ index: 1, term: 1 }, entries, 0)).toBe(3);
      expect(termsOf(log)).toEqual([1, 1, 3]);
    }
  });

  test('§5.3: entries that are there already change nothing: an old message does not truncate', () => {
    const log = aRaftLog([1, 1, 2, 2]);
    expect(log.tryAppend({ index: 0, term: 0 }, [anEntry(1, 1)], 0)).toBe(1);
    expect(termsOf(log)).toEqual([1, 1, 2, 2]);
  });

  test('Figure 2: the commit index follows the leader’s, but not beyond the new entries', () => {
    const log = aRaftLog([1, 1, 2, 2]);
    log.tryAppend({ index: 1, term: 1 }, [anEntry(1, 2)], 4);
    expect(log.commitIndex).toBe(2);
  });

  test('a committed entry never changes', () => {
    const log = aRaftLog([1, 1]);
    log.commitTo(2);
    expect(() => log.tryAppend({ index: 1, term: 1 }, [anEntry(2, 2)], 0)).toThrow(
      'a committed entry never changes',
    );
  });

  test('§5.4.1: the later last term is the newer log; with the same term, the longer one', () => {
    const log = aRaftLog([1, 2, 2]);
    expect(log.isUpToDate({ index: 1, term: 3 })).toBe(true);
    expect(log.isUpToDate({ index: 3, term: 2 })).toBe(true);
    expect(log.isUpToDate({ index: 2, term: 2 })).toBe(false);
    expect(log.isUpToDate({ index: 9, term: 1 })).toBe(false);
  });

  test('§5.3: the search for a common entry steps over whole terms', () => {
    const log = aRaftLog([1, 1, 1, 4, 4, 4]);
    expect(log.findConflictByTerm(6, 3)).toEqual({ index: 3, term: 1 });
    expect(log.findConflictByTerm(6, 4)).toEqual({ index: 6, term: 4 });
    expect(log.findConflictByTerm(2, 0)).toEqual({ index: 0, term: 0 });
  });

  test('a slice is as long as its limit allows, and never empty, across the stable edge', () => {
    fc.assert(
      fc.property(fc.nat(8), fc.integer({ min: 1, max: 8 }), fc.nat(100), (stable, from, limit) => {
        const log = aRaftLog([1, 1, 1, 1, 1, 1, 1, 1], stable);
        const all = aLog(1, 1, 1, 1, 1, 1, 1, 1).slice(from - 1);
        const slice = log.slice(from, 9, limit) ?? [];
        expect(slice).toEqual(all.slice(0, Math.max(slice.length, 1)));
        const isWithin = slice.length === 1 || entriesBytes(slice) <= limit;
        const isFull =
          slice.length === all.length || entriesBytes(all.slice(0, slice.length + 1)) > limit;
        expect([isWithin, isFull]).toEqual([true, true]);
      }),
    );
  });

  test('entries that were replaced while they were being saved are saved again', () => {
    const log = aRaftLog([1, 1], 0);
    log.acceptUnstable();
    log.tryAppend({ index: 1, term: 1 }, [anEntry(2, 2)], 0);
    expect(log.nextUnstable.map(({ term, index }) => [term, index])).toEqual([[2, 2]]);
    log.stableTo({ index: 2, term: 1 });
    expect(log.hasUnstable).toBe(true);
  });

  test('what is applied is handed out once, and in pages', () => {
    const disk = new MemoryLog();
    disk.append(aLog(1, 1, 1));
    const log = new RaftLog(disk, 1);
    log.commitTo(3);
    const seen: number[] = [];
    while (log.hasNextCommitted) {
      const page = log.nextCommitted;
      log.acceptApplying(page);
      expect(log.hasNextCommitted).toBe(false);
      seen.push(...page.map(({ index }) => index));
      log.appliedTo(page.at(-1)?.index ?? 0, entriesBytes(page));
    }
    expect(seen).toEqual([1, 2, 3]);
  });
});

describe('MemoryLog', () => {
  test('compaction forgets entries, and keeps the term of the last it forgot', () => {
    const disk = new MemoryLog();
    disk.append(aLog(1, 1, 2, 2));
    disk.compact(3);
    expect([disk.firstIndex(), disk.lastIndex()]).toEqual([4, 4]);
    expect([disk.term(2), disk.term(3), disk.term(4), disk.term(5)]).toEqual([
      undefined,
      2,
      2,
      undefined,
    ]);
    expect(disk.entries(3, 5, noLimit)).toBeUndefined();
  });
});
