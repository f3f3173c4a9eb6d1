import { createHash, timingSafeEqual } from 'node:crypto';
import { type Random, SwarmError } from '../runtime/index.ts';

/** The tokens that let nodes join, by the role they give. */
export interface JoinTokens {
  readonly worker: string;
  readonly manager: string;
}

/** What a token tells the node that joins with it. */
export interface ParsedJoinToken {
  /** `sha256:` and the digest of the swarm's root. */
  readonly digest: string;
  /** Whether the swarm accepts FIPS-enabled nodes only. */
  readonly isFips: boolean;
}

const digestDigits = 50;
const secretDigits = 25;
const secretBytes = 16;

/**
 * A new join token: `SWMTKN-1-<digest of the root>-<secret>`, both in base 36.
 *
 * @param rootDigest `sha256:` and 64 hexadecimal digits
 */
export function newJoinToken(random: Random, rootDigest: string): string {
  const digest = base36(rootDigest.replace(/^sha256:/u, ''), digestDigits);
  return `SWMTKN-1-${digest}-${base36(random.bytes(secretBytes).toString('hex'), secretDigits)}`;
}

/** A token for each role. */
export const newJoinTokens = (random: Random, rootDigest: string): JoinTokens => ({
  worker: newJoinToken(random, rootDigest),
  manager: newJoinToken(random, rootDigest),
});

/**
 * Reads a join token. swarmkit ca/config.go ParseJoinToken
 *
 * @throws SwarmError invalid-argument `invalid join token`
 */
export function parseJoinToken(token: string): ParsedJoinToken {
  const match = /^SWMTKN-(?:1|2-(?<fips>[01]))-(?<digest>[0-9a-z]{50})-[0-9a-z]{25}$/u.exec(token);
  const digest = valueOf(match?.groups?.['digest'] ?? '').toString(16);
  if (match === null || digest.length > 64) {
    throw new SwarmError('invalid-argument', 'invalid join token');
  }
  return {
    digest: `sha256:${digest.padStart(64, '0')}`,
    isFips: match.groups?.['fips'] === '1',
  };
}

/**
 * The role a token gives. Every comparison takes the same time, wherever the tokens differ and
 * however long they are.
 *
 * @returns `undefined`, if it is none of the tokens
 */
export function roleOfToken(
  token: string,
  { worker, manager }: JoinTokens,
): 'MANAGER' | 'WORKER' | undefined {
  const [isManager, isWorker] = [isSame(token, manager), isSame(token, worker)];
  if (isManager) return 'MANAGER';
  return isWorker ? 'WORKER' : undefined;
}

const isSame = (given: string, stored: string): boolean =>
  stored !== '' && timingSafeEqual(sha256(given), sha256(stored));

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

const base36 = (hex: string, digits: number): string =>
  BigInt(`0x${hex}`).toString(36).padStart(digits, '0');

const valueOf = (digits: string): bigint =>
  Array.from(digits).reduce((sum, digit) => sum * 36n + BigInt(Number.parseInt(digit, 36)), 0n);
