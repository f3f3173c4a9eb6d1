/** A snapshot is stored in pieces of so many bytes, so that none holds up what else is to be done. */
const chunkBytes = 262_144;

/** Cuts and joins pieces of any size to chunks of {@link chunkBytes}, of which the last is shorter. */
export async function* chunksOf(
  pieces: Iterable<Buffer> | AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes < chunkBytes) continue;
    const joined = Buffer.concat(waiting);
    const whole = bytes - (bytes % chunkBytes);
    for (let at = 0; at < whole; at += chunkBytes) yield joined.subarray(at, at + chunkBytes);
    waiting = [joined.subarray(whole)];
    bytes -= whole;
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}
