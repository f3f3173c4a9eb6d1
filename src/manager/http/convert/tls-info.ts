import type { JsonObject } from '../json.ts';
import { bytes, text } from './shapes.ts';

/**
 * What a client needs to judge a node's certificate: the trusted roots, and the first one's
 * subject and public key in DER. Engine API 1.47 `TLSInfo`
 */
export function tlsInfoToEngine(rootPem: string): JsonObject {
  const issuer = issuerOf(rootPem);
  return {
    TrustRoot: text(rootPem),
    CertIssuerSubject: issuer === undefined ? undefined : bytes(issuer.subject),
    CertIssuerPublicKey: issuer === undefined ? undefined : bytes(issuer.publicKey),
  };
}

const pemBody = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/u;

/** The tag of a certificate's explicit version, the one optional field before its subject. */
const versionTag = 0xa0;

/** RFC 5280 §4.1: version, serial number, signature, issuer, validity, subject, public key. */
function issuerOf(pem: string): { subject: Buffer; publicKey: Buffer } | undefined {
  const body = pemBody.exec(pem)?.[1];
  if (body === undefined) return undefined;
  const [certificate] = elementsOf(Buffer.from(body, 'base64'));
  const [signed] = elementsOf(certificate?.content);
  const fields = elementsOf(signed?.content);
  const [, , , , subject, publicKey] = fields[0]?.tag === versionTag ? fields.slice(1) : fields;
  return subject === undefined || publicKey === undefined
    ? undefined
    : { subject: subject.whole, publicKey: publicKey.whole };
}

interface Element {
  readonly tag: number;
  readonly whole: Buffer;
  readonly content: Buffer;
}

/** The DER elements that follow one another in `der`. */
function elementsOf(der: Buffer | undefined): Element[] {
  const elements: Element[] = [];
  let rest = der ?? Buffer.alloc(0);
  while (rest.length >= 2) {
    const first = rest.readUInt8(1);
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    if (lengthBytes > 4 || rest.length < 2 + lengthBytes) break;
    const length = lengthBytes === 0 ? first : rest.readUIntBE(2, lengthBytes);
    const start = 2 + lengthBytes;
    elements.push({
      tag: rest.readUInt8(0),
      whole: rest.subarray(0, start + length),
      content: rest.subarray(start, start + length),
    });
    rest = rest.subarray(start + length);
  }
  return elements;
}
