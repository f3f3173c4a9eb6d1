import { amountsOf, compareStates, type Node, type Task, toMs } from '../api/index.ts';
import { failureKeyOf, isActive, NodeLoad, type NodeView, shareOf } from './node-view.ts';

/** A change of a node or a task, as the store publishes it. */
export type ClusterChange =
  | {
      readonly action: 'created' | 'updated' | 'removed';
      readonly kind: 'node';
      readonly object: Node;
    }
  | {
      readonly action: 'created' | 'updated' | 'removed';
      readonly kind: 'task';
      readonly object: Task;
    };

/** Tasks that wait for a node and are alike: of one service and one version of its spec. */
export interface PendingGroup {
  readonly key: string;
  readonly tasks: ReadonlyMap<string, Task>;
}

/** What the scheduler has to do with a task. */
type Interest = 'pending' | 'preassigned' | 'outdated' | 'placed';

/**
 * What the scheduler knows of the cluster: its nodes with what runs on them, and the tasks that
 * wait for one. A projection of the store, kept by its changes.
 */
export class ClusterView {
  readonly #nodes = new Map<string, NodeView>();
  readonly #loads = new Map<string, NodeLoad>();
  /** Every task it counts somewhere, as it was counted. */
  readonly #tasks = new Map<string, Task>();
  readonly #groups = new Map<string, { readonly key: string; readonly tasks: Map<string, Task> }>();
  readonly #preassigned = new Map<string, Task>();
  readonly #outdated = new Map<string, Task>();

  /** The view of a whole state. */
  static from(nodes: Iterable<Node>, tasks: Iterable<Task>): ClusterView {
    const view = new ClusterView();
    for (const object of nodes) view.apply({ action: 'created', kind: 'node', object });
    for (const object of tasks) view.apply({ action: 'created', kind: 'task', object });
    return view;
  }

  get nodes(): ReadonlyMap<string, NodeView> {
    return this.#nodes;
  }

  /** Tasks that wait for some node, group by group. */
  get groups(): ReadonlyMap<string, PendingGroup> {
    return this.#groups;
  }

  /** Tasks that wait for leave to run on the node they were created for. */
  get preassigned(): ReadonlyMap<string, Task> {
    return this.#preassigned;
  }

  /** Tasks that are to stop before they were ever given to a node. */
  get outdated(): ReadonlyMap<string, Task> {
    return this.#outdated;
  }

  /**
   * Takes a change in.
   *
   * @returns whether there may now be something to decide: a task that waits, or room for one
   */
  apply(change: ClusterChange): boolean {
    return change.kind === 'node' ? this.#applyNode(change) : this.#applyTask(change);
  }

  #applyNode({ action, object: node }: ClusterChange & { readonly kind: 'node' }): boolean {
    if (action === 'removed') {
      this.#nodes.delete(node.id);
      this.#dropIfUnused(node.id);
      return true;
    }
    const load = this.#loadOf(node.id);
    const capacity = amountsOf(node.description?.resources);
    this.#nodes.set(node.id, { node, capacity, load });
    return true;
  }

  #applyTask({ action, object: task }: ClusterChange & { readonly kind: 'task' }): boolean {
    const old = this.#tasks.get(task.id);
    const interest = action === 'removed' ? undefined : interestIn(task);
    if (old === undefined && interest === undefined) {
      if (action === 'created') this.#noteFailure(task);
      return false;
    }
    if (old !== undefined && interestIn(old) === interest && isCountedAlike(old, task)) {
      this.#replace(task);
      return false;
    }
    if (old !== undefined) this.#forget(old);
    if (interest !== undefined) this.#count(task, interest);
    if (action !== 'removed') this.#noteFailure(task);
    // The scheduler's own decisions come back as tasks that are now placed.
    return old === undefined || interest !== 'placed' || interestIn(old) === 'placed';
  }

  #count(task: Task, interest: Interest): void {
    this.#tasks.set(task.id, task);
    switch (interest) {
      case 'pending': {
        const key = groupKeyOf(task);
        const group = this.#groups.get(key) ?? { key, tasks: new Map<string, Task>() };
        this.#groups.set(key, group);
        group.tasks.set(task.id, task);
        break;
      }
      case 'preassigned':
        this.#preassigned.set(task.id, task);
        break;
      case 'outdated':
        this.#outdated.set(task.id, task);
        break;
      case 'placed':
        this.#loadOf(task.nodeId).add(shareOf(task));
    }
  }

  #forget(task: Task): void {
    this.#tasks.delete(task.id);
    this.#preassigned.delete(task.id);
    this.#outdated.delete(task.id);
    const group = this.#groups.get(groupKeyOf(task));
    group?.tasks.delete(task.id);
    if (group?.tasks.size === 0) this.#groups.delete(group.key);
    if (interestIn(task) === 'placed') {
      this.#loadOf(task.nodeId).remove(shareOf(task));
      this.#dropIfUnused(task.nodeId);
    }
  }

  /** Keeps the newest form of a task that waits; a placed one stays as it was counted. */
  #replace(task: Task): void {
    const group = this.#groups.get(groupKeyOf(task));
    for (const tasks of [group?.tasks, this.#preassigned, this.#outdated]) {
      if (tasks?.has(task.id) !== true) continue;
      tasks.set(task.id, task);
      this.#tasks.set(task.id, task);
    }
  }

  /** Remembers a failure, unless the node was not the scheduler's choice. */
  #noteFailure(task: Task): void {
    const state = task.status?.state;
    if ((state !== 'FAILED' && state !== 'REJECTED') || task.nodeId === '') return;
    if (task.slot === '0') return;
    const at = toMs(task.status?.appliedAt) ?? toMs(task.status?.timestamp) ?? 0;
    this.#loadOf(task.nodeId).addFailure(failureKeyOf(task), at);
  }

  #dropIfUnused(nodeId: string): void {
    if (!this.#nodes.has(nodeId) && this.#loads.get(nodeId)?.tasks === 0) {
      this.#loads.delete(nodeId);
    }
  }

  /** Tasks may be known before their node is, and after it is gone. */
  #loadOf(nodeId: string): NodeLoad {
    const known = this.#loads.get(nodeId);
    if (known !== undefined) return known;
    const load = new NodeLoad();
    this.#loads.set(nodeId, load);
    return load;
  }
}

/** A task counts from PENDING until it has ended: only so long it takes something of its node. */
function interestIn(task: Task): Interest | undefined {
  const state = task.status?.state ?? 'NEW';
  if (compareStates(state, 'PENDING') < 0 || compareStates(state, 'RUNNING') > 0) return undefined;
  if (state !== 'PENDING') return task.nodeId === '' ? undefined : 'placed';
  if (isActive(task)) {
    return task.nodeId === '' ? 'pending' : 'preassigned';
  }
  // One that is to be removed goes by itself: the task reaper deletes it.
  return task.desiredState === 'REMOVE' ? undefined : 'outdated';
}

/** Whether a change of a task of one interest changes nothing the scheduler counts. */
function isCountedAlike(old: Task, task: Task): boolean {
  return (
    old.nodeId === task.nodeId &&
    isActive(old) === isActive(task) &&
    groupKeyOf(old) === groupKeyOf(task)
  );
}

/** Without a version of their spec tasks cannot be told to be alike. */
const groupKeyOf = (task: Task): string =>
  task.specVersion === null ? task.id : `${task.serviceId}@${task.specVersion.index}`;
