import { type Cluster, type Node, timestampFromMs, toMs } from '../../api/index.ts';
import { certificatesOf, validityOf } from '../../ca/index.ts';
import { isSwarmError } from '../../runtime/index.ts';

/** How long after its end a certificate is still remembered: clocks differ. */
const graceMs = 7 * 24 * 3_600_000;

/**
 * A cluster in which a node's certificate is no longer worth anything. It is remembered until the
 * certificate has ended; for ever, if nobody knows when that is.
 */
export function withRemovedNode(cluster: Cluster, node: Node, nowMs: number): Cluster {
  const endMs = endOf(node.certificate?.certificate);
  const removed = { expiry: endMs === undefined ? null : timestampFromMs(endMs) };
  const fresh = withoutExpired(cluster, nowMs);
  return {
    ...fresh,
    blacklistedCertificates: { ...fresh.blacklistedCertificates, [node.id]: removed },
  };
}

/** A cluster that has forgotten the certificates of removed nodes that ended long ago. */
export function withoutExpired(cluster: Cluster, nowMs: number): Cluster {
  const kept = Object.entries(cluster.blacklistedCertificates).filter(([, { expiry }]) => {
    const endMs = toMs(expiry);
    return endMs === undefined || nowMs <= endMs + graceMs;
  });
  return { ...cluster, blacklistedCertificates: Object.fromEntries(kept) };
}

/** When a certificate in PEM ends; `undefined`, if there is none that can be read. */
function endOf(certificate: Buffer | undefined): number | undefined {
  if (certificate === undefined) return undefined;
  try {
    return validityOf(certificatesOf(certificate.toString())[0]).notAfter;
  } catch (error) {
    if (isSwarmError(error, 'invalid-argument')) return undefined;
    throw error;
  }
}
