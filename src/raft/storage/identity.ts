import type { RaftId } from '../core/types.ts';
import { crc32c } from './leveldb/crc32c.ts';
import type { LogIdentity } from './log-store.ts';
import { loss } from './loss.ts';

/** How records lie on disk. A number that was given up is never used again. */
const format = 2;

/** Whose log it is, to be read by people too; with a checksum. */
export function encodeIdentity({ clusterId, raftId, nodeId }: LogIdentity): Buffer {
  const text = JSON.stringify({ format, clusterId, raftId, nodeId });
  return Buffer.from(JSON.stringify({ ...JSON.parse(text), crc: crc32c(Buffer.from(text)) }));
}

/** @throws SwarmError data-loss, if it is not what was written, or of another format */
export function decodeIdentity(bytes: Buffer): LogIdentity {
  try {
    const parsed = JSON.parse(bytes.toString()) as Record<string, unknown>;
    const { clusterId, raftId, nodeId } = parsed;
    const identity = {
      clusterId: String(clusterId),
      raftId: String(raftId) as RaftId, // What was written is a Raft ID, as the checksum tells.
      nodeId: String(nodeId),
    };
    if (encodeIdentity(identity).equals(bytes)) return identity;
  } catch {
    // Not even JSON.
  }
  throw loss('its identity is not what was written');
}

export const isSameIdentity = (a: LogIdentity, b: LogIdentity): boolean =>
  encodeIdentity(a).equals(encodeIdentity(b));
