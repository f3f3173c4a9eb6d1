import {
  type Cluster,
  compareStates,
  count,
  isTerminal,
  type Service,
  type Task,
} from '../../../api/index.ts';
import { isLeaving, isWanted, stateOf, statusMs } from '../slots.ts';

/** swarmkit manager/orchestrator/taskreaper */
const historyDefault = 5;

/** How many tasks a place keeps, the one that runs included; `Infinity`: all. */
export function historyLimit(service: Service, cluster: Cluster | undefined): number {
  const { replicated, global, task } = service.spec ?? {};
  if (!replicated && !global) return Infinity;
  const attemptsMax = count(task?.restart?.maxAttempts);
  if (attemptsMax > 0) return attemptsMax + 1;
  const limit = count(cluster?.spec?.orchestration?.taskHistoryRetentionLimit ?? historyDefault);
  return limit < 0 ? Infinity : Math.max(limit, 1);
}

/**
 * The tasks of one place that are forgotten: the oldest that can do nothing any more, as many as
 * there are too many. swarmkit manager/orchestrator/taskreaper
 */
export function planHistory(tasks: readonly Task[], limit: number): readonly Task[] {
  const surplus = tasks.length - limit;
  if (surplus <= 0) return [];
  return tasks
    .filter((task) => isTerminal(stateOf(task)) || (isUnassigned(task) && !isWanted(task)))
    .toSorted((a, b) => statusMs(a) - statusMs(b))
    .slice(0, surplus);
}

/**
 * Whether a task leaves the store at once: it is to be removed, and nothing of it can run any more;
 * or it is a network attachment whose node is gone.
 *
 * @param hasNode whether the task's node still exists
 */
export function isForgotten(task: Task, hasNode: boolean): boolean {
  if (task.serviceId === '' && stateOf(task) === 'ORPHANED') return true;
  if (!isLeaving(task)) return false;
  return isUnassigned(task) || !hasNode || compareStates(stateOf(task), 'COMPLETE') >= 0;
}

const isUnassigned = (task: Task): boolean => compareStates(stateOf(task), 'ASSIGNED') < 0;
