import type { Flag, Flags } from '../../command.ts';
import { CommandFailure } from '../../shell.ts';
import { type Healthcheck, isJob, type ServiceSpec, usualUpdateConfig } from '../spec.ts';
import { bytes, count, duration, fraction, invalid, nanoCpus, wholeNumber } from './values.ts';

/** A flag that sets one field of a spec, the same way when a service is created and updated. */
interface Setting {
  readonly flag: Flag;
  /** @param text the flag's value; `true` or `false` for a switch */
  readonly apply: (spec: ServiceSpec, text: string) => void;
}

const text = (describe: string, apply: Setting['apply'], shown?: string): Setting => ({
  flag: { kind: 'text', describe, ...(shown === undefined ? {} : { shown }) },
  apply,
});

const on = (describe: string, apply: (spec: ServiceSpec, isOn: boolean) => void): Setting => ({
  flag: { kind: 'switch', describe },
  apply: (spec, value) => {
    apply(spec, value === 'true');
  },
});

const aliased = (setting: Setting, alias: string): Setting => ({
  ...setting,
  flag: { ...setting.flag, alias },
});

const limits = (spec: ServiceSpec) => ((spec.TaskTemplate.Resources ??= {}).Limits ??= {});
const reservations = (spec: ServiceSpec) =>
  ((spec.TaskTemplate.Resources ??= {}).Reservations ??= {});
const restart = (spec: ServiceSpec) =>
  (spec.TaskTemplate.RestartPolicy ??= { Condition: 'any', Delay: 5e9, MaxAttempts: 0 });
const placement = (spec: ServiceSpec) => (spec.TaskTemplate.Placement ??= {});
const container = (spec: ServiceSpec) => spec.TaskTemplate.ContainerSpec;

/** The health check in the making; `NONE` gives way to one. */
function health(spec: ServiceSpec): Healthcheck {
  const check = (container(spec).Healthcheck ??= {});
  if (check.Test?.[0] === 'NONE') delete check.Test;
  return check;
}

/** The flags of an update, and the same of a rollback. */
function updateSettings(
  prefix: 'update' | 'rollback',
  section: 'UpdateConfig' | 'RollbackConfig',
): Readonly<Record<string, Setting>> {
  const config = (spec: ServiceSpec) => (spec[section] ??= usualUpdateConfig());
  const actions = prefix === 'update' ? ['pause', 'continue', 'rollback'] : ['pause', 'continue'];
  return {
    [`${prefix}-parallelism`]: text(
      `Maximum number of tasks in ${prefix} simultaneously (0 for all at once)`,
      (spec, value) => (config(spec).Parallelism = count(`${prefix}-parallelism`, value)),
      '1',
    ),
    [`${prefix}-delay`]: text(
      `Delay between task ${prefix}s`,
      (spec, value) => (config(spec).Delay = duration(`${prefix}-delay`, value)),
      '0s',
    ),
    [`${prefix}-monitor`]: text(
      `Duration after each task ${prefix} to monitor for failure`,
      (spec, value) => (config(spec).Monitor = duration(`${prefix}-monitor`, value)),
      '5s',
    ),
    [`${prefix}-failure-action`]: text(
      `Action on ${prefix} failure: ${actions.join(', ')}`,
      (spec, value) => (config(spec).FailureAction = value),
      'pause',
    ),
    [`${prefix}-max-failure-ratio`]: text(
      `Failure rate to tolerate during ${prefix === 'update' ? 'an update' : 'a rollback'}`,
      (spec, value) =>
        (config(spec).MaxFailureRatio = fraction(`${prefix}-max-failure-ratio`, value)),
      '0',
    ),
    [`${prefix}-order`]: text(
      'Order: start-first or stop-first',
      (spec, value) => (config(spec).Order = value),
      'stop-first',
    ),
  };
}

const healthDuration = (
  name: string,
  field: 'Interval' | 'Timeout' | 'StartPeriod' | 'StartInterval',
  describe: string,
): Setting => text(describe, (spec, value) => (health(spec)[field] = duration(name, value)));

