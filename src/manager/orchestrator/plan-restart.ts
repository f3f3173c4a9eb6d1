import { count, isTerminal, type Node, type Task, toMs } from '../../api/index.ts';
import {
  createdMs,
  endedByItself,
  hasStopped,
  isInvalidNode,
  isWanted,
  stateOf,
  statusMs,
} from './slots.ts';

/** The wait before a task that ended of its own accord is replaced. swarmkit manager/defaults */
const restartDelayMs = 5_000;

/** A replacement waits no longer than this for what it replaces to stop. */
const stopWaitMaxMs = 60_000;

/** How a task's spec wants it restarted. What it leaves out is SwarmKit's default. */
interface RestartPolicy {
  readonly condition: 'ANY' | 'NONE' | 'ON_FAILURE';
  readonly delayMs: number;
  /** 0: without limit. */
  readonly attemptsMax: number;
  /** Only restarts within this time count as attempts; 0: all. */
  readonly windowMs: number;
}

function policyOf({ spec }: Task): RestartPolicy {
  const restart = spec?.restart;
  return {
    condition: restart?.condition ?? 'ANY',
    delayMs: toMs(restart?.delay) ?? restartDelayMs,
    attemptsMax: count(restart?.maxAttempts),
    windowMs: toMs(restart?.window) ?? 0,
  };
}

/**
 * Whether a task that ended, or lost its node, is to be replaced.
 *
 * Its place is its own history: each later task of the same spec version there was one restart.
 * The reaper keeps as many as that takes, so a new leader counts as the old one did.
 * swarmkit manager/orchestrator/restart
 *
 * @param others tasks of the same place; the task itself may be among them
 */
export function mayRestart(task: Task, others: readonly Task[]): boolean {
  const { condition, attemptsMax, windowMs } = policyOf(task);
  if (condition === 'NONE') return false;
  const isDone = stateOf(task) === 'COMPLETE';
  const isJob = task.jobIteration !== null;
  if (isDone && (condition === 'ON_FAILURE' || isJob)) return false;
  if (attemptsMax === 0) return true;

  const restarts = others
    .filter((other) => other.specVersion?.index === task.specVersion?.index)
    .filter((other) => other.jobIteration?.index === task.jobIteration?.index)
    .map(createdMs)
    .toSorted((a, b) => a - b)
    .slice(1);
  if (windowMs === 0) return restarts.length < attemptsMax;
  const windowStart = statusMs(task) - windowMs;
  return restarts.filter((at) => at >= windowStart).length < attemptsMax;
}

/** What becomes of a task that ended, or lost its node. */
export type RestartPlan =
  /** It is none of the restart's business, or not yet: its own delayed start comes first. */
  | { readonly kind: 'leave' }
  /** It is not wanted any more, and nothing takes its place. */
  | { readonly kind: 'stop' }
  /** Another takes its place, wanted READY if it has something to wait for. */
  | { readonly kind: 'replace'; readonly desiredState: 'READY' | 'RUNNING' | 'COMPLETE' };

/**
 * What to do about a task.
 *
 * @param others tasks of the same place; the task itself may be among them
 * @param node the task's node, if it has one that still exists
 */
export function planRestart(
  task: Task,
  others: readonly Task[],
  node: Node | undefined,
): RestartPlan {
  if (!needsRestart(task, node)) return { kind: 'leave' };
  if (!mayRestart(task, others)) return { kind: 'stop' };
  const isAtOnce = delayAfter(task) === 0 && hasStopped(task, node);
  return { kind: 'replace', desiredState: isAtOnce ? runningStateOf(task) : 'READY' };
}

/** Whether a task is wanted, and cannot run any more where it is. */
export function needsRestart(task: Task, node: Node | undefined): boolean {
  if (!isWanted(task)) return false;
  if (isTerminal(stateOf(task))) {
    const isFinished = task.desiredState === 'COMPLETE' && stateOf(task) === 'COMPLETE';
    return task.desiredState !== 'READY' && !isFinished;
  }
  return task.nodeId !== '' && isInvalidNode(node);
}

/** The desired state of a task that is to run now: a job's task is to complete. */
export const runningStateOf = (task: Task): 'RUNNING' | 'COMPLETE' =>
  task.jobIteration === null ? 'RUNNING' : 'COMPLETE';

/**
 * How long the successor of a task waits, in milliseconds. Only a task that ended of its own
 * accord is waited for: one that lost its node, or was replaced by an update, did nothing wrong.
 * (SwarmKit lets the tasks of a dead node wait too.)
 */
const delayAfter = (task: Task): number => (endedByItself(task) ? policyOf(task).delayMs : 0);

/** When a task that is wanted READY may be wanted RUNNING. */
export interface DelayedStart {
  /** Not before this much time from now, in milliseconds. */
  readonly delayMs: number;
  /** And not before what went before it has stopped, unless that takes longer than this. */
  readonly patienceMs: number;
}

/**
 * What a task that is wanted READY still has to wait for, read from what stands in the store: so a
 * new leader takes over the delays of the one before it.
 *
 * @param others tasks of the same place; the task itself may be among them
 */
export function delayedStart(task: Task, others: readonly Task[], nowMs: number): DelayedStart {
  const before = others.filter((other) => other.id !== task.id && !isWanted(other));
  const lastMs = Math.max(...before.map(createdMs));
  const last = before.filter((other) => createdMs(other) === lastMs); // Clocks are coarse.
  const elapsedMs = Math.max(nowMs - createdMs(task), 0);
  return {
    delayMs: Math.max(Math.max(0, ...last.map(delayAfter)) - elapsedMs, 0),
    patienceMs: Math.max(stopWaitMaxMs - elapsedMs, 0),
  };
}

/** The tasks of a place that a new one waits for: not wanted any more, and perhaps still there. */
export const stillStopping = (
  others: readonly Task[],
  nodeOf: (id: string) => Node | undefined,
): readonly Task[] =>
  others.filter((other) => !isWanted(other) && !hasStopped(other, nodeOf(other.nodeId)));
