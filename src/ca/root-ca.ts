import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import { type Clock, type Random, SwarmError } from '../runtime/index.ts';
import { certificatesOf, isIssuedBy, type NodeSubject, type Validity } from './x509/certificate.ts';
import { issueCrossSigned, issueNode, type Issuer, issuerFrom, issueRoot } from './x509/issue.ts';
import { assertStrongKey, keyFromPem, keyToPem, newKey, spkiOf } from './x509/key.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** How long a node certificate lives unless the cluster says otherwise: 90 days. */
export const defaultCertExpiryMs = 90 * 24 * hourMs;
/** A shorter life is not taken seriously: the default stands in for it. */
export const certExpiryMsMin = hourMs;
/** How far a node certificate reaches back, for nodes whose clock is behind. */
const backdateMs = hourMs;
const rootBackdateMs = 5 * minuteMs;
/** 20 years of 365 days. */
const rootLifeMs = 630_720_000_000;

/** The digest of a root bundle, as join tokens and `ca_cert_hash` carry it: of its exact bytes. */
export const rootDigest = (bundlePem: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(bundlePem).digest('hex')}`;

interface Deps {
  readonly random: Random;
  readonly clock: Clock;
}

/** What a {@link RootCa} is made of. */
export interface RootCaParts {
  /** The trusted roots, PEM. */
  readonly certPem: string;
  /**
   * What signs: the root's own key, or, in a root rotation, the next root with its key and with its
   * certificate as signed by the root that is trusted now.
   */
  readonly signer?:
    | {
        readonly certPem: string;
        readonly keyPem: string;
        readonly crossSignedPem?: string | undefined;
      }
    | undefined;
}

/** A swarm's certificate authority: what its nodes trust and, on a manager, what signs for them. */
export class RootCa {
  /** The trusted roots, PEM: the exact text whose digest is in every join token. */
  readonly certPem: string;
  readonly digest: string;
  readonly #signer: (Issuer & { readonly intermediatesPem: string }) | undefined;

  private constructor({ certPem, signer }: RootCaParts) {
    this.certPem = certPem;
    this.digest = rootDigest(certPem);
    certificatesOf(certPem);
    this.#signer =
      signer === undefined
        ? undefined
        : {
            ...checkedIssuer(signer.certPem, signer.keyPem),
            intermediatesPem: signer.crossSignedPem ?? '',
          };
  }

  /** A new root of P-256, 20 years long. */
  static create({ random, clock }: Deps): RootCa {
    const key = newKey();
    const notBefore = roundedToMinute(clock.now()) - rootBackdateMs;
    const certPem = issueRoot(random, key, { notBefore, notAfter: notBefore + rootLifeMs });
    return new RootCa({ certPem, signer: { certPem, keyPem: keyToPem(key) } });
  }

  /**
   * A root from PEM. Without a signer it can only be trusted.
   *
   * @throws SwarmError invalid-argument, if it is no root, or `certificate key mismatch`
   */
  static load(parts: RootCaParts): RootCa {
    return new RootCa(parts);
  }

  /** Whether this process has a key to sign with. */
  get canSign(): boolean {
    return this.#signer !== undefined;
  }

  /** The key that signs, PEM. It leaves the process only into the cluster object. */
  get keyPem(): string | undefined {
    return this.#signer === undefined ? undefined : keyToPem(this.#signer.key);
  }

  /**
   * Issues a node's certificate.
   *
   * @param key the node's public key, as its request proved it
   * @returns the chain to serve, PEM: the leaf and, in a root rotation, the cross-signed root
   * @throws SwarmError failed-precondition, if there is no key to sign with
   */
  sign(
    { random, clock }: Deps,
    key: KeyObject,
    { expiryMs, ...subject }: NodeSubject & { readonly expiryMs: number },
  ): string {
    const signer = this.#requireSigner();
    const validity = nodeValidity(clock.now(), expiryMs);
    return issueNode(random, signer, { subject, key, validity }) + signer.intermediatesPem;
  }

  /** The root `nextRootPem` as signed by this one, PEM, for the time of a root rotation. */
  crossSign(random: Random, nextRootPem: string): string {
    return issueCrossSigned(random, this.#requireSigner(), certificatesOf(nextRootPem)[0]);
  }

  #requireSigner(): Issuer & { readonly intermediatesPem: string } {
    if (this.#signer === undefined) {
      throw new SwarmError('failed-precondition', 'no valid signer found');
    }
    return this.#signer;
  }
}

/** Backdated by an hour; as seen from now it lasts as long as configured. */
function nodeValidity(nowMs: number, expiryMs: number): Validity {
  const life = expiryMs < certExpiryMsMin ? defaultCertExpiryMs : expiryMs;
  const from = roundedToMinute(nowMs);
  return { notBefore: from - backdateMs, notAfter: from + life };
}

const roundedToMinute = (ms: number): number => Math.round(ms / minuteMs) * minuteMs;

function checkedIssuer(certPem: string, keyPem: string): Issuer {
  const key = keyFromPem(keyPem);
  assertStrongKey(key);
  const certificate = certificatesOf(certPem).find(({ publicKey }) =>
    spkiOf(publicKey).equals(spkiOf(key)),
  );
  if (certificate === undefined) {
    throw new SwarmError('invalid-argument', 'certificate key mismatch');
  }
  assertRoot(certificate);
  return issuerFrom(certificate, key);
}

function assertRoot(certificate: X509Certificate): void {
  if (!isIssuedBy(certificate, certificate)) {
    throw new SwarmError('invalid-argument', 'the CA certificate is not a self-signed CA');
  }
}
