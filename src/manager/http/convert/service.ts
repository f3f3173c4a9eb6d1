import type {
  Endpoint,
  EndpointSpec,
  EndpointSpecInput,
  ListServiceStatusesResponseServiceStatus,
  PortConfig,
  PortConfigInput,
  Service,
  ServiceSpec,
  ServiceSpecInput,
  UpdateConfig,
  UpdateConfigInput,
} from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { JsonObject } from '../json.ts';
import { Fields } from './fields.ts';
import {
  annotationsFromEngine,
  annotationsToEngine,
  count,
  duration,
  durationFrom,
  integer,
  list,
  lower,
  metaToEngine,
  nonZeroDurationFrom,
  optionalTime,
  small,
  text,
  time,
  valueOf,
} from './shapes.ts';
import { taskSpecFromEngine, taskSpecToEngine } from './task-spec.ts';

const resolutionModes = ['VIP', 'DNSRR'] as const;
const protocols = ['TCP', 'UDP', 'SCTP'] as const;
const publishModes = ['INGRESS', 'HOST'] as const;
const failureActions = ['PAUSE', 'CONTINUE', 'ROLLBACK'] as const;
const updateOrders = ['STOP_FIRST', 'START_FIRST'] as const;
const modes = ['Replicated', 'Global', 'ReplicatedJob', 'GlobalJob'] as const;

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/**
 * A service spec. Engine API 1.47 `ServiceSpec`, swarmkit `ServiceSpec`. Names of networks are
 * left as they are; the texts of errors are moby's (daemon/cluster/convert/service.go).
 *
 * @throws SwarmError invalid-argument
 */
export function serviceSpecFromEngine(spec: Fields): ServiceSpecInput {
  return {
    annotations: annotationsFromEngine(spec),
    task: taskSpecFromEngine(
      spec.object('TaskTemplate') ?? Fields.of({}),
      spec.objects('Networks'),
    ),
    ...modeFromEngine(spec.object('Mode')),
    update: updateFromEngine(spec.object('UpdateConfig')),
    rollback: updateFromEngine(spec.object('RollbackConfig')),
    endpoint: endpointFromEngine(spec.object('EndpointSpec')),
  };
}

function modeFromEngine(mode: Fields | undefined): Partial<ServiceSpecInput> {
  const given = modes.filter((name) => mode?.has(name) === true);
  if (given.length > 1) throw invalid('must specify only one service mode');
  const [name = 'Replicated'] = given;
  const settings = mode?.object(name);
  switch (name) {
    case 'Replicated':
      return { replicated: { replicas: settings?.optionalCount('Replicas') ?? '1' } };
    case 'Global':
      return { global: {} };
    case 'ReplicatedJob': {
      const maxConcurrent = settings?.optionalCount('MaxConcurrent') ?? '1';
      const totalCompletions = settings?.optionalCount('TotalCompletions') ?? maxConcurrent;
      return { replicatedJob: { maxConcurrent, totalCompletions } };
    }
    case 'GlobalJob':
      return { globalJob: {} };
  }
}

function updateFromEngine(config: Fields | undefined): UpdateConfigInput | null {
  if (config === undefined) return null;
  const action = config.text('FailureAction');
  const order = config.text('Order');
  const failureAction = action === '' ? 'PAUSE' : valueOf(failureActions, action);
  const updateOrder = order === '' ? 'STOP_FIRST' : valueOf(updateOrders, order);
  if (failureAction === undefined) throw invalid(`unrecognized update failure action ${action}`);
  if (updateOrder === undefined) throw invalid(`unrecognized update order ${order}`);
  return {
    parallelism: config.count('Parallelism'),
    delay: durationFrom(config, 'Delay'),
    failureAction,
    monitor: nonZeroDurationFrom(config, 'Monitor'),
    maxFailureRatio: config.decimal('MaxFailureRatio'),
    order: updateOrder,
  };
}

function endpointFromEngine(spec: Fields | undefined): EndpointSpecInput | null {
  if (spec === undefined) return null;
  const written = spec.text('Mode');
  const mode = written === '' ? 'VIP' : valueOf(resolutionModes, written);
  if (mode === undefined) throw invalid(`invalid resolution mode: "${written}"`);
  return { mode, ports: spec.objects('Ports').map(portFromEngine) };
}

/** An unknown protocol or publish mode is refused, where moby takes it for tcp and ingress. */
function portFromEngine(port: Fields): PortConfigInput {
  const protocol = port.text('Protocol');
  const publishMode = port.text('PublishMode');
  const knownProtocol = protocol === '' ? 'TCP' : valueOf(protocols, protocol);
  const knownMode = publishMode === '' ? 'INGRESS' : valueOf(publishModes, publishMode);
  if (knownProtocol === undefined) throw invalid(`invalid port protocol: "${protocol}"`);
  if (knownMode === undefined) throw invalid(`invalid publish mode: "${publishMode}"`);
  return {
    name: port.text('Name'),
    protocol: knownProtocol,
    targetPort: port.small('TargetPort'),
    publishedPort: port.small('PublishedPort'),
    publishMode: knownMode,
  };
}

