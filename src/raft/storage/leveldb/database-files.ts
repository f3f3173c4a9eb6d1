import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../../runtime/index.ts';
import { readJournal } from './journal.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { readTable, type Write } from './table.ts';
import { decodeBatch } from './write-batch.ts';

/** What the files of a database hold. */
export interface DatabaseContents {
  /** The valid value of each key, by the key's bytes as latin1; parts of the files read. */
  readonly values: ReadonlyMap<string, Buffer>;
  /** What is not as LevelDB wrote it. Empty, if LevelDB will find exactly `values`. */
  readonly problems: readonly string[];
  /** Where the last journal ends before its file does. */
  readonly torn: string | undefined;
}

/**
 * Reads a LevelDB without LevelDB, which repairs as it opens: of a journal with a flipped bit it
 * keeps what it likes and deletes the file. Nothing is written here, every checksum is verified, and
 * what cannot be read is left out and told.
 *
 * The end of the last journal may be torn: that is what a process leaves that died while it wrote.
 * LevelDB leaves it out too. Whether something that was acknowledged was in it, the caller knows.
 */
export async function readDatabase(directory: string): Promise<DatabaseContents> {
  const reading = new Reading();
  const names = await readdir(directory).catch((error: unknown) => {
    reading.problems.push(`the database cannot be read: ${messageOf(error)}`);
    return [];
  });
  const manifest = await reading.attempt('the database', async () => manifestOf(directory));
  const { tables, journals } = filesOf(names, manifest);
  for (const { number, name, size } of tables) {
    await reading.attempt(`table ${name ?? number}`, async () => {
      if (name === undefined) throw new RangeError('it is missing');
      const file = await readFile(join(directory, name));
      if (file.length < size) throw new RangeError('it is cut short');
      const table = size === 0 ? file : file.subarray(0, size);
      const bad = (problem: string): void => reading.problemOf(`table ${name}`, problem);
      for (const write of readTable(table, bad)) reading.add(write);
    });
  }
  const isTooNew = manifest !== undefined && reading.lastSequence > manifest.lastSequence;
  for (const name of journals) {
    await reading.attempt(`journal ${name}`, async () => {
      reading.addJournal(name, await readFile(join(directory, name)));
    });
  }
  // LevelDB would not show it.
  if (isTooNew) reading.problems.push('a table is newer than the MANIFEST');
  return reading.contents();
}

async function manifestOf(directory: string): Promise<Manifest> {
  const current = await readFile(join(directory, 'CURRENT'), 'latin1');
  const name = /^(?<name>MANIFEST-\d+)\n$/u.exec(current)?.groups?.['name'];
  if (name === undefined) throw new RangeError('its CURRENT is not what was written');
  try {
    return readManifest(await readFile(join(directory, name)));
  } catch (error) {
    throw new RangeError(`${name}: ${messageOf(error)}`, { cause: error });
  }
}

interface TableFile {
  readonly number: number;
  /** `undefined`, if there is no such file. */
  readonly name: string | undefined;
  /** 0 if it is not known. */
  readonly size: number;
}

/** Without a MANIFEST, all there are: what is not valid any more is among them. */
function filesOf(
  names: readonly string[],
  manifest: Manifest | undefined,
): { readonly tables: readonly TableFile[]; readonly journals: readonly string[] } {
  const numbered = (pattern: RegExp): Map<number, string> =>
    new Map(
      names
        .filter((name) => pattern.test(name))
        .map((name): [number, string] => [Number.parseInt(name, 10), name])
        .toSorted(([a], [b]) => a - b),
    );
  const [tables, journals] = [numbered(/^\d+\.(?:ldb|sst)$/u), numbered(/^\d+\.log$/u)];
  const known = manifest?.tables ?? new Map([...tables.keys()].map((number) => [number, 0]));
  const isLive = (number: number): boolean =>
    manifest === undefined ||
    number >= manifest.firstJournal ||
    number === manifest.previousJournal;
  return {
    tables: [...known].map(([number, size]) => ({ number, name: tables.get(number), size })),
    journals: [...journals].filter(([number]) => isLive(number)).map(([, name]) => name),
  };
}

/** What was read so far. */
class Reading {
  readonly problems: string[] = [];
  lastSequence = 0;
  readonly #writes = new Map<string, Write>();
  /** Where a journal could not be read: torn, unless something follows. */
  #torn: string | undefined;

  /** Notes as a problem that something cannot be read. */
  async attempt<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      this.problemOf(what, messageOf(error));
      return undefined;
    }
  }

  problemOf(what: string, problem: string): void {
    this.problems.push(`${what}: ${problem}`);
  }

  add(write: Write): void {
    this.lastSequence = Math.max(this.lastSequence, write.sequence);
    const key = write.key.toString('latin1');
    if ((this.#writes.get(key)?.sequence ?? -1) < write.sequence) this.#writes.set(key, write);
  }

  addJournal(name: string, file: Buffer): void {
    for (const item of readJournal(file)) {
      if (item.kind === 'bad') {
        this.#torn ??= `journal ${name}: it is damaged at ${item.offset}`;
        continue;
      }
      if (this.#torn !== undefined) this.problems.push(this.#torn);
      this.#torn = undefined;
      const { sequence, operations } = decodeBatch(item.data);
      operations.forEach((operation, position) => {
        const value = operation.type === 'put' ? operation.value : undefined;
        this.add({ key: operation.key, sequence: sequence + position, value });
      });
    }
  }

  contents(): DatabaseContents {
    const values = new Map<string, Buffer>();
    for (const [key, { value }] of this.#writes) {
      if (value !== undefined) values.set(key, value);
    }
    return { values, problems: this.problems, torn: this.#torn };
  }
}
