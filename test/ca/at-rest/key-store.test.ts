import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Identity, KeyStore, type LogSecrets } from '../../../src/ca/index.ts';
import { CryptoRandom } from '../../../src/runtime/index.ts';
import { TestSwarm } from '../../support/test-swarm.ts';

const random = new CryptoRandom();
const swarm = new TestSwarm();
const manager = swarm.identity('swarm-manager', { nodeId: 'n1' });
const renewed = swarm.identity('swarm-manager', { nodeId: 'n1' });
const worker = swarm.identity('swarm-worker', { nodeId: 'n1' });
const [a, b, c] = [random.bytes(32), random.bytes(32), random.bytes(32)];

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarmd-at-rest-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** The store as a process finds it that has just begun. */
const fresh = (): KeyStore => new KeyStore({ directory, random });
const text = async (): Promise<string> => readFile(join(directory, 'swarm-node.key'), 'utf8');
const bodyOf = ({ keyPem }: Identity): string => keyPem.split('\n')[1] ?? '?';
const rotated = (secrets: LogSecrets): LogSecrets => ({ ...secrets, needsRotation: false });

/** A manager's store, with secrets of its log, sealed with a key if one is given. */
async function aStore(kek?: Buffer): Promise<KeyStore> {
  const store = fresh();
  await store.save(manager);
  await store.logSecrets();
  if (kek !== undefined) await store.reseal({ key: kek, version: 5 });
  return store;
}

describe('the key file of a manager', () => {
  test('holds the secret of its log, which is made once', async () => {
    const store = fresh();
    await expect(store.logSecrets()).rejects.toThrow(/swarm-node\.key is missing/u);
    await store.save(manager);
    const secrets = await store.logSecrets();
    expect(secrets.current).toHaveLength(32);
    expect(secrets).toMatchObject({ pending: undefined, needsRotation: false });
    expect(await fresh().logSecrets()).toEqual(secrets);
    expect(await fresh().load()).toEqual(manager);
    expect(await text()).toMatch(
      /^-----BEGIN PRIVATE KEY-----\nkek-version: 0\nraft-dek: Ei[A-D][A-Za-z0-9+/=]+\n\n[A-Za-z0-9+/]{64}\n/u,
    );
  });

  test('carries the secrets from one identity to the next', async () => {
    const store = await aStore();
    const secrets = await store.updateLogSecrets((present) => ({
      ...present,
      pending: b,
      needsRotation: true,
    }));
    await store.save(renewed);
    expect(await fresh().load()).toEqual(renewed);
    expect(await fresh().logSecrets()).toEqual(secrets);
    expect(await text()).toContain('\nraft-dek-needs-rotation: true\nraft-dek-pending: ');
  });

  test('is refused if its headers are damaged', async () => {
    await aStore(a);
    const damaged = (await text()).replace(/^(raft-dek: .{30})./mu, '$1-');
    await writeFile(join(directory, 'swarm-node.key'), damaged);
    await expect(fresh().unlock(a)).rejects.toThrow(/swarm-node\.key: raft-dek cannot be read/u);
    await writeFile(
      join(directory, 'swarm-node.key'),
      damaged.replace('raft-dek:', 'raft-dek-pending:'),
    );
    await expect(fresh().unlock(a)).rejects.toThrow(/raft-dek-pending cannot be read/u);
  });
});

