import { beforeEach, describe, expect, test } from 'vitest';
import type { ClusterSpecInput, KeyRotationInput } from '../../../src/api/gen/types.ts';
import type { Cluster } from '../../../src/api/index.ts';
import { parseJoinToken } from '../../../src/ca/index.ts';
import { aControlClient, type ControlClient } from '../../support/control-client.ts';

const digest = `sha256:${'ab'.repeat(32)}`;

let client: ControlClient;
beforeEach(async () => {
  client = await aControlClient();
  await client.write((tx) => {
    tx.update('cluster', {
      ...stored(),
      rootCa: {
        caKey: Buffer.from('key'),
        caCert: Buffer.from('cert'),
        caCertHash: digest,
        joinTokens: { worker: 'worker token', manager: 'manager token' },
        rootRotation: {
          caKey: Buffer.from('next key'),
          caCert: Buffer.from('next'),
          crossSignedCaCert: Buffer.from('crossed'),
        },
        lastForcedRotation: '0',
      },
    });
  });
});

function stored(): Cluster {
  const [cluster] = client.store.view((view) => view.find('cluster'));
  if (cluster === undefined) throw new Error('no cluster');
  return cluster;
}

async function update(spec: ClusterSpecInput, rotation: KeyRotationInput = {}) {
  const { id, meta } = stored();
  const { cluster } = await client.call('UpdateCluster', {
    clusterId: id,
    clusterVersion: meta?.version ?? null,
    spec: { annotations: { name: 'default' }, ...spec },
    rotation,
  });
  return cluster;
}

describe('what is shown of a cluster', () => {
  test('holds no key, on whichever road it comes', async () => {
    await update({ encryptionConfig: { autoLockManagers: true } });
    const { cluster } = await client.call('GetCluster', { clusterId: stored().id });
    const { clusters } = await client.call('ListClusters', {});
    const updated = await update({ encryptionConfig: { autoLockManagers: true } });
    for (const shown of [cluster, clusters[0], updated]) {
      expect(shown?.rootCa?.caKey).toHaveLength(0);
      expect(shown?.rootCa?.rootRotation?.caKey).toHaveLength(0);
      expect(shown?.rootCa?.caCert.toString()).toBe('cert');
      expect(shown?.unlockKeys).toEqual([]);
    }
    expect(stored().rootCa?.caKey.toString()).toBe('key');
  });

  test('names the address pool that is meant where none was chosen', async () => {
    const { cluster } = await client.call('GetCluster', { clusterId: stored().id });
    expect(cluster).toMatchObject({
      defaultAddressPool: ['10.0.0.0/8'],
      subnetSize: 24,
      VXLANUDPPort: 4789,
    });
  });
});

describe('updateCluster', () => {
  test.each<[string, string, ClusterSpecInput]>([
    [
      'invalid-argument',
      'modification of cluster name is not allowed',
      { annotations: { name: 'other' } },
    ],
    [
      'invalid-argument',
      'minimum certificate expiry time must be: 1h0m0s',
      { caConfig: { nodeCertExpiry: { seconds: '3599', nanos: 0 } } },
    ],
    [
      'invalid-argument',
      'heartbeat time period cannot be a negative duration',
      { dispatcher: { heartbeatPeriod: { seconds: '-1', nanos: 0 } } },
    ],
    [
      'invalid-argument',
      'hashing algorithm is not supported: md5',
      { acceptancePolicy: { policies: [{ secret: { alg: 'md5' } }] } },
    ],
    [
      'invalid-argument',
      'if a signing CA key is provided, the signing CA cert must also be provided',
      { caConfig: { signingCaKey: Buffer.from('key') } },
    ],
    [
      'unimplemented',
      'external CAs are not supported yet: the managers sign certificates',
      { caConfig: { externalCas: [{ protocol: 'CFSSL', url: 'https://ca' }] } },
    ],
    [
      'unimplemented',
      'external CAs are not supported yet: give the key of the CA certificate',
      { caConfig: { signingCaCert: Buffer.from('cert') } },
    ],
  ])('refuses as %s: %s', async (code, message, spec) => {
    await expect(update(spec)).rejects.toMatchObject({ code, message });
  });

  test('stores the settings, and refuses an older version', async () => {
    const before = stored();
    await update({ orchestration: { taskHistoryRetentionLimit: 1 } });
    expect(stored().spec?.orchestration?.taskHistoryRetentionLimit).toBe('1');
    await expect(
      client.call('UpdateCluster', {
        clusterId: before.id,
        clusterVersion: before.meta?.version ?? null,
        spec: { annotations: { name: 'default' } },
      }),
    ).rejects.toThrow('update out of sequence');
  });

  test('rotates only the token that is asked for, and keeps its digest', async () => {
    const updated = await update({}, { workerJoinToken: true });
    const { worker = '', manager } = updated?.rootCa?.joinTokens ?? {};
    expect(manager).toBe('manager token');
    expect(parseJoinToken(worker).digest).toBe(digest);
    const again = await update({}, { workerJoinToken: true });
    expect(again?.rootCa?.joinTokens?.worker).not.toBe(worker);
  });

  test('managers that lock themselves have an unlock key, until they no longer do', async () => {
    const locked = { encryptionConfig: { autoLockManagers: true } };
    await update(locked);
    const [first] = stored().unlockKeys;
    expect(first).toMatchObject({ subsystem: 'swarm-manager' });
    expect(first?.key).toHaveLength(32);
    await update(locked);
    expect(stored().unlockKeys).toEqual([first]);
    await update(locked, { managerUnlockKey: true });
    expect(stored().unlockKeys).toHaveLength(1);
    expect(stored().unlockKeys).not.toEqual([first]);
    await update({}, { managerUnlockKey: true });
    expect(stored().unlockKeys).toEqual([]);
  });
});