/** A service, as the Engine API shows it. Engine API 1.47 `Service` */
export function serviceToEngine(service: Service): JsonObject {
  const { spec, previousSpec, updateStatus, jobStatus } = service;
  return {
    ID: service.id,
    ...metaToEngine(service.meta),
    Spec: spec === null ? {} : serviceSpecToEngine(spec),
    PreviousSpec: previousSpec === null ? undefined : serviceSpecToEngine(previousSpec),
    Endpoint: endpointToEngine(service.endpoint),
    UpdateStatus:
      updateStatus === null
        ? undefined
        : {
            State: updateStatus.state === 'UNKNOWN' ? undefined : updateStatus.state.toLowerCase(),
            StartedAt: optionalTime(updateStatus.startedAt),
            CompletedAt: optionalTime(updateStatus.completedAt),
            Message: text(updateStatus.message),
          },
    JobStatus:
      jobStatus === null
        ? undefined
        : {
            JobIteration: { Index: count(jobStatus.jobIteration?.index ?? '0') },
            LastExecution: time(jobStatus.lastExecution),
          },
  };
}

/** How many of a service's tasks there are. Engine API 1.47 `ServiceStatus` */
export const serviceStatusToEngine = (
  status: ListServiceStatusesResponseServiceStatus,
): JsonObject => ({
  RunningTasks: integer(status.runningTasks),
  DesiredTasks: integer(status.desiredTasks),
  CompletedTasks: integer(status.completedTasks),
});

/** A service spec, as the Engine API shows it. */
export function serviceSpecToEngine(spec: ServiceSpec): JsonObject {
  const { task, update, rollback, endpoint } = spec;
  return {
    ...annotationsToEngine(spec.annotations),
    TaskTemplate:
      task === null ? { ForceUpdate: 0 } : { ...taskSpecToEngine(task), Runtime: runtimeOf(spec) },
    Mode: modeToEngine(spec),
    UpdateConfig: update === null ? undefined : updateToEngine(update),
    RollbackConfig: rollback === null ? undefined : updateToEngine(rollback),
    EndpointSpec: endpoint === null ? undefined : endpointSpecToEngine(endpoint),
  };
}

function runtimeOf({ task }: ServiceSpec): string | undefined {
  return task?.runtime === 'generic' ? task.generic?.kind : task?.runtime;
}

function modeToEngine(spec: ServiceSpec): JsonObject {
  if (spec.mode === undefined) return {};
  switch (spec.mode) {
    case 'replicated':
      return { Replicated: { Replicas: integer(spec.replicated?.replicas ?? '0') } };
    case 'global':
      return { Global: {} };
    case 'replicatedJob':
      return {
        ReplicatedJob: {
          MaxConcurrent: integer(spec.replicatedJob?.maxConcurrent ?? '0'),
          TotalCompletions: integer(spec.replicatedJob?.totalCompletions ?? '0'),
        },
      };
    case 'globalJob':
      return { GlobalJob: {} };
  }
}

const updateToEngine = (config: UpdateConfig): JsonObject => ({
  Parallelism: integer(config.parallelism),
  Delay: duration(config.delay),
  FailureAction: lower(config.failureAction),
  Monitor: duration(config.monitor),
  MaxFailureRatio: shortest(config.maxFailureRatio),
  Order: lower(config.order),
});

/** The shortest decimal that is the same 32-bit float: what was 0.1 before the wire is 0.1 again. */
function shortest(value: number): number {
  const candidates = [1, 2, 3, 4, 5, 6, 7, 8].map((digits) => Number(value.toPrecision(digits)));
  return candidates.find((candidate) => Math.fround(candidate) === Math.fround(value)) ?? value;
}

function endpointToEngine(endpoint: Endpoint | null): JsonObject {
  const spec = endpoint?.spec ?? null;
  return {
    Spec: spec === null ? {} : endpointSpecToEngine(spec),
    Ports: portsToEngine(endpoint?.ports ?? []),
    VirtualIPs: list(
      (endpoint?.virtualIps ?? []).map(({ networkId, addr }) => ({
        NetworkID: text(networkId),
        Addr: text(addr),
      })),
    ),
  };
}

const endpointSpecToEngine = ({ mode, ports }: EndpointSpec): JsonObject => ({
  Mode: lower(mode),
  Ports: portsToEngine(ports),
});

/** Published ports of a service or a task, as the Engine API shows them. */
export const portsToEngine = (ports: readonly PortConfig[]): readonly JsonObject[] | undefined =>
  list(
    ports.map((port) => ({
      Name: text(port.name),
      Protocol: lower(port.protocol),
      TargetPort: small(port.targetPort),
      PublishedPort: small(port.publishedPort),
      PublishMode: lower(port.publishMode),
    })),
  );
