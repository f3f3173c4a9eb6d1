import {
  compareStates,
  isEqual,
  isTerminal,
  type Task,
  type TaskStatus,
  timestampFromMs,
} from '../api/index.ts';
import type { ContainerStatus, TaskState } from '../api/gen/types.ts';
import { type Clock, isSwarmError, type Log, messageOf } from '../runtime/index.ts';
import { type Controller, TaskExit, TemporaryFailure } from './execution.ts';

/** What a controller is asked to do in a step. */
type Operation = 'prepare' | 'start' | 'wait' | 'shutdown';

/** What brings a task from one state to the next. */
interface Move {
  readonly kind: 'move';
  /** What must succeed first. Without it the move is a note that work begins. */
  readonly operation: Operation | undefined;
  readonly to: TaskState;
  readonly message: string;
}

/** What there is to do for a task now; `rest`: nothing, until the task itself changes. */
export type Step = Move | { readonly kind: 'rest' };

const rest: Step = { kind: 'rest' };
const move = (operation: Operation | undefined, to: TaskState, message: string): Move => ({
  kind: 'move',
  operation,
  to,
  message,
});
const accept = move(undefined, 'ACCEPTED', 'accepted');
const stop = move('shutdown', 'SHUTDOWN', 'shutdown');

/** What is finished once begun, even where the task is to go no further than its present state. */
const underWay: { readonly [S in TaskState]?: Move } = {
  PREPARING: move('prepare', 'READY', 'prepared'),
  STARTING: move('start', 'RUNNING', 'started'),
  RUNNING: move('wait', 'COMPLETE', 'finished'),
};

/** What is begun only if the task is to go further than its present state. */
const paused: { readonly [S in TaskState]?: Move } = {
  NEW: accept,
  PENDING: accept,
  ASSIGNED: accept,
  ACCEPTED: move(undefined, 'PREPARING', 'preparing'),
  READY: move(undefined, 'STARTING', 'starting'),
};

/**
 * The next step of a task that is in one state and wanted in another. Pure; the same step is the
 * same object.
 *
 * swarmkit agent/exec/controller.go `Do`
 */
export function nextStep(state: TaskState, desired: TaskState): Step {
  if (compareStates(desired, 'SHUTDOWN') >= 0) {
    return isTerminal(state) ? rest : stop;
  }
  const order = compareStates(state, desired);
  if (order > 0) return rest;
  return underWay[state] ?? (order < 0 ? paused[state] : undefined) ?? rest;
}

/** What became of a step. */
export type Outcome =
  | { readonly kind: 'rest' }
  | { readonly kind: 'moved'; readonly status: TaskStatus }
  /** It failed for now: the same step is due again after {@link retryMs}. */
  | { readonly kind: 'retry'; readonly status: TaskStatus };

/** How long a step that failed for now waits for its next try. */
export const retryMs = 1_000;

export interface AdvanceDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly controller: Controller;
}

/**
 * Brings a task one step nearer to its desired state. Every failure of the controller becomes a
 * status.
 *
 * @throws the signal's reason, if `signal` aborts the step
 */
export async function advance(
  deps: AdvanceDeps,
  task: Task,
  status: TaskStatus,
  signal: AbortSignal,
): Promise<Outcome> {
  const step = nextStep(status.state, task.desiredState);
  if (step.kind === 'rest') return step;
  const reached = await carryOut(deps, step, status, signal);
  const complete = await withContainer(deps, reached, signal);
  return { kind: reached.kind, status: stamped(deps.clock, status, complete) };
}

interface Reached {
  readonly kind: 'moved' | 'retry';
  readonly status: TaskStatus;
  /** The exit code that came with an error. */
  readonly exitCode?: number;
}

async function carryOut(
  { controller, log }: AdvanceDeps,
  { operation, to, message }: Move,
  status: TaskStatus,
  signal: AbortSignal,
): Promise<Reached> {
  try {
    if (operation !== undefined) await controller[operation](signal);
    return { kind: 'moved', status: { ...status, state: to, message, err: '' } };
  } catch (error) {
    signal.throwIfAborted();
    if (isTemporary(error)) {
      log.warn({ err: messageOf(error), operation }, 'step failed for now');
      return { kind: 'retry', status: { ...status, err: messageOf(error) } };
    }
    const failed: Reached = { kind: 'moved', status: failedStatus(status, error) };
    return error instanceof TaskExit ? { ...failed, exitCode: error.exitCode } : failed;
  }
}

/** The status of a task that an error has ended: REJECTED before it was started, else FAILED. */
export const failedStatus = (status: TaskStatus, error: unknown): TaskStatus => ({
  ...status,
  state: compareStates(status.state, 'STARTING') < 0 ? 'REJECTED' : 'FAILED',
  err: messageOf(error),
});

/**
 * Whether the same step may succeed a little later: what the controller says is temporary, and a
 * deadline or an abort of its own. The causes of an error count as the error does.
 */
export function isTemporary(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error instanceof TemporaryFailure ||
    error.name === 'AbortError' ||
    error.name === 'TimeoutError' ||
    isSwarmError(error, 'cancelled') ||
    isSwarmError(error, 'deadline-exceeded') ||
    isSwarmError(error, 'unavailable') ||
    isTemporary(error.cause)
  );
}

const nowhere: ContainerStatus = { containerId: '', pid: 0, exitCode: 0 };

/**
 * A status with what its container says of itself, from STARTING on. An exit code that came with
 * an error counts for more: it says what ended the task, where the container may say otherwise.
 */
async function withContainer(
  { controller, log }: AdvanceDeps,
  { status, exitCode }: Reached,
  signal: AbortSignal,
): Promise<TaskStatus> {
  if (compareStates(status.state, 'STARTING') < 0) return status;
  let { container, portStatus } = status;
  try {
    container = (await controller.containerStatus(signal)) ?? container;
    const ports = await controller.portStatus(signal);
    if (ports !== undefined) portStatus = ports;
  } catch (error) {
    signal.throwIfAborted();
    log.debug({ err: error }, 'container status unavailable');
  }
  if (exitCode !== undefined) container = { ...(container ?? nowhere), exitCode };
  return {
    ...status,
    portStatus,
    ...(container === null || container === undefined
      ? {}
      : { container, runtimeStatus: 'container' as const }),
  };
}

/** A status with the time of its last change: the old one, if nothing else has changed. */
function stamped(clock: Clock, before: TaskStatus, after: TaskStatus): TaskStatus {
  const same = isEqual({ ...after, timestamp: before.timestamp }, before);
  return same ? before : { ...after, timestamp: timestampFromMs(clock.now()) };
}
