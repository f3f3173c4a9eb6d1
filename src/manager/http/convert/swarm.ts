import type {
  AnnotationsInput,
  CAConfig,
  CAConfigInput,
  Cluster,
  ClusterSpec,
  ClusterSpecInput,
  Config,
  ConfigSpecInput,
  ExternalCAInput,
  RaftConfig,
  Secret,
  SecretSpecInput,
} from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { JsonObject } from '../json.ts';
import type { Fields } from './fields.ts';
import {
  annotationsFromEngine,
  annotationsToEngine,
  bytes,
  count,
  driverFromEngine,
  duration,
  durationFrom,
  integer,
  list,
  map,
  metaToEngine,
  optionalDriverToEngine,
} from './shapes.ts';
import { tlsInfoToEngine } from './tls-info.ts';

/**
 * The settings of a swarm, laid over others: what is absent or zero keeps its place in `base`.
 * Over an empty base it is a whole spec. Engine API 1.47 `SwarmSpec`, moby MergeSwarmSpecToGRPC
 *
 * @throws SwarmError invalid-argument
 */
export function clusterSpecFromEngine(spec: Fields, base: ClusterSpecInput): ClusterSpecInput {
  const raft = spec.object('Raft');
  const ca = spec.object('CAConfig');
  const history = spec.object('Orchestration')?.optionalInteger('TaskHistoryRetentionLimit');
  const dispatcher = spec.object('Dispatcher');
  const logDriver = spec.object('TaskDefaults')?.object('LogDriver');
  const encryption = spec.object('EncryptionConfig');
  const beats = dispatcher !== undefined && dispatcher.integer('HeartbeatPeriod') !== '0';
  return {
    ...base,
    annotations: annotationsOver(base, spec),
    ...(raft === undefined ? {} : { raft: { ...base.raft, ...raftFromEngine(raft) } }),
    ...(ca === undefined ? {} : { caConfig: { ...base.caConfig, ...caFromEngine(ca) } }),
    ...(history === undefined ? {} : { orchestration: { taskHistoryRetentionLimit: history } }),
    ...(beats
      ? { dispatcher: { heartbeatPeriod: durationFrom(dispatcher, 'HeartbeatPeriod') } }
      : {}),
    ...(logDriver === undefined
      ? {}
      : { taskDefaults: { logDriver: driverFromEngine(logDriver) } }),
    ...(encryption === undefined
      ? {}
      : { encryptionConfig: { autoLockManagers: encryption.flag('AutoLockManagers') } }),
  };
}

function annotationsOver(base: ClusterSpecInput, spec: Fields): AnnotationsInput {
  const { name, labels } = annotationsFromEngine(spec);
  return {
    ...base.annotations,
    ...(name === '' ? {} : { name }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

function raftFromEngine(raft: Fields): NonNullable<ClusterSpecInput['raft']> {
  const given = {
    snapshotInterval: raft.count('SnapshotInterval'),
    logEntriesForSlowFollowers: raft.count('LogEntriesForSlowFollowers'),
    electionTick: raft.small('ElectionTick'),
    heartbeatTick: raft.small('HeartbeatTick'),
  };
  const kept = raft.optionalCount('KeepOldSnapshots');
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => Number(value) !== 0)),
    ...(kept === undefined ? {} : { keepOldSnapshots: kept }),
  };
}

function caFromEngine(config: Fields): CAConfigInput {
  const [cert, key] = [config.text('SigningCACert'), config.text('SigningCAKey')];
  const expires = config.integer('NodeCertExpiry') !== '0';
  const external = config.objects('ExternalCAs').map(externalCaFromEngine);
  return {
    ...(expires ? { nodeCertExpiry: durationFrom(config, 'NodeCertExpiry') } : {}),
    ...(external.length === 0 ? {} : { externalCas: external }),
    ...(cert === '' ? {} : { signingCaCert: Buffer.from(cert) }),
    ...(key === '' ? {} : { signingCaKey: Buffer.from(key) }),
    forceRotate: config.count('ForceRotate'),
  };
}

function externalCaFromEngine(ca: Fields): ExternalCAInput {
  const protocol = ca.text('Protocol');
  if (protocol.toUpperCase() !== 'CFSSL') {
    throw new SwarmError('invalid-argument', `invalid protocol: "${protocol}"`);
  }
  return {
    protocol: 'CFSSL',
    url: ca.text('URL'),
    options: ca.map('Options'),
    caCert: Buffer.from(ca.text('CACert')),
  };
}

