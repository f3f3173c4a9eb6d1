import { beforeEach, describe, expect, test } from 'vitest';
import { codecOf } from '../../../src/api/index.ts';
import type { ServiceSpecInput } from '../../../src/api/gen/types.ts';
import { aService, aTask } from '../../support/builders.ts';
import { aControlClient, type ControlClient } from '../../support/control-client.ts';

const spec = (input: ServiceSpecInput = {}): ServiceSpecInput => ({
  annotations: { name: 'web' },
  task: { container: { image: 'nginx' } },
  replicated: { replicas: '2' },
  ...input,
});
const published = (publishMode: 'HOST' | 'INGRESS', publishedPort = 8080): ServiceSpecInput =>
  spec({ endpoint: { ports: [{ targetPort: 80, publishedPort, publishMode }] } });

const reference = (secretName: string, secretId = 'none') => ({
  secretId,
  secretName,
  file: { name: secretName },
});
const on = (...targets: readonly string[]) =>
  spec({
    task: { container: { image: 'nginx' }, networks: targets.map((target) => ({ target })) },
  });

let client: ControlClient;
beforeEach(async () => {
  client = await aControlClient();
});

async function created(input: ServiceSpecInput = spec()) {
  const { service } = await client.call('CreateService', { spec: input });
  if (service === null) throw new Error('no service in the answer');
  return { ...service, serviceId: service.id, serviceVersion: service.meta?.version ?? null };
}

const names = async (filters: object) => {
  const { services } = await client.call('ListServices', { filters });
  return services.map((service) => service.spec?.annotations?.name ?? '').toSorted();
};

const statusesOf = async (...services: string[]) =>
  (await client.call('ListServiceStatuses', { services })).statuses;

describe('a job', () => {
  const job = spec({ replicatedJob: { maxConcurrent: '2', totalCompletions: '6' } });
  const { replicated: _, ...jobSpec } = job;

  test('has a status, of its first run', async () => {
    const { jobStatus } = await created(jobSpec);
    expect(jobStatus).toMatchObject({ jobIteration: { index: '0' } });
    expect(jobStatus?.lastExecution).not.toBeNull();
  });

  test('runs again with every update, even one that changes nothing', async () => {
    const { serviceId, serviceVersion } = await created(jobSpec);
    const { service } = await client.call('UpdateService', {
      serviceId,
      serviceVersion,
      spec: jobSpec,
    });
    expect(service?.jobStatus?.jobIteration).toEqual({ index: '1' });
  });

  test('does not become a service, nor a service a job', async () => {
    const { serviceId, serviceVersion } = await created(jobSpec);
    await expect(
      client.call('UpdateService', { serviceId, serviceVersion, spec: spec() }),
    ).rejects.toMatchObject({
      code: 'unimplemented',
      message: 'service mode change is not allowed',
    });
  });
});

