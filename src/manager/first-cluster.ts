import { type Cluster, codecOf, durationFromMs, type Network, type Node } from '../api/index.ts';
import type { NodeSpecAvailability, RootCAInput } from '../api/gen/types.ts';

/** A node is told to report this often. swarmkit manager/dispatcher */
const heartbeatPeriodMs = 5_000;
/** A node's certificate lasts this long: 90 days. */
const nodeCertExpiryMs = 2_160 * 3_600_000;

/**
 * The networks that every Docker host has by itself, and what drives each. An agent goes by the
 * name. A stock manager does not know `none` and, should it lead, asks for its driver: for one that
 * it does not know either (`null`) it waits half a minute, and gives no task to anybody meanwhile.
 */
const predefinedNetworks = [
  { name: 'bridge', driver: 'bridge' },
  { name: 'host', driver: 'host' },
  { name: 'none', driver: 'host' },
] as const;

/** What a founder brings to a swarm. */
export interface Founding {
  readonly clusterId: string;
  /** The founder, which is the first manager. */
  readonly nodeId: string;
  /** The new root with its key, and the tokens to join by. */
  readonly rootCa: RootCAInput;
  /** The founder's own certificate, PEM. */
  readonly certificate: Buffer;
  readonly availability: NodeSpecAvailability;
  /** IDs for the objects that have none yet. */
  readonly newId: () => string;
}

/** An object to be created. */
export type FirstObject =
  | { readonly kind: 'cluster'; readonly object: Cluster }
  | { readonly kind: 'node'; readonly object: Node }
  | { readonly kind: 'network'; readonly object: Network };

/**
 * What a new swarm's store begins with: the swarm itself, its first node, and the swarm's names for
 * the networks that every node has. One transaction creates it all.
 * swarmkit manager/manager.go becomeLeader
 */
export const firstCluster = (founding: Founding): readonly FirstObject[] => [
  { kind: 'cluster', object: clusterOf(founding) },
  { kind: 'node', object: founderOf(founding) },
  ...predefinedNetworks.map(({ name, driver }) => ({
    kind: 'network' as const,
    object: codecOf('Network').create({
      id: founding.newId(),
      spec: {
        annotations: { name, labels: { 'com.docker.swarm.predefined': 'true' } },
        driverConfig: { name: driver },
      },
    }),
  })),
];

const clusterOf = ({ clusterId, rootCa }: Founding): Cluster =>
  codecOf('Cluster').create({
    id: clusterId,
    spec: {
      annotations: { name: 'default' },
      acceptancePolicy: {},
      orchestration: { taskHistoryRetentionLimit: 5 },
      raft: {
        snapshotInterval: 10_000,
        keepOldSnapshots: 0,
        logEntriesForSlowFollowers: 500,
        heartbeatTick: 1,
        electionTick: 10,
      },
      dispatcher: { heartbeatPeriod: durationFromMs(heartbeatPeriodMs) },
      caConfig: { nodeCertExpiry: durationFromMs(nodeCertExpiryMs) },
      taskDefaults: {},
      encryptionConfig: { autoLockManagers: false },
    },
    rootCa,
  });

const founderOf = ({ nodeId, certificate, availability }: Founding): Node =>
  codecOf('Node').create({
    id: nodeId,
    role: 'MANAGER',
    spec: { annotations: {}, desiredRole: 'MANAGER', membership: 'ACCEPTED', availability },
    certificate: {
      cn: nodeId,
      role: 'MANAGER',
      certificate,
      status: { state: 'ISSUED' },
    },
  });
