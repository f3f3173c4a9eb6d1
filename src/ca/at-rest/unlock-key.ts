import { SwarmError } from '../../runtime/index.ts';

const prefix = 'SWMKEY-1-';

/** An unlock key as people keep it: 32 bytes are 52 characters. swarmkit manager/encryption */
export const formatUnlockKey = (key: Buffer): string =>
  `${prefix}${key.toString('base64').replaceAll('=', '')}`;

/**
 * The key in what a person typed. Of another length than 32 bytes it opens nothing.
 *
 * @throws SwarmError invalid-argument `invalid key string`
 */
export function parseUnlockKey(text: string): Buffer {
  const encoded = text.startsWith(prefix) ? text.slice(prefix.length) : '';
  if (!/^[A-Za-z0-9+/]+$/u.test(encoded) || encoded.length % 4 === 1) {
    throw new SwarmError('invalid-argument', 'invalid key string');
  }
  return Buffer.from(encoded, 'base64');
}

/**
 * What the files of a manager are sealed with: SwarmKit's KEK, which people call the unlock key.
 * `undefined`: they are not.
 */
export interface Kek {
  readonly key: Buffer | undefined;
  /** The version of the cluster object it is from. A manager keeps the newest it has heard of. */
  readonly version: number;
}

export const noKek: Kek = { key: undefined, version: 0 };

/**
 * Whether a manager replaces its KEK by another it is told of. swarmkit manager/deks.go compareKEKs
 *
 * @throws SwarmError failed-precondition, if one version of the cluster has two keys
 */
export function supersedes(candidate: Kek, current: Kek): boolean {
  const none = Buffer.alloc(0);
  if ((candidate.key ?? none).equals(current.key ?? none)) return false;
  if (candidate.version === current.version) {
    throw new SwarmError(
      'failed-precondition',
      'candidate KEK has the same version as the current KEK, but a different KEK value',
    );
  }
  return candidate.version > current.version;
}