/** The swarm, without its join tokens: as `/info` shows it. Engine API 1.47 `ClusterInfo` */
export function clusterInfoToEngine(cluster: Cluster): JsonObject {
  return {
    ID: cluster.id,
    ...metaToEngine(cluster.meta),
    Spec: cluster.spec === null ? {} : clusterSpecToEngine(cluster.spec),
    TLSInfo: tlsInfoToEngine(cluster.rootCa?.caCert.toString('utf8') ?? ''),
    RootRotationInProgress: (cluster.rootCa?.rootRotation ?? null) !== null,
    DefaultAddrPool: list(cluster.defaultAddressPool) ?? null,
    SubnetSize: cluster.subnetSize,
    DataPathPort: cluster.VXLANUDPPort,
  };
}

/** The swarm, with its join tokens. Engine API 1.47 `GET /swarm` */
export const clusterToEngine = (cluster: Cluster): JsonObject => ({
  ...clusterInfoToEngine(cluster),
  JoinTokens: {
    Worker: cluster.rootCa?.joinTokens?.worker ?? '',
    Manager: cluster.rootCa?.joinTokens?.manager ?? '',
  },
});

/** Keys and certificates of the signing CA are never shown. */
function clusterSpecToEngine(spec: ClusterSpec): JsonObject {
  const { orchestration, dispatcher, caConfig, taskDefaults, encryptionConfig } = spec;
  return {
    ...annotationsToEngine(spec.annotations),
    Orchestration: {
      TaskHistoryRetentionLimit:
        orchestration === null ? undefined : integer(orchestration.taskHistoryRetentionLimit),
    },
    Raft: raftToEngine(spec.raft),
    Dispatcher: { HeartbeatPeriod: duration(dispatcher?.heartbeatPeriod ?? null) },
    CAConfig: caConfig === null ? {} : caToEngine(caConfig),
    TaskDefaults: { LogDriver: optionalDriverToEngine(taskDefaults?.logDriver ?? null) },
    EncryptionConfig: { AutoLockManagers: encryptionConfig?.autoLockManagers ?? false },
  };
}

const raftToEngine = (raft: RaftConfig | null): JsonObject =>
  raft === null
    ? { ElectionTick: 0, HeartbeatTick: 0 }
    : {
        SnapshotInterval: count(raft.snapshotInterval),
        KeepOldSnapshots: integer(raft.keepOldSnapshots),
        LogEntriesForSlowFollowers: count(raft.logEntriesForSlowFollowers),
        ElectionTick: raft.electionTick,
        HeartbeatTick: raft.heartbeatTick,
      };

const caToEngine = (config: CAConfig): JsonObject => ({
  NodeCertExpiry: duration(config.nodeCertExpiry),
  ExternalCAs: list(
    config.externalCas.map((ca) => ({
      Protocol: ca.protocol.toLowerCase(),
      URL: ca.url,
      Options: map(ca.options),
      CACert: ca.caCert.toString('utf8'),
    })),
  ),
  ForceRotate: count(config.forceRotate),
});

/** A secret to be. Engine API 1.47 `SecretSpec` */
export const secretSpecFromEngine = (spec: Fields): SecretSpecInput => ({
  annotations: annotationsFromEngine(spec),
  data: spec.bytes('Data'),
  driver: driverFromEngine(spec.object('Driver')),
  templating: driverFromEngine(spec.object('Templating')),
});

/** A config to be. Engine API 1.47 `ConfigSpec` */
export const configSpecFromEngine = (spec: Fields): ConfigSpecInput => ({
  annotations: annotationsFromEngine(spec),
  data: spec.bytes('Data'),
  templating: driverFromEngine(spec.object('Templating')),
});

/** A secret, as the Engine API shows it: without its data. */
export const secretToEngine = ({ id, meta, spec }: Secret): JsonObject => ({
  ID: id,
  ...metaToEngine(meta),
  Spec: {
    ...annotationsToEngine(spec?.annotations ?? null),
    Driver: optionalDriverToEngine(spec?.driver ?? null),
    Templating: optionalDriverToEngine(spec?.templating ?? null),
  },
});

/** A config, as the Engine API shows it. */
export const configToEngine = ({ id, meta, spec }: Config): JsonObject => ({
  ID: id,
  ...metaToEngine(meta),
  Spec: {
    ...annotationsToEngine(spec?.annotations ?? null),
    Data: spec === null ? undefined : bytes(spec.data),
    Templating: optionalDriverToEngine(spec?.templating ?? null),
  },
});
