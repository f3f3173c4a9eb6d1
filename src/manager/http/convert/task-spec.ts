import type {
  GenericResource,
  GenericResourceInput,
  NetworkAttachmentConfig,
  NetworkAttachmentConfigInput,
  Placement,
  PlacementInput,
  ResourceRequirementsInput,
  ResourcesInput,
  RestartPolicy,
  RestartPolicyInput,
  TaskSpec,
  TaskSpecInput,
} from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { JsonObject } from '../json.ts';
import { containerSpecFromEngine, containerSpecToEngine } from './container.ts';
import type { Fields } from './fields.ts';
import {
  count,
  driverFromEngine,
  integer,
  list,
  lower,
  map,
  optionalDriverToEngine,
  optionalDuration,
  optionalDurationFrom,
  text,
  valueOf,
} from './shapes.ts';

const restartConditions = ['NONE', 'ON_FAILURE', 'ANY'] as const;

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/**
 * What a service's tasks are. Engine API 1.47 `TaskSpec`; swarmd runs containers only.
 *
 * @param networks where the template names none: the networks of the service itself, as clients
 *   before 1.25 named them
 * @throws SwarmError invalid-argument; unimplemented, for tasks that are plugins
 */
export function taskSpecFromEngine(template: Fields, networks: readonly Fields[]): TaskSpecInput {
  const runtime = template.text('Runtime');
  if (runtime === 'plugin') {
    throw new SwarmError('unimplemented', 'services of plugins are not supported');
  }
  if (runtime !== '' && runtime !== 'container') throw invalid('unsupported runtime');
  const container = template.object('ContainerSpec');
  if (container === undefined) throw invalid('mismatched Runtime and *Spec fields');
  const resources = template.object('Resources');
  const ownNetworks = template.objects('Networks');
  return {
    container: {
      ...containerSpecFromEngine(container),
      pidsLimit: resources?.object('Limits')?.integer('Pids') ?? '0',
    },
    resources: resources === undefined ? null : requirementsFromEngine(resources),
    restart: restartFromEngine(template.object('RestartPolicy')),
    placement: placementFromEngine(template.object('Placement')),
    logDriver: driverFromEngine(template.object('LogDriver')),
    networks: (ownNetworks.length === 0 ? networks : ownNetworks).map(attachmentFromEngine),
    forceUpdate: template.count('ForceUpdate'),
  };
}

function requirementsFromEngine(resources: Fields): ResourceRequirementsInput {
  const limits = resources.object('Limits');
  const reservations = resources.object('Reservations');
  const swapBytes = resources.optionalInteger('SwapBytes');
  const swappiness = resources.optionalInteger('MemorySwappiness');
  if (swapBytes !== undefined && (limits?.integer('MemoryBytes') ?? '0') === '0') {
    throw invalid('memory swap provided, but no memory-limit was set');
  }
  return {
    limits: limits === undefined ? null : resourcesFromEngine(limits),
    reservations: reservations === undefined ? null : resourcesFromEngine(reservations),
    swapBytes: swapBytes === undefined ? null : { value: swapBytes },
    memorySwappiness: swappiness === undefined ? null : { value: swappiness },
  };
}

const resourcesFromEngine = (resources: Fields): ResourcesInput => ({
  nanoCpus: resources.integer('NanoCPUs'),
  memoryBytes: resources.integer('MemoryBytes'),
  generic: resources.objects('GenericResources').flatMap(genericFromEngine),
});

function genericFromEngine(resource: Fields): GenericResourceInput[] {
  const named = resource.object('NamedResourceSpec');
  const discrete = resource.object('DiscreteResourceSpec');
  if (named !== undefined) {
    return [{ namedResourceSpec: { kind: named.text('Kind'), value: named.text('Value') } }];
  }
  if (discrete === undefined) return [];
  const counted = { kind: discrete.text('Kind'), value: discrete.integer('Value') };
  return [{ discreteResourceSpec: counted }];
}

function restartFromEngine(policy: Fields | undefined): RestartPolicyInput | null {
  if (policy === undefined) return null;
  const written = policy.text('Condition');
  const condition = written === '' ? 'ANY' : valueOf(restartConditions, written);
  if (condition === undefined) throw invalid(`invalid RestartCondition: "${written}"`);
  return {
    condition,
    delay: optionalDurationFrom(policy, 'Delay'),
    maxAttempts: policy.count('MaxAttempts'),
    window: optionalDurationFrom(policy, 'Window'),
  };
}

