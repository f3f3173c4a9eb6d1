import type { Node, Task, TaskStatus } from '../../../src/api/index.ts';
import type { AssignmentRecord, TaskRecord, TaskStore } from '../../../src/worker/index.ts';

/** The task store of a node, on its disk. What is not synced goes with the power. */
export class TaskDisk {
  #node: Node | undefined;
  readonly tasks = new Map<string, Task>();
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #unassigned = new Set<string>();
  /** Statuses as they were when something was last synced. */
  #synced = new Map<string, TaskStatus>();

  /** Whether the node still has the task among those it is to run. */
  isAssigned(id: string): boolean {
    return this.tasks.has(id) && !this.#unassigned.has(id);
  }

  /** The power fails: what was not synced is lost. */
  powerCut(): void {
    this.#statuses.clear();
    for (const [id, status] of this.#synced) this.#statuses.set(id, status);
  }

  /** The store is damaged: it is set aside, and everything forgotten. */
  forgetAll(): void {
    this.#node = undefined;
    this.tasks.clear();
    this.#statuses.clear();
    this.#unassigned.clear();
    this.#synced.clear();
  }

  get isEmpty(): boolean {
    return this.tasks.size === 0;
  }

  /** The store as the next process opens it. */
  open(): TaskStore {
    // A task that was never begun comes again: what is half there is dropped.
    for (const id of this.tasks.keys()) if (!this.#statuses.has(id)) this.#drop(id);
    const records = [...this.tasks.values()].flatMap((task): TaskRecord[] => {
      const status = this.#statuses.get(task.id);
      const isAssigned = !this.#unassigned.has(task.id);
      return status === undefined ? [] : [{ task, status, isAssigned }];
    });
    return {
      records,
      node: this.#node,
      assign: async (change) => this.#assign(change),
      putNode: async (node) => {
        this.#node = node;
        return Promise.resolve();
      },
      putStatus: async (taskId, status) => {
        this.#statuses.set(taskId, status);
        return Promise.resolve();
      },
      forget: async (taskId) => {
        this.#drop(taskId);
        return Promise.resolve();
      },
      [Symbol.asyncDispose]: async () => Promise.resolve(),
    };
  }

  #drop(taskId: string): void {
    this.tasks.delete(taskId);
    this.#statuses.delete(taskId);
    this.#unassigned.delete(taskId);
  }

  async #assign({ assigned, unassigned }: AssignmentRecord): Promise<void> {
    for (const task of assigned) {
      this.tasks.set(task.id, { ...task, status: null });
      this.#unassigned.delete(task.id);
    }
    for (const id of unassigned) this.#unassigned.add(id);
    this.#synced = new Map(this.#statuses);
    return Promise.resolve();
  }
}
