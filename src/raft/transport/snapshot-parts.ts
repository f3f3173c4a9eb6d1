import { codecOf } from '../../api/index.ts';
import type { RaftMessage, RaftMessageInput } from '../../api/gen/types.ts';
import { SwarmError } from '../../runtime/index.ts';

/** A peer takes no message larger than this, in bytes. swarmkit manager/state/raft/transport */
export const messageBytesMax = 4 * 1_048_576;

/** What the message costs beside its own bytes, as a field of the request. */
const wrapperBytes = 16;

const messageCodec = codecOf('raftpb.Message');

/**
 * A message as the parts that a peer takes. Only a snapshot may be too large for one: its parts
 * are the same message, each with a piece of the data. swarmkit transport/peer.go splitSnapshotData
 */
export function* partsOf(message: RaftMessageInput): Generator<RaftMessageInput> {
  const { snapshot } = message;
  const data = Buffer.from(snapshot?.data ?? '');
  if (snapshot === undefined || snapshot === null || data.length < messageBytesMax / 2) {
    yield message;
    return;
  }
  const withPiece = (piece: Buffer): RaftMessageInput => ({
    ...message,
    snapshot: { ...snapshot, data: piece },
  });
  const overhead = messageCodec.encode(withPiece(Buffer.alloc(0))).length + wrapperBytes;
  const pieceBytes = messageBytesMax - overhead;
  for (let from = 0; from < data.length; from += pieceBytes) {
    yield withPiece(data.subarray(from, from + pieceBytes));
  }
}

/**
 * The message that its parts make.
 *
 * @param bytesMax a snapshot larger than this is refused
 * @returns `undefined`, if there were none
 * @throws SwarmError invalid-argument, if they are no parts of one message; resource-exhausted
 */
export async function assembled(
  parts: AsyncIterable<RaftMessage | null>,
  bytesMax: number,
): Promise<RaftMessage | undefined> {
  let first: RaftMessage | undefined;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const part of parts) {
    if (part === null) continue;
    if (first !== undefined) checkPart(part, first);
    first ??= part;
    const piece = part.snapshot?.data ?? Buffer.alloc(0);
    bytes += piece.length;
    if (bytes > bytesMax) {
      throw new SwarmError('resource-exhausted', `raft: snapshot is larger than ${bytesMax} bytes`);
    }
    pieces.push(piece);
  }
  if (first === undefined || pieces.length === 1 || first.snapshot === null) return first;
  return { ...first, snapshot: { ...first.snapshot, data: Buffer.concat(pieces) } };
}

function checkPart(part: RaftMessage, first: RaftMessage): void {
  if (part.type !== 'MsgSnap') {
    throw new SwarmError('invalid-argument', 'Raft message chunk is not of type 7');
  }
  if (part.index !== first.index) {
    throw new SwarmError(
      'invalid-argument',
      `Raft message chunk with index ${part.index} is different from the previously received raft message index ${first.index}`,
    );
  }
}
