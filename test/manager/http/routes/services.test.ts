import { describe, expect, test } from 'vitest';
import { codecOf, type Network, type Service } from '../../../../src/api/index.ts';
import { anEngineApi, type EngineApi } from '../../../support/engine-api.ts';
import { aNode, aService, aTask } from '../../../support/builders.ts';

const aNetwork = (id: string, name: string, labels: Record<string, string> = {}): Network =>
  codecOf('Network').create({ id, spec: { annotations: { name, labels } } });

const predefined = { 'com.docker.swarm.predefined': 'true' };

const web = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'nginx' } } };
const attachedTo = (...targets: string[]): object => ({
  Name: 'web',
  TaskTemplate: { ...web.TaskTemplate, Networks: targets.map((Target) => ({ Target })) },
});

const stored = (api: EngineApi): Service | undefined =>
  api.swarm.store.view((view) => view.find('service'))[0];
const authOf = (api: EngineApi): string | undefined =>
  stored(api)?.spec?.task?.container?.pullOptions?.registryAuth;

async function update(api: EngineApi, query: string, headers = {}): Promise<number> {
  const version = stored(api)?.meta?.version?.index;
  const path = `/services/web/update?version=${version}${query}`;
  const image = { ContainerSpec: { Image: `nginx:${version}` } };
  return (await api.call('POST', path, { ...web, TaskTemplate: image }, headers)).status;
}

describe('POST /services/create', () => {
  test('gives a service without a name one of its own', async () => {
    await using api = await anEngineApi();
    await api.call('POST', '/services/create', { TaskTemplate: web.TaskTemplate });
    expect(stored(api)?.spec?.annotations?.name).toMatch(/^[a-z]+_[a-z]+$/u);
  });

  test('leaves out what the client’s version does not know', async () => {
    await using api = await anEngineApi();
    const container = { Image: 'nginx', OomScoreAdj: 5, Sysctls: { a: 'b' } };
    const body = { Name: 'web', TaskTemplate: { ContainerSpec: container } };
    await api.call('POST', '/v1.45/services/create', body);
    expect(stored(api)?.spec?.task?.container).toMatchObject({
      oomScoreAdj: '0',
      sysctls: { a: 'b' },
    });
  });
});

describe('the words that authorize a pull', () => {
  test('are kept as they are, until others are given or those of before are asked for', async () => {
    await using api = await anEngineApi();
    await api.call('POST', '/services/create', web, { 'X-Registry-Auth': 'first==' });
    expect(authOf(api)).toBe('first==');
    await update(api, '');
    expect(authOf(api)).toBe('first==');
    await update(api, '', { 'X-Registry-Auth': 'second' });
    expect(authOf(api)).toBe('second');
    await update(api, '&registryAuthFrom=previous-spec');
    expect(authOf(api)).toBe('first==');
  });

  test('cannot be those of a spec that never was', async () => {
    await using api = await anEngineApi();
    await api.call('POST', '/services/create', web);
    expect(await update(api, '&registryAuthFrom=previous-spec')).toBe(400);
    expect(await update(api, '&registryAuthFrom=nowhere')).toBe(400);
  });
});

describe('POST /services/{id}/update', () => {
  test('goes back to the previous spec', async () => {
    await using api = await anEngineApi();
    await api.call('POST', '/services/create', web);
    await update(api, '');
    expect(await update(api, '&rollback=previous')).toBe(200);
    expect(stored(api)?.spec?.task?.container?.image).toBe('nginx');
    expect(await update(api, '&rollback=sideways')).toBe(400);
  });
});

describe('networks of a service', () => {
  test.each([
    ['name', 'front', 'net1234'],
    ['ID', 'other12', 'other12'],
    ['the beginning of an ID', 'oth', 'other12'],
  ])('are found by %s', async (_, written, target) => {
    await using api = await anEngineApi();
    await api.swarm.write((tx) => {
      tx.create('network', aNetwork('net1234', 'front', predefined));
      tx.create('network', aNetwork('other12', 'back', predefined));
    });
    const answer = await api.call('POST', '/services/create', attachedTo(written));
    expect(answer.status).toBe(201);
    expect(stored(api)?.spec?.task?.networks.map((network) => network.target)).toEqual([target]);
  });

  test('that every Engine has are those of the swarm that stand for them', async () => {
    await using api = await anEngineApi();
    const mirror = aNetwork('mirror', 'host', predefined);
    await api.swarm.write((tx) => {
      tx.create('network', mirror);
    });
    await api.call('POST', '/services/create', attachedTo('host'));
    expect(stored(api)?.spec?.task?.networks[0]?.target).toBe('mirror');
    const missing = await api.call('POST', '/services/create', attachedTo('bridge'));
    expect([missing.status, missing.value]).toEqual([
      404,
      { message: 'could not find the corresponding predefined swarm network' },
    ]);
  });

  test('must be the swarm’s, and must be', async () => {
    await using api = await anEngineApi();
    const mine = await api.call('POST', '/services/create', attachedTo('mine'));
    expect([mine.status, mine.value]).toEqual([
      403,
      {
        message:
          'The network mine cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.',
      },
    ]);
    const none = await api.call('POST', '/services/create', attachedTo('nosuch'));
    expect([none.status, none.value]).toEqual([404, { message: 'network nosuch not found' }]);
  });
});

const filters = (value: object): string => encodeURIComponent(JSON.stringify(value));

describe('GET /services and GET /tasks', () => {
  test('show what the filters ask for', async () => {
    await using api = await anEngineApi();
    const spec = { annotations: { name: 'all' }, task: { container: {} }, global: {} };
    await api.swarm.write((tx) => {
      tx.create('service', aService({ id: 'one' }));
      tx.create('service', aService({ id: 'all', spec }));
      tx.create('node', aNode({ id: 'node-1' }));
      tx.create('task', aTask({ id: 'a', serviceId: 'one', nodeId: 'node-1' }));
      tx.create('task', aTask({ id: 'b', serviceId: 'all' }));
    });
    const idsAt = async (path: string): Promise<string[]> =>
      ((await api.call('GET', path)).value as { ID: string }[]).map(({ ID }) => ID);
    expect(await idsAt(`/services?filters=${filters({ mode: ['global'] })}`)).toEqual(['all']);
    expect(await idsAt(`/tasks?filters=${filters({ service: ['all'] })}`)).toEqual(['b']);
    expect(await idsAt(`/tasks?filters=${filters({ node: { 'node-1': true } })}`)).toEqual(['a']);
    const missing = await api.call('GET', `/tasks?filters=${filters({ service: ['nosuch'] })}`);
    expect([missing.status, missing.value]).toEqual([404, { message: 'service nosuch not found' }]);
  });
});
