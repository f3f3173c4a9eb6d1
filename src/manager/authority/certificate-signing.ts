import type { KeyObject } from 'node:crypto';
import { type Cluster, type Node, toMs } from '../../api/index.ts';
import { defaultCertExpiryMs, keyOfCsr, RootCa } from '../../ca/index.ts';
import type { Clock, Random } from '../../runtime/index.ts';

interface Deps {
  readonly random: Random;
  readonly clock: Clock;
}

/** Issues the certificates of a cluster. */
export class CertificateIssuer {
  readonly #deps: Deps;
  #last: { readonly from: Cluster['rootCa']; readonly rootCa: RootCa } | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /**
   * A node with a certificate for the request it has made: for the role it plays, not for the one
   * it is meant to play later.
   *
   * @param key the key of the request, where it has been read already
   * @throws SwarmError failed-precondition, if this cluster's key is elsewhere; invalid-argument,
   *   if the request is none
   */
  withCertificate(cluster: Cluster, node: Node, key?: KeyObject): Node {
    const csr = node.certificate?.csr ?? Buffer.alloc(0);
    const chainPem = this.#rootCaOf(cluster).sign(this.#deps, key ?? keyOfCsr(csr), {
      nodeId: node.id,
      role: node.role === 'MANAGER' ? 'swarm-manager' : 'swarm-worker',
      clusterId: cluster.id,
      expiryMs: toMs(cluster.spec?.caConfig?.nodeCertExpiry) ?? defaultCertExpiryMs,
    });
    return {
      ...node,
      certificate: {
        csr,
        cn: node.id,
        role: node.role,
        status: { state: 'ISSUED', err: '' },
        certificate: Buffer.from(chainPem),
      },
    };
  }

  /** Reading keys is dearer than signing with them. A changed cluster is another object. */
  #rootCaOf(cluster: Cluster): RootCa {
    if (this.#last === undefined || this.#last.from !== cluster.rootCa) {
      this.#last = { from: cluster.rootCa, rootCa: rootCaOf(cluster) };
    }
    return this.#last.rootCa;
  }
}

/**
 * The CA of a cluster, as its object has it. While a root rotation is under way the next root
 * signs, and what it signed is trusted by way of its cross-signed certificate.
 */
function rootCaOf({ rootCa }: Cluster): RootCa {
  const certPem = (rootCa?.caCert ?? Buffer.alloc(0)).toString();
  const rotation = rootCa?.rootRotation ?? undefined;
  const [signerPem, keyPem] =
    rotation === undefined
      ? [certPem, rootCa?.caKey.toString() ?? '']
      : [rotation.caCert.toString(), rotation.caKey.toString()];
  return RootCa.load({
    certPem,
    signer:
      keyPem === ''
        ? undefined
        : { certPem: signerPem, keyPem, crossSignedPem: rotation?.crossSignedCaCert.toString() },
  });
}

/** Whether a node waits for a certificate it may have. swarmkit ca/server.go */
export function isAwaitingCertificate({ certificate, spec }: Node): boolean {
  const state = certificate?.status?.state;
  return state === 'RENEW' || (state === 'PENDING' && spec?.membership === 'ACCEPTED');
}
