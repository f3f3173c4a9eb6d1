import { describe, expect, test } from 'vitest';
import { codecOf } from '../../../../src/api/index.ts';
import type { CAConfigInput } from '../../../../src/api/gen/types.ts';
import { certificatesOf, RootCa, rootDigest } from '../../../../src/ca/index.ts';
import { rootCaFor } from '../../../../src/manager/control/spec/root-ca.ts';
import { CryptoRandom } from '../../../../src/runtime/index.ts';
import { TestSwarm } from '../../../support/test-swarm.ts';
import { VirtualClock } from '../../../support/virtual-clock.ts';

const clock = new VirtualClock();
const deps = { clock, random: new CryptoRandom() };
const swarm = new TestSwarm(clock);
const present = swarm.cluster().rootCa;
if (present === null) throw new Error('no root');

const wanted = (config: CAConfigInput, rootCa = present) => {
  const root = rootCaFor(deps, codecOf('CAConfig').create(config), rootCa);
  if (root === null) throw new Error('no root');
  return root;
};
const signing = ({ certPem, keyPem = '' }: RootCa): CAConfigInput => ({
  signingCaCert: Buffer.from(certPem),
  signingCaKey: Buffer.from(keyPem),
});
const other = RootCa.create(deps);

describe('the root a swarm is to have', () => {
  test('stays, unless another is asked for', () => {
    expect(wanted({})).toBe(present);
    expect(rootCaFor(deps, null, present)).toBe(present);
  });

  test('is a new one when the counter changes, cross-signed by the present one, which stays meanwhile', () => {
    const { rootRotation, lastForcedRotation, ...kept } = wanted({ forceRotate: 1 });
    expect(lastForcedRotation).toBe('1');
    expect({ ...kept, rootRotation: null, lastForcedRotation: '0' }).toEqual(present);
    const [next] = certificatesOf(rootRotation?.caCert.toString() ?? '');
    const [crossed] = certificatesOf(rootRotation?.crossSignedCaCert.toString() ?? '');
    expect(crossed.subject).toBe(next.subject);
    expect(crossed.publicKey.equals(next.publicKey)).toBe(true);
    const [root] = certificatesOf(present.caCert.toString());
    expect(crossed.verify(root.publicKey)).toBe(true);
    expect(wanted({ forceRotate: 1 }).rootRotation?.caCert).not.toEqual(rootRotation?.caCert);
  });

  test('is the one that is given, with its key', () => {
    const { rootRotation } = wanted(signing(other));
    expect(rootDigest(rootRotation?.caCert ?? '')).toBe(other.digest);
    expect(rootRotation?.caKey.toString()).toBe(other.keyPem);
    // Given again, it changes nothing.
    const again = wanted(signing(other), wanted(signing(other)));
    expect(rootDigest(again.rootRotation?.caCert ?? '')).toBe(other.digest);
  });

  test('is the present one again when that is given: the rotation ends', () => {
    const rotating = wanted({ forceRotate: 1 });
    const ended = wanted({ ...signing(swarm.rootCa), forceRotate: 1 }, rotating);
    expect(ended).toEqual({ ...present, lastForcedRotation: '1' });
  });

  test('while one rotation is under way another begins from the present root', () => {
    const twice = wanted({ forceRotate: 2 }, wanted({ forceRotate: 1 }));
    const [crossed] = certificatesOf(twice.rootRotation?.crossSignedCaCert.toString() ?? '');
    const [root] = certificatesOf(present.caCert.toString());
    expect(crossed.verify(root.publicKey)).toBe(true);
  });

  const longAgo = clock.now() - 19.5 * 365 * 86_400_000;
  const old = RootCa.create({
    ...deps,
    clock: {
      now: () => longAgo,
      monotonic: () => 0,
      sleep: async () => undefined,
      turn: async () => undefined,
    },
  });
  test.each<[string, CAConfigInput]>([
    [
      'if a signing CA key is provided, the signing CA cert must also be provided',
      { signingCaKey: Buffer.from('key') },
    ],
    [
      'could not parse the desired CA certificate: no certificate in PEM',
      { signingCaCert: Buffer.from('x'), signingCaKey: Buffer.from('x') },
    ],
    [
      'certificate key mismatch',
      { ...signing(other), signingCaKey: signing(swarm.rootCa).signingCaKey ?? '' },
    ],
    [
      'the desired CA certificate cannot contain multiple certificates',
      { ...signing(other), signingCaCert: Buffer.from(other.certPem + swarm.rootCa.certPem) },
    ],
    ['CA certificate expires too soon', signing(old)],
  ])('is refused: %s', (message, config) => {
    expect(() => wanted(config)).toThrow(message);
  });
});