describe('createService', () => {
  test('answers with the service as it is stored', async () => {
    const service = await created();
    expect(service.id).toMatch(/^[0-9a-z]{25}$/u);
    expect(service.specVersion).toEqual({ index: '0' });
    expect(service.meta?.version).toEqual({ index: '2' });
    expect(client.store.view((view) => view.get('service', service.id))?.spec).toEqual(
      service.spec,
    );
  });

  test('refuses a name that is taken, whatever its case', async () => {
    await created();
    await expect(created(spec({ annotations: { name: 'WEB' } }))).rejects.toMatchObject({
      code: 'already-exists',
      message: 'name conflicts with an existing object: service WEB already exists',
    });
  });

  test('refuses secrets and configs that are not there by ID and name', async () => {
    const { secret } = await client.call('CreateSecret', {
      spec: { annotations: { name: 'pw' }, data: Buffer.from('x') },
    });
    const withSecrets = (...secrets: ReturnType<typeof reference>[]) =>
      spec({ task: { container: { image: 'nginx', secrets } } });
    await expect(created(withSecrets(reference('a'), reference('b')))).rejects.toThrow(
      'secrets not found: a, b',
    );
    await expect(created(withSecrets(reference('other', secret?.id)))).rejects.toThrow(
      'secret not found: other',
    );
    const configs = [{ configId: 'x', configName: 'c', file: { name: 'c' } }];
    await expect(
      created(spec({ task: { container: { image: 'nginx', configs } } })),
    ).rejects.toMatchObject({ code: 'invalid-argument', message: 'config not found: c' });
    await expect(created(withSecrets(reference('pw', secret?.id)))).resolves.toBeDefined();
  });

  test('refuses what needs an ingress network or an overlay network, and says what to do', async () => {
    await expect(created(published('INGRESS'))).rejects.toMatchObject({
      code: 'unimplemented',
      message: expect.stringContaining('publish port 8080 with mode=host') as string,
    });
    await client.write((tx) => {
      const labels = { 'com.docker.swarm.predefined': 'true' };
      tx.create('network', codecOf('Network').create({ id: 'net' }));
      tx.create(
        'network',
        codecOf('Network').create({ id: 'host', spec: { annotations: { name: 'host', labels } } }),
      );
    });
    await expect(created(on('net'))).rejects.toMatchObject({ code: 'unimplemented' });
    await expect(created(on('host', 'net'))).rejects.toMatchObject({
      code: 'unimplemented',
      message:
        'several networks are not supported yet: a service joins one of bridge, host and none',
    });
    await expect(created(on('gone'))).rejects.toMatchObject({ code: 'not-found' });
    await expect(created(on('host'))).resolves.toBeDefined();
  });

  test('refuses a port that another service has in ingress mode; two may share one of their hosts', async () => {
    await created(published('HOST'));
    const second = { ...published('HOST'), annotations: { name: 'second' } };
    await expect(created(second)).resolves.toBeDefined();
    await client.write((tx) => {
      tx.create(
        'service',
        aService({
          id: 'other',
          spec: { ...published('INGRESS', 90), annotations: { name: 'o' } },
        }),
      );
    });
    const third = { ...published('HOST', 90), annotations: { name: 'third' } };
    await expect(created(third)).rejects.toThrow(
      "port '90' is already in use by service 'o' (other) as an ingress port",
    );
  });
});

describe('updateService', () => {
  test('keeps the spec before it, and names its version', async () => {
    const first = await created();
    const { service } = await client.call('UpdateService', {
      ...first,
      spec: spec({ replicated: { replicas: '5' } }),
    });
    expect(service?.spec?.replicated?.replicas).toBe('5');
    expect(service?.previousSpec).toEqual(first.spec);
    expect(service?.specVersion).toEqual(first.meta?.version);
    expect(service?.previousSpecVersion).toEqual({ index: '0' });
  });

  test('refuses an older version in words and with the code that clients know', async () => {
    const first = await created();
    await client.call('UpdateService', { ...first, spec: spec() });
    await expect(client.call('UpdateService', { ...first, spec: spec() })).rejects.toMatchObject({
      code: 'unknown',
      message: 'update out of sequence',
    });
    await expect(
      client.call('UpdateService', {
        ...first,
        serviceVersion: { index: String(2n ** 63n) },
        spec: spec(),
      }),
    ).rejects.toThrow('update out of sequence');
  });

  test('refuses what would make it another service', async () => {
    const first = await created();
    const update = async (input: ServiceSpecInput) =>
      client.call('UpdateService', { ...first, spec: input });
    await expect(update(spec({ annotations: { name: 'new' } }))).rejects.toMatchObject({
      code: 'unimplemented',
      message: 'renaming services is not supported',
    });
    const { replicated: _, ...rest } = spec();
    await expect(update({ ...rest, global: {} })).rejects.toMatchObject({
      code: 'unimplemented',
      message: 'service mode change is not allowed',
    });
  });

  test('rolls back to the spec before, and forward again', async () => {
    const first = await created();
    await expect(
      client.call('UpdateService', { ...first, spec: spec(), rollback: 'PREVIOUS' }),
    ).rejects.toMatchObject({
      code: 'failed-precondition',
      message: `service ${first.id} does not have a previous spec`,
    });
    const changed = await client.call('UpdateService', {
      ...first,
      spec: spec({ replicated: { replicas: '5' } }),
    });
    const { service } = await client.call('UpdateService', {
      serviceId: first.id,
      serviceVersion: changed.service?.meta?.version ?? null,
      spec: spec({ replicated: { replicas: '9' } }),
      rollback: 'PREVIOUS',
    });
    expect(service?.spec).toEqual(first.spec);
    expect(service?.specVersion).toEqual({ index: '0' });
    expect(service?.previousSpec).toEqual(changed.service?.spec);
    expect(service?.updateStatus).toMatchObject({
      state: 'ROLLBACK_STARTED',
      message: 'manually requested rollback',
    });
  });

  test('names what it lacks', async () => {
    const update = { serviceId: 'none', serviceVersion: { index: '1' }, spec: spec() };
    await expect(client.call('UpdateService', update)).rejects.toMatchObject({
      code: 'not-found',
      message: 'service none not found',
    });
    for (const field of ['serviceId', 'serviceVersion', 'spec'] as const) {
      const { [field]: _, ...incomplete } = update;
      await expect(client.call('UpdateService', incomplete)).rejects.toMatchObject({
        code: 'invalid-argument',
        message: 'invalid argument',
      });
    }
  });
});

