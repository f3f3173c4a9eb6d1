import { beforeEach, describe, expect, test } from 'vitest';
import { codecOf } from '../../../src/api/index.ts';
import { aNode, aService, aTask } from '../../support/builders.ts';
import { aControlClient, type ControlClient } from '../../support/control-client.ts';

let client: ControlClient;
beforeEach(async () => {
  client = await aControlClient();
});

const ids = async (filters: object) =>
  (await client.call('ListTasks', { filters })).tasks.map(({ id }) => id).toSorted();

const network = (id: string, labels: Record<string, string> = {}) =>
  codecOf('Network').create({ id, spec: { annotations: { name: id, labels } } });

const create = async (spec: object) => client.call('CreateNetwork', { spec });

describe('listTasks', () => {
  test('every filter must hold, and each answers alone', async () => {
    await client.write((tx) => {
      tx.create('task', aTask({ id: 'a', serviceId: 's', nodeId: 'n1', slot: '1' }));
      tx.create('task', aTask({ id: 'b', serviceId: 's', nodeId: 'n2', desiredState: 'SHUTDOWN' }));
      tx.create(
        'task',
        aTask({
          id: 'c',
          serviceId: 't',
          nodeId: 'n1',
          serviceAnnotations: { name: 'db', labels: { tier: 'back' } },
          spec: { generic: { kind: 'WASM' } },
        }),
      );
    });
    expect(await ids({})).toEqual(['a', 'b', 'c']);
    expect(await ids({ serviceIds: ['s'] })).toEqual(['a', 'b']);
    expect(await ids({ nodeIds: ['n1'] })).toEqual(['a', 'c']);
    expect(await ids({ serviceIds: ['s'], nodeIds: ['n1'] })).toEqual(['a']);
    expect(await ids({ names: ['web.1.a', 'WEB.1.A'] })).toEqual(['a']);
    expect(await ids({ namePrefixes: ['db.'] })).toEqual(['c']);
    expect(await ids({ idPrefixes: ['b'] })).toEqual(['b']);
    expect(await ids({ desiredStates: ['SHUTDOWN'] })).toEqual(['b']);
    expect(await ids({ labels: { tier: 'back' } })).toEqual(['c']);
    expect(await ids({ runtimes: ['wasm'] })).toEqual(['c']);
    expect(await ids({ runtimes: ['container'] })).toEqual(['a', 'b']);
  });

  test('up to date are tasks that are what their service asks for', async () => {
    const service = aService({ id: 's', specVersion: { index: '2' } });
    await client.write((tx) => {
      tx.create('service', service);
      tx.create('node', aNode({ id: 'n' }));
      const of = { serviceId: 's', nodeId: 'n' };
      tx.create('task', aTask({ ...of, id: 'now', specVersion: { index: '2' } }));
      const image = 'nginx:old';
      const spec = { container: { image } };
      tx.create('task', aTask({ ...of, id: 'old', specVersion: { index: '1' }, spec }));
      tx.create('task', aTask({ serviceId: 'gone', id: 'lost' }));
    });
    expect(await ids({ upToDate: true })).toEqual(['now']);
  });
});

describe('removeTask', () => {
  test('removes a task whatever it does', async () => {
    await client.write((tx) => {
      tx.create('task', aTask({ id: 'a' }));
    });
    await client.call('RemoveTask', { taskId: 'a' });
    await expect(client.call('GetTask', { taskId: 'a' })).rejects.toThrow('task a not found');
    await expect(client.call('RemoveTask', { taskId: 'a' })).rejects.toThrow('task a not found');
    await expect(client.call('GetTask', {})).rejects.toThrow('invalid argument');
  });
});

describe('networks', () => {
  test('that span nodes are refused, after what would be wrong with them anyway', async () => {
    await expect(create({ annotations: { name: 'net' } })).rejects.toMatchObject({
      code: 'unimplemented',
      message: expect.stringContaining('overlay networks are not supported yet') as string,
    });
    await expect(create({ attachable: true, ingress: true })).rejects.toThrow(
      'ingress network cannot be attachable',
    );
    const labels = { 'com.docker.swarm.predefined': 'true' };
    await expect(create({ annotations: { name: 'net', labels } })).rejects.toMatchObject({
      code: 'permission-denied',
    });
  });

  test('are removed only when nothing needs them', async () => {
    await client.write((tx) => {
      tx.create('network', network('host', { 'com.docker.swarm.predefined': 'true' }));
      for (const id of ['served', 'attached', 'free']) tx.create('network', network(id));
      tx.create(
        'service',
        aService({ id: 's', spec: { task: { networks: [{ target: 'served' }] }, global: {} } }),
      );
      tx.create('task', aTask({ id: 't', networks: [{ network: { id: 'attached' } }] }));
    });
    const remove = async (networkId: string) => client.call('RemoveNetwork', { networkId });
    await expect(remove('host')).rejects.toThrow(
      'network host (host) is a swarm predefined network and cannot be removed',
    );
    await expect(remove('served')).rejects.toThrow('network served is in use by service s');
    await expect(remove('attached')).rejects.toThrow('network attached is in use by task t');
    await remove('free');
    const { networks } = await client.call('ListNetworks', { filters: { names: ['served'] } });
    expect(networks.map(({ id }) => id)).toEqual(['served']);
    await expect(client.call('GetNetwork', { networkId: 'free' })).rejects.toThrow(
      'network free not found',
    );
  });
});

describe('what nobody carries out yet', () => {
  test('is refused in clear words', async () => {
    await expect(client.call('ListVolumes', {})).rejects.toMatchObject({
      code: 'unimplemented',
      message: 'cluster volumes are not supported yet',
    });
    await expect(client.call('CreateResource', {})).rejects.toMatchObject({
      code: 'unimplemented',
    });
    await expect(client.call('GetExtension', {})).rejects.toMatchObject({ code: 'unimplemented' });
  });
});
