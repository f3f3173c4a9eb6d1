import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { assert } from '../../../runtime/index.ts';
import type { RaftId } from '../../core/types.ts';
import { syncDirectory } from '../durable-files.ts';
import { decodeIdentity, encodeIdentity } from '../identity.ts';
import { crc32c } from '../leveldb/crc32c.ts';
import type { LogIdentity } from '../log-store.ts';
import { loss } from '../loss.ts';
import { decodeSlot, encodeSlot, type SentinelState, type Slot, slotHeadBytes } from './slot.ts';

/** What a sentinel's file says. */
export interface SentinelContents {
  /** `undefined`, if that is not what was written. */
  readonly identity: LogIdentity | undefined;
  /** The newest of its slots that are whole. */
  readonly newest: Slot | undefined;
  /** Whether both are. */
  readonly isWhole: boolean;
}

/** How a file lies on disk: a sector that tells whose it is, and from `slotsAt` on two slots. */
interface Shape {
  readonly slotsAt: number;
  readonly slotBytes: number;
  /** Whether a write is durable once it returns; else it survives the process, not the host. */
  readonly isSynced: boolean;
}

/** In bytes. */
const shapes = {
  /** No page is shared, so that no write reaches what it is not about. */
  sentinel: { slotsAt: 4_096, slotBytes: 65_536, isSynced: true },
  /** States alone, of a sector each. The sentinel was like this too before it held batches. */
  witness: { slotsAt: 512, slotBytes: 512, isSynced: false },
} as const satisfies Record<string, Shape>;

/** A batch of more bytes has no room in the sentinel. */
export const batchBytesMax = shapes.sentinel.slotBytes - slotHeadBytes;

/**
 * A witness beside the database of the last batch that was written. LevelDB drops the end of its
 * journal without a word if a bit of it flips, and goes on after a full disk as if nothing had been
 * lost; the log then comes back shorter than the sentinel says, and that is noticed. As far as there
 * is room it holds the batch itself, so that it need not wait for the database: either of the two
 * may be the one that has it when the process dies.
 *
 * Of two slots the older is written over, so that the one before is whole whenever that happens.
 */
export class Sentinel implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #seed: number;
  readonly #shape: Shape;
  /** Which slot is written over next. */
  #older = 0;

  private constructor(file: FileHandle, identity: LogIdentity, shape: Shape) {
    this.#file = file;
    this.#seed = seedOf(identity);
    this.#shape = shape;
  }

  /**
   * Puts one that says `state` in both slots in place of whatever is there, which is not written
   * over: it counts until the other one is durable.
   *
   * @param kind a witness holds no batches, and is not synced
   */
  static async create(
    path: string,
    identity: LogIdentity,
    state: SentinelState,
    kind: keyof typeof shapes,
  ): Promise<Sentinel> {
    const shape = shapes[kind];
    const bytes = Buffer.alloc(endOf(shape)); // All of it is written: no later write makes it grow.
    encodeIdentity(identity).copy(bytes);
    const slot = encodeSlot(state, undefined, seedOf(identity));
    for (const number of [0, 1]) slot.copy(bytes, placeOf(shape, number));
    // O_DSYNC: one call instead of two.
    const mode = shape.isSynced ? constants.O_DSYNC : 0;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | mode;
    const file = await open(`${path}.new`, flags, 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
      await rename(`${path}.new`, path);
      await syncDirectory(dirname(path));
    } catch (error) {
      await file.close();
      throw error;
    }
    return new Sentinel(file, identity, shape);
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
      return [await Sentinel.create(path, identity, state, 'witness')];
    } catch {
      return [];
    }
  }

  /** @param batch of at most {@link batchBytesMax}; `undefined`, if it is in the database already */
  async write(state: SentinelState, batch: Buffer | undefined): Promise<void> {
    const slot = encodeSlot(state, batch, this.#seed);
    assert(slot.length <= this.#shape.slotBytes, 'no slot is written beyond its end');
    const place = placeOf(this.#shape, this.#older);
    const { bytesWritten } = await this.#file.write(slot, 0, slot.length, place);
    if (bytesWritten !== slot.length) throw loss('the sentinel was written in part');
    this.#older = 1 - this.#older;
  }

  /**
   * Reads a sentinel's file, and changes nothing.
   *
   * @param owner whose it is if it does not tell
   * @throws what the file system throws, if there is no such file
   */
  static async read(path: string, owner: LogIdentity | undefined): Promise<SentinelContents> {
    const file = await readFile(path);
    const shape = file.length > endOf(shapes.witness) ? shapes.sentinel : shapes.witness;
    const bytes = Buffer.alloc(endOf(shape));
    file.copy(bytes);
    const identity = ownerOf(bytes.subarray(0, shapes.witness.slotsAt));
    const seed = seedOf(identity ?? owner ?? { clusterId: '', raftId: '' as RaftId, nodeId: '' });
    const slots = [0, 1]
      .map((number) => placeOf(shape, number))
      .map((place) => decodeSlot(bytes.subarray(place, place + shape.slotBytes), seed))
      .filter((slot) => slot !== undefined)
      .toSorted((a, b) => b.seq - a.seq);
    return { identity, newest: slots[0], isWhole: slots.length === 2 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

const placeOf = ({ slotsAt, slotBytes }: Shape, slot: number): number => slotsAt + slot * slotBytes;

const endOf = (shape: Shape): number => placeOf(shape, 2);

const seedOf = (identity: LogIdentity): number => crc32c(encodeIdentity(identity));

function ownerOf(sector: Buffer): LogIdentity | undefined {
  try {
    return decodeIdentity(sector.subarray(0, sector.indexOf(0)));
  } catch {
    return undefined;
  }
}
