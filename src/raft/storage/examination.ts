import { readFile } from 'node:fs/promises';
import { isSwarmError, messageOf, type SwarmError } from '../../runtime/index.ts';
import type { Entry, Snapshot } from '../core/types.ts';
import { crc32c } from './leveldb/crc32c.ts';
import { decodeIdentity, isSameIdentity } from './identity.ts';
import { type DatabaseContents, readDatabase } from './leveldb/database-files.ts';
import { decodeBatch, type Operation } from './leveldb/write-batch.ts';
import type { LogKeys } from './log-keys.ts';
import type { LogIdentity } from './log-store.ts';
import { logFiles } from './log-files.ts';
import { loss } from './loss.ts';
import { keyOf, Records, type SnapshotPointer, type StoredEntry, type Tail } from './records.ts';
import { Sentinel, type SentinelContents } from './sentinel/sentinel.ts';
import type { SentinelState, Slot } from './sentinel/slot.ts';

/** All that could be verified of a log's files. */
export interface Examination {
  /** What is wrong; empty if the log holds everything it acknowledged, unaltered. */
  readonly problems: readonly string[];
  /** What is sealed with a key that was not given. */
  readonly missingKey: SwarmError | undefined;
  readonly identity: LogIdentity | undefined;
  /** The last batch that was acknowledged, as the sentinel and the witness say. */
  readonly acknowledged: SentinelState | undefined;
  /**
   * The last batch, if the sentinel holds it and the database does not. In all that is said here it
   * is there; it is to be written into the database before anything is served.
   */
  readonly redo: readonly Operation[];
  readonly tail: Tail | undefined;
  readonly tailKeyId: string;
  readonly snapshot: ExaminedSnapshot | undefined;
  /** By index; each is what was written once, and perhaps replaced later. */
  readonly entries: ReadonlyMap<number, ExaminedEntry>;
  /** Every chunk of a snapshot, with the name of its key. By its key as latin1. */
  readonly chunkKeyIds: ReadonlyMap<string, string>;
}

export interface ExaminedEntry extends Entry {
  readonly crc: number;
  readonly previousCrc: number;
  readonly keyId: string;
}

export interface ExaminedSnapshot {
  readonly snapshot: Snapshot;
  readonly id: number;
  readonly keyId: string;
}

/**
 * Reads and verifies every file of a log, and changes none.
 *
 * @param outsideWitness a witness that lies elsewhere, if there is one
 */
export async function examine(
  directory: string,
  keys: LogKeys | undefined,
  outsideWitness?: string,
): Promise<Examination> {
  const examiner = new Examiner(directory, keys);
  return examiner.examine(outsideWitness);
}

class Examiner {
  readonly #files: ReturnType<typeof logFiles>;
  readonly #keys: LogKeys | undefined;
  readonly #problems: string[] = [];
  #missingKey: SwarmError | undefined;

  constructor(directory: string, keys: LogKeys | undefined) {
    this.#files = logFiles(directory);
    this.#keys = keys;
  }

