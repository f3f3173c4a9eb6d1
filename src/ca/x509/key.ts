import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { SwarmError } from '../../runtime/index.ts';
import * as der from '../der.ts';

const curves = ['prime256v1', 'secp384r1', 'secp521r1'];

/** A new P-256 key, as stock Engines make them. */
export const newKey = (): KeyObject =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** A private key as PKCS #8 PEM. */
export const keyToPem = (key: KeyObject): string =>
  key.export({ format: 'pem', type: 'pkcs8' }).toString();

/**
 * A private key from PEM.
 *
 * @throws SwarmError invalid-argument, if it is none
 */
export function keyFromPem(keyPem: string): KeyObject {
  try {
    return createPrivateKey(keyPem);
  } catch (error) {
    throw new SwarmError('invalid-argument', 'not a private key', { cause: error });
  }
}

/** A public key with its algorithm, as DER. Of a private key, its public half. */
export const spkiOf = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' });

/**
 * Refuses a key that a CA may neither use nor certify. swarmkit ca/certificates.go
 *
 * @throws SwarmError invalid-argument, in SwarmKit's words
 */
export function assertStrongKey(key: KeyObject): void {
  const { namedCurve, modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec') {
    if (namedCurve !== undefined && curves.includes(namedCurve)) return;
    throw new SwarmError('invalid-argument', 'unsupported ECDSA key parameters');
  }
  if (key.asymmetricKeyType === 'rsa') {
    if ((modulusLength ?? 0) >= 2_048 && publicExponent !== 1n) return;
    throw new SwarmError('invalid-argument', 'unsupported RSA key parameters');
  }
  throw new SwarmError(
    'invalid-argument',
    'unknown or unsupported certificate public key algorithm',
  );
}

const ecdsaWithSha256 = der.sequence(der.objectId('1.2.840.10045.4.3.2'));
const rsaWithSha256 = der.sequence(der.objectId('1.2.840.113549.1.1.11'), der.nothing());

/** The algorithm {@link signed} signs with, by the kind of key. */
export const algorithmOf = (key: KeyObject): der.Asn1 =>
  key.asymmetricKeyType === 'rsa' ? rsaWithSha256 : ecdsaWithSha256;

/** A body with its signature: the shape certificates and requests share. RFC 5280 §4.1.1 */
export function signed(body: der.Asn1, key: KeyObject): Buffer {
  const signature = sign('sha256', der.encode(body), key);
  return der.encode(der.sequence(body, algorithmOf(key), der.bitString(signature)));
}
