import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  certificatesOf,
  keyOfCsr,
  newCsr,
  newKey,
  RootCa,
  rootDigest,
} from '../../src/ca/index.ts';
import { verifyChain } from '../../src/ca/x509/certificate.ts';
import { keyToPem, spkiOf } from '../../src/ca/x509/key.ts';
import { pem, pemBlocks } from '../../src/ca/x509/pem.ts';
import { CryptoRandom, isSwarmError, SystemClock } from '../../src/runtime/index.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const deps = { random: new CryptoRandom(), clock: new SystemClock() };
const hour = 3_600_000;
const subject = {
  nodeId: 'n1',
  role: 'swarm-manager',
  clusterId: 'c1',
  expiryMs: 2 * hour,
} as const;
const csrKey = keyOfCsr(Buffer.from(newCsr(newKey())));

/** A root that names its key as it likes, and the key, made for this test alone. */
const foreignRoot = {
  certPem: `-----BEGIN CERTIFICATE-----
MIIBXDCCAQKgAwIBAgIULcNMlh0kqInz5WiOy7GYlJ98f3cwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHY29ycC1jYTAgFw0yNjExMjIyMzI4MjdaGA8yMDgxMDgyNTIz
MjgyN1owEjEQMA4GA1UEAwwHY29ycC1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABJQlklEVjGtIvm9uHplSvkRWXNNLs7uIBdJBnpDX+MrWHGsEnXpX7h576d0h
yYt5hatFXNMaCMNIR/41TzETg7WjNDAyMA8GA1UdEwEB/wQFMAMBAf8wDwYDVR0O
BAgEBgECAwQFBjAOBgNVHQ8BAf8EBAMCAQYwCgYIKoZIzj0EAwIDSAAwRQIhAK/y
taRXi6D17kkTuO1bvv3qM7gjOiCWJG/hhk2WSiJrAiB4HwTmYu2ImCDpe+cG+wFS
hqVFzhKXJe8muN+YPLBQpw==
-----END CERTIFICATE-----
`,
  keyPem: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0eyknmkkciCNC4qn
jhgAb//8btXsBEVL6UzytTh239OhRANCAASUJZJRFYxrSL5vbh6ZUr5EVlzTS7O7
iAXSQZ6Q1/jK1hxrBJ16V+4ee+ndIcmLeYWrRVzTGgjDSEf+NU8xE4O1
-----END PRIVATE KEY-----
`,
};

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** What `openssl verify -x509_strict` says. */
function opensslVerify(trusted: string, untrusted: string, leaf: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'swarmd-verify-'));
  try {
    const file = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const intermediates = untrusted === '' ? [] : ['-untrusted', file('untrusted', untrusted)];
    const args = ['verify', '-x509_strict', '-CAfile', file('trusted', trusted), ...intermediates];
    return execFileSync('openssl', [...args, file('leaf', leaf)], { encoding: 'utf8' })
      .trim()
      .split(': ')[1] as string;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** A root, and the next root as it signs during a rotation. */
function rotation(): { old: RootCa; next: RootCa; rotating: RootCa; crossSignedPem: string } {
  const [old, next] = [RootCa.create(deps), RootCa.create(deps)];
  const crossSignedPem = old.crossSign(deps.random, next.certPem);
  const signer = { certPem: next.certPem, keyPem: next.keyPem ?? '', crossSignedPem };
  return { old, next, crossSignedPem, rotating: RootCa.load({ certPem: old.certPem, signer }) };
}

const load = (certPem: string, keyPem: string): RootCa =>
  RootCa.load({ certPem, signer: { certPem, keyPem } });

describe('a root CA', () => {
  test('is laid out as a stock one', () => {
    const root = new X509Certificate(RootCa.create(deps).certPem);
    expect(root.subject).toBe('CN=swarm-ca');
    expect(root.ca).toBe(true);
    expect(root.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    const years = (Date.parse(root.validTo) - Date.parse(root.validFrom)) / (365 * 24 * hour);
    expect(years).toBe(20);
  });

  test('has the digest of its exact bytes', () => {
    const { certPem, digest } = RootCa.create(deps);
    expect(digest).toBe(rootDigest(Buffer.from(certPem)));
    expect(rootDigest(`${certPem}\n`)).not.toBe(digest);
  });

  test('issues node certificates laid out as stock ones', () => {
    const ca = RootCa.create(deps);
    const issued = (role: 'swarm-worker' | 'swarm-manager'): X509Certificate =>
      new X509Certificate(ca.sign(deps, csrKey, { ...subject, role }));
    const manager = issued('swarm-manager');
    expect(manager.subject).toBe('O=c1\nOU=swarm-manager\nCN=n1');
    expect(manager.issuer).toBe('CN=swarm-ca');
    expect(manager.subjectAltName).toBe('DNS:swarm-manager, DNS:n1, DNS:swarm-ca');
    expect(issued('swarm-worker').subjectAltName).toBe('DNS:swarm-worker, DNS:n1');
    expect(manager.ca).toBe(false);
    expect(manager.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(spkiOf(manager.publicKey).equals(spkiOf(csrKey))).toBe(true);
    expect(issued('swarm-manager').serialNumber).not.toBe(manager.serialNumber);
  });

  test.each([
    { expiryMs: 2 * hour, lifeMs: 2 * hour },
    { expiryMs: hour, lifeMs: hour },
    { expiryMs: hour - 1, lifeMs: 90 * 24 * hour },
  ])('a life of $expiryMs ms lasts $lifeMs ms from now, and starts an hour ago', (life) => {
    const clock = new VirtualClock();
    const ca = RootCa.create({ ...deps, clock });
    const certificate = new X509Certificate(
      ca.sign({ ...deps, clock }, csrKey, { ...subject, expiryMs: life.expiryMs }),
    );
    expect(Date.parse(certificate.validFrom)).toBe(clock.now() - hour);
    expect(Date.parse(certificate.validTo)).toBe(clock.now() + life.lifeMs);
  });

  test('that has no key says so when it is to sign', () => {
    const { certPem } = RootCa.create(deps);
    const trusted = RootCa.load({ certPem });
    expect(trusted.canSign).toBe(false);
    expect(() => trusted.sign(deps, csrKey, subject)).toThrow('no valid signer found');
  });

  test("does not load with another root's key, a leaf, or what is no certificate", () => {
    const [ca, other] = [RootCa.create(deps), RootCa.create(deps)];
    expect(() => load(ca.certPem, other.keyPem ?? '')).toThrow('certificate key mismatch');
    const key = newKey();
    const leaf = ca.sign(deps, keyOfCsr(Buffer.from(newCsr(key))), subject);
    expect(() => load(leaf, keyToPem(key))).toThrow('not a self-signed CA');
    expect(() => RootCa.load({ certPem: 'x' })).toThrow('no certificate in PEM');
    expect(() => RootCa.load({ certPem: pem('CERTIFICATE', Buffer.of(1)) })).toThrow(
      'not a certificate',
    );
  });

  test('signs with an RSA key that a user brought', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
    expect(keyOfCsr(Buffer.from(newCsr(rsa))).asymmetricKeyType).toBe('rsa');
  });
});

describe('a root rotation', () => {
  test('its certificates are trusted by who knows the old root, and by who knows the new one', () => {
    const { old, next, rotating } = rotation();
    const chain = certificatesOf(rotating.sign(deps, csrKey, subject));
    expect(chain).toHaveLength(2);
    const verified = (root: RootCa): X509Certificate =>
      verifyChain(chain, certificatesOf(root.certPem), deps.clock.now());
    expect(
      spkiOf(verified(old).publicKey).equals(spkiOf(certificatesOf(next.certPem)[0].publicKey)),
    ).toBe(true);
    expect(() =>
      verifyChain(chain.slice(0, 1), certificatesOf(next.certPem), deps.clock.now()),
    ).not.toThrow();
    expect(() =>
      verifyChain(chain.slice(0, 1), certificatesOf(old.certPem), deps.clock.now()),
    ).toThrow('signed by unknown authority');
  });

  test('goes to a root whose key ID is none of ours, and both roots are found by it', () => {
    const old = RootCa.create(deps);
    const crossSignedPem = old.crossSign(deps.random, foreignRoot.certPem);
    const signer = { ...foreignRoot, crossSignedPem };
    const rotating = RootCa.load({ certPem: old.certPem, signer });
    const [leaf, crossed] = certificatesOf(rotating.sign(deps, csrKey, subject));
    const [root] = certificatesOf(foreignRoot.certPem);
    expect(leaf.checkIssued(root)).toBe(true);
    expect(crossed !== undefined && leaf.checkIssued(crossed)).toBe(true);
  });

  test('that is complete leaves chains that end at the old root: their leaf leads to the new one', () => {
    const { old, next, rotating } = rotation();
    const chain = certificatesOf(rotating.sign(deps, csrKey, subject));
    for (const { certPem } of [old, next]) {
      const issuer = verifyChain(chain, certificatesOf(certPem), deps.clock.now());
      expect(issuer.publicKey.equals(certificatesOf(next.certPem)[0].publicKey)).toBe(true);
    }
  });

  test('keeps the digest of the root that is trusted', () => {
    const { old, rotating } = rotation();
    expect(rotating.digest).toBe(old.digest);
  });
});

describe.skipIf(!hasOpenssl)('openssl verify -x509_strict', () => {
  test('accepts node certificates', () => {
    const ca = RootCa.create(deps);
    for (const role of ['swarm-worker', 'swarm-manager'] as const) {
      expect(opensslVerify(ca.certPem, '', ca.sign(deps, csrKey, { ...subject, role }))).toBe('OK');
    }
  });

  test('accepts the cross-signed chain of a root rotation', () => {
    const { old, rotating, crossSignedPem } = rotation();
    const leaf = rotating.sign(deps, csrKey, subject);
    expect(opensslVerify(old.certPem, crossSignedPem, leaf)).toBe('OK');
  });
});

describe('verifyChain', () => {
  const ca = RootCa.create(deps);
  const chain = certificatesOf(ca.sign(deps, csrKey, subject));
  const roots = certificatesOf(ca.certPem);

  const at = (ms: number) => () => verifyChain(chain, roots, deps.clock.now() + ms);

  test('refuses a certificate before and after its time, in words', () => {
    expect(at(0)).not.toThrow();
    expect(at(-2 * hour)).toThrow(/^certificate \(1 - n1\) not valid before .* UTC, and it is/u);
    expect(at(3 * hour)).toThrow(/^certificate \(1 - n1\) not valid after .* UTC, and it is/u);
  });

  test('refuses a leaf that acts as a CA', () => {
    const key = newKey();
    const middle = ca.sign(deps, keyOfCsr(Buffer.from(newCsr(key))), subject);
    expect(() =>
      verifyChain([...chain, ...certificatesOf(middle)], roots, deps.clock.now()),
    ).toThrow('do not form a chain');
  });

  test('refuses a root of the same name', () => {
    const other = certificatesOf(RootCa.create(deps).certPem);
    expect(() => verifyChain(chain, other, deps.clock.now())).toThrow(
      'signed by unknown authority',
    );
  });
});

/** `accepted` and the key, or why it is refused. */
const refusal = (csr: string): string => {
  try {
    return `accepted ${spkiOf(keyOfCsr(Buffer.from(csr))).toString('hex')}`;
  } catch (error) {
    return isSwarmError(error, 'invalid-argument') ? error.message : `crash: ${String(error)}`;
  }
};

describe('a certificate signing request', () => {
  const key: KeyObject = newKey();
  const csr = newCsr(key);

  test('proves the key it names', () => {
    expect(spkiOf(keyOfCsr(Buffer.from(csr))).equals(spkiOf(key))).toBe(true);
  });

  test.runIf(hasOpenssl)('of openssl is accepted, and ours by openssl', () => {
    const made = execFileSync(
      'openssl',
      ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
        .concat(['-keyout', '/dev/null', '-subj', '/CN=whoever', '-addext'])
        .concat(['subjectAltName=DNS:swarm-manager']),
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    expect(refusal(made)).toMatch(/^accepted/u);
    const { status } = spawnSync('openssl', ['req', '-noout', '-verify'], { input: csr });
    expect(status).toBe(0);
  });

  test.each([
    ['nothing', ''],
    ['no PEM', 'hello'],
    ['a certificate', RootCa.create(deps).certPem],
    ['a PEM of garbage', pem('CERTIFICATE REQUEST', Buffer.from('garbage'))],
    ['ASN.1 of something else', pem('CERTIFICATE REQUEST', Buffer.from('300602010002010a', 'hex'))],
    ['a small RSA key', newCsr(generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey)],
    [
      'a curve nobody uses',
      newCsr(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey),
    ],
  ])('%s is refused', (_, text) => {
    expect(refusal(text)).toMatch(/^invalid certificate signing request: /u);
  });

  test('larger than 4 KiB is refused unread', () => {
    expect(refusal(csr + ' '.repeat(4_096))).toContain('bytes are more than 4096');
  });

  test('with any byte changed is refused, or still asks for the same key', () => {
    const der = pemBlocks(csr)[0]?.der ?? Buffer.alloc(0);
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const tampered = Buffer.from(der);
        tampered[at] = (tampered[at] ?? 0) ^ change;
        const answer = refusal(pem('CERTIFICATE REQUEST', tampered));
        const isRefused = answer.startsWith('invalid certificate signing request');
        expect(isRefused || answer === refusal(csr)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('of any bytes whatever is refused, and nothing else happens', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(refusal(pem('CERTIFICATE REQUEST', bytes))).toMatch(/^invalid certificate/u);
      }),
      { numRuns: 500 },
    );
    const nested = Buffer.concat(Array.from({ length: 1_400 }, () => Buffer.from('3080', 'hex')));
    expect(refusal(pem('CERTIFICATE REQUEST', nested))).toMatch(/^invalid certificate/u);
  });
});
