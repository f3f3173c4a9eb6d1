import type { ConfState, Entry, EntryId, EntryType, HardState, RaftId } from '../core/types.ts';
import { crc32c } from './leveldb/crc32c.ts';
import { type LogKeys, seal, unseal } from './log-keys.ts';
import type { LogIdentity } from './log-store.ts';
import { loss } from './loss.ts';

/** The first byte of a key. A letter that was given up is never used again. */
const kinds = { entry: 'e', pointer: 'p', chunk: 's', tail: 't' } as const;

/** The byte of an entry's type. A number that was given up is never used again. */
const entryTypes: readonly EntryType[] = ['EntryNormal', 'EntryConfChange'];

const bytes64 = (value: number | bigint): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
};

const bytes32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
};

const bytes16 = (value: number): Buffer => {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
};

const empty = Buffer.alloc(0);

/** Keys sort as their indexes do. */
export const keyOf = {
  entry: (index: number): Buffer => Buffer.concat([Buffer.from(kinds.entry), bytes64(index)]),
  chunk: (id: number, number: number): Buffer =>
    Buffer.concat([Buffer.from(kinds.chunk), bytes64(id), bytes32(number)]),
  pointer: Buffer.from(kinds.pointer),
  tail: Buffer.from(kinds.tail),
};

/**
 * Where the log begins and ends, which makes a missing record visible; and the hard state. It is
 * written with every batch.
 */
export interface Tail {
  /** Counts batches. */
  readonly seq: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The checksum of the last entry: the end of the chain. */
  readonly lastCrc: number;
  /** The entry before the first, and its checksum: the beginning of the chain. */
  readonly before: EntryId;
  readonly beforeCrc: number;
  readonly hardState: HardState;
}

/** Which snapshot is the valid one. */
export interface SnapshotPointer {
  readonly index: number;
  readonly term: number;
  readonly confState: ConfState;
  /** Which chunks are its own: those of one that was interrupted may lie beside them. */
  readonly id: number;
  readonly chunks: number;
  readonly bytes: number;
  /** The checksum of all its data. */
  readonly dataCrc: number;
}

/** An entry of which the data may be sealed. */
export interface StoredEntry extends StoredRecord, Omit<Entry, 'data'> {
  /** The checksum of the entry before it. */
  readonly previousCrc: number;
}

/** A record that everybody can read, and only who has its key can verify in full. */
interface Authenticated<T> {
  readonly value: T;
  readonly keyId: string;
  /** @throws SwarmError as {@link Records.unseal} */
  readonly authenticate: () => void;
}

/** A record as it lies on disk, its checksum verified. */
export interface StoredRecord {
  readonly crc: number;
  /** The name of the key it is sealed with; empty, if it is not. */
  readonly keyId: string;
  /** What is readable without a key. */
  readonly clear: Buffer;
  readonly sealed: Buffer;
}

/**
 * Records as they lie on disk: a CRC-32C; the name of a key; a part that is readable, and only
 * authenticated; a part that is sealed. The checksum is over whose log it is, the record's key and
 * all that follows, so that damage is told apart from a wrong key, and a record is valid in its own
 * place only. AES-GCM authenticates the same, so that nobody without the key can change that.
 */
export class Records {
  readonly #owner: Buffer;
  readonly #seed: number;
  #keys: LogKeys | undefined;

  /** @param keys without any, nothing is sealed */
  constructor({ clusterId, raftId, nodeId }: LogIdentity, keys: LogKeys | undefined) {
    this.#owner = Buffer.from(JSON.stringify([clusterId, raftId, nodeId]));
    this.#seed = crc32c(this.#owner);
    this.#keys = keys;
  }

  /** The name of the key that seals what is written now; empty, if nothing is sealed. */
  get currentKeyId(): string {
    return this.#keys?.current.id ?? '';
  }

  rekey(keys: LogKeys): void {
    this.#keys = keys;
  }

