import type { X509Certificate } from 'node:crypto';
import type { CertificateRole } from '../api/index.ts';
import { type Clock, type Subscription, SwarmError, Watch } from '../runtime/index.ts';
import * as der from './der.ts';
import type { Identity } from './key-store.ts';
import {
  certificatesOf,
  nodeSubjectOf,
  subjectNameOf,
  validityOf,
  verifyChain,
} from './x509/certificate.ts';
import { keyFromPem, spkiOf } from './x509/key.ts';

/** What this node shows and trusts in TLS, and what its certificate says about it. */
export interface TlsMaterial extends Identity {
  readonly nodeId: string;
  readonly role: CertificateRole;
  readonly clusterId: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** What a node tells the swarm about its certificate. swarmkit api `NodeTLSInfo` */
  readonly tlsInfo: TlsInfo;
}

interface TlsInfo {
  /** The roots it trusts, PEM. */
  readonly trustRoot: Buffer;
  /** The subject of the certificate that issued its own, DER. */
  readonly certIssuerSubject: Buffer;
  /** That certificate's public key, DER. */
  readonly certIssuerPublicKey: Buffer;
}

/**
 * How a node names the certificate that issued its own.
 *
 * @param certPem a CA's certificate, PEM
 * @throws SwarmError invalid-argument, if it is none
 */
export const issuerInfoOf = (certPem: string): Omit<TlsInfo, 'trustRoot'> =>
  issuerInfo(certificatesOf(certPem)[0]);

const issuerInfo = (issuer: X509Certificate): Omit<TlsInfo, 'trustRoot'> => ({
  certIssuerSubject: der.encode(subjectNameOf(issuer)),
  certIssuerPublicKey: spkiOf(issuer.publicKey),
});

/**
 * Checks an identity and reads what it says.
 *
 * @throws SwarmError invalid-argument, if the certificate is not valid now, does not lead to a
 *   root, is not for the key, or names no node
 */
export function readIdentity(identity: Identity, nowMs: number): TlsMaterial {
  const chain = certificatesOf(identity.certPem);
  const [leaf] = chain;
  const issuer = verifyChain(chain, certificatesOf(identity.rootCaPem), nowMs);
  if (!spkiOf(leaf.publicKey).equals(spkiOf(keyFromPem(identity.keyPem)))) {
    throw new SwarmError('invalid-argument', 'certificate key mismatch');
  }
  const { rootCaPem, certPem, keyPem } = identity;
  return {
    rootCaPem,
    certPem,
    keyPem,
    ...nodeSubjectOf(leaf),
    ...validityOf(leaf),
    tlsInfo: { trustRoot: Buffer.from(rootCaPem), ...issuerInfo(issuer) },
  };
}

/**
 * This node's TLS material as it is now. Whoever makes connections reads it for each new one and
 * watches it; live connections keep what they were made with. swarmkit ca/config.go
 */
export class SecurityConfig {
  readonly #clock: Clock;
  readonly #watch = new Watch<TlsMaterial>();
  #current: TlsMaterial;

  /** @throws SwarmError invalid-argument, as {@link readIdentity} */
  constructor({ clock }: { readonly clock: Clock }, identity: Identity) {
    this.#clock = clock;
    this.#current = readIdentity(identity, clock.now());
  }

  get current(): TlsMaterial {
    return this.#current;
  }

  /** Every change from now on: the new material. */
  watch(): Subscription<TlsMaterial> {
    return this.#watch.subscribe(undefined, changesHeldMax);
  }

  /**
   * Shows and trusts something else from now on.
   *
   * @throws SwarmError invalid-argument, as {@link readIdentity}: nothing is changed then
   */
  replace(identity: Identity): void {
    this.#current = readIdentity(identity, this.#clock.now());
    this.#watch.publish(this.#current);
  }

  /**
   * Trusts other roots from now on. swarmkit ca/config.go UpdateRootCA
   *
   * @throws SwarmError invalid-argument, if this node's own certificate does not lead to them
   */
  replaceRootCa(rootCaPem: string): void {
    try {
      this.replace({ ...this.#current, rootCaPem });
    } catch (error) {
      throw new SwarmError(
        'invalid-argument',
        'new root CA does not match existing TLS credentials',
        { cause: error },
      );
    }
  }
}

/** A reader that is further behind reads `current`. */
const changesHeldMax = 16;
