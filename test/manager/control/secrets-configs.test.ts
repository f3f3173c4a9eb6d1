import { beforeEach, describe, expect, test } from 'vitest';
import { aService } from '../../support/builders.ts';
import { aControlClient, type ControlClient } from '../../support/control-client.ts';

let client: ControlClient;
beforeEach(async () => {
  client = await aControlClient();
});

const spec = (name: string, data = 'x', labels: Record<string, string> = {}) => ({
  annotations: { name, labels },
  data: Buffer.from(data),
});
async function aSecret(name: string, data?: string, labels?: Record<string, string>) {
  const { secret } = await client.call('CreateSecret', { spec: spec(name, data, labels) });
  if (secret === null) throw new Error('no secret in the answer');
  return secret;
}
async function aConfig(name: string, data?: string) {
  const { config } = await client.call('CreateConfig', { spec: spec(name, data) });
  if (config === null) throw new Error('no config in the answer');
  return config;
}

describe('data', () => {
  test('of a secret never leaves the managers; of a config it does', async () => {
    const secret = await aSecret('pw', 'hush');
    const shown = await client.call('GetSecret', { secretId: secret.id });
    const { secrets } = await client.call('ListSecrets', {});
    for (const one of [secret, shown.secret, ...secrets]) expect(one?.spec?.data).toHaveLength(0);
    const kept = client.store.view((view) => view.get('secret', secret.id));
    expect(kept?.spec?.data.toString()).toBe('hush');
    expect((await aConfig('c', 'open')).spec?.data.toString()).toBe('open');
  });

  test('of a secret is shorter than 512000 bytes, of a config shorter than 1024000', async () => {
    await expect(aSecret('a', '')).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'secret data must be larger than 0 and less than 512000 bytes',
    });
    await expect(aSecret('a', 'x'.repeat(512_000))).rejects.toThrow('less than 512000 bytes');
    await expect(aSecret('a', 'x'.repeat(511_999))).resolves.toBeDefined();
    await expect(aConfig('a', 'x'.repeat(1_024_000))).rejects.toThrow(
      'config data must be larger than 0 and less than 1024000 bytes',
    );
    await expect(aConfig('a', 'x'.repeat(1_023_999))).resolves.toBeDefined();
  });
});

test('a secret with a driver is refused for the driver, not for having no data', async () => {
  const driven = { ...spec('a', ''), driver: { name: 'vault' } };
  await expect(client.call('CreateSecret', { spec: driven })).rejects.toMatchObject({
    code: 'unimplemented',
    message: 'secret drivers are not supported yet: give the secret its data',
  });
});

describe('a name', () => {
  test.each(['', 'a'.repeat(65), '.a', 'a.', 'a b', 'a/b'])('may not be %j', async (name) => {
    await expect(aSecret(name)).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  test('is taken once, without regard to case', async () => {
    await aSecret('pw.v1_x');
    await expect(aSecret('PW.v1_x')).rejects.toMatchObject({
      code: 'already-exists',
      message: 'secret PW.v1_x already exists',
    });
    await expect(aConfig('pw.v1_x')).resolves.toBeDefined();
  });
});

describe('an update', () => {
  test('changes labels and nothing else', async () => {
    const secret = await aSecret('pw', 'hush');
    const update = { secretId: secret.id, secretVersion: secret.meta?.version ?? null };
    for (const other of [spec('other', ''), spec('pw', 'loud'), spec('pw', 'hushed')]) {
      await expect(client.call('UpdateSecret', { ...update, spec: other })).rejects.toMatchObject({
        code: 'invalid-argument',
        message: 'only updates to Labels are allowed',
      });
    }
    const labels = { a: 'b' };
    const updated = await client.call('UpdateSecret', { ...update, spec: spec('pw', '', labels) });
    expect(updated.secret?.spec?.annotations?.labels).toEqual(labels);
    const kept = client.store.view((view) => view.get('secret', secret.id));
    expect(kept?.spec?.data.toString()).toBe('hush');
    await expect(
      client.call('UpdateSecret', { ...update, spec: spec('pw', '') }),
    ).rejects.toMatchObject({ code: 'unknown', message: 'update out of sequence' });
  });
});

describe('a removal', () => {
  test('waits until no service names it, and tells which do', async () => {
    const config = await aConfig('conf');
    const user = (name: string) =>
      aService({
        spec: {
          annotations: { name },
          task: {
            container: {
              image: 'nginx',
              configs: [{ configId: config.id, configName: 'conf', file: { name: 'f' } }],
            },
          },
          replicated: {},
        },
      });
    const [first, second] = [user('a'), user('b')];
    const remove = async () => client.call('RemoveConfig', { configId: config.id });
    await client.write((tx) => tx.create('service', first));
    await expect(remove()).rejects.toMatchObject({
      code: 'invalid-argument',
      message: "config 'conf' is in use by the following service: a",
    });
    await client.write((tx) => tx.create('service', second));
    await expect(remove()).rejects.toThrow(
      "config 'conf' is in use by the following services: a, b",
    );
    await client.write((tx) => {
      tx.remove('service', first.id);
      tx.remove('service', second.id);
    });
    await remove();
    await expect(remove()).rejects.toMatchObject({
      code: 'not-found',
      message: `config ${config.id} not found`,
    });
  });
});

describe('a list', () => {
  test('takes names, prefixes and IDs as alternatives, labels as conditions', async () => {
    const one = await aSecret('one', 'x', { a: 'b' });
    await aSecret('two', 'x', { a: 'c' });
    await aSecret('three');
    await client.write((tx) => {
      tx.create('secret', {
        id: 'hidden',
        meta: null,
        internal: true,
        spec: {
          annotations: { name: 'tokens', labels: {}, indices: [] },
          data: Buffer.from('x'),
          templating: null,
          driver: null,
        },
      });
    });
    const names = async (filters: object) =>
      (await client.call('ListSecrets', { filters })).secrets
        .map((secret) => secret.spec?.annotations?.name ?? '')
        .toSorted();
    expect(await names({})).toEqual(['one', 'three', 'two']);
    expect(await names({ namePrefixes: ['t'], idPrefixes: [one.id] })).toEqual([
      'one',
      'three',
      'two',
    ]);
    expect(await names({ names: ['TWO'] })).toEqual(['two']);
    expect(await names({ namePrefixes: ['t'], labels: { a: '' } })).toEqual(['two']);
  });
});
