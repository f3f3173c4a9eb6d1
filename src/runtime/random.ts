import { randomBytes, randomInt } from 'node:crypto';

/** Chance, for one process. The simulator supplies a seeded one. */
export interface Random {
  bytes(count: number): Buffer;
  /** An integer in [0, below). */
  integer(below: number): number;
}

export class CryptoRandom implements Random {
  bytes(count: number): Buffer {
    return randomBytes(count);
  }

  integer(below: number): number {
    return randomInt(below);
  }
}

/**
 * A new object ID: 25 characters of base 36, from 17 random bytes whose highest bit is set so
 * that the text is always long enough. swarmkit identity/randomid.go
 */
export function newId(random: Random): string {
  const bytes = random.bytes(17);
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return BigInt(`0x${bytes.toString('hex')}`)
    .toString(36)
    .slice(1, 26);
}
