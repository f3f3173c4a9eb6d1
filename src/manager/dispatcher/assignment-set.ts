import { compareStates, type Frozen, isEqual, isTerminal, type Task } from '../../api/index.ts';
import type { AssignmentChangeInput, AssignmentsMessageInput } from '../../api/gen/types.ts';
import type { ReadView } from '../store/view.ts';
import { checkTask } from './task-check.ts';

type Change = Frozen<AssignmentChangeInput>;
type Kind = 'secret' | 'config' | 'task';

/** Agents take secrets and configs before the tasks that use them. */
const order: readonly Kind[] = ['secret', 'config', 'task'];

/** A task that cannot be sent, and why. */
export interface UnfitTask {
  readonly task: Task;
  readonly reason: string;
}

/** What is to be told of one object: its newest form, or that it is no longer assigned. */
interface Pending {
  readonly kind: Kind;
  readonly change: Change;
}

/**
 * What one node must have, and what of it its agent has not been told: tasks that were assigned to
 * the node, and the secrets and configs that those of them need which have not ended.
 *
 * Pure: it is told of tasks and gives messages. The first is COMPLETE, the others are INCREMENTAL
 * and chained: each applies to what the one before it results in, so that an agent that misses one
 * notices. swarmkit manager/dispatcher/assignments.go
 */
export class AssignmentSet {
  readonly #nodeId: string;
  readonly #tasks = new Map<string, Task>();
  /** Which tasks need a secret or a config, by its key; the others are no longer sent. */
  readonly #users = new Map<string, Set<string>>();
  #pending = new Map<string, Pending>();
  #unfit: UnfitTask[] = [];
  #sent = 0;

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  /** Takes in a task as it is now; one of another node counts as removed. */
  put(task: Task, view: ReadView): void {
    if (task.nodeId !== this.#nodeId) {
      this.remove(task.id);
      return;
    }
    const state = task.status?.state ?? 'NEW';
    if (compareStates(state, 'ASSIGNED') < 0) return;
    const checked = checkTask(task);
    if (checked.kind === 'unfit') {
      if (!isTerminal(state)) this.#unfit.push({ task, reason: checked.reason });
      this.remove(task.id);
      return;
    }
    const known = this.#tasks.get(task.id);
    this.#tasks.set(task.id, task);
    // Up to ASSIGNED a status is the manager's own; later ones come from the agent itself.
    const isNews =
      known === undefined || compareStates(state, 'ASSIGNED') <= 0 || !isEqualForAgent(known, task);
    if (isNews)
      this.#tell('task', task.id, { action: 'UPDATE', assignment: { task: checked.task } });
    if (isTerminal(state)) this.#release(task);
    else this.#require(task, view);
  }

  /** Forgets a task. */
  remove(taskId: string): void {
    const task = this.#tasks.get(taskId);
    if (task === undefined) return;
    this.#tasks.delete(taskId);
    this.#tell('task', taskId, { action: 'REMOVE', assignment: { task: { id: taskId } } });
    this.#release(task);
  }

  /**
   * Begins anew from the whole state; the next message then says everything there is to say, even
   * that a task is gone.
   */
  reset(view: ReadView): void {
    const present = new Set<string>();
    for (const task of view.find('task', { by: 'node', nodeId: this.#nodeId })) {
      present.add(task.id);
      this.put(task, view);
    }
    for (const taskId of this.#tasks.keys()) if (!present.has(taskId)) this.remove(taskId);
  }

  /** Tasks that were refused since the last call. */
  takeUnfit(): readonly UnfitTask[] {
    const unfit = this.#unfit;
    this.#unfit = [];
    return unfit;
  }

  /** What the agent is to be told next; `undefined` if it knows everything. */
  nextMessage(): Frozen<AssignmentsMessageInput> | undefined {
    const isFirst = this.#sent === 0;
    if (!isFirst && this.#pending.size === 0) return undefined;
    const changes = order.flatMap((kind) =>
      [...this.#pending.values()].filter((one) => one.kind === kind).map(({ change }) => change),
    );
    this.#pending = new Map();
    this.#sent += 1;
    return {
      type: isFirst ? 'COMPLETE' : 'INCREMENTAL',
      appliesTo: isFirst ? '' : String(this.#sent - 1),
      resultsIn: String(this.#sent),
      changes,
    };
  }

  #require(task: Task, view: ReadView): void {
    for (const { kind, id } of dependenciesOf(task)) {
      const users = this.#users.get(`${kind}/${id}`) ?? new Set();
      if (users.size === 0) {
        const object = view.get(kind, id);
        if (object === undefined) continue; // It was removed; the agent will say what it misses.
        this.#tell(kind, id, { action: 'UPDATE', assignment: { [kind]: object } });
        this.#users.set(`${kind}/${id}`, users);
      }
      users.add(task.id);
    }
  }

  #release(task: Task): void {
    for (const { kind, id } of dependenciesOf(task)) {
      const key = `${kind}/${id}`;
      const users = this.#users.get(key);
      if (users?.delete(task.id) !== true || users.size > 0) continue;
      this.#users.delete(key);
      this.#tell(kind, id, { action: 'REMOVE', assignment: { [kind]: { id } } });
    }
  }

  #tell(kind: Kind, id: string, change: Change): void {
    const key = `${kind}/${id}`;
    this.#pending.delete(key);
    // What the agent never heard of need not be taken back: the first message says it all.
    if (this.#sent === 0 && change.action === 'REMOVE') return;
    this.#pending.set(key, { kind, change });
  }
}

/** Whether an agent has no use for the difference: its own status, and the store's version. */
const isEqualForAgent = (a: Task, b: Task): boolean =>
  isEqual({ ...a, meta: null, status: null }, { ...b, meta: null, status: null });

interface Dependency {
  readonly kind: 'secret' | 'config';
  readonly id: string;
}

function dependenciesOf({ spec }: Task): readonly Dependency[] {
  const secrets = spec?.container?.secrets ?? [];
  const configs = spec?.container?.configs ?? [];
  const references = spec?.resourceReferences ?? [];
  return [
    ...secrets.map(({ secretId }) => ({ kind: 'secret' as const, id: secretId })),
    ...configs.map(({ configId }) => ({ kind: 'config' as const, id: configId })),
    ...references.flatMap(({ resourceType, resourceId: id }): readonly Dependency[] => {
      if (resourceType === 'SECRET') return [{ kind: 'secret', id }];
      return resourceType === 'CONFIG' ? [{ kind: 'config', id }] : [];
    }),
  ];
}
