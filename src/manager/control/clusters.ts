import type { Cluster, ClusterSpec } from '../../api/index.ts';
import type * as wire from '../../api/gen/types.ts';
import { newJoinToken } from '../../ca/index.ts';
import type { Random } from '../../runtime/index.ts';
import { withoutExpired } from './blacklist.ts';
import type { ControlDeps, Methods } from './deps.ts';
import { invalid, required } from './common/errors.ts';
import { passes } from './common/filters.ts';
import { checkVersion, clusterName, found, listed } from './common/lookup.ts';
import { forWire } from './common/response.ts';
import { validateClusterSpec } from './spec/cluster.ts';
import { rootCaFor, withoutSigner } from './spec/root-ca.ts';

/** What is shown of a swarm whose founder chose no addresses. */
const shownDefaults = { addressPool: '10.0.0.0/8', subnetSize: 24, vxlanPort: 4789 };

const unlockKeyBytes = 32;
/** What a manager's key encrypts. The certificate role names it. */
const managerSubsystem = 'swarm-manager';

/** The swarm itself: its settings, its tokens, its unlock key. There is one. */
export function clusterMethods({
  store,
  clock,
  random,
}: Pick<ControlDeps, 'store' | 'clock' | 'random'>): Methods<
  'getCluster' | 'listClusters' | 'updateCluster'
> {
  return {
    getCluster: async ({ clusterId }) => {
      const id = required(clusterId);
      return { cluster: redacted(store.view((view) => found(view, 'cluster', id))) };
    },

    listClusters: async ({ filters }) => {
      const clusters = store.view((view) =>
        listed(view, 'cluster', filters).filter(({ id, spec }) =>
          passes(filters, {
            id,
            name: spec?.annotations?.name ?? '',
            labels: spec?.annotations?.labels,
          }),
        ),
      );
      return { clusters: clusters.map(redacted) };
    },

    updateCluster: async ({ clusterId, clusterVersion, spec, rotation }) => {
      const id = required(clusterId);
      const version = required(clusterVersion);
      validateClusterSpec(spec);
      const updated = await store.update((tx) => {
        const cluster = found(tx, 'cluster', id);
        if (spec.annotations?.name !== clusterName) {
          throw invalid('modification of cluster name is not allowed');
        }
        checkVersion(cluster, version);
        const rootCa = rootCaFor({ clock, random }, spec.caConfig, cluster.rootCa);
        tx.update('cluster', {
          ...withoutExpired(cluster, clock.now()),
          spec: withoutSigner(spec),
          rootCa: withNewTokens(random, rootCa, rotation),
          unlockKeys: unlockKeysFor(random, cluster, {
            spec,
            isRotated: rotation?.managerUnlockKey ?? false,
          }),
        });
        return found(tx, 'cluster', id);
      });
      return { cluster: redacted(updated) };
    },
  };
}

/**
 * What of a cluster leaves the managers: no key, and nothing of the certificate a key belongs to. A
 * client that sent one back without the other would be asking for a change of the root.
 * swarmkit manager/controlapi/cluster.go redactClusters
 */
function redacted(cluster: Cluster): wire.Cluster {
  const { spec, rootCa } = cluster;
  const none = Buffer.alloc(0);
  const hasPool = cluster.defaultAddressPool.length > 0;
  return forWire<wire.Cluster>({
    ...cluster,
    spec: spec && {
      ...spec,
      caConfig: spec.caConfig && { ...spec.caConfig, signingCaCert: none, signingCaKey: none },
    },
    rootCa: rootCa && {
      ...rootCa,
      caKey: none,
      rootRotation: rootCa.rootRotation && { ...rootCa.rootRotation, caKey: none },
    },
    networkBootstrapKeys: [],
    encryptionKeyLamportClock: '0',
    unlockKeys: [],
    fips: false,
    defaultAddressPool: hasPool ? cluster.defaultAddressPool : [shownDefaults.addressPool],
    subnetSize: hasPool ? cluster.subnetSize : shownDefaults.subnetSize,
    VXLANUDPPort: cluster.VXLANUDPPort || shownDefaults.vxlanPort,
  });
}

/** The digest in a token stays: it is the root's. */
function withNewTokens(
  random: Random,
  rootCa: Cluster['rootCa'],
  rotation: wire.KeyRotation | null,
): Cluster['rootCa'] {
  if (rootCa === null) return null;
  const { worker = '', manager = '' } = rootCa.joinTokens ?? {};
  const drawn = (): string => newJoinToken(random, rootCa.caCertHash);
  return {
    ...rootCa,
    joinTokens: {
      worker: rotation?.workerJoinToken === true ? drawn() : worker,
      manager: rotation?.managerJoinToken === true ? drawn() : manager,
    },
  };
}

/** A manager's key exists while managers lock themselves: made, kept, replaced or dropped. */
function unlockKeysFor(
  random: Random,
  { unlockKeys }: Cluster,
  { spec, isRotated }: { readonly spec: ClusterSpec; readonly isRotated: boolean },
): Cluster['unlockKeys'] {
  const others = unlockKeys.filter(({ subsystem }) => subsystem !== managerSubsystem);
  if (spec.encryptionConfig?.autoLockManagers !== true) return others;
  const present = unlockKeys.find(({ subsystem }) => subsystem === managerSubsystem);
  if (present !== undefined && !isRotated) return unlockKeys;
  return [
    ...others,
    {
      subsystem: managerSubsystem,
      algorithm: 'AES_128_GCM',
      key: random.bytes(unlockKeyBytes),
      lamportTime: '0',
    },
  ];
}
