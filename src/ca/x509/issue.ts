import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import type { Random } from '../../runtime/index.ts';
import * as der from '../der.ts';
import {
  extensionsOf,
  type NodeSubject,
  subjectNameOf,
  type Validity,
  validityOf,
} from './certificate.ts';
import { algorithmOf, signed, spkiOf } from './key.ts';
import { pem } from './pem.ts';

const oid = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** Bits of the key usage extension, highest first. RFC 5280 §4.2.1.3 */
const usage = {
  digitalSignatureAndKeyEncipherment: der.bitString(Buffer.of(0b1010_0000), 5),
  certSignAndCrlSign: der.bitString(Buffer.of(0b0000_0110), 1),
} as const;

/** What signs certificates: a CA's key, and what of its certificate goes into each of them. */
export interface Issuer {
  readonly key: KeyObject;
  readonly name: der.Asn1;
  readonly keyId: Buffer;
}

/** A CA as an issuer. Taking its certificate apart is dearer than signing with it. */
export const issuerFrom = (certificate: X509Certificate, key: KeyObject): Issuer => ({
  key,
  name: subjectNameOf(certificate),
  keyId: subjectKeyIdOf(certificate) ?? keyIdOf(spkiOf(key)),
});

/** How a CA's certificate names its key: who made it had a choice. RFC 5280 §4.2.1.2 */
function subjectKeyIdOf(certificate: X509Certificate): Buffer | undefined {
  const found = extensionsOf(certificate).find(
    (item) => der.objectIdOf(der.part(item, 0)) === oid.subjectKeyId,
  );
  const value = found === undefined ? undefined : der.parts(found).at(-1);
  return value === undefined ? undefined : der.octetsOf(der.decode(der.octetsOf(value)));
}

/** A self-signed root, PEM: `CN=swarm-ca` and nothing else. swarmkit ca/certificates.go */
export function issueRoot(random: Random, key: KeyObject, validity: Validity): string {
  const name = nameFrom([[oid.commonName, 'swarm-ca']]);
  return issue(random, key, {
    issuer: name,
    subject: name,
    validity,
    spki: spkiOf(key),
    extensions: [
      critical(oid.keyUsage, usage.certSignAndCrlSign),
      critical(oid.basicConstraints, der.sequence(der.boolean(true))),
      extension(oid.subjectKeyId, der.octetString(keyIdOf(spkiOf(key)))),
    ],
  });
}

/** What a node certificate says beside who issued it. */
export interface NodeCertificate {
  readonly subject: NodeSubject;
  /** The node's public key. */
  readonly key: KeyObject;
  readonly validity: Validity;
}

/** A node's certificate, PEM. swarmkit ca/certificates.go, ParseValidateAndSignCSR */
export function issueNode(random: Random, issuer: Issuer, node: NodeCertificate): string {
  const { nodeId, role, clusterId } = node.subject;
  const dnsNames = [role, nodeId, ...(role === 'swarm-manager' ? ['swarm-ca'] : [])];
  const spki = spkiOf(node.key);
  return issue(random, issuer.key, {
    issuer: issuer.name,
    subject: nameFrom([
      [oid.organization, clusterId],
      [oid.organizationalUnit, role],
      [oid.commonName, nodeId],
    ]),
    validity: node.validity,
    spki,
    extensions: [
      critical(oid.keyUsage, usage.digitalSignatureAndKeyEncipherment),
      extension(
        oid.extendedKeyUsage,
        der.sequence(der.objectId(oid.serverAuth), der.objectId(oid.clientAuth)),
      ),
      critical(oid.basicConstraints, der.sequence()),
      extension(oid.subjectKeyId, der.octetString(keyIdOf(spki))),
      authorityKeyId(issuer),
      extension(
        oid.subjectAltName,
        der.sequence(...dnsNames.map((name) => der.implicit(2, Buffer.from(name)))),
      ),
    ],
  });
}

/**
 * A root once more, signed by another, PEM: who trusts `issuer` alone trusts it too.
 *
 * All roots of a swarm have the same name. The authority key ID, which Go leaves out here, is what
 * tells OpenSSL that this certificate is not self-signed.
 */
export function issueCrossSigned(random: Random, issuer: Issuer, root: X509Certificate): string {
  const kept = extensionsOf(root).filter(
    (item) => der.objectIdOf(der.part(item, 0)) !== oid.authorityKeyId,
  );
  return issue(random, issuer.key, {
    issuer: issuer.name,
    subject: subjectNameOf(root),
    validity: validityOf(root),
    spki: spkiOf(root.publicKey),
    extensions: [...kept, authorityKeyId(issuer)],
  });
}

interface Body {
  readonly issuer: der.Asn1;
  readonly subject: der.Asn1;
  readonly validity: Validity;
  readonly spki: Buffer;
  readonly extensions: readonly der.Asn1[];
}

/** RFC 5280 §4.1 */
function issue(random: Random, key: KeyObject, body: Body): string {
  const tbsCertificate = der.sequence(
    der.explicit(0, der.integer(Buffer.of(2))), // version 3
    der.integer(newSerial(random)),
    algorithmOf(key),
    body.issuer,
    der.sequence(der.time(body.validity.notBefore), der.time(body.validity.notAfter)),
    body.subject,
    der.decode(body.spki),
    der.explicit(3, der.sequence(...body.extensions)),
  );
  return pem('CERTIFICATE', signed(tbsCertificate, key));
}

/** 20 random bytes; the number is never negative. */
function newSerial(random: Random): Buffer {
  const serial = random.bytes(20);
  serial[0] = (serial[0] ?? 0) & 0x7f;
  return serial;
}

/** SHA-1 of the key's bits. RFC 5280 §4.2.1.2 */
const keyIdOf = (spki: Buffer): Buffer =>
  createHash('sha1')
    .update(der.bitsOf(der.part(der.decode(spki), 1)))
    .digest();

const nameFrom = (fields: ReadonlyArray<readonly [type: string, value: string]>): der.Asn1 =>
  der.sequence(
    ...fields.map(([type, value]) => der.set(der.sequence(der.objectId(type), der.text(value)))),
  );

const extension = (id: string, value: der.Asn1): der.Asn1 =>
  der.sequence(der.objectId(id), der.octetString(der.encode(value)));

const critical = (id: string, value: der.Asn1): der.Asn1 =>
  der.sequence(der.objectId(id), der.boolean(true), der.octetString(der.encode(value)));

const authorityKeyId = ({ keyId }: Issuer): der.Asn1 =>
  extension(oid.authorityKeyId, der.sequence(der.implicit(0, keyId)));
