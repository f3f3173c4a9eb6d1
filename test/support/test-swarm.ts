import type { CertificateRole, Cluster } from '../../src/api/index.ts';
import {
  clusterRootCa,
  type Identity,
  keyOfCsr,
  newCsr,
  newKey,
  keyToPem,
  RootCa,
  SecurityConfig,
} from '../../src/ca/index.ts';
import { type Clock, CryptoRandom, newId, SystemClock } from '../../src/runtime/index.ts';
import { aCluster } from './builders.ts';

/** A swarm's root, and nodes with real certificates. */
export class TestSwarm {
  readonly clusterId: string;
  readonly rootCa: RootCa;
  readonly #deps: { readonly clock: Clock; readonly random: CryptoRandom };

  constructor(clock: Clock = new SystemClock()) {
    this.#deps = { clock, random: new CryptoRandom() };
    this.clusterId = newId(this.#deps.random);
    this.rootCa = RootCa.create(this.#deps);
  }

  /** A new node's certificate and key. */
  identity(role: CertificateRole, options: { nodeId?: string; expiryMs?: number } = {}): Identity {
    const { nodeId = newId(this.#deps.random), expiryMs = 24 * 3_600_000 } = options;
    const key = newKey();
    const certPem = this.rootCa.sign(this.#deps, keyOfCsr(Buffer.from(newCsr(key))), {
      nodeId,
      role,
      clusterId: this.clusterId,
      expiryMs,
    });
    return { rootCaPem: this.rootCa.certPem, certPem, keyPem: keyToPem(key) };
  }

  security(role: CertificateRole, options: { nodeId?: string } = {}): SecurityConfig {
    return new SecurityConfig(this.#deps, this.identity(role, options));
  }

  /** The cluster object its founder would write. */
  cluster(): Cluster {
    return aCluster({
      id: this.clusterId,
      rootCa: clusterRootCa(this.#deps.random, this.rootCa),
      VXLANUDPPort: 4789,
    });
  }
}
