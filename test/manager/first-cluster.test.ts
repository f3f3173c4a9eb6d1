import { describe, expect, test } from 'vitest';
import { firstCluster } from '../../src/manager/first-cluster.ts';
import { aStore } from '../support/immediate-log.ts';

let ids = 0;
const founding = {
  clusterId: 'cluster',
  nodeId: 'founder',
  rootCa: {
    caCert: Buffer.from('cert'),
    caKey: Buffer.from('key'),
    caCertHash: 'sha256:00',
    joinTokens: { worker: 'w', manager: 'm' },
  },
  certificate: Buffer.from('certificate'),
  availability: 'DRAIN' as const,
  newId: () => `id${(ids += 1)}`,
};

describe('firstCluster', () => {
  test('fits one transaction', async () => {
    const store = aStore();
    await store.update((tx) => {
      for (const { kind, object } of firstCluster(founding)) tx.create(kind, object);
    });
    const cluster = store.view((view) => view.get('cluster', 'cluster'));
    expect(cluster?.meta?.version?.index).toBe('1');
    expect(cluster?.rootCa?.joinTokens).toEqual({ worker: 'w', manager: 'm' });
    expect(cluster?.spec).toMatchObject({
      annotations: { name: 'default' },
      orchestration: { taskHistoryRetentionLimit: '5' },
      dispatcher: { heartbeatPeriod: { seconds: '5' } },
      caConfig: { nodeCertExpiry: { seconds: '7776000' } },
      raft: { snapshotInterval: '10000', logEntriesForSlowFollowers: '500', electionTick: 10 },
      encryptionConfig: { autoLockManagers: false },
    });
  });

  test('the founder is a manager with a certificate, as available as it says', async () => {
    const node = firstCluster(founding).find(({ kind }) => kind === 'node')?.object;
    expect(node).toMatchObject({
      id: 'founder',
      role: 'MANAGER',
      spec: { desiredRole: 'MANAGER', membership: 'ACCEPTED', availability: 'DRAIN' },
      certificate: { cn: 'founder', role: 'MANAGER', status: { state: 'ISSUED' } },
    });
  });

  test('every node’s own networks have a name in the swarm', () => {
    const networks = firstCluster(founding).flatMap((first) =>
      first.kind === 'network' ? [first.object] : [],
    );
    expect(networks.map(({ spec }) => spec?.annotations?.name)).toEqual(['bridge', 'host', 'none']);
    expect(new Set(networks.map(({ id }) => id)).size).toBe(3);
  });

  test('a stock manager that comes to lead knows the driver of every network', () => {
    const drivers = firstCluster(founding).flatMap((first) =>
      first.kind === 'network' ? [first.object.spec?.driverConfig?.name] : [],
    );
    expect(drivers).toHaveLength(3);
    expect(drivers.filter((name) => name !== 'bridge' && name !== 'host')).toEqual([]);
  });
});
