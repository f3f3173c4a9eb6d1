import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { RaftId } from '../core/types.ts';
import { crc32c } from './leveldb/crc32c.ts';
import { decodeIdentity, encodeIdentity } from './identity.ts';
import type { LogIdentity } from './log-store.ts';
import { loss } from './loss.ts';
import { raftIdOf } from './records.ts';

/** What the log is known to hold. */
export interface SentinelState {
  /** Counts batches. */
  readonly seq: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly currentTerm: number;
  readonly votedFor: RaftId | undefined;
}

/** What a sentinel's file says. */
export interface SentinelContents {
  /** `undefined`, if that is not what was written. */
  readonly identity: LogIdentity | undefined;
  /** The newest of its slots that are whole. */
  readonly newest: SentinelState | undefined;
  /** Whether both are. */
  readonly isWhole: boolean;
}

/** A disk writes a sector whole or not at all. */
const slotBytes = 512;
const fieldBytes = 40;

/**
 * A witness beside the database of the last batch that was acknowledged. LevelDB drops the end of
 * its journal without a word if a bit of it flips, and goes on after a full disk as if nothing had
 * been lost; the log then comes back shorter than the sentinel says, and that is noticed.
 *
 * A sector tells whose it is. Two slots are written in turn, so that one is whole whenever the
 * process dies.
 */
export class Sentinel implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #seed: number;

  private constructor(file: FileHandle, identity: LogIdentity) {
    this.#file = file;
    this.#seed = seedOf(identity);
  }

  /** Makes one in place of whatever is there. */
  static async create(path: string, identity: LogIdentity, state: SentinelState): Promise<void> {
    const file = await open(path, 'w', 0o600);
    try {
      const owner = Buffer.alloc(slotBytes);
      encodeIdentity(identity).copy(owner);
      const slot = encode(state, seedOf(identity));
      await file.write(Buffer.concat([owner, slot, slot]));
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /**
   * @param isSynced whether a write is durable once it returns; else it survives the process, and
   *   perhaps not the host
   * @throws what the file system throws, if there is no such file
   */
  static async open(
    path: string,
    identity: LogIdentity,
    { isSynced }: { readonly isSynced: boolean },
  ): Promise<Sentinel> {
    // O_DSYNC: one call instead of two.
    const file = await open(path, constants.O_RDWR | (isSynced ? constants.O_DSYNC : 0));
    return new Sentinel(file, identity);
  }

  /**
   * One outside the log's directory, which nobody relies on: where it cannot be written there is
   * none.
   */
  static async elsewhere(
    path: string | undefined,
    identity: LogIdentity,
    state: SentinelState,
  ): Promise<readonly Sentinel[]> {
    if (path === undefined) return [];
    try {
      await mkdir(dirname(path), { recursive: true });
      await Sentinel.create(path, identity, state);
      return [await Sentinel.open(path, identity, { isSynced: false })];
    } catch {
      return [];
    }
  }

  async write(state: SentinelState): Promise<void> {
    const position = (1 + (state.seq % 2)) * slotBytes;
    const slot = encode(state, this.#seed);
    const { bytesWritten } = await this.#file.write(slot, 0, slotBytes, position);
    if (bytesWritten !== slotBytes) throw loss('the sentinel was written in part');
  }

  /**
   * Reads a sentinel's file, and changes nothing.
   *
   * @param owner whose it is if it does not tell
   * @throws what the file system throws, if there is no such file
   */
  static async read(path: string, owner: LogIdentity | undefined): Promise<SentinelContents> {
    const bytes = Buffer.alloc(3 * slotBytes);
    (await readFile(path)).copy(bytes);
    const identity = ownerOf(bytes.subarray(0, slotBytes));
    const seed = seedOf(identity ?? owner ?? { clusterId: '', raftId: '' as RaftId, nodeId: '' });
    const states = [1, 2]
      .map((slot) => decode(bytes.subarray(slot * slotBytes, (slot + 1) * slotBytes), seed))
      .filter((state) => state !== undefined)
      .toSorted((a, b) => b.seq - a.seq);
    return { identity, newest: states[0], isWhole: states.length === 2 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

const seedOf = (identity: LogIdentity): number => crc32c(encodeIdentity(identity));

function ownerOf(sector: Buffer): LogIdentity | undefined {
  try {
    return decodeIdentity(sector.subarray(0, sector.indexOf(0)));
  } catch {
    return undefined;
  }
}

function encode(
  { seq, lastIndex, lastTerm, currentTerm, votedFor }: SentinelState,
  seed: number,
): Buffer {
  const slot = Buffer.alloc(slotBytes);
  [seq, lastIndex, lastTerm, currentTerm, votedFor ?? 0].forEach((field, position) => {
    slot.writeBigUInt64BE(BigInt(field), 8 * position);
  });
  slot.writeUInt32BE(crc32c(slot.subarray(0, fieldBytes), seed), fieldBytes);
  return slot;
}

function decode(slot: Buffer, seed: number): SentinelState | undefined {
  const crc = crc32c(slot.subarray(0, fieldBytes), seed);
  if (slot.readUInt32BE(fieldBytes) !== crc) return undefined;
  const counter = (position: number): number => Number(slot.readBigUInt64BE(8 * position));
  return {
    seq: counter(0),
    lastIndex: counter(1),
    lastTerm: counter(2),
    currentTerm: counter(3),
    votedFor: raftIdOf(slot.readBigUInt64BE(32)),
  };
}
