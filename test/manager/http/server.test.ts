import { randomBytes } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { aNode } from '../../support/builders.ts';
import { serveEngineApi } from '../../../src/manager/http/server.ts';
import { anEngineApi } from '../../support/engine-api.ts';

const web = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'nginx:1.24' } } };
const twice = { ...web, Mode: { Replicated: { Replicas: 2 } } };

/** An answer without what differs from run to run. */
const masked = (text: string): string =>
  text
    .replaceAll(/"ID":"[a-z0-9]{25}"/gu, '"ID":"#"')
    .replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/gu, '"TIME"')
    .replaceAll(/"Index":\d+/gu, '"Index":0');

describe('the Engine API, word for word', () => {
  test('a service from its creation to its removal', async () => {
    await using api = await anEngineApi();
    const said = async (...request: Parameters<typeof api.call>): Promise<string> => {
      const { status, text } = await api.call(...request);
      return `${status} ${masked(text)}`;
    };
    const version = async (): Promise<number> => {
      const { value } = await api.call('GET', '/v1.41/services/web');
      return (value as { Version: { Index: number } }).Version.Index;
    };
    const spec =
      '"Spec":{"Name":"web","Labels":{},"TaskTemplate":{"ContainerSpec":{"Image":"nginx:1.24","Isolation":"default"},"ForceUpdate":0,"Runtime":"container"},"Mode":{"Replicated":{"Replicas":2}}}';
    const object = `"ID":"#","Version":{"Index":0},"CreatedAt":"TIME","UpdatedAt":"TIME",${spec},"Endpoint":{"Spec":{}}`;

    expect(await said('GET', '/v1.41/services')).toBe('200 []\n');
    expect(await said('POST', '/v1.41/services/create', twice)).toBe('201 {"ID":"#"}\n');
    expect(await said('POST', '/v1.41/services/create', web)).toBe(
      '409 {"message":"rpc error: code = AlreadyExists desc = name conflicts with an existing object: service web already exists"}\n',
    );
    expect(await said('POST', '/v1.41/services/create', { ...web, Name: '_x' })).toBe(
      '400 {"message":"rpc error: code = InvalidArgument desc = name must be valid as a DNS name component"}\n',
    );
    expect(await said('POST', '/v1.41/services/create', {})).toBe(
      '400 {"message":"mismatched Runtime and *Spec fields"}\n',
    );
    expect(await said('GET', '/v1.41/services/web')).toBe(`200 {${object}}\n`);
    expect(await said('GET', '/v1.41/services?status=true')).toBe(
      `200 [{${object},"ServiceStatus":{"RunningTasks":0,"DesiredTasks":2,"CompletedTasks":0}}]\n`,
    );
    expect(await said('POST', '/v1.41/services/web/update?version=1', twice)).toBe(
      '500 {"message":"rpc error: code = Unknown desc = update out of sequence"}\n',
    );
    expect(await said('POST', `/v1.41/services/web/update?version=${await version()}`, twice)).toBe(
      '200 {"Warnings":null}\n',
    );
    expect(
      await said('POST', `/v1.41/services/web/update?version=${await version()}`, {
        ...twice,
        Name: 'renamed',
      }),
    ).toBe(
      '501 {"message":"rpc error: code = Unimplemented desc = renaming services is not supported"}\n',
    );
    expect(await said('DELETE', '/v1.41/services/web')).toBe('200 ');
    expect(await said('DELETE', '/v1.41/services/web')).toBe(
      '404 {"message":"service web not found"}\n',
    );
  });

  test('what no node is called is not found, and what several begin with is ambiguous', async () => {
    await using api = await anEngineApi();
    await api.swarm.write((tx) => {
      tx.create('node', aNode({ id: 'abc1' }));
      tx.create('node', aNode({ id: 'abc2' }));
    });
    const none = await api.call('GET', '/v1.41/nodes/nosuch');
    expect([none.status, none.text]).toEqual([404, '{"message":"node nosuch not found"}\n']);
    const two = await api.call('GET', '/v1.41/nodes/abc');
    expect([two.status, two.value]).toEqual([
      400,
      { message: 'node abc is ambiguous (2 matches found)' },
    ]);
  });

  test('a node that is no manager says why', async () => {
    await using api = await anEngineApi();
    api.node.isInactive();
    const answer = await api.call('GET', '/v1.41/nodes');
    expect([answer.status, answer.value]).toEqual([
      503,
      { message: 'This node is not a swarm manager.' },
    ]);
  });
});

