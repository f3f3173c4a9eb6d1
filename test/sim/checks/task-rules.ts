import { compareStates, isEqual, isTerminal, type Task } from '../../../src/api/index.ts';
import type { ObjectEvent } from '../../../src/manager/store/events.ts';
import type { Kernel } from '../kernel/kernel.ts';

type State = Task['desiredState'];

/** What only the manager may write of a task that has come as far as an agent. */
const managersOwn: ReadonlySet<State> = new Set(['REJECTED', 'ORPHANED', 'REMOVE']);

/** What holds for each task, whatever happens. */
export class TaskRules {
  readonly #kernel: Kernel;
  /** The states that the agent of its node has told of a task. */
  readonly #reported: Map<string, Set<State>>;
  /** The node that a task was given to: it never moves. */
  readonly #nodes = new Map<string, string>();
  /** The tasks of a slot that are wanted and have not ended. */
  readonly #wanted = new Map<string, Set<string>>();
  readonly #overlaps: ReadonlySet<string>;
  /** What somebody has asked to be removed, whatever becomes of it. */
  readonly #givenUp: Set<string>;

  /**
   * @param overlaps services of which two tasks may run in one slot: they start first, then stop
   * @param before those that hold what agents and people have told so far
   */
  constructor(kernel: Kernel, overlaps: ReadonlySet<string>, before?: TaskRules) {
    this.#kernel = kernel;
    this.#overlaps = overlaps;
    this.#reported = before === undefined ? new Map<string, Set<State>>() : before.#reported;
    this.#givenUp = before === undefined ? new Set<string>() : before.#givenUp;
  }

  /** It begins with these. */
  begin(tasks: readonly Task[]): void {
    for (const task of tasks) {
      if (task.nodeId !== '') this.#nodes.set(task.id, task.nodeId);
      this.#place(task, false);
    }
  }

  nodeOf(taskId: string): string | undefined {
    return this.#nodes.get(taskId);
  }

  /** Somebody removes a task by hand. */
  givenUp(taskId: string): void {
    this.#givenUp.add(taskId);
  }

  /** An agent tells what became of a task. */
  reported(taskId: string, state: State): void {
    const states = this.#reported.get(taskId) ?? new Set();
    states.add(state);
    this.#reported.set(taskId, states);
  }

  /** Everything that one entry did. */
  take(events: readonly ObjectEvent[]): void {
    const slots = new Set<string>();
    for (const event of events) {
      if (event.kind !== 'task') continue;
      if (event.action === 'updated') this.#changed(event.old, event.object);
      if (event.action === 'created') this.#created(event.object);
      if (event.action === 'removed') this.#removed(event.object);
      slots.add(this.#place(event.object, event.action === 'removed'));
    }
    for (const slot of slots) this.#checkSlot(slot);
  }

  #created({ id, status, nodeId }: Task): void {
    const state = status?.state ?? 'NEW';
    if (compareStates(state, 'PENDING') > 0) {
      this.#kernel.violate('tasks-begin-at-the-beginning', `task ${id} was created ${state}`);
    }
    if (nodeId !== '') this.#nodes.set(id, nodeId);
  }

  /** A task is forgotten only when nobody wants it, or it can do nothing any more. */
  #removed({ id, status, nodeId, desiredState }: Task): void {
    const state = status?.state ?? 'NEW';
    if (nodeId === '' || desiredState !== 'RUNNING' || isTerminal(state)) return;
    if (this.#givenUp.has(id)) return;
    this.#kernel.violate('wanted-tasks-stay', `task ${id} was removed, is ${state}, and is wanted`);
  }

  #changed(old: Task, task: Task): void {
    const { id } = task;
    const [before, after] = [old.status?.state ?? 'NEW', task.status?.state ?? 'NEW'];
    if (compareStates(after, before) < 0) {
      this.#kernel.violate('states-move-forward', `task ${id} went from ${before} to ${after}`);
    }
    if (compareStates(task.desiredState, old.desiredState) < 0) {
      this.#kernel.violate(
        'states-move-forward',
        `task ${id} was wanted ${old.desiredState}, and is wanted ${task.desiredState}`,
      );
    }
    this.#checkSame(old, task);
    if (task.nodeId !== '') this.#nodes.set(id, task.nodeId);
    if (before === after || compareStates(after, 'ASSIGNED') <= 0 || managersOwn.has(after)) return;
    // One that no node has heard of the manager may end itself.
    if (after === 'SHUTDOWN' && compareStates(before, 'ASSIGNED') < 0) return;
    if (this.#reported.get(id)?.has(after) === true) return;
    this.#kernel.violate(
      'states-are-moved-by-their-owner',
      `task ${id} went from ${before} to ${after}, which its agent never said`,
    );
  }

  #checkSame(old: Task, task: Task): void {
    const { id } = task;
    if (old.nodeId !== '' && old.nodeId !== task.nodeId) {
      this.#kernel.violate('tasks-stay', `task ${id} moved from ${old.nodeId} to ${task.nodeId}`);
    }
    const isSame =
      old.serviceId === task.serviceId && old.slot === task.slot && isEqual(old.spec, task.spec);
    if (!isSame) this.#kernel.violate('tasks-stay', `task ${id} became another`);
  }

  #place(task: Task, isRemoved: boolean): string {
    const key = `${task.serviceId} ${task.slot === '0' ? task.nodeId : task.slot}`;
    const wanted = this.#wanted.get(key) ?? new Set();
    const isWanted =
      !isRemoved &&
      task.desiredState === 'RUNNING' &&
      !isTerminal(task.status?.state ?? 'NEW') &&
      !this.#overlaps.has(task.serviceId);
    if (isWanted) wanted.add(task.id);
    else wanted.delete(task.id);
    this.#wanted.set(key, wanted);
    return key;
  }

  #checkSlot(key: string): void {
    const wanted = this.#wanted.get(key);
    if (wanted === undefined || wanted.size < 2) return;
    if (this.#overlaps.has(key.split(' ')[0] ?? '')) return;
    this.#kernel.violate(
      'one-task-a-slot',
      `slot ${key} has several tasks that are wanted: ${[...wanted].join(', ')}`,
    );
  }
}
