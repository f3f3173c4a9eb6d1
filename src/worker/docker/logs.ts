import type { LogChunk } from '../execution.ts';

/** A frame of a multiplexed log. Engine API 1.41 /containers/{id}/attach, "stream format" */
interface Frame {
  readonly stream: LogChunk['stream'];
  readonly data: Buffer;
}

const headerBytes = 8;
const stderrType = 2;

/**
 * The messages in the log of a container, out of what the Engine sends when it is asked for
 * timestamps and details.
 *
 * @param isTerminal whether the container has a terminal: its log is then one stream of lines
 */
export async function* messagesOf(
  chunks: AsyncIterable<Buffer>,
  isTerminal: boolean,
): AsyncIterable<LogChunk> {
  const frames = isTerminal ? linesOf(chunks) : framesOf(chunks);
  for await (const frame of frames) yield messageOf(frame);
}

async function* framesOf(chunks: AsyncIterable<Buffer>): AsyncIterable<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= headerBytes) {
      const end = headerBytes + rest.readUInt32BE(4);
      if (rest.length < end) break;
      const stream = rest[0] === stderrType ? 'STDERR' : 'STDOUT';
      yield { stream, data: rest.subarray(headerBytes, end) };
      rest = rest.subarray(end);
    }
  }
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncIterable<Frame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield { stream: 'STDOUT', data: rest.subarray(0, end + 1) };
      rest = rest.subarray(end + 1);
    }
  }
  if (rest.length > 0) yield { stream: 'STDOUT', data: rest };
}

/** `2026-01-01T00:00:00.000000000Z key=value,other=value what was written`; details may be empty. */
const prefixPattern =
  /^(?<seconds>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(?<nanos>\d{9})Z (?<details>\S*) /u;

function messageOf({ stream, data }: Frame): LogChunk {
  // The prefix is ASCII; what was written may be anything.
  const match = prefixPattern.exec(data.toString('latin1'));
  if (match?.groups === undefined) {
    return { stream, timestamp: { seconds: '0', nanos: 0 }, attributes: {}, data };
  }
  const { seconds = '', nanos = '', details = '' } = match.groups;
  return {
    stream,
    timestamp: { seconds: String(Date.parse(`${seconds}Z`) / 1_000), nanos: Number(nanos) },
    attributes: Object.fromEntries(new URLSearchParams(details.replaceAll(',', '&'))),
    data: data.subarray(match[0].length),
  };
}
