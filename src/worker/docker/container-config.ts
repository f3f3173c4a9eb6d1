import { type ContainerSpec, nanosOf, type Task, taskName } from '../../api/index.ts';
import { SwarmError } from '../../runtime/index.ts';
import type { ContainerBody, HostConfig } from './engine-port.ts';
import { familiarImage } from './config/image.ts';
import { integerOf } from './config/integer.ts';
import { systemLabel } from './config/labels.ts';
import { mountToEngine } from './config/mounts.ts';
import { hostPorts, networkMode } from './config/networking.ts';
import { securityOptions } from './config/privileges.ts';

/** What the Engine is asked for, for one task. */
export interface ContainerConfig {
  readonly name: string;
  readonly image: string;
  /** The registry's credentials, as the header X-Registry-Auth carries them. */
  readonly registryAuth: string | undefined;
  /** With every placeholder filled in. */
  readonly spec: ContainerSpec;
  readonly body: ContainerBody;
}

/**
 * The container of a task. Its name and labels are SwarmKit's, so that a stock Engine's tools know
 * it for what it is. moby daemon/cluster/executor/container/container.go
 *
 * @param spec the container spec of the task, with every placeholder filled in
 * @throws SwarmError invalid-argument, if the task cannot run here, with a sentence why
 */
export function containerConfig(task: Task, spec: ContainerSpec): ContainerConfig {
  if (spec.image === '') throw new SwarmError('invalid-argument', 'dockerexec: image required');
  const name = taskName(task);
  const auth = spec.pullOptions?.registryAuth ?? '';
  return {
    name,
    image: familiarImage(spec.image),
    registryAuth: auth === '' ? undefined : auth,
    spec,
    body: {
      Image: familiarImage(spec.image),
      Labels: labelsOf(task, spec, name),
      // A command takes the place of the image's entrypoint; arguments alone are given to that.
      Entrypoint: spec.command.length === 0 ? undefined : spec.command,
      Cmd: spec.args.length === 0 ? undefined : spec.args,
      Env: [...spec.env, ...resourceEnv(task)],
      WorkingDir: spec.dir,
      User: spec.user,
      Hostname: spec.hostname,
      Tty: spec.tty,
      OpenStdin: spec.openStdin,
      StopSignal: spec.stopSignal,
      StopTimeout: stopTimeout(spec),
      ExposedPorts: hostPorts(task).ExposedPorts,
      Healthcheck: healthcheckOf(spec),
      HostConfig: hostConfigOf(task, spec),
    },
  };
}

const labelsOf = (task: Task, spec: ContainerSpec, name: string): Record<string, string> => ({
  ...spec.labels,
  ...task.annotations?.labels,
  [systemLabel.task]: '',
  [systemLabel.taskId]: task.id,
  [systemLabel.taskName]: name,
  [systemLabel.nodeId]: task.nodeId,
  [systemLabel.serviceId]: task.serviceId,
  [systemLabel.serviceName]: task.serviceAnnotations?.name ?? '',
});

/** The generic resources a task was given, one variable for each kind. */
function resourceEnv(task: Task): string[] {
  const values = new Map<string, string[]>();
  for (const {
    namedResourceSpec: named,
    discreteResourceSpec: discrete,
  } of task.assignedGenericResources) {
    const { kind, value } = named ?? discrete ?? { kind: '', value: '' };
    values.set(kind, [...(values.get(kind) ?? []), value]);
  }
  return [...values].map(
    ([kind, list]) => `DOCKER_RESOURCE_${kind.toUpperCase()}=${list.join(',')}`,
  );
}

/** The Engine counts a grace period in whole seconds: part of one is rounded up. */
function stopTimeout({ stopGracePeriod }: ContainerSpec): number | undefined {
  if (stopGracePeriod === null) return undefined;
  const seconds = integerOf(stopGracePeriod.seconds, 'stop grace period');
  return stopGracePeriod.nanos > 0 ? seconds + 1 : seconds;
}

type Duration = ContainerSpec['stopGracePeriod'];

