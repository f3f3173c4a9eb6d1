import { crc32c } from './crc32c.ts';

/** Records are cut at the ends of blocks of so many bytes. leveldb doc/log_format.md */
const blockBytes = 32_768;
/** Before each fragment: a checksum (4), its length (2), its type (1). */
const headerBytes = 7;

const fragment = { full: 1, first: 2, middle: 3, last: 4 } as const;

/** A record of a journal, or a place where there is none that is what was written. */
export type JournalItem =
  | { readonly kind: 'record'; readonly data: Buffer }
  | { readonly kind: 'bad'; readonly offset: number };

/** LevelDB stores checksums of what may hold checksums like this. leveldb util/crc32c.h */
export const unmask = (masked: number): number => {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
};

/**
 * What LevelDB would make of a journal, and where it would say nothing and leave something out.
 *
 * A record that is cut off by the end of the file is not bad: a process died while it wrote it.
 * leveldb db/log_reader.cc
 */
export function* readJournal(file: Buffer): Generator<JournalItem> {
  let parts: Buffer[] | undefined;
  for (let block = 0; block < file.length; block += blockBytes) {
    const end = Math.min(block + blockBytes, file.length);
    let offset = block;
    while (end - offset >= headerBytes) {
      const length = file.readUInt16LE(offset + 4);
      const type = file.readUInt8(offset + 6);
      const dataEnd = offset + headerBytes + length;
      if (dataEnd > end && end - block < blockBytes) return; // Cut off.
      const isIntact =
        dataEnd <= end &&
        unmask(file.readUInt32LE(offset)) === crc32c(file.subarray(offset + 6, dataEnd));
      if (!isIntact) {
        parts = undefined;
        yield { kind: 'bad', offset };
        break; // Its length cannot be believed either: LevelDB goes on with the next block.
      }
      const data = file.subarray(offset + headerBytes, dataEnd);
      const begins = type === fragment.full || type === fragment.first;
      if (begins === (parts !== undefined)) yield { kind: 'bad', offset };
      if (begins) parts = [];
      parts?.push(data);
      if (parts !== undefined && (type === fragment.full || type === fragment.last)) {
        yield { kind: 'record', data: parts.length === 1 ? data : Buffer.concat(parts) };
        parts = undefined;
      }
      offset = dataEnd;
    }
  }
}
