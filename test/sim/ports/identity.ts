import type { RootCa, SecurityConfig } from '../../../src/ca/index.ts';
import type { CertificateRole } from '../../../src/api/index.ts';
import { type Subscription, Watch } from '../../../src/runtime/index.ts';
import type { Host, Identity } from './host.ts';

/**
 * Who a host is, as a process of it knows. Nothing is signed or verified in a simulation:
 * certificates are words here.
 */
export class Certificate {
  readonly #identity: Identity;
  readonly #clusterId: string;
  readonly #changes = new Watch<CertificateRole>();

  constructor(host: Host, clusterId: string) {
    this.#identity = host.identity;
    this.#clusterId = clusterId;
  }

  get current(): SecurityConfig['current'] {
    const { nodeId, role } = this.#identity;
    return {
      rootCaPem: 'the root',
      certPem: `certificate of ${nodeId}`,
      keyPem: '',
      nodeId,
      role,
      clusterId: this.#clusterId,
      notBefore: 0,
      notAfter: Number.MAX_SAFE_INTEGER,
      tlsInfo: aTlsInfo,
    };
  }

  watch(): Subscription<CertificateRole> {
    return this.#changes.subscribe();
  }

  /** It is replaced by one that says another role. */
  renew(role: CertificateRole): void {
    this.#identity.role = role;
    this.#changes.publish(role);
  }

  /** It has no key, and whoever asks it for its role does not miss that. */
  get asSecurity(): SecurityConfig {
    return this as unknown as SecurityConfig;
  }
}

export const aTlsInfo = {
  trustRoot: Buffer.from('the root'),
  certIssuerSubject: Buffer.from('the root'),
  certIssuerPublicKey: Buffer.from('its key'),
};

/** The root of the swarm, without a key: what would need one is refused. */
export const aRootCa = {
  certPem: 'the root',
  keyPem: '',
  digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000',
} as unknown as RootCa; // As above.
