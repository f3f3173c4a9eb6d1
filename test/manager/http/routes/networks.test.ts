import { describe, expect, test } from 'vitest';
import { codecOf, type Network } from '../../../../src/api/index.ts';
import { Fields } from '../../../../src/manager/http/convert/fields.ts';
import { networkSpecFromEngine } from '../../../../src/manager/http/convert/network.ts';
import { anEngineApi, type EngineApi } from '../../../support/engine-api.ts';

const aNetwork = (id: string, name: string, labels: Record<string, string> = {}): Network =>
  codecOf('Network').create({
    id,
    spec: { annotations: { name, labels }, attachable: true },
    driverState: { name: 'overlay', options: {} },
  });

async function withNetworks(): Promise<EngineApi> {
  const api = await anEngineApi();
  await api.swarm.write((tx) => {
    tx.create('network', aNetwork('overlay-1', 'front', { stack: 'shop' }));
    tx.create('network', aNetwork('mirror-1', 'host', { 'com.docker.swarm.predefined': 'true' }));
  });
  return api;
}

const idsAt = async (api: EngineApi, path: string): Promise<string[]> =>
  ((await api.call('GET', path)).value as { Id: string }[]).map(({ Id }) => Id);
const filtered = (filters: object): string =>
  `/networks?filters=${encodeURIComponent(JSON.stringify(filters))}`;

describe('GET /networks', () => {
  test('shows the swarm’s and the Engine’s, but not what stands for the Engine’s', async () => {
    await using api = await withNetworks();
    expect(await idsAt(api, '/networks')).toEqual(['overlay-1', 'local-bridge']);
    api.node.is({ isManager: false });
    expect(await idsAt(api, '/networks')).toEqual(['local-bridge']);
  });

  test('filters the swarm’s as the Engine filters its own', async () => {
    await using api = await withNetworks();
    expect(await idsAt(api, filtered({ label: ['stack=shop'] }))).toContain('overlay-1');
    expect(await idsAt(api, filtered({ label: ['stack=other'] }))).not.toContain('overlay-1');
    expect(await idsAt(api, filtered({ scope: ['local'] }))).not.toContain('overlay-1');
    expect(await idsAt(api, filtered({ driver: ['overlay'], name: ['ron'] }))).toContain(
      'overlay-1',
    );
  });
});

describe('GET /networks/{id}', () => {
  test('is the swarm’s, unless the Engine has one of that name and the swarm’s is not asked for', async () => {
    await using api = await withNetworks();
    const idOf = async (path: string): Promise<unknown> =>
      ((await api.call('GET', path)).value as { Id: string }).Id;
    expect(await idOf('/networks/front')).toBe('overlay-1');
    expect(await idOf('/networks/overl')).toBe('overlay-1');
    expect(await idOf('/networks/host')).toBe('local-host');
    expect(await idOf('/networks/host?scope=swarm')).toBe('mirror-1');
    expect(await idOf('/networks/bridge')).toBe('local-bridge');
    expect((await api.call('GET', '/networks/nosuch')).status).toBe(404);
  });
});

describe('POST /networks/create', () => {
  test('asks the swarm for overlay networks, and the Engine for others', async () => {
    await using api = await withNetworks();
    const overlay = { Name: 'back', Driver: 'overlay' };
    const refused = await api.call('POST', '/networks/create', overlay);
    expect(refused.status).toBe(501);
    expect(refused.text).toContain('rpc error: code = Unimplemented desc = overlay networks');
    expect(api.docker.seen).toEqual([]);
    const body = { Name: 'mine', Driver: 'bridge', Extra: 1 };
    const local = await api.call('POST', '/v1.47/networks/create', body);
    expect(local.value).toEqual({ Id: 'x', Got: body });
    expect(api.docker.seen.at(-1)).toBe('POST /v1.41/networks/create');
  });

  test('refuses names that are taken', async () => {
    await using api = await withNetworks();
    const create = async (Name: string): Promise<unknown> => {
      const body = { Name, Driver: 'overlay' };
      const { status, value } = await api.call('POST', '/networks/create', body);
      return [status, (value as { message: string }).message];
    };
    expect(await create('front')).toEqual([409, 'network with name front already exists']);
    expect(await create('host')).toEqual([
      403,
      'host is a pre-defined network and cannot be created',
    ]);
  });
});

describe('DELETE /networks/{id}', () => {
  test('removes the swarm’s, and leaves the Engine’s to the Engine', async () => {
    await using api = await withNetworks();
    expect((await api.call('DELETE', '/networks/front')).status).toBe(204);
    expect(await idsAt(api, '/networks')).toEqual(['local-bridge']);
    await api.call('DELETE', '/networks/host');
    expect(api.docker.seen).toContain('DELETE /networks/host');
  });
});

describe('the spec of a network', () => {
  test('has the bits of a subnet behind its prefix cleared', () => {
    const body = {
      Name: 'back',
      Driver: 'overlay',
      Attachable: true,
      IPAM: { Config: [{ Subnet: '10.9.7.5/16', IPRange: '10.9.255.1/25', Gateway: '10.9.0.1' }] },
      Options: { encrypted: '' },
      ConfigFrom: { Network: 'other' },
    };
    expect(networkSpecFromEngine(Fields.of(body))).toMatchObject({
      annotations: { name: 'back' },
      driverConfig: { name: 'overlay', options: { encrypted: '' } },
      attachable: true,
      network: 'other',
      ipam: {
        driver: { name: 'default' },
        configs: [{ subnet: '10.9.0.0/16', range: '10.9.255.0/25', gateway: '10.9.0.1' }],
      },
    });
  });
});