const onlyReplicated = (flag: string): CommandFailure =>
  new CommandFailure(`${flag} can only be used with replicated or replicated-job mode`);

/** Every such flag, by name. */
const settings: Readonly<Record<string, Setting>> = {
  replicas: text('Number of tasks', (spec, value) => {
    const replicas = count('replicas', value);
    if (spec.Mode?.Replicated !== undefined) spec.Mode.Replicated.Replicas = replicas;
    else if (spec.Mode?.ReplicatedJob === undefined) throw onlyReplicated('replicas');
    else spec.Mode.ReplicatedJob.TotalCompletions = replicas;
  }),
  'max-concurrent': text(
    'Number of job tasks to run concurrently (default equal to --replicas)',
    (spec, value) => {
      const most = count('max-concurrent', value);
      if (spec.Mode?.ReplicatedJob === undefined) {
        throw new CommandFailure('max-concurrent can only be used with replicated-job mode');
      }
      spec.Mode.ReplicatedJob.MaxConcurrent = most;
    },
  ),
  'replicas-max-per-node': text(
    'Maximum number of tasks per node (0 = unlimited)',
    (spec, value) => {
      const most = count('replicas-max-per-node', value);
      const { Replicated, ReplicatedJob } = spec.Mode ?? {};
      if (Replicated === undefined && ReplicatedJob === undefined) {
        throw onlyReplicated('replicas-max-per-node');
      }
      placement(spec).MaxReplicas = most;
    },
    '0',
  ),
  hostname: text('Container hostname', (spec, value) => (container(spec).Hostname = value)),
  workdir: aliased(
    text('Working directory inside the container', (spec, value) => (container(spec).Dir = value)),
    'w',
  ),
  user: aliased(
    text(
      'Username or UID (format: <name|uid>[:<group|gid>])',
      (spec, value) => (container(spec).User = value),
    ),
    'u',
  ),
  entrypoint: text(
    'Overwrite the default ENTRYPOINT of the image',
    (spec, value) => (container(spec).Command = words('entrypoint', value)),
  ),
  init: on(
    'Use an init inside each service container to forward signals and reap processes',
    (spec, isOn) => (container(spec).Init = isOn),
  ),
  'stop-signal': text(
    'Signal to stop the container',
    (spec, value) => (container(spec).StopSignal = value),
  ),
  'stop-grace-period': text(
    'Time to wait before force killing a container (ns|us|ms|s|m|h)',
    (spec, value) => (container(spec).StopGracePeriod = duration('stop-grace-period', value)),
    '10s',
  ),
  tty: aliased(
    on('Allocate a pseudo-TTY', (spec, isOn) => (container(spec).TTY = isOn)),
    't',
  ),
  'read-only': on(
    "Mount the container's root filesystem as read only",
    (spec, isOn) => (container(spec).ReadOnly = isOn),
  ),
  'oom-score-adj': text(
    "Tune host's OOM preferences (-1000 to 1000)",
    (spec, value) => (container(spec).OomScoreAdj = wholeNumber('oom-score-adj', value)),
  ),
  'limit-cpu': text(
    'Limit CPUs',
    (spec, value) => (limits(spec).NanoCPUs = nanoCpus('limit-cpu', value)),
  ),
  'limit-memory': text(
    'Limit Memory',
    (spec, value) => (limits(spec).MemoryBytes = bytes('limit-memory', value)),
  ),
  'limit-pids': text(
    'Limit maximum number of processes (0 = unlimited)',
    (spec, value) => (limits(spec).Pids = count('limit-pids', value)),
    '0',
  ),
  'reserve-cpu': text(
    'Reserve CPUs',
    (spec, value) => (reservations(spec).NanoCPUs = nanoCpus('reserve-cpu', value)),
  ),
  'reserve-memory': text(
    'Reserve Memory',
    (spec, value) => (reservations(spec).MemoryBytes = bytes('reserve-memory', value)),
  ),
  'restart-condition': text(
    'Restart when condition is met: none, on-failure, any',
    (spec, value) => (restart(spec).Condition = value),
    'any',
  ),
  'restart-delay': text(
    'Delay between restart attempts (ns|us|ms|s|m|h)',
    (spec, value) => (restart(spec).Delay = duration('restart-delay', value)),
    '5s',
  ),
  'restart-max-attempts': text(
    'Maximum number of restarts before giving up',
    (spec, value) => (restart(spec).MaxAttempts = count('restart-max-attempts', value)),
  ),
  'restart-window': text(
    'Window used to evaluate the restart policy (ns|us|ms|s|m|h)',
    (spec, value) => (restart(spec).Window = duration('restart-window', value)),
  ),
  ...updateSettings('update', 'UpdateConfig'),
  ...updateSettings('rollback', 'RollbackConfig'),
  'endpoint-mode': text(
    'Endpoint mode: vip or dnsrr',
    (spec, value) => ((spec.EndpointSpec ??= {}).Mode = value),
    'vip',
  ),
  'log-driver': text(
    'Logging driver for service',
    (spec, value) => (spec.TaskTemplate.LogDriver = { Name: value }),
  ),
  'health-cmd': text(
    'Command to run to check health',
    (spec, value) => (health(spec).Test = value === '' ? [] : ['CMD-SHELL', value]),
  ),
  'health-interval': healthDuration(
    'health-interval',
    'Interval',
    'Time between running the check (ms|s|m|h)',
  ),
  'health-timeout': healthDuration(
    'health-timeout',
    'Timeout',
    'Maximum time to allow one check to run (ms|s|m|h)',
  ),
  'health-start-period': healthDuration(
    'health-start-period',
    'StartPeriod',
    'Start period for the container to initialize before counting retries (ms|s|m|h)',
  ),
  'health-start-interval': healthDuration(
    'health-start-interval',
    'StartInterval',
    'Time between checks during the start period (ms|s|m|h)',
  ),
  'health-retries': text(
    'Consecutive failures needed to report unhealthy',
    (spec, value) => (health(spec).Retries = count('health-retries', value)),
  ),
  'no-healthcheck': on('Disable any container-specified HEALTHCHECK', (spec, isOn) => {
    if (isOn) container(spec).Healthcheck = { Test: ['NONE'] };
  }),
};

