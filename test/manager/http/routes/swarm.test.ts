import { describe, expect, test } from 'vitest';
import { codecOf } from '../../../../src/api/index.ts';
import type { ClusterInput } from '../../../../src/api/gen/types.ts';
import {
  clusterSpecFromEngine,
  clusterToEngine,
} from '../../../../src/manager/http/convert/swarm.ts';
import { Fields } from '../../../../src/manager/http/convert/fields.ts';
import { parseJson, stringifyJson } from '../../../../src/manager/http/json.ts';
import { SwarmError } from '../../../../src/runtime/index.ts';
import { aNode } from '../../../support/builders.ts';
import { anEngineApi, type EngineApi } from '../../../support/engine-api.ts';

/** A root certificate of a Docker Engine, and what the Engine says of its subject and key. */
const root = {
  pem: '-----BEGIN CERTIFICATE-----\nMIIBajCCARCgAwIBAgIUArJgz2CmfAqsEu0u3oqf5b01wWgwCgYIKoZIzj0EAwIw\nEzERMA8GA1UEAxMIc3dhcm0tY2EwHhcNMjYxMTIyMTYxNTAwWhcNNDYxMTE3MTYx\nNTAwWjATMREwDwYDVQQDEwhzd2FybS1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH\nA0IABB3XOvggJNQrfajE+WTZFZw1sRdYjBOzcFYJYj5Sb9M+oBSzu5XaZTEnJesd\nv02Kc7sHVav3gSJ5CuxrnVIEYoqjQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMB\nAf8EBTADAQH/MB0GA1UdDgQWBBR8nLp2ZYTK/v3p//KIv0WbEPXDwjAKBggqhkjO\nPQQDAgNIADBFAiAO8P4WR/eDPG2QPuTCZ/k2xlhvXc7xz8kZb4fjxCPENQIhAIBq\nx8EsTz9iKBayD7Yr8iLyfmi5qQD35aCMxon0bqbY\n-----END CERTIFICATE-----\n',
  subject: 'MBMxETAPBgNVBAMTCHN3YXJtLWNh',
  publicKey:
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHdc6+CAk1Ct9qMT5ZNkVnDWxF1iME7NwVgliPlJv0z6gFLO7ldplMScl6x2/TYpzuwdVq/eBInkK7GudUgRiig==',
};

const stockSpec =
  '{"Name":"default","Labels":{},"Orchestration":{"TaskHistoryRetentionLimit":5},"Raft":{"SnapshotInterval":10000,"KeepOldSnapshots":0,"LogEntriesForSlowFollowers":500,"ElectionTick":10,"HeartbeatTick":1},"Dispatcher":{"HeartbeatPeriod":5000000000},"CAConfig":{"NodeCertExpiry":7776000000000000},"TaskDefaults":{},"EncryptionConfig":{"AutoLockManagers":false}}';

describe('the swarm', () => {
  test('is shown as a Docker Engine shows it', () => {
    const input: ClusterInput = {
      id: 'swarm',
      meta: { version: { index: '10' }, createdAt: { seconds: '1', nanos: 5 } },
      spec: clusterSpecFromEngine(Fields.of(parseJson(stockSpec)), {}),
      rootCa: {
        caCert: Buffer.from(root.pem),
        caKey: Buffer.from('key'),
        joinTokens: { worker: 'w', manager: 'm' },
      },
      subnetSize: 24,
      VXLANUDPPort: 4_789,
    };
    const pem = JSON.stringify(root.pem);
    expect(stringifyJson(clusterToEngine(codecOf('Cluster').create(input)))).toBe(
      `{"ID":"swarm","Version":{"Index":10},"CreatedAt":"1970-01-01T00:00:01.000000005Z","UpdatedAt":"1970-01-01T00:00:00Z","Spec":${stockSpec},"TLSInfo":{"TrustRoot":${pem},"CertIssuerSubject":"${root.subject}","CertIssuerPublicKey":"${root.publicKey}"},"RootRotationInProgress":false,"DefaultAddrPool":null,"SubnetSize":24,"DataPathPort":4789,"JoinTokens":{"Worker":"w","Manager":"m"}}\n`,
    );
  });

  test('never shows its signing key', () => {
    const config = { SigningCACert: 'cert', SigningCAKey: 'secret', ForceRotate: 3 };
    const spec = clusterSpecFromEngine(Fields.of({ CAConfig: config }), {});
    expect(spec.caConfig).toMatchObject({ signingCaKey: Buffer.from('secret'), forceRotate: '3' });
    const shown = stringifyJson(clusterToEngine(codecOf('Cluster').create({ spec })));
    expect(shown).not.toMatch(/Signing|secret/u);
  });

  test('keeps what a request leaves out, if the request is laid over it', () => {
    const base = clusterSpecFromEngine(Fields.of(parseJson(stockSpec)), {});
    const laid = clusterSpecFromEngine(
      Fields.of({ Raft: { ElectionTick: 20 }, Orchestration: { TaskHistoryRetentionLimit: 0 } }),
      base,
    );
    expect(laid.raft).toEqual({ ...base.raft, electionTick: 20 });
    expect(laid.orchestration).toEqual({ taskHistoryRetentionLimit: '0' });
    expect(laid.dispatcher).toEqual(base.dispatcher);
  });

  test('is refused an external CA of an unknown protocol', () => {
    const spec = Fields.of({ CAConfig: { ExternalCAs: [{ Protocol: 'acme' }] } });
    expect(() => clusterSpecFromEngine(spec, {})).toThrow('invalid protocol: "acme"');
  });
});