describe('a request', () => {
  test('of a version out of range is refused', async () => {
    await using api = await anEngineApi();
    expect((await api.call('GET', '/v1.23/nodes')).status).toBe(400);
    expect((await api.call('GET', '/v1.99/containers/json')).value).toEqual({
      message: 'client version 1.99 is too new. Maximum supported API version is 1.47',
    });
    expect((await api.call('GET', '/v1.24/secrets')).value).toEqual({
      message: 'GET /secrets requires minimum API version 1.25',
    });
  });

  test('of a path or method the swarm does not have is not found', async () => {
    await using api = await anEngineApi();
    for (const [method, path] of [
      ['PUT', '/nodes'],
      ['GET', '/services/a/b/c'],
      ['GET', '/swarm/nosuch'],
    ] as const) {
      const answer = await api.call(method, path);
      expect([answer.status, answer.value]).toEqual([404, { message: 'page not found' }]);
    }
    expect(api.docker.seen).toEqual([]);
  });

  test('has a body of JSON, and says so', async () => {
    await using api = await anEngineApi();
    const text = await api.call('POST', '/services/create', web, { 'Content-Type': 'text/plain' });
    expect([text.status, text.value]).toEqual([
      400,
      { message: "unsupported Content-Type header (text/plain): must be 'application/json'" },
    ]);
    const broken = await api.call('POST', '/services/create', Buffer.from('notjson'));
    expect(broken.status).toBe(400);
    expect(broken.text).toContain('invalid JSON: ');
    const named = await api.call('POST', '/services/create', web, {
      'Content-Type': 'application/json; charset=utf-8',
    });
    expect(named.status).toBe(201);
  });

  test('too large is refused, and the connection with it', async () => {
    await using api = await anEngineApi();
    const answer = await api.call('POST', '/configs/create', randomBytes(9 * 1_024 * 1_024));
    expect([answer.status, answer.headers.connection]).toEqual([400, 'close']);
  });

  test('names the version of what it updates', async () => {
    await using api = await anEngineApi();
    for (const [version, problem] of [
      ['', 'invalid syntax'],
      ['-1', 'invalid syntax'],
      ['99999999999999999999', 'value out of range'],
    ]) {
      const answer = await api.call('POST', `/services/web/update?version=${version}`, web);
      expect(answer.value).toEqual({
        message: `invalid service version '${version}': strconv.ParseUint: parsing "${version}": ${problem}`,
      });
    }
  });

  test('with a strict switch is refused if it is no Go boolean', async () => {
    await using api = await anEngineApi();
    expect((await api.call('GET', '/services?status=yes')).value).toEqual({
      message: 'invalid value for status: strconv.ParseBool: parsing "yes": invalid syntax',
    });
  });
});

describe('GET /_ping', () => {
  test('tells clients what to speak, and where the node stands', async () => {
    await using api = await anEngineApi();
    const answer = await api.call('GET', '/_ping');
    expect(answer.text).toBe('OK');
    expect(answer.headers).toMatchObject({
      'api-version': '1.41',
      'builder-version': '2',
      'docker-experimental': 'false',
      ostype: 'linux',
      server: 'swarmd/0.1.0 (linux)',
      swarm: 'active/manager',
    });
    api.node.is({ isManager: false });
    expect((await api.call('HEAD', '/_ping')).headers['swarm']).toBe('active/worker');
    api.node.isInactive();
    expect((await api.call('GET', '/v1.41/_ping')).headers['swarm']).toBe('inactive');
  });

  test('answers while the local Engine is away', async () => {
    await using api = await anEngineApi();
    await api.docker[Symbol.asyncDispose]();
    const answer = await api.call('GET', '/_ping');
    expect([answer.status, answer.headers['api-version']]).toEqual([200, '1.47']);
  });
});