  async examine(outsideWitness: string | undefined): Promise<Examination> {
    const own = await this.#identity();
    const sentinel = await this.#sentinel(own);
    const witness = await Sentinel.read(this.#files.witness, own).catch(() => undefined);
    const identity = own ?? sentinel?.identity ?? witness?.identity;
    const isForeign = this.#isForeign(identity, witness);
    const known = isForeign ? undefined : witness?.newest;
    const outside = await this.#outside(outsideWitness, identity);
    const acknowledged = [sentinel?.newest, known, outside]
      .filter((state) => state !== undefined)
      .toSorted((a, b) => b.seq - a.seq)[0];
    const database = await readDatabase(this.#files.database);
    this.#problems.push(...database.problems);
    const redo = this.#redo(identity, sentinel?.newest, database);
    const records = this.#records(identity, applied(redo, database.values));
    this.#compare(records.tail, { acknowledged, sentinel, database });
    return {
      identity,
      acknowledged,
      redo,
      ...records,
      problems: this.#problems,
      missingKey: this.#missingKey,
    };
  }

  async #identity(): Promise<LogIdentity | undefined> {
    return this.#attemptAsync(async () => {
      const bytes = await readFile(this.#files.identity).catch((error: unknown) => {
        throw loss(`its identity cannot be read: ${messageOf(error)}`);
      });
      return decodeIdentity(bytes);
    });
  }

  async #sentinel(owner: LogIdentity | undefined): Promise<SentinelContents | undefined> {
    return this.#attemptAsync(async () => {
      const contents = await Sentinel.read(this.#files.sentinel, owner).catch((error: unknown) => {
        throw loss(`the sentinel cannot be read: ${messageOf(error)}`);
      });
      if (contents.newest === undefined) throw loss('the sentinel is not what was written');
      const isForeign = owner !== undefined && contents.identity !== undefined;
      if (isForeign && !isSameIdentity(owner, contents.identity)) {
        throw loss('the sentinel is of another log');
      }
      return contents;
    });
  }

  /** What a witness elsewhere says. It may be of a log that was here before: that tells nothing. */
  async #outside(
    path: string | undefined,
    identity: LogIdentity | undefined,
  ): Promise<SentinelState | undefined> {
    if (path === undefined || identity === undefined) return undefined;
    const contents = await Sentinel.read(path, undefined).catch(() => undefined);
    const isOurs = contents?.identity !== undefined && isSameIdentity(contents.identity, identity);
    return isOurs ? contents.newest : undefined;
  }

  #isForeign(identity: LogIdentity | undefined, witness: SentinelContents | undefined): boolean {
    if (identity === undefined || witness?.identity === undefined) return false;
    if (isSameIdentity(identity, witness.identity)) return false;
    this.#problems.push(`${this.#files.witness} was written for another log`);
    return true;
  }

  /**
   * Of the sentinel and the database, which are written at once, either may be ahead by a batch when
   * the process dies. Whatever else is wrong with the database, this batch follows what it holds.
   */
  #redo(
    identity: LogIdentity | undefined,
    newest: Slot | undefined,
    { values }: DatabaseContents,
  ): readonly Operation[] {
    const batch = newest?.batch;
    const tail = values.get(keyOf.tail.toString('latin1'));
    if (identity === undefined || batch === undefined || tail === undefined) return [];
    const isNext = seqOf(identity, tail) + 1 === newest?.seq;
    return isNext ? (this.#attempt(() => operationsOf(batch)) ?? []) : [];
  }

  #records(
    identity: LogIdentity | undefined,
    values: ReadonlyMap<string, Buffer>,
  ): Pick<Examination, 'tail' | 'tailKeyId' | 'snapshot' | 'entries' | 'chunkKeyIds'> {
    const nothing = {
      tail: undefined,
      tailKeyId: '',
      snapshot: undefined,
      entries: new Map(),
      chunkKeyIds: new Map(),
    };
    if (identity === undefined) return nothing;
    const records = new Records(identity, this.#keys);
    const valueOf = (key: Buffer): Buffer | undefined => values.get(key.toString('latin1'));
    const tail = this.#attempt(() => {
      const found = records.verifyTail(valueOf(keyOf.tail));
      found.authenticate();
      return found;
    });
    const entries = this.#entries(records, values);
    if (tail !== undefined) this.#verifyChain(tail.value, entries);
    const chunkKeyIds = new Map<string, string>();
    const snapshot = this.#attempt(() => {
      const pointer = valueOf(keyOf.pointer);
      return pointer === undefined ? undefined : this.#snapshot(records, pointer, valueOf);
    });
    for (const [name, value] of values) {
      if (!name.startsWith('s')) continue;
      const key = Buffer.from(name, 'latin1');
      this.#attempt(() => chunkKeyIds.set(name, records.verify(key, value).keyId));
    }
    const compacted = tail?.value.before.index ?? 0;
    if (compacted > (snapshot?.snapshot.index ?? 0)) {
      this.#problems.push('the snapshot is missing');
    }
    return { tail: tail?.value, tailKeyId: tail?.keyId ?? '', snapshot, entries, chunkKeyIds };
  }

  #entries(records: Records, values: ReadonlyMap<string, Buffer>): Map<number, ExaminedEntry> {
    const entries = new Map<number, ExaminedEntry>();
    for (const [name, value] of values) {
      if (!name.startsWith('e')) continue;
      const index = Number(Buffer.from(name, 'latin1').readBigUInt64BE(1));
      const entry = this.#attempt(() => {
        const stored = records.verifyEntry(index, value);
        return withoutRecord(stored, records.unsealEntry(stored));
      });
      if (entry !== undefined) entries.set(index, entry);
    }
    return new Map([...entries].toSorted(([a], [b]) => a - b));
  }

  /** The entries from the first to the last, each after the one it was written after. */
  #verifyChain(tail: Tail, entries: ReadonlyMap<number, ExaminedEntry>): void {
    if (this.#missingKey !== undefined) return;
    const { before, lastIndex, lastTerm } = tail;
    let [crc, term] = [tail.beforeCrc, before.term];
    this.#attempt(() => {
      for (let index = before.index + 1; index <= lastIndex; index += 1) {
        const entry = entries.get(index);
        if (entry === undefined) throw loss(`entry ${index} is missing`);
        if (entry.previousCrc !== crc)
          throw loss(`entry ${index} does not follow the one before it`);
        ({ crc, term } = entry);
      }
      const isWhole = crc === tail.lastCrc && term === lastTerm;
      if (!isWhole) throw loss(`entry ${lastIndex} is not the one that was written last`);
      const surplus = [...entries.keys()].find(
        (index) => index <= before.index || index > lastIndex,
      );
      if (surplus !== undefined) throw loss(`entry ${surplus} should not be there`);
    });
  }

  #snapshot(
    records: Records,
    record: Buffer,
    valueOf: (key: Buffer) => Buffer | undefined,
  ): ExaminedSnapshot {
    const pointer = records.verifyPointer(record);
    pointer.authenticate();
    const { index, term, confState, id, chunks }: SnapshotPointer = pointer.value;
    const data = Buffer.concat(
      Array.from({ length: chunks }, (_, number) => {
        const key = keyOf.chunk(id, number);
        return records.unseal(key, records.verify(key, valueOf(key)));
      }),
    );
    if (data.length !== pointer.value.bytes || crc32c(data) !== pointer.value.dataCrc) {
      throw loss(`snapshot ${index} is cut`);
    }
    return { snapshot: { index, term, confState, data }, id, keyId: pointer.keyId };
  }

  /** Whether the database reaches as far as what was acknowledged. */
  #compare(
    tail: Tail | undefined,
    {
      acknowledged,
      sentinel,
      database,
    }: {
      readonly acknowledged: SentinelState | undefined;
      readonly sentinel: SentinelContents | undefined;
      readonly database: DatabaseContents;
    },
  ): void {
    if (tail === undefined || acknowledged === undefined) return;
    const { seq, lastIndex, lastTerm, hardState } = tail;
    const [at, known] = [placeOf(tail), placeOf(acknowledged)];
    if (seq < acknowledged.seq) {
      if (database.torn !== undefined) this.#problems.push(database.torn);
      this.#problems.push(`it ends at ${at}, but ${known} was acknowledged`);
      return;
    }
    const isSame =
      lastIndex === acknowledged.lastIndex &&
      lastTerm === acknowledged.lastTerm &&
      hardState.currentTerm === acknowledged.currentTerm &&
      hardState.votedFor === acknowledged.votedFor;
    if (seq === acknowledged.seq && !isSame) {
      this.#problems.push(`it says ${at}, where ${known} was acknowledged`);
    }
    if (sentinel?.newest === undefined) return;
    // A process that died before it told anybody leaves a batch more than the sentinel knows; and
    // if it died as it wrote the sentinel, that has one slot.
    const most = sentinel.newest.seq + (sentinel.isWhole ? 1 : 2);
    if (seq > most)
      this.#problems.push(`the sentinel is older than the database, which is at ${at}`);
  }

  #attempt<T>(verify: () => T): T | undefined {
    try {
      return verify();
    } catch (error) {
      return this.#note(error);
    }
  }

  async #attemptAsync<T>(verify: () => Promise<T>): Promise<T | undefined> {
    try {
      return await verify();
    } catch (error) {
      return this.#note(error);
    }
  }

  #note(error: unknown): undefined {
    if (isSwarmError(error, 'failed-precondition')) this.#missingKey ??= error;
    else if (isSwarmError(error, 'data-loss'))
      this.#problems.push(error.message.replace(/^raft log is damaged: /u, ''));
    else throw error;
    return undefined;
  }
}

