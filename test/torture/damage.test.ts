import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { plan, replay, seeded } from './plan.ts';
import { newDirectory, StoppedManager } from './stopped-manager.ts';

const minutes = 60_000;
let directory: string;
let manager: StoppedManager;

beforeAll(async () => {
  directory = newDirectory();
  manager = await StoppedManager.create(join(directory, 'state'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

beforeEach(() => {
  manager.restore();
});

/** What kind of file it is: the tables are one, and so on. */
const kindOf = (name: string): string =>
  /\.(?:ldb|log)$/u.exec(name)?.[0] ?? name.replace(/-\d+$/u, '');

function groupedByKind(): Map<string, string[]> {
  const kinds = new Map<string, string[]>();
  for (const name of manager.files.keys()) {
    if (manager.files.get(name)?.length === 0) continue;
    kinds.set(kindOf(name), [...(kinds.get(kindOf(name)) ?? []), name]);
  }
  return kinds;
}

/** What LevelDB writes for people to read cannot matter, and of two witnesses one is enough. */
const weightOf = (kind: string): number => (/LOG|LOCK|sentinel|witness/u.test(kind) ? 1 : 10);

/** Bytes that are looked at together. */
const blockBytes = 64;

/** Where the blocks of a file begin that hold something: a slot has room that is never used. */
function blocksOf(name: string): readonly number[] {
  const bytes = manager.files.get(name) ?? Buffer.alloc(0);
  const blocks: number[] = [];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    if (bytes.subarray(at, at + blockBytes).some((byte) => byte !== 0)) blocks.push(at);
  }
  return blocks;
}

/** A bit of a file, in a block that holds something. */
function bitOf(name: string, below: (number: number) => number): number {
  const blocks = blocksOf(name);
  const at = blocks[below(blocks.length)] ?? 0;
  const length = Math.min(blockBytes, (manager.files.get(name)?.length ?? 0) - at);
  return 8 * at + below(8 * length);
}

/** Flips a bit of a file. */
const flipped =
  (bit: number) =>
  (path: string, bytes: Buffer): void => {
    const spoilt = Buffer.from(bytes);
    spoilt.writeUInt8(spoilt.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    writeFileSync(path, spoilt);
  };

/** Which bit of which file: each kind of file gets its share, and each file of a kind. */
function* flips(count: number): Generator<{ name: string; bit: number }> {
  const below = seeded(plan.seed);
  const kinds = groupedByKind();
  const total = [...kinds.keys()].reduce((sum, kind) => sum + weightOf(kind), 0);
  for (const [kind, names] of kinds) {
    const share = Math.ceil((count * weightOf(kind)) / total);
    for (let flip = 0; flip < share; flip += 1) {
      const name = names[flip % names.length] ?? '';
      yield { name, bit: bitOf(name, below) };
    }
  }
}

/** Damages, asks for the verdict, and puts right what was damaged. */
async function tryOut(name: string, damage: (path: string, bytes: Buffer) => void, count: number) {
  const path = join(manager.stateDir, name);
  const bytes = manager.files.get(name) ?? Buffer.alloc(0);
  damage(path, bytes);
  const verdict = await manager.verdict({ looksCloser: count % 10 === 0 });
  if (verdict === 'same') manager.restore();
  else writeFileSync(path, bytes);
  return verdict;
}

/** How often each verdict was given for each kind of file. */
class Tally {
  readonly #counts = new Map<string, { same: number; refused: number }>();

  add(name: string, verdict: 'same' | 'refused'): void {
    const counts = this.#counts.get(kindOf(name)) ?? { same: 0, refused: 0 };
    counts[verdict] += 1;
    this.#counts.set(kindOf(name), counts);
  }

  of(kind: string): { same: number; refused: number } {
    return this.#counts.get(kind) ?? { same: 0, refused: 0 };
  }

  toString(): string {
    return [...this.#counts]
      .map(([kind, { same, refused }]) => `${kind}: ${refused} refused, ${same} without effect`)
      .join('; ');
  }
}

describe(`a stopped manager's files (${replay})`, () => {
  test('are of every kind', () => {
    const kinds = new Set([...manager.files.keys()].map(kindOf));
    for (const kind of ['.ldb', '.log', 'raft/db/MANIFEST', 'raft/db/CURRENT', 'raft/sentinel']) {
      expect(kinds).toContain(kind);
    }
    expect([...kinds]).toEqual(expect.arrayContaining(['raft/identity.json', 'raft.witness']));
  });

  test(
    'a flipped bit is refused, or has no effect',
    async () => {
      const tally = new Tally();
      let count = 0;
      for (const { name, bit } of flips(plan.flips)) {
        count += 1;
        try {
          tally.add(name, await tryOut(name, flipped(bit), count));
        } catch (error) {
          throw new Error(`bit ${bit} of ${name}; again with: ${replay}`, { cause: error });
        }
      }
      process.stdout.write(`${count} flipped bits: ${String(tally)}\n`);
      expect(tally.of('.ldb').same).toBeLessThan(tally.of('.ldb').refused / 10);
      expect(tally.of('.log').same).toBeLessThan(tally.of('.log').refused / 10);
    },
    20 * minutes,
  );

  test(
    'a file that is cut at any 64th byte is refused, or has no effect',
    async () => {
      const tally = new Tally();
      let count = 0;
      for (const name of manager.files.keys()) {
        for (const size of blocksOf(name)) {
          count += 1;
          const cut = (path: string): void => truncateSync(path, size);
          try {
            tally.add(name, await tryOut(name, cut, count));
          } catch (error) {
            throw new Error(`${name} cut to ${size} bytes`, { cause: error });
          }
        }
      }
      process.stdout.write(`${count} cuts: ${String(tally)}\n`);
      // But for the last batch, which the sentinel has.
      expect(tally.of('.log').same).toBeLessThan(tally.of('.log').refused / 10);
    },
    20 * minutes,
  );

  test(
    'a batch that the sentinel alone has is whole with all of it, or refused',
    async () => {
      const below = seeded(plan.seed);
      const name = 'raft/sentinel';
      const journal = [...manager.files.keys()].filter((file) => file.endsWith('.log')).toSorted();
      const size = (manager.files.get(journal.at(-1) ?? '')?.length ?? 0) - 1;
      const tally = new Tally();
      for (let count = 1; count <= plan.flips / 10; count += 1) {
        const bit = bitOf(name, below);
        truncateSync(join(manager.stateDir, journal.at(-1) ?? ''), size);
        try {
          tally.add(name, await tryOut(name, flipped(bit), count));
        } catch (error) {
          throw new Error(`bit ${bit} of ${name}; again with: ${replay}`, { cause: error });
        }
      }
      process.stdout.write(`of a batch in the sentinel alone: ${String(tally)}\n`);
      expect(tally.of(name).same).toBeGreaterThan(0);
      expect(tally.of(name).refused).toBeGreaterThan(0);
    },
    20 * minutes,
  );

  test('a file that is gone is refused, or has no effect', async () => {
    const tally = new Tally();
    for (const name of manager.files.keys()) {
      try {
        tally.add(name, await tryOut(name, (path) => rmSync(path), 0));
      } catch (error) {
        throw new Error(`without ${name}`, { cause: error });
      }
    }
    for (const kind of ['.ldb', '.log', 'raft/db/MANIFEST', 'raft/db/CURRENT']) {
      expect(tally.of(kind)).toMatchObject({ same: 0 });
    }
    expect(tally.of('raft/sentinel')).toEqual({ same: 0, refused: 1 });
    expect(tally.of('raft.witness')).toEqual({ same: 1, refused: 0 });
  });
});