function nanoseconds(duration: Duration, what: string): number {
  if (duration === null) return 0;
  integerOf(duration.seconds, what);
  return integerOf(String(nanosOf(duration)), what);
}

function healthcheckOf({ healthcheck }: ContainerSpec): ContainerBody['Healthcheck'] {
  if (healthcheck === null) return undefined;
  return {
    Test: healthcheck.test,
    Interval: nanoseconds(healthcheck.interval, 'health check interval'),
    Timeout: nanoseconds(healthcheck.timeout, 'health check timeout'),
    Retries: healthcheck.retries,
    StartPeriod: nanoseconds(healthcheck.startPeriod, 'health check start period'),
    StartInterval: nanoseconds(healthcheck.startInterval, 'health check start interval'),
  };
}

function hostConfigOf(task: Task, spec: ContainerSpec): HostConfig {
  const { dnsConfig } = spec;
  const log = task.logDriver;
  return {
    Mounts: spec.mounts.map(mountToEngine),
    NetworkMode: networkMode(task),
    PortBindings: hostPorts(task).PortBindings,
    ReadonlyRootfs: spec.readOnly,
    Init: spec.init?.value,
    Isolation: isolations[spec.isolation],
    GroupAdd: spec.groups,
    Sysctls: spec.sysctls,
    CapAdd: spec.capabilityAdd,
    CapDrop: spec.capabilityDrop,
    SecurityOpt: securityOptions(spec.privileges),
    OomScoreAdj: integerOf(spec.oomScoreAdj, 'OOM score adjustment'),
    Dns: dnsConfig?.nameservers,
    DnsSearch: dnsConfig?.search,
    DnsOptions: dnsConfig?.options,
    ExtraHosts: spec.hosts.flatMap(extraHost),
    LogConfig: log === null ? undefined : { Type: log.name, Config: log.options },
    PidsLimit: positive(spec.pidsLimit, 'pids limit'),
    Ulimits: spec.ulimits.map(ulimitToEngine),
    ...limitsOf(task),
  };
}

const isolations: Readonly<Record<ContainerSpec['isolation'], string | undefined>> = {
  ISOLATION_DEFAULT: undefined,
  ISOLATION_PROCESS: 'process',
  ISOLATION_HYPERV: 'hyperv',
};

/** A line of a hosts file, `IP name [alias…]`, as `name:IP`. Aliases are left out, as stock does. */
function extraHost(line: string): string[] {
  const [address, name] = line.trim().split(/\s+/u);
  return name === undefined ? [] : [`${name}:${address}`];
}

/** Reservations are the scheduler's affair; a container is held to its limits alone. */
function limitsOf(task: Task): HostConfig {
  const { limits = null, swapBytes = null, memorySwappiness = null } = task.spec?.resources ?? {};
  const memory = positive(limits?.memoryBytes ?? '0', 'memory limit');
  return {
    Memory: memory,
    MemorySwap: memory === undefined ? undefined : memoryAndSwap(memory, swapBytes?.value),
    MemorySwappiness:
      memorySwappiness === null
        ? undefined
        : integerOf(memorySwappiness.value, 'memory swappiness'),
    NanoCpus: positive(limits?.nanoCpus ?? '0', 'CPU limit'),
  };
}

/** A limit, where 0 stands for none. */
function positive(field: string, what: string): number | undefined {
  const value = integerOf(field, what);
  return value > 0 ? value : undefined;
}

/** The Engine counts memory and swap together; -1 is without a limit. */
function memoryAndSwap(memory: number, field: string | undefined): number | undefined {
  if (field === undefined) return undefined;
  const swap = integerOf(field, 'swap limit');
  if (swap === -1) return -1;
  return swap < 0 ? undefined : memory + swap;
}

const ulimitToEngine = ({
  name,
  soft,
  hard,
}: ContainerSpec['ulimits'][number]): NonNullable<HostConfig['Ulimits']>[number] => ({
  Name: name,
  Soft: integerOf(soft, `soft limit of ${name}`),
  Hard: integerOf(hard, `hard limit of ${name}`),
});