/** The flags of settings, when a service is created and when it is updated. */
export const settingFlags: Readonly<Record<string, Flag>> = Object.fromEntries(
  Object.entries(settings).map(([name, { flag }]) => [name, flag]),
);

/** Refuses flags that contradict each other. */
function checkTogether(spec: ServiceSpec, { names }: Flags): void {
  if (names.includes('no-healthcheck') && names.some((name) => name.startsWith('health-'))) {
    throw new CommandFailure('--no-healthcheck conflicts with --health-* options');
  }
  if (isJob(spec) && names.some((name) => /^(?:update|rollback)-/u.test(name))) {
    throw new CommandFailure('update and rollback configuration is not supported for jobs');
  }
}

/** Sets what the flags say, in the order of the table. */
export function applySettings(spec: ServiceSpec, flags: Flags): void {
  checkTogether(spec, flags);
  for (const [name, { apply }] of Object.entries(settings)) {
    const value = flags.text(name) ?? flags.switch(name)?.toString();
    if (value !== undefined) apply(spec, value);
  }
}

/** A command line as words: spaces part them, quotes keep them together. */
export function words(flag: string, line: string): string[] {
  const found = line.match(/(?:[^\s"']|"(?:[^"\\]|\\.)*"|'[^']*')+/gu) ?? [];
  const open = line.replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'/gu, '');
  if (/["']/u.test(open)) throw invalid(flag, line, 'unclosed quote');
  return found.map((word) =>
    word.replaceAll(
      /"((?:[^"\\]|\\.)*)"|'([^']*)'/gu,
      (_, a?: string, b?: string) => a?.replaceAll(/\\(.)/gu, '$1') ?? b ?? '',
    ),
  );
}
