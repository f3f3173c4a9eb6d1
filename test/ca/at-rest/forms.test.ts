import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fernetOpen, fernetSeal } from '../../../src/ca/at-rest/fernet.ts';
import { openedKey, sealedKey } from '../../../src/ca/at-rest/sealed-key.ts';
import { supersedes } from '../../../src/ca/at-rest/unlock-key.ts';
import { formatUnlockKey, newKey, parseUnlockKey } from '../../../src/ca/index.ts';
import { CryptoRandom } from '../../../src/runtime/index.ts';

const random = new CryptoRandom();
const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((each) => Buffer.from(each));

describe('an unlock key', () => {
  test('is read back from its text', () => {
    fc.assert(
      fc.property(bytes(32), (key) => {
        const text = formatUnlockKey(key);
        expect(text).toMatch(/^SWMKEY-1-[A-Za-z0-9+/]{43}$/u);
        expect(parseUnlockKey(text)).toEqual(key);
      }),
    );
  });

  test('is not read from anything else', () => {
    const key = formatUnlockKey(Buffer.alloc(32, 7));
    for (const text of [
      '',
      'wrong',
      'SWMKEY-1-',
      `${key}=`,
      ` ${key}`,
      key.toLowerCase(),
      `${key}--`,
    ]) {
      expect(() => parseUnlockKey(text), text).toThrow(/^invalid key string$/u);
    }
    expect(() => parseUnlockKey(key.replace('1', '2'))).toThrow(/^invalid key string$/u);
    expect(() => parseUnlockKey('SWMKEY-1-AAAAA')).toThrow(/^invalid key string$/u);
  });

  test('gives way to a newer one alone', () => {
    const [a, b] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    expect(supersedes({ key: b, version: 8 }, { key: a, version: 7 })).toBe(true);
    expect(supersedes({ key: b, version: 6 }, { key: a, version: 7 })).toBe(false);
    expect(supersedes({ key: a, version: 8 }, { key: a, version: 7 })).toBe(false);
    expect(supersedes({ key: undefined, version: 8 }, { key: a, version: 7 })).toBe(true);
    expect(supersedes({ key: a, version: 8 }, { key: undefined, version: 7 })).toBe(true);
    expect(supersedes({ key: undefined, version: 8 }, { key: undefined, version: 7 })).toBe(false);
    expect(() => supersedes({ key: b, version: 7 }, { key: a, version: 7 })).toThrow(
      /^candidate KEK has the same version as the current KEK, but a different KEK value$/u,
    );
  });
});

describe('a Fernet token', () => {
  test('is opened with its key alone', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), bytes(32), bytes(32), (data, key, other) => {
        fc.pre(!key.equals(other));
        const token = fernetSeal(random, key, Buffer.from(data));
        expect(fernetOpen(key, token)).toEqual(Buffer.from(data));
        expect(fernetOpen(other, token)).toBeUndefined();
        expect(fernetOpen(key.subarray(1), token)).toBeUndefined();
      }),
    );
  });

  test('is not opened once a byte of it has changed', () => {
    const key = Buffer.alloc(32, 5);
    const token = Buffer.from(
      fernetSeal(random, key, Buffer.from('secret')).toString('latin1'),
      'base64url',
    );
    for (let at = 0; at < token.length; at += 1) {
      const changed = Buffer.from(token);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(fernetOpen(key, Buffer.from(changed.toString('base64url')))).toBeUndefined();
    }
    expect(fernetOpen(key, Buffer.alloc(0))).toBeUndefined();
  });

  // The specification's own example. https://github.com/fernet/spec/blob/master/verify.json
  test('is read as others write it', () => {
    const key = Buffer.from('cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=', 'base64url');
    const token =
      'gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==';
    expect(fernetOpen(key, Buffer.from(token))?.toString()).toBe('hello');
  });
});

describe('a sealed key', () => {
  const key = newKey();

  test('is opened with its KEK alone, zero bytes and all', () => {
    for (const kek of [random.bytes(32), Buffer.alloc(32), Buffer.from(`a${'\0'.repeat(31)}`)]) {
      const sealed = sealedKey(random, key, kek);
      expect(openedKey(sealed, kek)?.equals(key)).toBe(true);
      expect(openedKey(sealed, random.bytes(32))).toBeUndefined();
      expect(openedKey(sealed.subarray(1), kek)).toBeUndefined();
    }
  });

  // Stock managers read this form and no other.
  test('is PBES2 with PBKDF2 of 2048 rounds and AES-256-CBC', () => {
    const sealed = sealedKey(random, key, Buffer.from('password'));
    const hex = sealed.toString('hex');
    expect(hex).toContain('06092a864886f70d01050d'); // PBES2
    expect(hex).toContain('06092a864886f70d01050c300e0408'); // PBKDF2, a salt of 8, no more
    expect(hex).toContain('02020800'); // 2048
    expect(hex).toContain('060960864801650304012a0410'); // AES-256-CBC, an IV of 16
    const read = createPrivateKey({
      key: sealed,
      format: 'der',
      type: 'pkcs8',
      passphrase: 'password',
    });
    expect(read.equals(key)).toBe(true);
  });

  test('never looks the same twice', () => {
    const kek = random.bytes(32);
    expect(sealedKey(random, key, kek)).not.toEqual(sealedKey(random, key, kek));
  });
});