const init = { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '10.0.0.1' };

const versionOf = async (api: EngineApi): Promise<number> => {
  const { value } = await api.call('GET', '/swarm');
  return (value as { Version: { Index: number } }).Version.Index;
};

describe('POST /swarm/init', () => {
  test('founds a swarm and lays the settings asked for over the default ones', async () => {
    await using api = await anEngineApi();
    api.node.isInactive();
    const answer = await api.call('POST', '/swarm/init', {
      ...init,
      Availability: 'drain',
      Spec: { Orchestration: { TaskHistoryRetentionLimit: 9 } },
      AutoLockManagers: true,
    });
    expect([answer.status, answer.text]).toEqual([200, '"node-1"\n']);
    expect(api.node.requests).toEqual([
      {
        kind: 'init',
        request: {
          listenAddr: '0.0.0.0:2377',
          advertiseAddr: '10.0.0.1',
          forceNewCluster: false,
          availability: 'DRAIN',
        },
      },
    ]);
    expect((await api.call('GET', '/swarm')).value).toMatchObject({
      Spec: {
        Orchestration: { TaskHistoryRetentionLimit: 9 },
        Dispatcher: { HeartbeatPeriod: 5_000_000_000 },
        EncryptionConfig: { AutoLockManagers: true },
      },
    });
  });

  test('writes nothing where nothing differs', async () => {
    await using api = await anEngineApi();
    const before = await versionOf(api);
    await api.call('POST', '/swarm/init', {
      ...init,
      Spec: { Labels: {}, Orchestration: {}, Dispatcher: {} },
    });
    expect(await versionOf(api)).toBe(before);
  });

  test.each([
    [{}, 400, 'invalid ListenAddr "": invalid empty address'],
    [{ ...init, Spec: { Name: 'other' } }, 400, 'swarm spec must be named "default"'],
    [{ ...init, Availability: 'sleeping' }, 400, 'invalid Availability: "sleeping"'],
    [
      { ...init, DataPathPort: 80 },
      400,
      'Datapath port number is not in valid range (1024-49151) : 80',
    ],
    [{ ...init, SubnetSize: 30 }, 400, 'subnet size is out of range: 30'],
    [
      { ...init, DefaultAddrPool: ['10.20.0.0/16'] },
      501,
      'a default address pool, subnet size or data path port of its own is not supported',
    ],
  ])('refuses %j', async (body, status, message) => {
    await using api = await anEngineApi();
    const answer = await api.call('POST', '/swarm/init', body);
    expect([answer.status, answer.value]).toEqual([status, { message }]);
    expect(api.node.requests).toEqual([]);
  });
});

describe('POST /swarm/join', () => {
  test('hands the node every address it may try', async () => {
    await using api = await anEngineApi();
    const body = { RemoteAddrs: ['10.0.0.1:2377', '10.0.0.2'], JoinToken: 'SWMTKN-1-a-b' };
    expect((await api.call('POST', '/swarm/join', body)).status).toBe(200);
    expect(api.node.requests).toEqual([
      {
        kind: 'join',
        request: {
          listenAddr: '0.0.0.0:2377',
          advertiseAddr: '',
          remoteAddrs: body.RemoteAddrs,
          joinToken: 'SWMTKN-1-a-b',
          availability: 'ACTIVE',
        },
      },
    ]);
  });

  test('needs an address', async () => {
    await using api = await anEngineApi();
    const { status, value } = await api.call('POST', '/swarm/join', {});
    expect([status, value]).toEqual([
      400,
      { message: 'at least 1 RemoteAddr is required to join' },
    ]);
  });
});

/** A swarm of managers, of whom so many answer. The first is this node. */
async function withManagers(api: EngineApi, reachable: readonly boolean[]): Promise<void> {
  for (const [i, isReachable] of reachable.entries()) {
    const nodeId = `node-${i + 1}`;
    await api.swarm.write((tx) => {
      tx.create('node', aNode({ id: nodeId, role: 'MANAGER' }));
    });
    api.swarm.members.push({
      raftId: String(i + 1),
      nodeId,
      addr: `10.0.0.${i + 1}:2377`,
      isLeader: i === 0,
      isLearner: false,
      isReachable,
    });
  }
}

