import { count, type Service, type Task } from '../../api/index.ts';
import { mayRestart } from './plan-restart.ts';
import { byPlace, isLeaving, isWanted, newestOf, stateOf } from './slots.ts';

/**
 * The tasks of one place that count as filling it: those that are wanted; or else the last one, if
 * it is finished and is not to be restarted, so that a service of one-shot tasks comes to rest.
 * Empty for a place that nothing fills. During a rollback a finished task fills nothing.
 * swarmkit manager/orchestrator/restart `UpdatableTasksInSlot`
 *
 * @param tasks all tasks of the place
 */
export function fillingTasks(service: Service, tasks: readonly Task[]): readonly Task[] {
  const wanted = tasks.filter(isWanted);
  if (wanted.length > 0 || service.updateStatus?.state === 'ROLLBACK_STARTED') return wanted;
  const newest = newestOf(tasks.filter((task) => !isLeaving(task)));
  return newest === undefined || mayRestart(newest, tasks) ? [] : [newest];
}

/** The filled places of a service, each with the tasks that fill it. */
export const filledPlaces = (
  service: Service,
  tasks: readonly Task[],
): ReadonlyArray<readonly Task[]> =>
  [...byPlace(tasks).values()]
    .map((those) => fillingTasks(service, those))
    .filter((those) => those.length > 0);

/** How many tasks a replicated service wants. `undefined` for a service of another mode. */
export const replicasOf = (service: Service): number | undefined =>
  service.spec?.replicated ? count(service.spec.replicated.replicas) : undefined;

/** What brings a replicated service to its number of tasks. */
export interface ReplicatedPlan {
  /** Slot numbers that get a new task. */
  readonly create: readonly number[];
  /** Tasks that are to leave: those of surplus slots, and those of slots that nothing fills. */
  readonly remove: readonly Task[];
}

/**
 * Brings a replicated service to `replicas` slots.
 *
 * Pure: the same tasks give the same plan, so a plan made twice, or made again after a leader
 * change, does no harm. New slots take the lowest free numbers; a number that nothing fills any
 * more is free, and its old tasks become the new one's history.
 * swarmkit manager/orchestrator/replicated
 *
 * @param tasks every task of the service
 */
export function planReplicated(service: Service, tasks: readonly Task[]): ReplicatedPlan {
  const replicas = replicasOf(service) ?? 0;
  const filled = filledPlaces(service, tasks);
  const kept = filled.length > replicas ? survivors(filled, replicas) : filled;
  const create = freeNumbers(new Set(kept.map(slotOf)), replicas - kept.length);
  const inUse = new Set([...kept.map(slotOf), ...create]);
  const remove = tasks.filter((task) => !inUse.has(count(task.slot)) && !isLeaving(task));
  return { create, remove };
}

const slotOf = ([first]: readonly Task[]): number => count(first?.slot);

const isRunning = (tasks: readonly Task[]): boolean =>
  tasks.some((task) => stateOf(task) === 'RUNNING');

/** The lowest slot numbers, from 1, that are not taken. */
function freeNumbers(taken: ReadonlySet<number>, wanted: number): readonly number[] {
  const numbers: number[] = [];
  for (let slot = 1; numbers.length < wanted; slot += 1) if (!taken.has(slot)) numbers.push(slot);
  return numbers;
}

/**
 * The slots a service keeps when it has too many. It loses first what has no node yet, then what
 * shares its node with most others of the service; among those what does not run, then the higher
 * number. swarmkit manager/orchestrator/replicated
 */
function survivors(
  slots: ReadonlyArray<readonly Task[]>,
  replicas: number,
): ReadonlyArray<readonly Task[]> {
  const inOrder = slots.toSorted(
    (a, b) => Number(isRunning(b)) - Number(isRunning(a)) || slotOf(a) - slotOf(b),
  );
  const onNodes = new Map<string, number>();
  const ranked = inOrder.map((tasks) => {
    const nodeId = tasks.length === 1 ? (tasks[0]?.nodeId ?? '') : '';
    if (nodeId === '') return { tasks, rank: Infinity };
    const rank = onNodes.get(nodeId) ?? 0;
    onNodes.set(nodeId, rank + 1);
    return { tasks, rank };
  });
  const byRank = ranked.toSorted((a, b) => (a.rank < b.rank ? -1 : Number(a.rank > b.rank)));
  return byRank.slice(0, replicas).map(({ tasks }) => tasks);
}