  /** A record of which `clear` can be read by everybody. */
  seal(key: Buffer, clear: Buffer, secret: Buffer): Buffer {
    const id = Buffer.from(this.currentKeyId);
    const head = Buffer.concat([Buffer.of(id.length), id, bytes16(clear.length), clear]);
    const body =
      this.#keys === undefined
        ? secret
        : seal(this.#keys.current, secret, this.#authenticated(key, head));
    const record = Buffer.concat([bytes32(0), head, body]);
    record.writeUInt32BE(this.#crc(key, record));
    return record;
  }

  /** @throws SwarmError data-loss, if the record is not there, or not what was written */
  verify(key: Buffer, record: Buffer | undefined): StoredRecord {
    if (record === undefined) throw loss(`record ${nameOf(key)} is missing`);
    const isIntact = record.length >= 7 && record.readUInt32BE() === this.#crc(key, record);
    if (!isIntact) throw loss(`record ${nameOf(key)} is not what was written`);
    const clearAt = 7 + record.readUInt8(4);
    const sealedAt = clearAt + record.readUInt16BE(clearAt - 2);
    return {
      crc: crcOf(record),
      keyId: record.toString('utf8', 5, clearAt - 2),
      clear: record.subarray(clearAt, sealedAt),
      sealed: record.subarray(sealedAt),
    };
  }

  /**
   * The sealed part of a verified record.
   *
   * @throws SwarmError failed-precondition, if its key is not known; data-loss, if it is forged
   */
  unseal(key: Buffer, { keyId, clear, sealed }: StoredRecord): Buffer {
    const id = Buffer.from(keyId);
    const head = Buffer.concat([Buffer.of(id.length), id, bytes16(clear.length), clear]);
    if (keyId !== '') return unseal({ keyId, sealed }, this.#authenticated(key, head), this.#keys);
    if (this.#keys !== undefined) throw loss(`record ${nameOf(key)} is not sealed`);
    return Buffer.from(sealed); // A copy: the record is a part of a file.
  }

  /** An entry carries the checksum of the one before it, so that a hole or a splice is visible. */
  sealEntry({ index, term, type, data }: Entry, previousCrc: number): Buffer {
    const kind = Buffer.of(entryTypes.indexOf(type));
    const clear = Buffer.concat([bytes32(previousCrc), bytes64(term), kind]);
    return this.seal(keyOf.entry(index), clear, data);
  }

  /** What is known of an entry without its key. */
  verifyEntry(index: number, record: Buffer | undefined): StoredEntry {
    const stored = this.verify(keyOf.entry(index), record);
    const type = entryTypes[stored.clear.readUInt8(12)];
    if (type === undefined) throw loss(`entry ${index} is of an unknown type`);
    const term = Number(stored.clear.readBigUInt64BE(4));
    return { ...stored, index, term, type, previousCrc: stored.clear.readUInt32BE(0) };
  }

  unsealEntry(stored: StoredEntry): Entry {
    const { index, term, type } = stored;
    return { index, term, type, data: this.unseal(keyOf.entry(index), stored) };
  }

  sealTail(tail: Tail): Buffer {
    const { seq, lastIndex, lastTerm, lastCrc, before, beforeCrc, hardState } = tail;
    const { currentTerm, votedFor, commitIndex } = hardState;
    const vote = bytes64(BigInt(votedFor ?? 0));
    const counters = [
      seq,
      lastIndex,
      lastTerm,
      before.index,
      before.term,
      currentTerm,
      commitIndex,
    ];
    const crcs = [bytes32(lastCrc), bytes32(beforeCrc)];
    const clear = Buffer.concat([...counters.map(bytes64), vote, ...crcs]);
    return this.seal(keyOf.tail, clear, empty);
  }

  verifyTail(record: Buffer | undefined): Authenticated<Tail> {
    const stored = this.verify(keyOf.tail, record);
    const body = stored.clear;
    const counter = (position: number): number => Number(body.readBigUInt64BE(8 * position));
    const tail = {
      seq: counter(0),
      lastIndex: counter(1),
      lastTerm: counter(2),
      before: { index: counter(3), term: counter(4) },
      lastCrc: body.readUInt32BE(64),
      beforeCrc: body.readUInt32BE(68),
      hardState: {
        currentTerm: counter(5),
        votedFor: raftIdOf(body.readBigUInt64BE(56)),
        commitIndex: counter(6),
      },
    };
    return {
      value: tail,
      keyId: stored.keyId,
      authenticate: () => this.unseal(keyOf.tail, stored),
    };
  }

  sealPointer(pointer: SnapshotPointer): Buffer {
    const { index, term, id, chunks, bytes, dataCrc, confState } = pointer;
    const counters = [index, term, id, chunks, bytes].map(bytes64);
    const { voters, learners } = confState;
    const members = Buffer.from(JSON.stringify({ voters, learners }));
    const clear = Buffer.concat([...counters, bytes32(dataCrc), members]);
    return this.seal(keyOf.pointer, clear, empty);
  }

  verifyPointer(record: Buffer): Authenticated<SnapshotPointer> {
    const stored = this.verify(keyOf.pointer, record);
    const body = stored.clear;
    const counter = (position: number): number => Number(body.readBigUInt64BE(8 * position));
    const pointer = {
      index: counter(0),
      term: counter(1),
      id: counter(2),
      chunks: counter(3),
      bytes: counter(4),
      dataCrc: body.readUInt32BE(40),
      confState: JSON.parse(body.toString('utf8', 44)) as ConfState, // It was written from one.
    };
    const authenticate = (): Buffer => this.unseal(keyOf.pointer, stored);
    return { value: pointer, keyId: stored.keyId, authenticate };
  }

  #authenticated(key: Buffer, head: Buffer): Buffer {
    return Buffer.concat([this.#owner, key, head]);
  }

  #crc(key: Buffer, record: Buffer): number {
    return crc32c(record.subarray(4), crc32c(key, this.#seed));
  }
}

/** The snapshot that a chunk is of. */
export const snapshotIdOf = (chunkKey: Buffer): number => Number(chunkKey.readBigUInt64BE(1));

/** The checksum a record begins with. */
export const crcOf = (record: Buffer): number => record.readUInt32BE();

/** A stored vote; 0 stands for none. */
export const raftIdOf = (stored: bigint): RaftId | undefined =>
  stored === 0n ? undefined : (String(stored) as RaftId); // It was written from a Raft ID.

const nameOf = (key: Buffer): string =>
  key.length < 9
    ? key.toString('latin1')
    : `${key.toString('latin1', 0, 1)}${key.readBigUInt64BE(1)}`;
