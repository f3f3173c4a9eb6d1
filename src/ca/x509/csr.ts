import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { SwarmError } from '../../runtime/index.ts';
import * as der from '../der.ts';
import { assertStrongKey, signed, spkiOf } from './key.ts';
import { pem, pemBlocks } from './pem.ts';

/** A request is at most so long, in bytes: a P-256 one has 400. */
const csrBytesMax = 4_096;

/** The digest of each algorithm a request may be signed with. swarmkit ca/certificates.go */
const digests: Readonly<Record<string, string>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
};

/** A request for a certificate on `key`, PEM. Its subject is empty: the CA chooses it. RFC 2986 */
export function newCsr(key: KeyObject): string {
  const info = der.sequence(
    der.integer(Buffer.of(0)),
    der.sequence(),
    der.decode(spkiOf(key)),
    der.explicit(0),
  );
  return pem('CERTIFICATE REQUEST', signed(info, key));
}

/**
 * The public key a request asks a certificate for. Nothing else in the request is believed, and
 * its signature proves that the asker has the private key.
 *
 * @throws SwarmError invalid-argument, if it is no certificate signing request
 */
export function keyOfCsr(csr: Buffer): KeyObject {
  if (csr.length > csrBytesMax) {
    throw refused(`${csr.length} bytes are more than ${csrBytesMax}`);
  }
  try {
    return verifiedKey(csr);
  } catch (error) {
    if (error instanceof SwarmError) throw refused(error.message, error);
    throw refused('unreadable public key or signature', error);
  }
}

function verifiedKey(csr: Buffer): KeyObject {
  const [block] = pemBlocks(csr.toString('latin1'));
  if (block === undefined || !block.label.endsWith('CERTIFICATE REQUEST')) {
    throw new SwarmError('invalid-argument', 'not one in PEM');
  }
  const request = der.decode(block.der);
  const info = der.part(request, 0);
  const digest = digests[der.objectIdOf(der.part(der.part(request, 1), 0))];
  if (digest === undefined) throw new SwarmError('invalid-argument', 'unsupported signature');
  const key = createPublicKey({
    key: der.encode(der.part(info, 2)),
    format: 'der',
    type: 'spki',
  });
  assertStrongKey(key);
  // The info is encoded anew: if that changed a byte, the signature does not fit.
  if (!verify(digest, der.encode(info), key, der.bitsOf(der.part(request, 2)))) {
    throw new SwarmError('invalid-argument', 'its signature does not fit its key');
  }
  return key;
}

const refused = (why: string, cause?: unknown): SwarmError =>
  new SwarmError('invalid-argument', `invalid certificate signing request: ${why}`, { cause });
