import { X509Certificate } from 'node:crypto';
import type { CertificateRole } from '../../api/index.ts';
import { SwarmError } from '../../runtime/index.ts';
import * as der from '../der.ts';
import { pem, pemBlocks } from './pem.ts';

/** Who a node certificate is for: its subject. swarmkit ca/certificates.go */
export interface NodeSubject {
  /** CN */
  readonly nodeId: string;
  /** OU */
  readonly role: CertificateRole;
  /** O */
  readonly clusterId: string;
}

/** When a certificate is valid, in milliseconds since the epoch. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * The certificates of a PEM bundle, in order.
 *
 * @throws SwarmError invalid-argument, if there is none, or one that cannot be read
 */
export function certificatesOf(
  bundlePem: string,
): readonly [X509Certificate, ...(readonly X509Certificate[])] {
  const [first, ...rest] = pemBlocks(bundlePem)
    .filter(({ label }) => label === 'CERTIFICATE')
    .map(({ der: bytes }) => {
      try {
        return new X509Certificate(bytes);
      } catch (error) {
        throw new SwarmError('invalid-argument', 'not a certificate', { cause: error });
      }
    });
  if (first === undefined) throw new SwarmError('invalid-argument', 'no certificate in PEM');
  return [first, ...rest];
}

/** A bundle without what is no certificate, in canonical PEM. */
export const normalizedPem = (bundlePem: string): string =>
  certificatesOf(bundlePem)
    .map(({ raw }) => pem('CERTIFICATE', raw))
    .join('');

export const validityOf = (certificate: X509Certificate): Validity => ({
  notBefore: Date.parse(certificate.validFrom),
  notAfter: Date.parse(certificate.validTo),
});

/** The signed part of a certificate. RFC 5280 §4.1 */
const bodyOf = (certificate: X509Certificate): der.Asn1 => der.part(der.decode(certificate.raw), 0);

/** The name a certificate is for, to be repeated as the issuer of another. */
export const subjectNameOf = (certificate: X509Certificate): der.Asn1 =>
  der.part(bodyOf(certificate), 5);

/** The extensions of a version 3 certificate. */
export const extensionsOf = (certificate: X509Certificate): readonly der.Asn1[] =>
  der.parts(der.part(der.part(bodyOf(certificate), 7), 0));

/** The common name of a certificate, or an empty string. */
const commonNameOf = (certificate: X509Certificate): string =>
  fieldsOf(certificate).get('CN') ?? '';

/**
 * Who a node certificate says its bearer is.
 *
 * @throws SwarmError invalid-argument, in SwarmKit's words, if its subject lacks something
 */
export function nodeSubjectOf(certificate: X509Certificate): NodeSubject {
  const fields = fieldsOf(certificate);
  const [role, clusterId, nodeId] = ['OU', 'O', 'CN'].map((field) => fields.get(field));
  if (role === undefined) throw invalid('no OU found in certificate subject');
  if (clusterId === undefined) throw invalid('no organization found in certificate subject');
  if (nodeId === undefined) throw invalid('no valid subject names found for TLS configuration');
  if (role !== 'swarm-worker' && role !== 'swarm-manager') {
    throw invalid(`unknown role in certificate subject: ${role}`);
  }
  return { nodeId, role, clusterId };
}

/** The first value of each field of a certificate's subject. */
function fieldsOf({ subject }: X509Certificate): ReadonlyMap<string, string> {
  const fields = subject.split('\n').map((line): [string, string] => {
    const at = line.indexOf('=');
    return [line.slice(0, at), line.slice(at + 1)];
  });
  return new Map(fields.toReversed());
}

/**
 * Checks a chain, leaf first: every certificate is within its validity and signed by the next, and
 * one of them is signed by a root. It need not be the last: once a root rotation is complete, the
 * cross-signed root in a chain leads to a root that is trusted no more, and its leaf to the new one.
 *
 * @returns the certificate that issued the leaf
 * @throws SwarmError invalid-argument. swarmkit ca/certificates.go ValidateCertChain
 */
export function verifyChain(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): X509Certificate {
  const nameOf = (certificate: X509Certificate): string =>
    `(${chain.indexOf(certificate) + 1} - ${commonNameOf(certificate)})`;
  const last = chain.at(-1);
  if (last === undefined) throw invalid('no certificates to validate');
  for (const [index, certificate] of chain.entries()) {
    checkValidity(certificate, index, nowMs);
    const next = chain[index + 1];
    if (next !== undefined && !isIssuedBy(certificate, next)) {
      const name = nameOf(certificate);
      throw invalid(`certificates do not form a chain: ${name} is not signed by the next`);
    }
  }
  const [anchor] = chain.flatMap((certificate) =>
    roots.filter((root) => isIssuedBy(certificate, root)),
  );
  if (anchor === undefined) {
    throw invalid(`certificate ${nameOf(last)} signed by unknown authority`);
  }
  checkValidity(anchor, chain.length, nowMs);
  return chain[1] ?? anchor;
}

function checkValidity(certificate: X509Certificate, index: number, nowMs: number): void {
  const { notBefore, notAfter } = validityOf(certificate);
  const name = `certificate (${index + 1} - ${commonNameOf(certificate)})`;
  const now = rfc1123(nowMs);
  if (nowMs < notBefore) {
    throw invalid(`${name} not valid before ${rfc1123(notBefore)}, and it is currently ${now}`);
  }
  if (nowMs > notAfter) {
    throw invalid(`${name} not valid after ${rfc1123(notAfter)}, and it is currently ${now}`);
  }
}

/** Whether a certificate authority signed a certificate. A root is issued by itself. */
export const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  issuer.ca && certificate.issuer === issuer.subject && certificate.verify(issuer.publicKey);

/** A time as Go's `time.RFC1123` prints it. */
const rfc1123 = (ms: number): string => new Date(ms).toUTCString().replace(/GMT$/u, 'UTC');

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);