describe('getService and removeService', () => {
  test('defaults are filled in only if they are asked for', async () => {
    const { serviceId } = await created();
    const plain = await client.call('GetService', { serviceId });
    expect(plain.service?.spec?.update).toBeNull();
    const full = await client.call('GetService', { serviceId, insertDefaults: true });
    expect(full.service?.spec?.update).toMatchObject({ parallelism: '1', failureAction: 'PAUSE' });
  });

  test('a removed service is gone, and removing it again says so', async () => {
    const { serviceId } = await created();
    await client.call('RemoveService', { serviceId });
    await expect(client.call('GetService', { serviceId })).rejects.toThrow('not found');
    await expect(client.call('RemoveService', { serviceId })).rejects.toMatchObject({
      code: 'not-found',
      message: `service ${serviceId} not found`,
    });
  });
});

describe('listServices', () => {
  test('alternatives stand in one list, and every list must hold', async () => {
    await created(spec({ annotations: { name: 'web', labels: { tier: 'front', x: '' } } }));
    await created(spec({ annotations: { name: 'website', labels: { tier: 'back' } } }));
    await created(spec({ annotations: { name: 'db' } }));
    expect(await names({})).toEqual(['db', 'web', 'website']);
    expect(await names({ names: ['web', 'db'] })).toEqual(['db', 'web']);
    expect(await names({ namePrefixes: ['web'] })).toEqual(['web', 'website']);
    expect(await names({ namePrefixes: ['web'], labels: { tier: 'back' } })).toEqual(['website']);
    expect(await names({ labels: { tier: '' } })).toEqual(['web', 'website']);
    expect(await names({ names: ['WEB'] })).toEqual([]);
    expect(await names({ idPrefixes: ['no such'] })).toEqual([]);
    expect(await names({ runtimes: ['attachment'] })).toEqual([]);
  });
});

describe('listServiceStatuses', () => {
  test('counts what runs against what is wanted, and knows no service by zeros', async () => {
    const { serviceId } = await created();
    await client.write((tx) => {
      tx.create('task', aTask({ serviceId }));
      tx.create('task', aTask({ serviceId, status: { state: 'FAILED' } }));
      tx.create('task', aTask({ serviceId: 'another' }));
    });
    expect(await statusesOf(serviceId, 'none')).toEqual([
      { serviceId, desiredTasks: '2', runningTasks: '1', completedTasks: '0' },
      { serviceId: 'none', desiredTasks: '0', runningTasks: '0', completedTasks: '0' },
    ]);
  });

  test('a service that runs everywhere wants the tasks that are to run', async () => {
    const { replicated: _, ...rest } = spec();
    const { serviceId } = await created({ ...rest, global: {} });
    await client.write((tx) => {
      tx.create('task', aTask({ serviceId, slot: '0' }));
      tx.create('task', aTask({ serviceId, slot: '0', desiredState: 'SHUTDOWN' }));
    });
    expect(await statusesOf(serviceId)).toMatchObject([{ desiredTasks: '1', runningTasks: '2' }]);
  });

  test('of a job only the tasks of its present run count', async () => {
    await client.write((tx) => {
      tx.create(
        'service',
        aService({
          id: 'job',
          spec: {
            annotations: { name: 'job' },
            replicatedJob: { maxConcurrent: '3', totalCompletions: '9' },
          },
          jobStatus: { jobIteration: { index: '1' } },
        }),
      );
      const complete = { serviceId: 'job', status: { state: 'COMPLETE' } } as const;
      tx.create('task', aTask({ ...complete, jobIteration: { index: '0' } }));
      tx.create('task', aTask({ ...complete, jobIteration: { index: '1' } }));
    });
    expect(await statusesOf('job')).toEqual([
      { serviceId: 'job', desiredTasks: '3', runningTasks: '0', completedTasks: '1' },
    ]);
  });
});
