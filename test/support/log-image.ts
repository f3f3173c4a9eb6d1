import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface Parts {
  readonly identity: Buffer;
  readonly database: ReadonlyMap<string, Buffer>;
  readonly sentinel: Buffer;
  readonly witness: Buffer;
}

/** What the disk holds of a log at some moment: the files of its directory, and its witness. */
export class LogImage {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Of a log that may be open: what is written is there, as after a SIGKILL. */
  static async of(directory: string): Promise<LogImage> {
    const database = new Map<string, Buffer>();
    for (const name of await readdir(join(directory, 'db'))) {
      if (name !== 'LOCK') database.set(name, await readFile(join(directory, 'db', name)));
    }
    const identity = await readFile(join(directory, 'identity.json'));
    const sentinel = await readFile(join(directory, 'sentinel'));
    const witness = await readFile(`${directory}.witness`);
    return new LogImage({ identity, database, sentinel, witness });
  }

  get database(): ReadonlyMap<string, Buffer> {
    return this.#parts.database;
  }

  get sentinel(): Buffer {
    return this.#parts.sentinel;
  }

  get witness(): Buffer {
    return this.#parts.witness;
  }

  with(parts: Partial<Parts>): LogImage {
    return new LogImage({ ...this.#parts, ...parts });
  }

  /** The last journal, which is changed. */
  withJournal(change: (journal: Buffer) => Buffer): LogImage {
    const { name, bytes } = this.journal;
    return this.with({ database: new Map(this.database).set(name, change(Buffer.from(bytes))) });
  }

  get journal(): { readonly name: string; readonly bytes: Buffer } {
    const name = [...this.database.keys()]
      .filter((file) => file.endsWith('.log'))
      .toSorted()
      .at(-1);
    const bytes = this.database.get(name ?? '');
    if (name === undefined || bytes === undefined) throw new Error('a database has a journal');
    return { name, bytes };
  }

  /** Puts it on the disk in place of what is there. */
  async putTo(directory: string): Promise<void> {
    await rm(directory, { recursive: true, force: true });
    await mkdir(join(directory, 'db'), { recursive: true });
    const { identity, database, sentinel, witness } = this.#parts;
    for (const [name, bytes] of database) await writeFile(join(directory, 'db', name), bytes);
    await writeFile(join(directory, 'identity.json'), identity);
    await writeFile(join(directory, 'sentinel'), sentinel);
    await writeFile(`${directory}.witness`, witness);
  }
}
