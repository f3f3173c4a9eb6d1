import { createCipheriv, createPrivateKey, type KeyObject, pbkdf2Sync } from 'node:crypto';
import type { Random } from '../../runtime/index.ts';
import * as der from '../der.ts';

const oid = {
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;

const saltBytes = 8;
const ivBytes = 16;
/** Enough: the passphrase is 32 bytes of chance. */
const rounds = 2_048;

/**
 * A private key as PKCS #8 under a passphrase: PBES2 with PBKDF2-HMAC-SHA1 and AES-256 in CBC mode,
 * the one form that stock managers read. RFC 5958 §3, RFC 8018 §6.2; swarmkit ca/pkcs8
 */
export function sealedKey(random: Random, key: KeyObject, kek: Buffer): Buffer {
  const [salt, iv] = [random.bytes(saltBytes), random.bytes(ivBytes)];
  const derived = pbkdf2Sync(kek, salt, rounds, 32, 'sha1');
  const encryption = createCipheriv('aes-256-cbc', derived, iv);
  const plain = key.export({ format: 'der', type: 'pkcs8' });
  const derivation = der.sequence(
    der.objectId(oid.pbkdf2),
    der.sequence(der.octetString(salt), der.integer(Buffer.of(rounds >> 8, rounds & 0xff))),
  );
  const scheme = der.sequence(der.objectId(oid.aes256Cbc), der.octetString(iv));
  return der.encode(
    der.sequence(
      der.sequence(der.objectId(oid.pbes2), der.sequence(derivation, scheme)),
      der.octetString(Buffer.concat([encryption.update(plain), encryption.final()])),
    ),
  );
}

/** @returns `undefined`, if this is not its passphrase, or it was changed since */
export function openedKey(sealed: Buffer, kek: Buffer): KeyObject | undefined {
  const pem = `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${sealed.toString('base64')}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
  try {
    return createPrivateKey({ key: pem, passphrase: kek });
  } catch {
    return undefined; // OpenSSL does not tell one from the other either.
  }
}