describe('POST /swarm/leave', () => {
  const beginning =
    'You are attempting to leave the swarm on a node that is participating as a manager. ';
  const ending =
    'The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.';

  test.each([
    [
      [true],
      'Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ',
    ],
    [
      [true, true],
      `Removing this node leaves 1 managers out of 2. Without a Raft quorum your swarm will be inaccessible. ${ending}`,
    ],
    [[true, true, true], ending],
  ])('tells a manager of %j what its leaving means', async (reachable, consequence) => {
    await using api = await anEngineApi();
    await withManagers(api, reachable);
    const { status, value } = await api.call('POST', '/swarm/leave');
    expect([status, value]).toEqual([503, { message: `${beginning}${consequence}` }]);
    expect(api.node.requests).toEqual([]);
  });

  test('lets a manager go by force, and a worker at once', async () => {
    await using api = await anEngineApi();
    expect((await api.call('POST', '/swarm/leave?force=1')).status).toBe(200);
    api.node.is({ isManager: false });
    expect((await api.call('POST', '/swarm/leave')).status).toBe(200);
    expect(api.node.requests).toEqual([
      { kind: 'leave', isForced: true },
      { kind: 'leave', isForced: false },
    ]);
  });

  test('keeps a locked node unless it is forced', async () => {
    await using api = await anEngineApi();
    api.node.is({ state: 'locked', isManager: false });
    expect((await api.call('POST', '/swarm/leave')).value).toEqual({
      message:
        'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.',
    });
  });
});

describe('POST /swarm/update', () => {
  test('replaces the settings, and rotates what is asked for', async () => {
    await using api = await anEngineApi();
    await api.swarm.write((tx) => {
      const [cluster] = tx.find('cluster');
      if (cluster === undefined) return;
      const rootCa = {
        caCert: Buffer.from(root.pem),
        caCertHash: `sha256:${'0a'.repeat(32)}`,
        joinTokens: { worker: 'w', manager: 'm' },
      };
      tx.update('cluster', { ...cluster, rootCa: codecOf('RootCA').create(rootCa) });
    });
    const before = (await api.call('GET', '/swarm')).value as {
      JoinTokens: { Worker: string; Manager: string };
    };
    const path = `/swarm/update?version=${await versionOf(api)}&rotateWorkerToken=true`;
    const answer = await api.call('POST', path, {
      Orchestration: { TaskHistoryRetentionLimit: 2 },
      CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
    });
    expect([answer.status, answer.text]).toEqual([200, '']);
    const after = (await api.call('GET', '/swarm')).value as typeof before;
    expect(after).toMatchObject({
      Spec: { Name: 'default', Orchestration: { TaskHistoryRetentionLimit: 2 } },
    });
    expect(before.JoinTokens.Worker).toBe('w');
    expect(after.JoinTokens.Worker).toMatch(/^SWMTKN-1-/u);
    expect(after.JoinTokens.Manager).toBe('m');
  });

  test('needs to know what it updates', async () => {
    await using api = await anEngineApi();
    expect((await api.call('POST', '/swarm/update', {})).value).toEqual({
      message: `invalid swarm version '': strconv.ParseUint: parsing "": invalid syntax`,
    });
  });
});

describe('the unlock key', () => {
  test('is empty while managers are not locked, and a SWMKEY otherwise', async () => {
    let key = Buffer.alloc(0);
    await using api = await anEngineApi({
      CA: { getUnlockKey: async () => Promise.resolve({ unlockKey: key }) },
    });
    expect((await api.call('GET', '/swarm/unlockkey')).text).toBe('{"UnlockKey":""}\n');
    key = Buffer.alloc(32, 0xfb);
    expect((await api.call('GET', '/swarm/unlockkey')).value).toEqual({
      UnlockKey: `SWMKEY-1-${key.toString('base64').replaceAll('=', '')}`,
    });
  });

  test('is told of in a manager’s words if it is refused', async () => {
    await using api = await anEngineApi({
      CA: {
        getUnlockKey: async () => Promise.reject(new SwarmError('permission-denied', 'no')),
      },
    });
    const { status, value } = await api.call('GET', '/swarm/unlockkey');
    expect([status, value]).toEqual([
      403,
      { message: 'rpc error: code = PermissionDenied desc = no' },
    ]);
  });

  test.each([
    ['SWMKEY-1-x', 'active', 400, 'invalid key string'],
    [`SWMKEY-1-${'A'.repeat(43)}`, 'active', 409, 'swarm is not locked'],
    [`SWMKEY-1-${'A'.repeat(43)}`, 'inactive', 503, 'This node is not part of a swarm'],
    [
      `SWMKEY-1-${'B'.repeat(42)}A`,
      'locked',
      401,
      'swarm could not be unlocked: invalid key provided',
    ],
  ] as const)('%s unlocks no node that is %s', async (key, state, status, message) => {
    await using api = await anEngineApi();
    api.node.is({ state });
    const answer = await api.call('POST', '/swarm/unlock', { UnlockKey: key });
    expect([answer.status, answer.value]).toEqual([status, { message }]);
  });

  test('unlocks a node that is locked', async () => {
    await using api = await anEngineApi();
    api.node.is({ state: 'locked', isManager: false });
    api.node.unlockKey = Buffer.alloc(32, 0xfb);
    const key = `SWMKEY-1-${api.node.unlockKey.toString('base64').replaceAll('=', '')}`;
    const answer = await api.call('POST', '/swarm/unlock', { UnlockKey: key });
    expect([answer.status, answer.text]).toEqual([200, '']);
    expect(api.node.info().state).toBe('active');
  });
});
