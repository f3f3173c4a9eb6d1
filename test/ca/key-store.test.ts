import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeyStore } from '../../src/ca/index.ts';
import { CryptoRandom, messageOf } from '../../src/runtime/index.ts';
import { TestSwarm } from '../support/test-swarm.ts';

const random = new CryptoRandom();
const swarm = new TestSwarm();
const first = swarm.identity('swarm-worker', { nodeId: 'n1' });
const second = swarm.identity('swarm-worker', { nodeId: 'n1' });

let state = '';
let directory = '';
let store = new KeyStore({ directory, random });
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'swarmd-keys-'));
  directory = join(state, 'certificates');
  store = new KeyStore({ directory, random });
});
afterEach(async () => {
  await rm(state, { recursive: true });
});

const put = async (name: string, text: string): Promise<void> => {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, name), text);
};
const refusal = async (): Promise<string> =>
  store.load().then(
    () => 'accepted',
    (error: unknown) => messageOf(error).replace(directory, '<dir>'),
  );

describe('the key store', () => {
  test('is empty at first, and writes nothing by looking', async () => {
    expect(await store.load()).toBeUndefined();
    expect(await readdir(state)).toEqual([]);
  });

  test('gives back what was saved, and the roots byte for byte', async () => {
    const rootCaPem = `${first.rootCaPem}\n\n`;
    await store.save({ ...first, rootCaPem });
    expect(await new KeyStore({ directory, random }).load()).toEqual({ ...first, rootCaPem });
  });

  test('keeps keys from everybody else', async () => {
    await store.save(first);
    await store.saveRootKey(first.keyPem);
    const modeOf = async (name: string): Promise<string> =>
      ((await stat(join(directory, name))).mode & 0o777).toString(8);
    expect(await modeOf('.')).toBe('700');
    expect(await modeOf('swarm-node.key')).toBe('600');
    expect(await modeOf('swarm-root-ca.key')).toBe('600');
    expect((await readdir(directory)).toSorted()).toEqual([
      'swarm-node.crt',
      'swarm-node.key',
      'swarm-root-ca.crt',
      'swarm-root-ca.key',
    ]);
  });

  test('forgets the key of the root', async () => {
    expect(await store.rootKey()).toBeUndefined();
    await store.saveRootKey('key');
    expect(await store.rootKey()).toBe('key');
    await store.forgetRootKey();
    await store.forgetRootKey();
    expect(await store.rootKey()).toBeUndefined();
  });

  test('after a crash between the steps of a save, it is the old identity or the new one', async () => {
    await store.save(first);
    await put('.swarm-node.crt', second.certPem);
    expect(await store.load()).toEqual(first);

    await put('.swarm-node.crt', second.certPem);
    await put('swarm-node.key', second.keyPem);
    expect(await store.load()).toEqual(second);
    expect(await readdir(directory)).not.toContain('.swarm-node.crt');
  });

  test('after a crash in the first save, there is no identity, or the whole one', async () => {
    await put('swarm-root-ca.crt', first.rootCaPem);
    expect(await store.load()).toBeUndefined();
    await put('.swarm-node.crt', first.certPem);
    expect(await store.load()).toBeUndefined();
    await put('swarm-node.key', first.keyPem);
    expect(await store.load()).toEqual(first);
  });

  test('says what is wrong with a directory that holds something else', async () => {
    await store.save(first);
    await put('swarm-node.crt', second.certPem);
    expect(await refusal()).toBe('state directory <dir>: swarm-node.crt and swarm-node.key differ');
    await put('swarm-node.crt', 'x');
    expect(await refusal()).toBe('state directory <dir>: swarm-node.crt: no certificate in PEM');
    await rm(join(directory, 'swarm-node.crt'));
    expect(await refusal()).toBe('state directory <dir>: swarm-node.crt is missing');
    await put('swarm-node.crt', first.certPem);
    await put('swarm-node.key', 'x');
    expect(await refusal()).toBe('state directory <dir>: swarm-node.key: not a private key');
    await rm(join(directory, 'swarm-node.key'));
    expect(await refusal()).toBe('state directory <dir>: swarm-node.key is missing');
    await put('swarm-node.key', first.keyPem);
    await rename(join(directory, 'swarm-root-ca.crt'), join(directory, 'other'));
    expect(await refusal()).toBe('state directory <dir>: swarm-root-ca.crt is missing');
  });

  test('says so when the directory is none', async () => {
    await writeFile(directory, '');
    expect(await refusal()).toBe(
      'state directory <dir>: swarm-root-ca.crt cannot be read (ENOTDIR)',
    );
    await expect(store.save(first)).rejects.toThrow(/cannot be (?:read|written) \(E/u);
  });
});
