import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { accessOf, codecOf, isEqual } from '../../src/api/index.ts';

describe('a codec', () => {
  const tasks = codecOf('Task');

  test('makes scalars, lists and maps present, and messages null', () => {
    const task = tasks.create({});
    expect(task).toMatchObject({ id: '', slot: '0', desiredState: 'NEW', networks: [] });
    expect(task.spec).toBeNull();
    expect(task.meta).toBeNull();
    expect(codecOf('Annotations').create({}).labels).toEqual({});
  });

  test('tells an absent message from an empty one', () => {
    const specs = codecOf('TaskSpec');
    expect(specs.create({ restart: null }).restart).toBeNull();
    expect(specs.create({ restart: {} }).restart).toEqual({
      condition: 'NONE',
      delay: null,
      maxAttempts: '0',
      window: null,
    });
  });

  test('names the member of a oneof that is set, and leaves the others out', () => {
    const spec = codecOf('ServiceSpec').create({ global: {} });
    expect(spec.mode).toBe('global');
    expect(spec.global).toEqual({});
    expect(spec).not.toHaveProperty('replicated');
    expect(codecOf('ServiceSpec').create({}).mode).toBeUndefined();
  });

  test('keeps 64-bit numbers whole, as decimal strings', () => {
    const largest = String(2n ** 64n - 1n);
    expect(codecOf('Version').create({ index: largest })).toEqual({ index: largest });
    const odd = '9007199254740993';
    expect(codecOf('raftpb.HardState').create({ vote: odd }).vote).toBe(odd);
    const negative = String(-(2n ** 63n));
    expect(codecOf('CapacityRange').create({ limitBytes: negative }).limitBytes).toBe(negative);
  });

  test('reads bytes as a buffer that is the message’s own', () => {
    const data = Buffer.from('data');
    const spec = codecOf('SecretSpec').create({ data });
    data.fill(0);
    expect(spec.data.toString()).toBe('data');
    const padded = Buffer.concat([Buffer.from('xx'), codecOf('SecretSpec').encode(spec)]);
    expect(codecOf('SecretSpec').decode(padded.subarray(2)).data.toString()).toBe('data');
  });

  test('refuses bytes that are no message', () => {
    expect(() => tasks.decode(Buffer.from([0xff]))).toThrow('out of range');
  });

  test('returns what it was given', () => {
    const text = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(
        fc.record({ name: text, labels: fc.dictionary(text, text) }),
        fc.uint8Array(),
        fc.constantFrom('NEW', 'RUNNING', 'ORPHANED'),
        (annotations, key, desiredState) => {
          const task = tasks.create({ annotations, desiredState });
          expect(isEqual(tasks.decode(tasks.encode(task)), task)).toBe(true);
          expect(task.annotations?.labels).toEqual({ ...annotations.labels });
          const rootCa = codecOf('RootCA').create({ caKey: Buffer.from(key) });
          expect([...rootCa.caKey]).toEqual([...key]);
        },
      ),
    );
  });
});

describe('accessOf', () => {
  test('is what the method declares', () => {
    expect(accessOf('CA', 'GetRootCACertificate')).toEqual({ kind: 'anyone' });
    expect(accessOf('CA', 'GetUnlockKey')).toEqual({ kind: 'roles', roles: ['swarm-manager'] });
    expect(accessOf('Dispatcher', 'Session')).toEqual({
      kind: 'roles',
      roles: ['swarm-worker', 'swarm-manager'],
    });
  });

  test('is nothing for a method that there is not', () => {
    expect(accessOf('CA', 'GetEverything')).toBeUndefined();
  });
});
