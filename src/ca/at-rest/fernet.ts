import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { Random } from '../../runtime/index.ts';

const keyBytes = 32;
const ivBytes = 16;
const macBytes = 32;
const version = 0x80;
/** The version, and a time. Nobody looks at the time, so it stays zero. */
const head = Buffer.from([version, 0, 0, 0, 0, 0, 0, 0, 0]);

const cipher = 'aes-128-cbc';

/** A Fernet key is two: the first half signs, the second encrypts. */
const halvesOf = (key: Buffer): readonly [Buffer, Buffer] => [
  key.subarray(0, 16),
  key.subarray(16),
];

const macOf = (key: Buffer, signed: Buffer): Buffer =>
  createHmac('sha256', key).update(signed).digest();

/**
 * Seals a few bytes with a key of 32: AES-128 in CBC mode, then HMAC-SHA256 over all. The result is
 * text. https://github.com/fernet/spec; swarmkit manager/encryption/fernet.go
 */
export function fernetSeal(random: Random, key: Buffer, plain: Buffer): Buffer {
  const [signing, encrypting] = halvesOf(key);
  const iv = random.bytes(ivBytes);
  const encryption = createCipheriv(cipher, encrypting, iv);
  const signed = Buffer.concat([head, iv, encryption.update(plain), encryption.final()]);
  const token = Buffer.concat([signed, macOf(signing, signed)]).toString('base64');
  return Buffer.from(token.replaceAll('+', '-').replaceAll('/', '_'));
}

/** @returns `undefined`, if it was not sealed with this key, or was changed since */
export function fernetOpen(key: Buffer, token: Buffer): Buffer | undefined {
  const bytes = Buffer.from(token.toString('latin1'), 'base64url');
  const start = head.length + ivBytes;
  if (key.length !== keyBytes || bytes.length < start + macBytes || bytes[0] !== version) {
    return undefined;
  }
  const [signing, encrypting] = halvesOf(key);
  const signed = bytes.subarray(0, -macBytes);
  if (!timingSafeEqual(macOf(signing, signed), bytes.subarray(-macBytes))) return undefined;
  const decryption = createDecipheriv(cipher, encrypting, signed.subarray(head.length, start));
  return Buffer.concat([decryption.update(signed.subarray(start)), decryption.final()]);
}
