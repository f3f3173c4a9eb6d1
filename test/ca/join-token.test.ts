import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newJoinToken, newJoinTokens, parseJoinToken, roleOfToken } from '../../src/ca/index.ts';
import { CryptoRandom } from '../../src/runtime/index.ts';

const random = new CryptoRandom();
const aDigest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `sha256:${Buffer.from(bytes).toString('hex')}`);

describe('a join token', () => {
  test('gives back the digest it was made for, whatever its leading zeros', () => {
    const zeros = `sha256:${'0'.repeat(64)}`;
    fc.assert(
      fc.property(fc.oneof(aDigest, fc.constant(zeros)), (digest) => {
        const token = newJoinToken(random, digest);
        expect(token).toMatch(/^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/u);
        expect(parseJoinToken(token)).toEqual({ digest, isFips: false });
      }),
    );
  });

  test('of a stock swarm is understood', () => {
    // Its digest is what a stock Engine prints when the root does not match.
    expect(
      parseJoinToken(
        'SWMTKN-1-0000pwtaa7wq2raxkej61mmjofv1zlp2rn9ukh3dncvwvpoz6s-6djq3n6kt0uq3bi24hurxfsad',
      ).digest,
    ).toBe('sha256:00002890816cb22252e7068862695362e0f61d28639977d03464b6b7edf01d24');
  });

  test('of the second version says whether its swarm is FIPS-only', () => {
    const rest = newJoinToken(random, `sha256:${'1'.repeat(64)}`).slice('SWMTKN-1-'.length);
    expect(parseJoinToken(`SWMTKN-2-1-${rest}`).isFips).toBe(true);
    expect(parseJoinToken(`SWMTKN-2-0-${rest}`).isFips).toBe(false);
  });

  test.each([
    'foo',
    '',
    'SWMTKN-1-aaa-bbb',
    `SWMTKN-2-${'a'.repeat(50)}-${'b'.repeat(25)}`,
    `SWMTKN-2-2-${'a'.repeat(50)}-${'b'.repeat(25)}`,
    `SWMTKN-3-${'a'.repeat(50)}-${'b'.repeat(25)}`,
    `SWMTKN-1-0-${'a'.repeat(50)}-${'b'.repeat(25)}`,
    `SWMTKN-1-${'a'.repeat(49)}-${'b'.repeat(25)}`,
    `SWMTKN-1-${'A'.repeat(50)}-${'b'.repeat(25)}`,
    `SWMTKN-1-${'z'.repeat(50)}-${'b'.repeat(25)}`,
    `SWMTKN-1-${'a'.repeat(50)}-${'b'.repeat(25)}\n`,
  ])('%j is none', (token) => {
    expect(() => parseJoinToken(token)).toThrow('invalid join token');
  });

  test('gives its role and no other', () => {
    const tokens = newJoinTokens(random, `sha256:${'1'.repeat(64)}`);
    expect(roleOfToken(tokens.manager, tokens)).toBe('MANAGER');
    expect(roleOfToken(tokens.worker, tokens)).toBe('WORKER');
    fc.assert(
      fc.property(fc.nat(tokens.worker.length - 1), fc.constantFrom('-', 'x', ''), (at, char) => {
        const other = tokens.worker.slice(0, at) + char + tokens.worker.slice(at + 1);
        fc.pre(other !== tokens.worker);
        expect(roleOfToken(other, tokens)).toBeUndefined();
      }),
    );
  });

  test('that is empty gives no role, even where none is set', () => {
    expect(roleOfToken('', { worker: '', manager: '' })).toBeUndefined();
  });
});