describe('a sealed key file', () => {
  test('shows neither the key nor the secrets', async () => {
    const store = await aStore();
    const { current } = await store.logSecrets();
    const plain = await text();
    expect(await store.reseal({ key: a, version: 5 })).toBe('sealed');
    const sealed = await text();
    expect(sealed).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\nkek-version: 5\nraft-dek: /u);
    expect(plain).toContain(bodyOf(manager).slice(0, 40));
    expect(sealed).not.toContain(bodyOf(manager).slice(0, 40));
    for (const encoding of ['base64', 'base64url', 'hex'] as const) {
      expect(sealed).not.toContain(current.toString(encoding).slice(0, 20));
    }
    expect(await readdir(directory)).not.toContain('.tmp-swarm-node.key');
  });

  test('is locked for a process that was not given its key', async () => {
    await aStore(a);
    const store = fresh();
    expect(await store.isLocked()).toBe(true);
    const locked = /^node is locked, and needs a valid unlock key$/u;
    await expect(store.load()).rejects.toThrow(locked);
    await expect(store.save(renewed)).rejects.toThrow(locked);
    await expect(store.logSecrets()).rejects.toThrow(locked);
    await expect(store.reseal({ key: b, version: 9 })).rejects.toThrow(locked);
    expect(await store.nodeId()).toBe('n1');
    await writeFile(join(directory, 'swarm-node.crt'), 'x');
    expect(await store.nodeId()).toBe('');
  });

  test('opens with its key alone, and a wrong one changes nothing', async () => {
    await aStore(a);
    const before = await text();
    const store = fresh();
    expect(await store.unlock(b)).toBe(false);
    expect(await store.unlock(Buffer.from('short'))).toBe(false);
    expect(await store.isLocked()).toBe(true);
    expect(await text()).toBe(before);
    expect(await store.unlock(a)).toBe(true);
    expect(await store.isLocked()).toBe(false);
    expect(await store.load()).toEqual(manager);
    expect(await store.unlock(b)).toBe(false);
    expect(await store.load()).toEqual(manager);
  });

  test('stays sealed with the same key when its certificate is renewed', async () => {
    await aStore(a);
    const store = fresh();
    await store.unlock(a);
    const secrets = await store.logSecrets();
    await store.save(renewed);
    expect(await fresh().isLocked()).toBe(true);
    expect(await text()).toContain('kek-version: 5');
    const next = fresh();
    await next.unlock(a);
    expect(await next.load()).toEqual(renewed);
    expect(await next.logSecrets()).toEqual(secrets);
  });

  test('is sealed with another key as one change', async () => {
    const store = await aStore(a);
    const { current } = await store.updateLogSecrets(rotated);
    expect(await store.reseal({ key: b, version: 6 })).toBe('resealed');
    expect(await fresh().unlock(a)).toBe(false);
    const next = fresh();
    expect(await next.unlock(b)).toBe(true);
    expect(await next.logSecrets()).toEqual({ current, pending: undefined, needsRotation: true });
    expect(await store.load()).toEqual(manager);
  });

  test('is opened for good when the swarm locks its managers no more', async () => {
    const store = await aStore(a);
    await store.updateLogSecrets(rotated);
    expect(await store.reseal({ key: undefined, version: 6 })).toBe('opened');
    expect(await fresh().load()).toEqual(manager);
    expect(await text()).toMatch(/^-----BEGIN PRIVATE KEY-----\nkek-version: 6\n/u);
    expect((await fresh().logSecrets()).needsRotation).toBe(false);
  });

  test('is left alone by what is not newer', async () => {
    const store = await aStore(a);
    const before = await text();
    expect(await store.reseal({ key: a, version: 9 })).toBe('kept');
    expect(await store.reseal({ key: b, version: 4 })).toBe('kept');
    expect(await store.reseal({ key: undefined, version: 4 })).toBe('kept');
    await expect(store.reseal({ key: b, version: 5 })).rejects.toThrow(/same version/u);
    expect(await text()).toBe(before);
  });

  test('of a manager to be is sealed from the beginning', async () => {
    const store = fresh();
    await store.save(worker);
    await store.save(manager, { key: a, version: 7 });
    expect(await fresh().isLocked()).toBe(true);
    expect(await store.load()).toEqual(manager);
    // The cluster it is sealed for may have changed before its certificate is renewed.
    await store.save(renewed, { key: b, version: 8 });
    await store.save(manager, { key: c, version: 7 });
    expect(await fresh().unlock(b)).toBe(true);
  });

  test('of a manager that becomes a worker is opened, and the secret of its log is gone', async () => {
    const store = await aStore(a);
    await store.save(worker, { key: a, version: 9 });
    const opened = /^-----BEGIN PRIVATE KEY-----\nkek-version: 5\n\n/u;
    expect(await text()).toMatch(opened);
    expect(await fresh().load()).toEqual(worker);
    // What its manager still had in hand comes too late.
    expect(await store.reseal({ key: b, version: 9 })).toBe('kept');
    await expect(store.updateLogSecrets(rotated)).rejects.toThrow(/no manager's/u);
    expect(await text()).toMatch(opened);
  });

  test('is changed by one at a time', async () => {
    const store = await aStore(a);
    await Promise.all([
      store.save(renewed),
      store.updateLogSecrets((secrets) => ({ ...secrets, pending: c })),
      store.reseal({ key: b, version: 6 }),
      store.updateLogSecrets((secrets) => ({ ...secrets, current: a })),
    ]);
    const next = fresh();
    expect(await next.unlock(b)).toBe(true);
    expect(await next.load()).toEqual(renewed);
    expect(await next.logSecrets()).toEqual({ current: a, pending: c, needsRotation: true });
  });
});