function placementFromEngine(placement: Fields | undefined): PlacementInput | null {
  if (placement === undefined) return null;
  return {
    constraints: placement.texts('Constraints'),
    preferences: placement.objects('Preferences').flatMap((preference) => {
      const spread = preference.object('Spread');
      return spread === undefined
        ? []
        : [{ spread: { spreadDescriptor: spread.text('SpreadDescriptor') } }];
    }),
    platforms: placement.objects('Platforms').map((platform) => ({
      architecture: platform.text('Architecture'),
      os: platform.text('OS'),
    })),
    maxReplicas: placement.count('MaxReplicas'),
  };
}

const attachmentFromEngine = (network: Fields): NetworkAttachmentConfigInput => ({
  target: network.text('Target'),
  aliases: network.texts('Aliases'),
  driverAttachmentOpts: network.map('DriverOpts'),
});

/** What a service's tasks are, as the Engine API shows it; `Runtime` is shown of services only. */
export function taskSpecToEngine(spec: TaskSpec): JsonObject {
  const { container, attachment, restart, placement } = spec;
  return {
    ContainerSpec:
      container === undefined || container === null ? undefined : containerSpecToEngine(container),
    NetworkAttachmentSpec:
      attachment === undefined || attachment === null
        ? undefined
        : { ContainerID: attachment.containerId },
    Resources: requirementsToEngine(spec),
    RestartPolicy: restart === null ? undefined : restartToEngine(restart),
    Placement: placement === null ? undefined : placementToEngine(placement),
    Networks: list(spec.networks.map(attachmentToEngine)),
    LogDriver: optionalDriverToEngine(spec.logDriver),
    ForceUpdate: integer(spec.forceUpdate),
  };
}

function requirementsToEngine({ container, resources }: TaskSpec): JsonObject | undefined {
  const pids = container?.pidsLimit ?? '0';
  if (resources === null) {
    return pids === '0' ? undefined : { Limits: { Pids: count(pids) } };
  }
  const { limits, reservations } = resources;
  return {
    Limits:
      limits === null && pids === '0'
        ? undefined
        : {
            NanoCPUs: count(limits?.nanoCpus ?? '0'),
            MemoryBytes: count(limits?.memoryBytes ?? '0'),
            Pids: count(pids),
          },
    Reservations:
      reservations === null
        ? undefined
        : {
            NanoCPUs: count(reservations.nanoCpus),
            MemoryBytes: count(reservations.memoryBytes),
            GenericResources: genericsToEngine(reservations.generic),
          },
    SwapBytes: wrapped(resources.swapBytes),
    MemorySwappiness: wrapped(resources.memorySwappiness),
  };
}

const wrapped = (value: { readonly value: string } | null): number | bigint | undefined =>
  value === null ? undefined : integer(value.value);

/** Generic resources of a node, a task or a reservation, as the Engine API shows them. */
export const genericsToEngine = (
  resources: readonly GenericResource[],
): readonly JsonObject[] | undefined =>
  list(
    resources.flatMap((resource): JsonObject[] => {
      const { namedResourceSpec: named, discreteResourceSpec: discrete } = resource;
      if (named !== undefined && named !== null) {
        return [{ NamedResourceSpec: { Kind: text(named.kind), Value: text(named.value) } }];
      }
      if (discrete === undefined || discrete === null) return [];
      return [
        { DiscreteResourceSpec: { Kind: text(discrete.kind), Value: count(discrete.value) } },
      ];
    }),
  );

const restartToEngine = (policy: RestartPolicy): JsonObject => ({
  Condition: lower(policy.condition),
  Delay: optionalDuration(policy.delay),
  MaxAttempts: integer(policy.maxAttempts),
  Window: optionalDuration(policy.window),
});

const placementToEngine = (placement: Placement): JsonObject => ({
  Constraints: list(placement.constraints),
  Preferences: list(
    placement.preferences.flatMap(({ spread }) =>
      spread === undefined || spread === null
        ? []
        : [{ Spread: { SpreadDescriptor: spread.spreadDescriptor } }],
    ),
  ),
  MaxReplicas: count(placement.maxReplicas),
  Platforms: list(
    placement.platforms.map(({ architecture, os }) => ({
      Architecture: text(architecture),
      OS: text(os),
    })),
  ),
});

const attachmentToEngine = (network: NetworkAttachmentConfig): JsonObject => ({
  Target: text(network.target),
  Aliases: list(network.aliases),
  DriverOpts: map(network.driverAttachmentOpts),
});