describe('GET /info and /version', () => {
  test('are the Engine’s, with our part of the swarm', async () => {
    await using api = await anEngineApi();
    const { value } = await api.call('GET', '/v1.47/info');
    expect(value).toMatchObject({
      ID: 'ENGINE',
      Name: 'host-1', // The node's name, not its Engine's.
      MemTotal: 25_276_502_016,
      Swarm: {
        NodeID: 'node-1',
        LocalNodeState: 'active',
        ControlAvailable: true,
        RemoteManagers: [{ NodeID: 'node-1', Addr: '10.0.0.1:2377' }],
        Nodes: 0,
        Managers: 0,
        Cluster: { Spec: { Name: 'default' } },
      },
      Warnings: null,
    });
    expect(api.docker.seen).toContain('GET /v1.41/info');
    expect((await api.call('GET', '/version')).value).toMatchObject({
      Version: '20.10.24',
      ApiVersion: '1.41',
      MinAPIVersion: '1.24',
      Components: [{ Name: 'Engine' }, { Name: 'swarmd', Version: '0.1.0' }],
    });
  });

  test('show the swarm while the Engine is away, and say what is missing', async () => {
    await using api = await anEngineApi();
    await api.docker[Symbol.asyncDispose]();
    const { status, value } = await api.call('GET', '/info');
    expect(status).toBe(200);
    expect(value).toMatchObject({
      Swarm: { NodeID: 'node-1' },
      Warnings: [expect.stringContaining('cannot reach the local Docker Engine at unix://')],
    });
    expect((await api.call('GET', '/version')).value).toMatchObject({ Version: '0.1.0' });
  });

  test('of an inactive node show no swarm', async () => {
    await using api = await anEngineApi();
    api.node.isInactive();
    const { value } = await api.call('GET', '/info');
    expect((value as { Swarm: unknown }).Swarm).toEqual({
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    });
  });

  test('two managers are warned of', async () => {
    await using api = await anEngineApi();
    await api.swarm.write((tx) => {
      tx.create('node', aNode({ id: 'node-1', role: 'MANAGER' }));
      tx.create('node', aNode({ id: 'node-2', role: 'MANAGER' }));
    });
    for (const [i, nodeId] of ['node-1', 'node-2'].entries()) {
      api.swarm.members.push({
        raftId: String(i + 1),
        nodeId,
        addr: `10.0.0.${i}:2377`,
        isLeader: i === 0,
        isLearner: false,
        isReachable: true,
      });
    }
    const { value } = await api.call('GET', '/info');
    expect((value as { Warnings: string[] }).Warnings).toEqual([
      expect.stringContaining('two-manager configuration'),
    ]);
  });
});

describe('the socket', () => {
  test('is for its owner and group, and goes with the server', async () => {
    const path = await (async () => {
      await using api = await anEngineApi();
      expect((await stat(api.socketPath)).mode & 0o777).toBe(0o660);
      return api.socketPath;
    })();
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test('of a dead process is replaced, that of a living one is left alone', async () => {
    await using api = await anEngineApi();
    const stop = new AbortController();
    const serve = async (socketPath: string, onListening: () => void): Promise<void> =>
      serveEngineApi(api.deps, { socketPath, onListening }, stop.signal);
    await expect(serve(api.socketPath, () => undefined)).rejects.toThrow(
      `another process answers on ${api.socketPath}`,
    );
    const stale = `${api.socketPath}.stale`;
    await writeFile(stale, '');
    await serve(stale, () => {
      stop.abort();
    });
  });
});
