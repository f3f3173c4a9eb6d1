import type { RaftId } from '../../core/types.ts';
import { crc32c } from '../leveldb/crc32c.ts';
import { raftIdOf } from '../records.ts';

/** What the log is known to hold. */
export interface SentinelState {
  /** Counts batches. */
  readonly seq: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly currentTerm: number;
  readonly votedFor: RaftId | undefined;
}

/** What a slot says. */
export interface Slot extends SentinelState {
  /** What the database was given when the log came to this state; `undefined`, if it is not kept. */
  readonly batch: Buffer | undefined;
}

/** The state, a checksum (4), the length of the batch (4). */
const stateBytes = 40;
export const slotHeadBytes = stateBytes + 8;

/**
 * A slot as it lies on disk; what follows it there has no meaning. The checksum is over the state
 * and, if there is a batch, its length and all of it: a slot that was written in part is none.
 */
export function encodeSlot(
  { seq, lastIndex, lastTerm, currentTerm, votedFor }: SentinelState,
  batch: Buffer | undefined,
  seed: number,
): Buffer {
  const slot = Buffer.alloc(slotHeadBytes + (batch?.length ?? 0));
  [seq, lastIndex, lastTerm, currentTerm, votedFor ?? 0].forEach((field, position) => {
    slot.writeBigUInt64BE(BigInt(field), 8 * position);
  });
  if (batch !== undefined) {
    slot.writeUInt32BE(batch.length, stateBytes + 4);
    batch.copy(slot, slotHeadBytes);
  }
  slot.writeUInt32BE(crcOf(slot, batch?.length ?? 0, seed), stateBytes);
  return slot;
}

/**
 * @param bytes all that is there for the slot
 * @returns `undefined`, if it is not what was written
 */
export function decodeSlot(bytes: Buffer, seed: number): Slot | undefined {
  const length = bytes.readUInt32BE(stateBytes + 4);
  const isIntact =
    slotHeadBytes + length <= bytes.length &&
    bytes.readUInt32BE(stateBytes) === crcOf(bytes, length, seed);
  if (!isIntact) return undefined;
  const counter = (position: number): number => Number(bytes.readBigUInt64BE(8 * position));
  return {
    seq: counter(0),
    lastIndex: counter(1),
    lastTerm: counter(2),
    currentTerm: counter(3),
    votedFor: raftIdOf(bytes.readBigUInt64BE(32)),
    batch: length === 0 ? undefined : bytes.subarray(slotHeadBytes, slotHeadBytes + length),
  };
}

function crcOf(slot: Buffer, batchBytes: number, seed: number): number {
  const crc = crc32c(slot.subarray(0, stateBytes), seed);
  const end = slotHeadBytes + batchBytes;
  return batchBytes === 0 ? crc : crc32c(slot.subarray(stateBytes + 4, end), crc);
}
