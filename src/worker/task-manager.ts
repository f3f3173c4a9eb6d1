import {
  codecOf,
  compareStates,
  isEqual,
  isTerminal,
  stateNumber,
  type Task,
  type TaskStatus,
  timestampFromMs,
} from '../api/index.ts';
import type { TaskState } from '../api/gen/types.ts';
import {
  type ChildAbort,
  childOf,
  type Clock,
  type Log,
  orAborted,
  SwarmError,
} from '../runtime/index.ts';
import { advance, failedStatus, isTemporary, nextStep, type Outcome, retryMs } from './advance.ts';
import type { Controller, Executor, LogChunk, LogOptions, TaskDependencies } from './execution.ts';

export interface TaskManagerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly executor: Executor;
  readonly gate: StartGate;
  readonly dependenciesOf: (task: Task) => TaskDependencies;
  /** Keeps a new status and tells it on. */
  readonly publish: (taskId: string, status: TaskStatus) => Promise<void>;
}

/** A container that cannot be removed is tried again after 1, 2, 4 … seconds, up to this. */
const removeRetryMaxMs = 60_000;

/**
 * Drives one task until it is dead, then keeps its container until the task is assigned no
 * longer. Aborting it leaves the container as it is.
 */
export class TaskManager {
  readonly #deps: TaskManagerDeps;
  #task: Task;
  #status: TaskStatus;
  readonly #controller: Controller | undefined;
  /** Why the task cannot run here. */
  readonly #refusal: unknown;
  #turn: ChildAbort | undefined;
  #isLeaving = false;
  #isGone = false;
  #isUnverified: boolean;
  /** Whether the task comes from this node's memory, and no manager has spoken of it since. */
  #isRemembered: boolean;
  #isHeld = false;
  #removeTries = 0;

  /** @param recorded the task's last status on this node, if the node remembers one */
  constructor(deps: TaskManagerDeps, task: Task, recorded: TaskStatus | undefined) {
    this.#deps = deps;
    this.#task = task;
    this.#status = recorded ?? firstStatus(task);
    this.#isUnverified = recorded === undefined && isTerminal(this.#status.state);
    this.#isRemembered = recorded !== undefined;
    try {
      checkStates(task);
      this.#controller = deps.executor.controllerOf(task, deps.dependenciesOf(task));
    } catch (error) {
      this.#refusal = error;
    }
  }

  get task(): Task {
    return this.#task;
  }

