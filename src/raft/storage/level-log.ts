import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert, messageOf, SwarmError } from '../../runtime/index.ts';
import type { Entry, Snapshot } from '../core/types.ts';
import { DamagedLog, diagnosisOf } from './diagnosis.ts';
import { isThere, syncDirectory, writeSynced } from './durable-files.ts';
import { type Examination, type ExaminedEntry, examine } from './examination.ts';
import { encodeIdentity } from './identity.ts';
import { crc32c } from './leveldb/crc32c.ts';
import { createDatabase, type Database, openDatabase } from './leveldb/database.ts';
import { encodeBatch, type Operation } from './leveldb/write-batch.ts';
import { logFiles } from './log-files.ts';
import type { LogKeys } from './log-keys.ts';
import {
  type LogBatch,
  type LogIdentity,
  type LogStore,
  newHardState,
  type SnapshotInPieces,
  type StoredLog,
} from './log-store.ts';
import { loss } from './loss.ts';
import { crcOf, keyOf, Records, snapshotIdOf, type SnapshotPointer, type Tail } from './records.ts';
import { batchBytesMax, Sentinel } from './sentinel/sentinel.ts';
import { chunksOf } from './snapshot-chunks.ts';

const newTail: Tail = {
  seq: 1,
  lastIndex: 0,
  lastTerm: 0,
  lastCrc: 0,
  before: { index: 0, term: 0 },
  beforeCrc: 0,
  hardState: newHardState,
};

/** What is to be remembered of an entry. */
type EntrySeal = Pick<ExaminedEntry, 'crc' | 'keyId' | 'term'>;

/** Which snapshot is valid, and the name of the key its pointer is sealed with. */
interface ValidSnapshot {
  readonly index: number;
  readonly id: number;
  readonly keyId: string;
}

/**
 * The log in a LevelDB, which by itself loses acknowledged writes without a word (a flipped bit, a
 * full disk): every record is sealed and carries its checksum, every entry its predecessor's, a tail
 * says where the log ends, and a {@link Sentinel} outside the database says so too, and holds the
 * last batch: the disk writes both at once.
 *
 * The directory holds `identity.json`, `sentinel` and `db/`; a witness lies beside it. It comes into
 * being complete, so one without a database has lost it.
 */
export class LevelLog implements LogStore {
  readonly identity: LogIdentity;
  /** Whether its last batch was in the sentinel alone when it was opened. */
  readonly isRedone: boolean;
  readonly #records: Records;
  readonly #database: Database;
  readonly #sentinel: Sentinel;
  /** Written after both, so that none is ever ahead of what can be read back. */
  readonly #witnesses: readonly Sentinel[];
  #stored: StoredLog | undefined;
  #tail: Tail;
  #tailKeyId: string;
  /** From the first entry on. */
  #entrySeals: EntrySeal[];
  #snapshot: ValidSnapshot | undefined;
  /** Which key seals each chunk in the database, those of interrupted snapshots included. */
  readonly #chunkKeyIds: Map<string, string>;
  #lastSnapshotId: number;
  /** The snapshot of our own that is being written. */
  #writing: number | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #failure: SwarmError | undefined;

