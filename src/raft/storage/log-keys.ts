import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { assert, SwarmError } from '../../runtime/index.ts';
import { loss } from './loss.ts';

/** A key that records of the log are sealed with. */
export interface LogKey {
  /** Its public name: at most 255 bytes, kept in every record it seals, and never reused. */
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Buffer;
}

/** The keys of one log. */
export interface LogKeys {
  /** Seals what is written from now on. */
  readonly current: LogKey;
  /** What was written before may be sealed with one of these. */
  readonly older: readonly LogKey[];
}

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** Seals `secret` with a key: a nonce, AES-256-GCM's tag over both parts, then the ciphertext. */
export function seal(key: LogKey, secret: Buffer, authenticated: Buffer): Buffer {
  assert(key.secret.length === 32, 'a key of the log has 32 bytes');
  // Not by a port: a nonce that repeats gives the key away, so nobody may choose it.
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key.secret, nonce).setAAD(authenticated);
  const body = [cipher.update(secret), cipher.final()];
  return Buffer.concat([nonce, cipher.getAuthTag(), ...body]);
}

/**
 * What was sealed with the key of that name.
 *
 * @throws SwarmError failed-precondition, naming the key, if it is not among `keys`; data-loss, if
 *   it is, and did not seal this
 */
export function unseal(
  { keyId, sealed }: { readonly keyId: string; readonly sealed: Buffer },
  authenticated: Buffer,
  keys: LogKeys | undefined,
): Buffer {
  const known = keys === undefined ? [] : [keys.current, ...keys.older];
  const key = known.find(({ id }) => id === keyId);
  if (key === undefined) throw missingKey(keyId);
  const nonce = sealed.subarray(0, nonceBytes);
  const tag = sealed.subarray(nonceBytes, nonceBytes + tagBytes);
  try {
    const decipher = createDecipheriv(algorithm, key.secret, nonce, { authTagLength: tagBytes })
      .setAAD(authenticated)
      .setAuthTag(tag);
    return Buffer.concat([
      decipher.update(sealed.subarray(nonceBytes + tagBytes)),
      decipher.final(),
    ]);
  } catch {
    throw loss(`a record was forged, or its key "${keyId}" is not the one it was sealed with`);
  }
}

const missingKey = (keyId: string): SwarmError =>
  new SwarmError(
    'failed-precondition',
    `raft log is sealed with key "${keyId}", which is not among this node's keys`,
  );
