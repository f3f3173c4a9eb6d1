import { crc32c } from './crc32c.ts';
import { ByteReader } from './byte-reader.ts';
import { unmask } from './journal.ts';

/** One write of a key. Of several, the one with the greatest sequence number is valid. */
export interface Write {
  readonly key: Buffer;
  readonly sequence: number;
  /** `undefined`, if the key was deleted. */
  readonly value: Buffer | undefined;
}

const footerBytes = 48;
const magic = Buffer.from('57fb808b247547db', 'hex');
/** After each block: how it is compressed (1), a checksum (4). */
const trailerBytes = 5;

/**
 * All writes in a table, each block of it verified, those that are only for speed included. Blocks
 * that are not what was written are left out, and told to `bad`. leveldb doc/table_format.md
 *
 * @param file of exactly the size that the MANIFEST says
 * @throws RangeError, if nothing can be read
 */
export function readTable(file: Buffer, bad: (problem: string) => void): readonly Write[] {
  const footer = file.subarray(Math.max(0, file.length - footerBytes));
  if (footer.length < footerBytes || !footer.subarray(40).equals(magic)) {
    throw new RangeError('it has no footer');
  }
  const handles = new ByteReader(footer);
  const meta = blockAt(file, handles);
  const index = blockAt(file, handles);
  for (const [, handle] of entriesOf(meta)) blockAt(file, new ByteReader(handle)); // The filter.
  const writes: Write[] = [];
  for (const [, handle] of entriesOf(index)) {
    try {
      for (const [key, value] of entriesOf(blockAt(file, new ByteReader(handle)))) {
        writes.push(writeOf(key, value));
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      bad(error.message);
    }
  }
  return writes;
}

function blockAt(file: Buffer, handle: ByteReader): Buffer {
  const [offset, size] = [handle.varint(), handle.varint()];
  const end = offset + size + trailerBytes;
  const isIntact =
    end <= file.length &&
    unmask(file.readUInt32LE(end - 4)) === crc32c(file.subarray(offset, end - 4));
  if (!isIntact) throw new RangeError(`its block at ${offset} is damaged`);
  if (file.readUInt8(end - trailerBytes) !== 0) throw new RangeError('it is compressed');
  return file.subarray(offset, offset + size);
}

/** Keys share their beginning with the one before. leveldb table/block_builder.cc */
function* entriesOf(block: Buffer): Generator<[Buffer, Buffer]> {
  const restarts = block.readUInt32LE(block.length - 4);
  const reader = new ByteReader(block.subarray(0, block.length - 4 * (restarts + 1)));
  let key: Buffer = Buffer.alloc(0);
  while (!reader.isAtEnd) {
    const [shared, rest, length] = [reader.varint(), reader.varint(), reader.varint()];
    key = Buffer.concat([key.subarray(0, shared), reader.bytes(rest)]);
    yield [key, reader.bytes(length)];
  }
}

/** A key ends with its sequence number and with what was done to it. leveldb db/dbformat.h */
function writeOf(internalKey: Buffer, value: Buffer): Write {
  const tag = internalKey.readBigUInt64LE(internalKey.length - 8);
  return {
    key: internalKey.subarray(0, -8),
    sequence: Number(tag >> 8n),
    value: (tag & 0xffn) === 1n ? value : undefined,
  };
}
