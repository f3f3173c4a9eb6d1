import type { Placement, RestartPolicy, UpdateConfig } from './gen/types.ts';
import type { ContainerSpec, Frozen, ServiceSpec, TaskSpec } from './objects.ts';

const seconds = (count: number): { seconds: string; nanos: number } => ({
  seconds: String(count),
  nanos: 0,
});

/** A container is killed this long after it was asked to stop. */
const stopGracePeriod = seconds(10);
/** A task is replaced this long after it ended. */
const restartDelay = seconds(5);
/** An updated task is watched for failure this long. */
const updateMonitor = seconds(5);

/**
 * A service that says nothing of restarts has its tasks replaced whenever they end.
 *
 * The zero value of the condition is NONE: a policy that is there means what it says, and only one
 * that is absent means this. swarmkit api/defaults
 */
const defaultRestartPolicy: Frozen<RestartPolicy> = {
  condition: 'ANY',
  delay: restartDelay,
  maxAttempts: '0',
  window: null,
};

/** How a service that says nothing of updates is updated, and rolled back: one task at a time. */
const defaultUpdateConfig: Frozen<UpdateConfig> = {
  parallelism: '1',
  delay: null,
  failureAction: 'PAUSE',
  monitor: updateMonitor,
  maxFailureRatio: 0,
  order: 'STOP_FIRST',
};

const anywhere: Frozen<Placement> = {
  constraints: [],
  preferences: [],
  platforms: [],
  maxReplicas: '0',
};

/** The restart policy that is meant by one that may be absent, or have no delay. */
export const restartPolicyOf = (
  policy: Frozen<RestartPolicy> | null | undefined,
): Frozen<RestartPolicy> =>
  policy ? { ...policy, delay: policy.delay ?? defaultRestartPolicy.delay } : defaultRestartPolicy;

/** The update settings that are meant by ones that may be absent, or have no monitor time. */
export const updateConfigOf = (
  config: Frozen<UpdateConfig> | null | undefined,
): Frozen<UpdateConfig> =>
  config
    ? { ...config, monitor: config.monitor ?? defaultUpdateConfig.monitor }
    : defaultUpdateConfig;

/**
 * A service spec in which nothing that has a default is left unsaid: what `service inspect` shows.
 * Only what is absent is filled; a zero stays a zero. swarmkit api/defaults InterpolateService
 */
export const withDefaults = (spec: ServiceSpec): ServiceSpec => ({
  ...spec,
  task: spec.task && taskWithDefaults(spec.task),
  update: updateConfigOf(spec.update),
  rollback: updateConfigOf(spec.rollback),
});

const taskWithDefaults = (task: TaskSpec): TaskSpec => ({
  ...task,
  ...(task.container ? { container: containerWithDefaults(task.container) } : {}),
  resources: task.resources ?? {
    limits: null,
    reservations: null,
    swapBytes: null,
    memorySwappiness: null,
  },
  restart: restartPolicyOf(task.restart),
  placement: task.placement ?? anywhere,
});

const containerWithDefaults = (container: ContainerSpec): ContainerSpec => ({
  ...container,
  stopGracePeriod: container.stopGracePeriod ?? stopGracePeriod,
  pullOptions: container.pullOptions ?? { registryAuth: '' },
  dnsConfig: container.dnsConfig ?? { nameservers: [], search: [], options: [] },
});
