import {
  count,
  isTerminal,
  type Service,
  type Task,
  timestampFromMs,
  toMs,
  updateConfigOf as withUsualSettings,
} from '../../../api/index.ts';
import { createdMs, endedByItself, stateOf, statusMs } from '../slots.ts';

type UpdateStatus = NonNullable<Service['updateStatus']>;

/** How an update goes about it: a service's configuration, or SwarmKit's defaults. */
export interface UpdateConfig {
  /** How many places are updated at the same time; `Infinity`: all. */
  readonly parallelism: number;
  /** The wait after an updated task runs, before the next place is begun. */
  readonly delayMs: number;
  readonly failureAction: 'PAUSE' | 'CONTINUE' | 'ROLLBACK';
  /** A task that ends within this time after it began to run has failed the update. */
  readonly monitorMs: number;
  /** The share of failed tasks, of all that are updated, that is put up with. */
  readonly failureRatioMax: number;
  readonly order: 'STOP_FIRST' | 'START_FIRST';
}

const isRollback = (service: Service): boolean =>
  service.updateStatus?.state === 'ROLLBACK_STARTED';

/** What governs a service's update now: its rollback configuration, while it is rolled back. */
export function updateConfigOf(service: Service): UpdateConfig {
  const spec = isRollback(service) ? service.spec?.rollback : service.spec?.update;
  const config = withUsualSettings(spec);
  const parallelism = count(config.parallelism);
  const delayMs = toMs(config.delay) ?? 0;
  const monitorMs = toMs(config.monitor) ?? 0;
  return {
    parallelism: parallelism === 0 ? Infinity : parallelism,
    delayMs,
    failureAction: config.failureAction,
    monitorMs: delayMs >= monitorMs ? delayMs + 1_000 : monitorMs,
    failureRatioMax: config.maxFailureRatio,
    order: config.order,
  };
}

/** Whether an update of this service was stopped by a failure, and waits for somebody. */
export const isPaused = ({ updateStatus }: Service): boolean =>
  updateStatus?.state === 'PAUSED' || updateStatus?.state === 'ROLLBACK_PAUSED';

/** Whether an update is under way, by what the store says of it. */
export const isUnderWay = ({ updateStatus }: Service): boolean =>
  updateStatus?.state === 'UPDATING' || updateStatus?.state === 'ROLLBACK_STARTED';

const withStatus = (
  service: Service,
  state: UpdateStatus['state'],
  message: string,
): Service & { readonly updateStatus: UpdateStatus } => ({
  ...service,
  updateStatus: {
    startedAt: service.updateStatus?.startedAt ?? null,
    completedAt: null,
    state,
    message,
  },
});

/** The service once its update has begun. */
export function started(service: Service, nowMs: number): Service {
  const updating = withStatus(service, 'UPDATING', 'update in progress');
  const startedAt = timestampFromMs(nowMs);
  return { ...updating, updateStatus: { ...updating.updateStatus, startedAt } };
}

/** The service once every place is up to date and has proved itself. */
export function completed(service: Service, nowMs: number): Service {
  const done = isRollback(service)
    ? withStatus(service, 'ROLLBACK_COMPLETED', 'rollback completed')
    : withStatus(service, 'COMPLETED', 'update completed');
  const completedAt = timestampFromMs(nowMs);
  return { ...done, updateStatus: { ...done.updateStatus, completedAt } };
}

/** The service once a task has failed its update: paused, or on its way back. */
export function failed(
  service: Service,
  taskId: string,
  { action, nowMs }: { readonly action: 'PAUSE' | 'ROLLBACK'; readonly nowMs: number },
): Service {
  const why = `due to failure or early termination of task ${taskId}`;
  if (isRollback(service)) return withStatus(service, 'ROLLBACK_PAUSED', `rollback paused ${why}`);
  if (action === 'PAUSE' || service.previousSpec === null) {
    return withStatus(service, 'PAUSED', `update paused ${why}`);
  }
  return {
    ...service,
    spec: service.previousSpec,
    specVersion: service.previousSpecVersion,
    previousSpec: null,
    previousSpecVersion: null,
    updateStatus: {
      state: 'ROLLBACK_STARTED',
      startedAt: timestampFromMs(nowMs),
      completedAt: null,
      message: `update rolled back ${why}`,
    },
  };
}

/**
 * Whether a task that an update made has failed it: it ended of its own accord, with success or
 * without, before it ran for the monitored time.
 *
 * @param ranMs how long it ran, as far as was seen; 0 if it was never seen to run
 */
export const failsUpdate = (task: Task, ranMs: number, { monitorMs }: UpdateConfig): boolean =>
  endedByItself(task) && ranMs <= monitorMs;

/** The tasks that updates made and a new leader has to go on watching, as the store tells them. */
export function adoptedTasks(
  service: Service,
  places: ReadonlyArray<readonly Task[]>,
  { monitorMs }: UpdateConfig,
): readonly Task[] {
  const startedMs = toMs(service.updateStatus?.startedAt);
  if (!isUnderWay(service) || startedMs === undefined) return [];
  return places.flatMap((tasks) => {
    const [first] = tasks
      .filter((task) => task.specVersion?.index === service.specVersion?.index)
      .filter((task) => createdMs(task) >= startedMs)
      .toSorted((a, b) => createdMs(a) - createdMs(b));
    const isFirstThere = tasks.length === 1;
    if (first === undefined || isFirstThere) return [];
    const isOver = isTerminal(stateOf(first)) && statusMs(first) - createdMs(first) > monitorMs;
    return isOver ? [] : [first];
  });
}
