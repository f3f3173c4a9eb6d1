import { ByteReader } from './byte-reader.ts';

/** One change of a database, as Level takes it. */
export type Operation =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer };

/** What is written together, and the sequence number of its first operation. */
export interface WriteBatch {
  readonly sequence: number;
  readonly operations: readonly Operation[];
}

/** Before the operations: the sequence number (8), how many there are (4). */
const headBytes = 12;
/** The byte before an operation. leveldb db/dbformat.h */
const kinds = { del: 0, put: 1 } as const;

/**
 * A batch as LevelDB writes it, not numbered yet. leveldb db/write_batch.cc
 *
 * @returns `undefined`, if it has more than `bytesMax`
 */
export function encodeBatch(
  operations: readonly Operation[],
  bytesMax: number,
): Buffer | undefined {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(operations.length, 8);
  const parts: Buffer[] = [head];
  let bytes = headBytes;
  for (const operation of operations) {
    const { key } = operation;
    const added = [Buffer.of(kinds[operation.type]), varint(key.length), key];
    if (operation.type === 'put') added.push(varint(operation.value.length), operation.value);
    parts.push(...added);
    bytes += added.reduce((sum, { length }) => sum + length, 0);
    if (bytes > bytesMax) return undefined;
  }
  return Buffer.concat(parts, bytes);
}

/** @throws RangeError, if it is no batch */
export function decodeBatch(bytes: Buffer): WriteBatch {
  const reader = new ByteReader(bytes);
  const sequence = reader.fixed64();
  const count = reader.bytes(4).readUInt32LE();
  const operations: Operation[] = [];
  for (let position = 0; position < count; position += 1) {
    const isPut = reader.bytes(1).readUInt8() === kinds.put;
    const key = reader.prefixed();
    operations.push(isPut ? { type: 'put', key, value: reader.prefixed() } : { type: 'del', key });
  }
  return { sequence, operations };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}
