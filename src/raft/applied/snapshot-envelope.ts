import { codecOf } from '../../api/index.ts';
import type { ClusterSnapshot, ClusterSnapshotInput } from '../../api/gen/types.ts';
import { SwarmError } from '../../runtime/index.ts';

/** The fields of SwarmKit's `Snapshot`, all but `version`, which is 0. swarmkit api/snapshot.proto */
const membershipField = 2;
const storeField = 3;

const clusterCodec = codecOf('ClusterSnapshot');

/**
 * A snapshot as it is stored and sent: SwarmKit's `Snapshot`, of which Raft owns the membership and
 * the state machine the store. The store's bytes are put in as they are: to decode megabytes in
 * order to encode them again would hold up everything else. Each piece is a field of its own: a
 * message that comes in parts is put together by whoever decodes it.
 * protobuf.dev/programming-guides/encoding, "Last One Wins"
 */
export function* envelopeOf(
  membership: ClusterSnapshotInput,
  store: Iterable<Buffer>,
): Generator<Buffer> {
  yield fieldOf(membershipField, clusterCodec.encode(membership));
  for (const piece of store) yield fieldOf(storeField, piece);
}

const fieldOf = (field: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.of((field << 3) | 2), varint(bytes.length), bytes]);

/** @throws SwarmError data-loss, if the bytes are no such snapshot */
export function decodeEnvelope(data: Buffer): { membership: ClusterSnapshot; store: Buffer } {
  const parts = new Map<number, Buffer[]>();
  const reader = new Reader(data);
  while (!reader.isAtEnd) {
    const tag = reader.varint();
    const [field, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === 2) {
      const bytes = reader.bytes(reader.varint());
      const known = parts.get(field);
      if (known === undefined) parts.set(field, [bytes]);
      else known.push(bytes);
    } else if (wireType === 0) {
      const value = reader.varint();
      if (field === 1 && value !== 0) throw bad(`unrecognized snapshot version ${value}`);
    } else {
      throw bad(`snapshot has a field of wire type ${wireType}`);
    }
  }
  return {
    membership: clusterCodec.decode(Buffer.concat(parts.get(membershipField) ?? [])),
    store: Buffer.concat(parts.get(storeField) ?? []),
  };
}

const bad = (message: string): SwarmError => new SwarmError('data-loss', message);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

class Reader {
  readonly #data: Buffer;
  #position = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get isAtEnd(): boolean {
    return this.#position >= this.#data.length;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.bytes(1).readUInt8();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }

  bytes(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#data.length) throw bad('snapshot is cut short');
    const bytes = this.#data.subarray(this.#position, end);
    this.#position = end;
    return bytes;
  }
}
