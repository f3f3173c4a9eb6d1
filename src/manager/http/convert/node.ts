import type {
  EngineDescription,
  ManagerStatus,
  Node,
  NodeCSIInfo,
  NodeDescription,
  NodeSpecInput,
  NodeTLSInfo,
  Resources,
} from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { JsonObject } from '../json.ts';
import type { Fields } from './fields.ts';
import {
  annotationsFromEngine,
  annotationsToEngine,
  bytes,
  count,
  flag,
  list,
  map,
  metaToEngine,
  text,
} from './shapes.ts';
import { genericsToEngine } from './task-spec.ts';

const roles = ['WORKER', 'MANAGER'] as const;
const availabilities = ['ACTIVE', 'PAUSE', 'DRAIN'] as const;

/**
 * A node spec. Engine API 1.47 `NodeSpec`. It is the whole of it: role and availability must both
 * be given, as an update replaces the spec. Whoever is listed has been accepted as a member.
 *
 * @throws SwarmError invalid-argument
 */
export function nodeSpecFromEngine(spec: Fields): NodeSpecInput {
  const role = roles.find((name) => name === spec.text('Role').toUpperCase());
  if (role === undefined) {
    throw new SwarmError('invalid-argument', `invalid Role: "${spec.text('Role')}"`);
  }
  return {
    annotations: annotationsFromEngine(spec),
    desiredRole: role,
    membership: 'ACCEPTED',
    availability: availabilityFromEngine(spec.text('Availability')),
  };
}

/**
 * An availability of a node.
 *
 * @throws SwarmError invalid-argument
 */
export function availabilityFromEngine(written: string): (typeof availabilities)[number] {
  const availability = availabilities.find((name) => name === written.toUpperCase());
  if (availability === undefined) {
    throw new SwarmError('invalid-argument', `invalid Availability: "${written}"`);
  }
  return availability;
}

/** A node, as the Engine API shows it; its role is the desired one. Engine API 1.47 `Node` */
export function nodeToEngine(node: Node): JsonObject {
  const { spec, status, managerStatus } = node;
  return {
    ID: node.id,
    ...metaToEngine(node.meta),
    Spec: {
      ...annotationsToEngine(spec?.annotations ?? null),
      Role: spec?.desiredRole.toLowerCase(),
      Availability: spec?.availability.toLowerCase(),
    },
    Description: descriptionToEngine(node.description),
    Status: {
      State: status?.state.toLowerCase(),
      Message: text(status?.message ?? ''),
      Addr: text(status?.addr ?? ''),
    },
    ManagerStatus: managerStatus === null ? undefined : managerToEngine(managerStatus),
  };
}

function descriptionToEngine(description: NodeDescription | null): JsonObject {
  if (description === null) return { Platform: {}, Resources: {}, Engine: {}, TLSInfo: {} };
  const { platform, resources, engine, tlsInfo, csiInfo } = description;
  return {
    Hostname: text(description.hostname),
    Platform:
      platform === null ? {} : { Architecture: text(platform.architecture), OS: text(platform.os) },
    Resources: resources === null ? {} : resourcesToEngine(resources),
    Engine: engine === null ? {} : engineToEngine(engine),
    TLSInfo: tlsToEngine(tlsInfo),
    CSIInfo: list(csiInfo.map(csiToEngine)),
  };
}

const resourcesToEngine = (resources: Resources): JsonObject => ({
  NanoCPUs: count(resources.nanoCpus),
  MemoryBytes: count(resources.memoryBytes),
  GenericResources: genericsToEngine(resources.generic),
});

const engineToEngine = ({ engineVersion, labels, plugins }: EngineDescription): JsonObject => ({
  EngineVersion: text(engineVersion),
  Labels: map(labels),
  Plugins: list(plugins.map(({ type, name }) => ({ Type: text(type), Name: text(name) }))),
});

const csiToEngine = (plugin: NodeCSIInfo): JsonObject => ({
  PluginName: text(plugin.pluginName),
  NodeID: text(plugin.nodeId),
  MaxVolumesPerNode: count(plugin.maxVolumesPerNode),
  AccessibleTopology:
    plugin.accessibleTopology === null
      ? undefined
      : { Segments: map(plugin.accessibleTopology.segments) },
});

const tlsToEngine = (info: NodeTLSInfo | null): JsonObject =>
  info === null
    ? {}
    : {
        TrustRoot: text(info.trustRoot.toString('utf8')),
        CertIssuerSubject: bytes(info.certIssuerSubject),
        CertIssuerPublicKey: bytes(info.certIssuerPublicKey),
      };

const managerToEngine = (status: ManagerStatus): JsonObject => ({
  Leader: flag(status.leader),
  Reachability: status.reachability.toLowerCase(),
  Addr: text(status.addr),
});
