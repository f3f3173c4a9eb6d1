/** Reads LevelDB's numbers and strings one after another. leveldb util/coding.h */
export class ByteReader {
  readonly #bytes: Buffer;
  #position: number;

  constructor(bytes: Buffer, position = 0) {
    this.#bytes = bytes;
    this.#position = position;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#bytes.length;
  }

  get position(): number {
    return this.#position;
  }

  /** @throws RangeError, if it is not there, or larger than what can be counted with */
  varint(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 63; factor *= 128) {
      const byte = this.#bytes.readUInt8(this.#position);
      this.#position += 1;
      value += (byte & 127) * factor;
      if (byte < 128) {
        if (Number.isSafeInteger(value)) return value;
        break;
      }
    }
    throw new RangeError('a number is too large');
  }

  /** @throws RangeError, if there are not so many */
  bytes(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw new RangeError('it is cut short');
    const bytes = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return bytes;
  }

  /** Bytes after their length. @throws RangeError, as {@link bytes} */
  prefixed(): Buffer {
    return this.bytes(this.varint());
  }

  /** Eight bytes, little-endian. @throws RangeError, as {@link varint} */
  fixed64(): number {
    const value = Number(this.bytes(8).readBigUInt64LE());
    if (Number.isSafeInteger(value)) return value;
    throw new RangeError('a number is too large');
  }
}