  private constructor(
    examined: Examination & { readonly identity: LogIdentity; readonly tail: Tail },
    keys: LogKeys | undefined,
    files: {
      readonly database: Database;
      readonly sentinel: Sentinel;
      readonly witnesses: readonly Sentinel[];
    },
  ) {
    const { identity, tail, tailKeyId, snapshot, chunkKeyIds } = examined;
    const entries = [...examined.entries.values()];
    this.identity = identity;
    this.isRedone = examined.redo.length > 0;
    this.#records = new Records(identity, keys);
    this.#database = files.database;
    this.#sentinel = files.sentinel;
    this.#witnesses = files.witnesses;
    this.#tail = tail;
    this.#tailKeyId = tailKeyId;
    this.#entrySeals = entries.map(({ crc, keyId, term }) => ({ crc, keyId, term }));
    this.#chunkKeyIds = new Map(chunkKeyIds);
    this.#lastSnapshotId = Math.max(0, snapshot?.id ?? 0, ...[...chunkKeyIds.keys()].map(idOf));
    if (snapshot !== undefined) {
      this.#snapshot = { index: snapshot.snapshot.index, id: snapshot.id, keyId: snapshot.keyId };
    }
    this.#stored = {
      hardState: tail.hardState,
      snapshot: snapshot?.snapshot,
      before: tail.before,
      entries: entries.map(({ index, term, type, data }) => ({ index, term, type, data })),
    };
  }

  /** Whether a directory holds a log, or held one, whatever its state. */
  static async exists(directory: string): Promise<boolean> {
    return (await isThere(directory)) || isThere(logFiles(directory).witness);
  }

  /** Forgets a log of which nothing is needed any more. */
  static async remove(directory: string): Promise<void> {
    await rm(directory, { recursive: true, force: true });
    await rm(logFiles(directory).witness, { force: true });
  }

  /**
   * Makes a new, empty log.
   *
   * @param keys without any, it is not sealed
   * @param options the number of its first batch; and where another witness may lie
   * @throws SwarmError already-exists, if there is a log, or was one
   */
  static async create(
    directory: string,
    identity: LogIdentity,
    keys: LogKeys | undefined,
    options: { readonly seq?: number; readonly outsideWitness?: string | undefined } = {},
  ): Promise<LevelLog> {
    if (await LevelLog.exists(directory)) {
      throw new SwarmError('already-exists', `raft log ${directory} already exists`);
    }
    // Made aside and moved into place: a process that dies meanwhile leaves no half of a log.
    const aside = logFiles(`${directory}.new`);
    const asideDirectory = dirname(aside.identity);
    await rm(asideDirectory, { recursive: true, force: true });
    await mkdir(aside.database, { recursive: true, mode: 0o700 });
    const tail = { ...newTail, seq: options.seq ?? newTail.seq };
    const value = new Records(identity, keys).sealTail(tail);
    const database = await createDatabase(aside.database);
    await database.put(keyOf.tail, value, { sync: true });
    await database.close();
    const state = { ...tail, ...newHardState };
    const sentinel = await Sentinel.create(aside.sentinel, identity, state, 'sentinel');
    await sentinel[Symbol.asyncDispose]();
    await writeSynced(aside.identity, encodeIdentity(identity));
    await syncDirectory(aside.database);
    await syncDirectory(asideDirectory);
    await rename(asideDirectory, directory);
    await syncDirectory(dirname(directory));
    return LevelLog.open(directory, keys, options.outsideWitness);
  }

  /**
   * Opens a log and verifies all of it. A log that is not intact is quarantined: nothing of it is
   * touched, repaired or served.
   *
   * @param outsideWitness where another witness lies that old copies of the directory do not have,
   *   as far as it can be written there
   * @throws SwarmError data-loss, if the log does not hold all that was acknowledged, with what is
   *   there and what to do; failed-precondition, if another process has it open, or it is sealed
   *   with a key that is not among `keys`; internal, if the disk does not let it be opened
   */
  static async open(
    directory: string,
    keys: LogKeys | undefined,
    outsideWitness?: string,
  ): Promise<LevelLog> {
    const examined = await examine(directory, keys, outsideWitness);
    const { identity, tail, missingKey, redo } = examined;
    if (examined.problems.length > 0) throw new DamagedLog(directory, diagnosisOf(examined));
    if (missingKey !== undefined) throw missingKey;
    assert(
      identity !== undefined && tail !== undefined,
      'an intact log has an identity and a tail',
    );
    const files = logFiles(directory);
    const state = { ...tail, ...tail.hardState };
    const database = await openDatabase(files.database);
    const opened: Sentinel[] = [];
    try {
      const found = new Records(identity, keys).verifyTail(await database.get(keyOf.tail));
      if (found.value.seq !== tail.seq - (redo.length > 0 ? 1 : 0)) {
        throw loss('the database opened another log than its files hold');
      }
      if (redo.length > 0) await database.batch([...redo], { sync: true });
      // A batch that was not acknowledged may be seen by this boot, and so counts from now on.
      const sentinel = await Sentinel.create(files.sentinel, identity, state, 'sentinel');
      opened.push(sentinel);
      opened.push(await Sentinel.create(files.witness, identity, state, 'witness'));
      opened.push(...(await Sentinel.elsewhere(outsideWitness, identity, state)));
      const witnesses = opened.slice(1);
      return new LevelLog({ ...examined, identity, tail }, keys, { database, sentinel, witnesses });
    } catch (error) {
      for (const sentinel of opened) await sentinel[Symbol.asyncDispose]();
      await database.close();
      if (error instanceof SwarmError) throw error;
      throw new SwarmError('internal', `raft log cannot be opened: ${messageOf(error)}`);
    }
  }

  get isEmpty(): boolean {
    return this.#tail.lastIndex === 0 && this.#tail.hardState.currentTerm === 0;
  }

  /** From now on records are sealed with `keys.current`. */
  rekey(keys: LogKeys): void {
    this.#records.rekey(keys);
  }

  /**
   * The names of the keys that some record is sealed with. One that is not among them, nor current,
   * is not needed any more: a snapshot and what was compacted with it have passed it. What is being
   * written is waited for: until then the disk may still need what it replaces.
   */
  async keysInUse(): Promise<ReadonlySet<string>> {
    const inUse = new Set<string>();
    await this.#inTurn(async () => {
      inUse.add(this.#tailKeyId).add(this.#snapshot?.keyId ?? '');
      for (const keyId of this.#chunkKeyIds.values()) inUse.add(keyId);
      for (const { keyId } of this.#entrySeals) inUse.add(keyId);
      inUse.delete('');
      return Promise.resolve();
    });
    return inUse;
  }

  async load(): Promise<StoredLog> {
    const stored = this.#stored;
    assert(stored !== undefined, 'a log is loaded once, before anything is saved');
    this.#stored = undefined; // The caller keeps it in memory; twice would be too much.
    return Promise.resolve(stored);
  }

  async save({ hardState, entries, snapshot }: LogBatch): Promise<void> {
    await this.#inTurn(async () => {
      const operations: Operation[] = [];
      if (snapshot !== undefined) {
        const pointer = await this.#writeChunks({ ...snapshot, pieces: [snapshot.data] });
        operations.push(...this.#makeValid(pointer), ...this.#dropEntries(snapshot));
      }
      operations.push(...this.#putEntries(entries));
      this.#tail = { ...this.#tail, hardState };
      await this.#commit(operations);
    });
  }

  async saveSnapshot(snapshot: SnapshotInPieces, compactThrough: number): Promise<void> {
    assert(this.#writing === undefined, 'one snapshot is saved at a time');
    try {
      const pointer = await this.#writeChunks(snapshot, (id) => (this.#writing = id));
      await this.#inTurn(async () => {
        const isObsolete = (this.#snapshot?.index ?? 0) > pointer.index;
        const operations = isObsolete
          ? this.#deleteChunks((id) => id === pointer.id)
          : [...this.#makeValid(pointer), ...this.#compact(compactThrough)];
        await this.#commit(operations);
      });
    } finally {
      this.#writing = undefined;
    }
  }

  async entries(from: number, below: number): Promise<readonly Entry[]> {
    return this.#guard(async () => {
      if (from <= this.#tail.before.index || below > this.#tail.lastIndex + 1) {
        throw new SwarmError('out-of-range', `raft log has no entries ${from} to ${below - 1}`);
      }
      const indexes = Array.from({ length: Math.max(0, below - from) }, (_, n) => from + n);
      const found = await this.#database.getMany(indexes.map((index) => keyOf.entry(index)));
      return indexes.map((index, position) => {
        const stored = this.#records.verifyEntry(index, found[position]);
        if (stored.crc !== this.#crcAt(index)) {
          throw loss(`entry ${index} is not the one that was written last`);
        }
        return this.#records.unsealEntry(stored);
      });
    });
  }

  async term(index: number): Promise<number> {
    if (index === this.#tail.before.index) return this.#tail.before.term;
    const [entry] = await this.entries(index, index + 1);
    assert(entry !== undefined, 'one entry was asked for');
    return entry.term;
  }

  async close(): Promise<void> {
    await this.#database.close();
    for (const sentinel of [this.#sentinel, ...this.#witnesses]) {
      await sentinel[Symbol.asyncDispose]();
    }
  }

  /** Writes a snapshot's data beside the valid one's. */
  async #writeChunks(
    { index, term, confState, pieces }: SnapshotInPieces,
    begun: (id: number) => void = () => undefined,
  ): Promise<SnapshotPointer> {
    this.#lastSnapshotId += 1;
    const id = this.#lastSnapshotId;
    begun(id);
    let [chunks, bytes, dataCrc] = [0, 0, 0];
    for await (const chunk of chunksOf(pieces)) {
      const key = keyOf.chunk(id, chunks);
      this.#chunkKeyIds.set(key.toString('latin1'), this.#records.currentKeyId);
      const value = this.#records.seal(key, Buffer.alloc(0), chunk);
      // Synced here: a later sync does not reach back beyond LevelDB's present journal.
      await this.#guard(async () => this.#database.put(key, value, { sync: true }));
      chunks += 1;
      bytes += chunk.length;
      dataCrc = crc32c(chunk, dataCrc);
    }
    return { index, term, confState, id, chunks, bytes, dataCrc };
  }

  #makeValid(pointer: SnapshotPointer): Operation[] {
    const { index, id } = pointer;
    this.#snapshot = { index, id, keyId: this.#records.currentKeyId };
    const put = { key: keyOf.pointer, value: this.#records.sealPointer(pointer) };
    const obsolete = this.#deleteChunks((other) => other !== id && other !== this.#writing);
    return [{ type: 'put', ...put }, ...obsolete];
  }

  #deleteChunks(isObsolete: (snapshotId: number) => boolean): Operation[] {
    const names = [...this.#chunkKeyIds.keys()].filter((name) => isObsolete(idOf(name)));
    for (const name of names) this.#chunkKeyIds.delete(name);
    return names.map((name) => ({ type: 'del', key: Buffer.from(name, 'latin1') }));
  }

  /** Begins the log anew after a snapshot. */
  #dropEntries({ index, term }: Snapshot): Operation[] {
    const dropped = this.#deletions(this.#tail.before.index + 1, this.#tail.lastIndex);
    this.#entrySeals = [];
    this.#tail = {
      ...this.#tail,
      lastIndex: index,
      lastTerm: term,
      lastCrc: 0,
      before: { index, term },
      beforeCrc: 0,
    };
    return dropped;
  }

  #putEntries(entries: readonly Entry[]): Operation[] {
    const [head, last] = [entries[0], entries.at(-1)];
    if (head === undefined || last === undefined) return [];
    const { before, lastIndex } = this.#tail;
    const isAdjacent = head.index > before.index && head.index <= lastIndex + 1;
    assert(isAdjacent, 'entries follow what the log has, or replace its end');
    let crc = this.#crcAt(head.index - 1);
    this.#entrySeals.length = head.index - 1 - before.index;
    const puts = entries.map((entry): Operation => {
      const value = this.#records.sealEntry(entry, crc);
      crc = crcOf(value);
      this.#entrySeals.push({ crc, keyId: this.#records.currentKeyId, term: entry.term });
      return { type: 'put', key: keyOf.entry(entry.index), value };
    });
    const end = { lastIndex: last.index, lastTerm: last.term, lastCrc: crc };
    this.#tail = { ...this.#tail, ...end };
    return [...puts, ...this.#deletions(last.index + 1, lastIndex)];
  }

  #compact(through: number): Operation[] {
    const { before } = this.#tail;
    const last = this.#entrySeals[through - before.index - 1];
    if (last === undefined) return [];
    const dropped = this.#deletions(before.index + 1, through);
    this.#entrySeals = this.#entrySeals.slice(through - before.index);
    this.#tail = {
      ...this.#tail,
      before: { index: through, term: last.term },
      beforeCrc: last.crc,
    };
    return dropped;
  }

  #deletions(from: number, through: number): Operation[] {
    return Array.from({ length: Math.max(0, through - from + 1) }, (_, offset) => ({
      type: 'del' as const,
      key: keyOf.entry(from + offset),
    }));
  }

  #crcAt(index: number): number {
    const { before, beforeCrc } = this.#tail;
    return index === before.index
      ? beforeCrc
      : (this.#entrySeals[index - before.index - 1]?.crc ?? 0);
  }

  /**
   * Writes a batch, into the database and into the sentinel at once, and then its witnesses. Only
   * after that may anybody be told.
   */
  async #commit(operations: Operation[]): Promise<void> {
    assert(this.#stored === undefined, 'a log is loaded before anything is saved');
    this.#tail = { ...this.#tail, seq: this.#tail.seq + 1 };
    this.#tailKeyId = this.#records.currentKeyId;
    operations.push({ type: 'put', key: keyOf.tail, value: this.#records.sealTail(this.#tail) });
    const state = { ...this.#tail, ...this.#tail.hardState };
    const batch = encodeBatch(operations, batchBytesMax);
    const isInDatabase = this.#database.batch(operations, { sync: true });
    // The sentinel is never ahead of the database by a batch that it does not hold.
    if (batch === undefined) await isInDatabase;
    await Promise.all([isInDatabase, this.#sentinel.write(state, batch)]);
    await Promise.all(this.#witnesses.map(async (witness) => witness.write(state, undefined)));
  }

  /** One after the other: a tail is written over by the next. */
  async #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(async () => this.#guard(work));
    this.#turn = mine.catch(() => undefined);
    await mine;
  }

  /** After a failure nothing is tried again: what the disk holds is not known. */
  async #guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await work();
    } catch (error) {
      if (error instanceof SwarmError && error.code === 'out-of-range') throw error;
      this.#failure ??=
        error instanceof SwarmError
          ? error
          : new SwarmError('internal', `raft log failed: ${messageOf(error)}`, { cause: error });
      throw this.#failure;
    }
  }
}

const idOf = (chunkName: string): number => snapshotIdOf(Buffer.from(chunkName, 'latin1'));
