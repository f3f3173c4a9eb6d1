/** The Castagnoli polynomial, bits reversed. RFC 3720 §12.1 */
const polynomial = 0x82f63b78;

/** So many bytes are taken at a time. */
const stride = 8;

/** `tables[256 * n + byte]`: the remainder of a byte that `n` more bytes follow. */
const tables = new Uint32Array(256 * stride);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
  tables[byte] = crc;
}
for (let at = 256; at < tables.length; at += 1) {
  const before = tables[at - 256] ?? 0;
  tables[at] = (before >>> 8) ^ (tables[before & 0xff] ?? 0);
}

// Within its bounds a typed array has no holes: `as number` is for the compiler, `| 0` for the engine.
const table = (n: number, byte: number): number => (tables[256 * n + (byte & 0xff)] as number) | 0;

/**
 * The CRC-32C of `bytes`, going on from that of what came before. Every byte of a log is summed at
 * each boot, so eight are taken at a time ("slicing-by-8", Kounavis and Berry 2005).
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  const at = (position: number): number => (bytes[position] as number) | 0;
  let crc = ~before;
  let position = 0;
  for (const end = bytes.length - (bytes.length % stride); position < end; position += stride) {
    crc ^=
      at(position) | (at(position + 1) << 8) | (at(position + 2) << 16) | (at(position + 3) << 24);
    crc =
      table(7, crc) ^
      table(6, crc >>> 8) ^
      table(5, crc >>> 16) ^
      table(4, crc >>> 24) ^
      table(3, at(position + 4)) ^
      table(2, at(position + 5)) ^
      table(1, at(position + 6)) ^
      table(0, at(position + 7));
  }
  for (; position < bytes.length; position += 1) crc = (crc >>> 8) ^ table(0, crc ^ at(position));
  return ~crc >>> 0;
}