/** The number of the last batch in a database; 0, if its tail is not what was written. */
function seqOf(identity: LogIdentity, tail: Buffer): number {
  try {
    return new Records(identity, undefined).verifyTail(tail).value.seq;
  } catch {
    return 0; // It is told where all records are verified.
  }
}

function operationsOf(batch: Buffer): readonly Operation[] {
  try {
    return decodeBatch(batch).operations;
  } catch (error) {
    throw loss(`the sentinel holds what is no batch: ${messageOf(error)}`);
  }
}

/** What a database will hold once more is written into it. */
function applied(
  operations: readonly Operation[],
  values: ReadonlyMap<string, Buffer>,
): ReadonlyMap<string, Buffer> {
  const after = new Map(values);
  for (const operation of operations) {
    const name = operation.key.toString('latin1');
    if (operation.type === 'put') after.set(name, operation.value);
    else after.delete(name);
  }
  return after;
}

const withoutRecord = ({ crc, previousCrc, keyId }: StoredEntry, entry: Entry): ExaminedEntry => ({
  ...entry,
  crc,
  previousCrc,
  keyId,
});

const placeOf = ({ seq, lastIndex, lastTerm }: SentinelState | Tail): string =>
  `index ${lastIndex} of term ${lastTerm} (batch ${seq})`;