  get status(): TaskStatus {
    return this.#status;
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Takes the task as it is now assigned. An operation that is still the right one goes on. */
  update(task: Task): void {
    const step = nextStep(this.#status.state, this.#task.desiredState);
    this.#task = task;
    if (nextStep(this.#status.state, task.desiredState) !== step) this.#turn?.abort();
  }

  /**
   * A manager has spoken of the task: what this node remembers of it may be acted on. Where the
   * managers know more of what became of it here than this node does, its memory is an old one.
   *
   * @param told the task's status as the managers have it
   */
  confirm(told: TaskStatus | null): void {
    if (!this.#isRemembered) return;
    this.#isRemembered = false;
    if (told !== null && isOwnWord(told) && compareStates(told.state, this.#status.state) > 0) {
      const { id } = this.#task;
      this.#deps.log.warn({ 'task.id': id, told: told.state }, 'task was further than remembered');
      this.#status = told;
      this.#isUnverified = isTerminal(told.state);
      this.#turn?.abort();
    }
    if (this.#isHeld) this.#turn?.abort();
  }

  /** The task is assigned no longer: its container is stopped and removed, and {@link run} ends. */
  remove(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#turn?.abort();
  }

  /** What the task wrote; nothing, if it cannot run here. */
  async *logs(options: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    if (this.#controller !== undefined) yield* this.#controller.logs(options, signal);
  }

  /**
   * Runs until the task was removed.
   *
   * @throws the signal's reason, if `signal` aborts first
   */
  async run(signal: AbortSignal): Promise<void> {
    await this.#begin();
    while (!this.#isGone) {
      signal.throwIfAborted();
      using turn = childOf(signal);
      this.#turn = turn;
      try {
        await this.#takeTurn(turn.signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!turn.signal.aborted) throw error; // An update ends a turn early; nothing else may.
      }
    }
  }

  /** Accepts the task, or refuses it. */
  async #begin(): Promise<void> {
    const { log } = this.#deps;
    if (this.#controller === undefined) {
      log.warn({ err: this.#refusal, 'task.id': this.#task.id }, 'task cannot run here');
      if (isTerminal(this.#status.state)) return;
      const message = 'resolving controller failed';
      await this.#publish(this.#now(failedStatus({ ...this.#status, message }, this.#refusal)));
    } else if (compareStates(this.#status.state, 'ACCEPTED') < 0) {
      await this.#publish(this.#now({ ...this.#status, state: 'ACCEPTED', message: 'accepted' }));
    }
  }

  async #takeTurn(signal: AbortSignal): Promise<void> {
    if (this.#isLeaving) {
      await this.#leave(signal);
      return;
    }
    if (this.#isUnverified) {
      await this.#verifyStopped(signal);
      return;
    }
    const isMissing = this.#isRemembered && (await this.#isMissing(signal));
    if (isMissing && this.#isRemembered) {
      this.#isHeld = true;
      await orAborted(forever(), signal);
    }
    const outcome = await this.#step(signal);
    switch (outcome.kind) {
      case 'rest':
        await orAborted(forever(), signal);
        break;
      case 'moved':
        await this.#publish(outcome.status);
        break;
      case 'retry':
        await this.#publish(outcome.status);
        await this.#deps.clock.sleep(retryMs, signal);
        break;
    }
  }

  /**
   * Whether a task of which there would be a container has none. One that is only remembered is not
   * begun then, and not called failed either: the memory may be older than what became of it.
   */
  async #isMissing(signal: AbortSignal): Promise<boolean> {
    const controller = this.#controller;
    const step = nextStep(this.#status.state, this.#task.desiredState);
    if (controller === undefined || step.kind === 'rest') return false;
    try {
      return (await controller.containerStatus(signal)) === undefined;
    } catch (error) {
      signal.throwIfAborted();
      this.#deps.log.debug({ err: error, 'task.id': this.#task.id }, 'container cannot be sought');
      return false; // The step itself finds out.
    }
  }

  async #step(signal: AbortSignal): Promise<Outcome> {
    const { clock, log, gate } = this.#deps;
    const controller = this.#controller;
    if (controller === undefined) return { kind: 'rest' };
    const step = nextStep(this.#status.state, this.#task.desiredState);
    const deps = { clock, log: log.child({ 'task.id': this.#task.id }), controller };
    const work = async (): Promise<Outcome> => advance(deps, this.#task, this.#status, signal);
    const isLoad = step.kind === 'move' && ['prepare', 'start'].includes(step.operation ?? '');
    return isLoad ? gate.pass(work, signal) : work();
  }

  /**
   * Makes sure that nothing runs of a task which the managers say is over, and of which this node
   * has no record: it may have gone on here while they could not see it.
   */
  async #verifyStopped(signal: AbortSignal): Promise<void> {
    try {
      await this.#controller?.shutdown(signal);
    } catch (error) {
      signal.throwIfAborted();
      if (isTemporary(error)) return this.#deps.clock.sleep(retryMs, signal);
    }
    this.#isUnverified = false;
  }

  async #leave(signal: AbortSignal): Promise<void> {
    try {
      if (!isTerminal(this.#status.state)) await this.#controller?.shutdown(signal);
      await this.#controller?.remove(signal);
      this.#isGone = true;
    } catch (error) {
      signal.throwIfAborted();
      this.#deps.log.warn({ err: error, 'task.id': this.#task.id }, 'task could not be removed');
      const waitMs = Math.min(retryMs * 2 ** this.#removeTries, removeRetryMaxMs);
      this.#removeTries += 1;
      await this.#deps.clock.sleep(waitMs, signal);
    }
  }

  async #publish(status: TaskStatus): Promise<void> {
    if (status === this.#status || compareStates(status.state, this.#status.state) < 0) return;
    this.#deps.log.debug(
      { 'task.id': this.#task.id, 'state.transition': `${this.#status.state}->${status.state}` },
      'task status changed',
    );
    this.#status = status;
    await this.#deps.publish(this.#task.id, status);
  }

  readonly #now = (status: TaskStatus): TaskStatus => ({
    ...status,
    timestamp: timestampFromMs(this.#deps.clock.now()),
  });
}

/**
 * Whether an assigned task takes the place of the one that is known: a desired state never goes
 * back, and nothing is done for what a manager merely repeats. swarmkit agent/task.go
 */
export function mayReplace(known: Task, assigned: Task): boolean {
  const isBack = !(compareStates(assigned.desiredState, known.desiredState) >= 0);
  return !isBack && !isEqual(contentOf(known), contentOf(assigned));
}

const contentOf = (task: Task): Task => ({ ...task, status: null, meta: null });

/** The status a task begins with that was never on this node: what its manager says of it. */
function firstStatus(task: Task): TaskStatus {
  const { status } = task;
  const isUsable = status !== null && isKnown(status.state) && status.state !== 'NEW';
  return isUsable ? status : codecOf('TaskStatus').create({ state: 'ASSIGNED' });
}

const forever = async (): Promise<never> => new Promise<never>(() => undefined);

/** Whether a status is one that only the task's node can have told. */
const isOwnWord = ({ state }: TaskStatus): boolean =>
  compareStates(state, 'ASSIGNED') > 0 && compareStates(state, 'REJECTED') <= 0;

/** A state this release does not know arrives as a bare number. */
const isKnown = (state: TaskState): boolean => Number.isInteger(stateNumber(state));

function checkStates({ id, desiredState }: Task): void {
  if (isKnown(desiredState)) return;
  throw new SwarmError('invalid-argument', `task ${id}: unknown desired state ${desiredState}`);
}

/** So many tasks are made ready or started at once. */
const placesMax = 8;

/** A place is free again after this long, though its holder waits for its image or its health. */
const holdMs = 10_000;

interface Guest {
  enter: () => void;
}

/**
 * Lets a few tasks at a time load the Engine with work: a hundred containers created at once come
 * up later than the same hundred in turn. First come, first served.
 */
export class StartGate {
  readonly #clock: Clock;
  readonly #waiting = new Set<Guest>();
  #places = placesMax;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws what `work` throws, or the signal's reason while it waits for a place */
  async pass<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#enter(signal);
    let isInside = true;
    const leave = (): void => {
      if (isInside) this.#leave();
      isInside = false;
    };
    using stay = childOf(signal);
    // Cannot reject: the end of the stay is handled.
    void this.#clock.sleep(holdMs, stay.signal).then(leave, () => undefined);
    try {
      return await work();
    } finally {
      stay.abort();
      leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (this.#places > 0) {
      this.#places -= 1;
      return;
    }
    const guest: Guest = { enter: () => undefined };
    const admitted = new Promise<void>((resolve) => (guest.enter = resolve));
    this.#waiting.add(guest);
    try {
      await orAborted(admitted, signal);
    } catch (error) {
      if (!this.#waiting.delete(guest)) this.#leave(); // It was let in as it turned away.
      throw error;
    }
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#places += 1;
      return;
    }
    this.#waiting.delete(next);
    next.enter();
  }
}
