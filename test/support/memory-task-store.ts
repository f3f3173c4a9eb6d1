import { codecOf, type Node, type Task, type TaskStatus } from '../../src/api/index.ts';
import type { TaskInput } from '../../src/api/gen/types.ts';
import type { AssignmentRecord, TaskRecord, TaskStore } from '../../src/worker/index.ts';

/** A task store that outlives the agents that use it, and no process. */
export class MemoryTaskStore implements TaskStore {
  node: Node | undefined;
  readonly #tasks = new Map<string, Task>();
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #unassigned = new Set<string>();

  get records(): readonly TaskRecord[] {
    return [...this.#tasks.values()].flatMap((task) => {
      const status = this.#statuses.get(task.id);
      if (status === undefined) return [];
      return [{ task, status, isAssigned: !this.#unassigned.has(task.id) }];
    });
  }

  async assign({ assigned, unassigned }: AssignmentRecord): Promise<void> {
    await Promise.resolve();
    for (const task of assigned) {
      const bare = { ...task, status: null } as TaskInput; // The codec does not write to it.
      this.#tasks.set(task.id, codecOf('Task').create(bare));
      this.#unassigned.delete(task.id);
    }
    for (const id of unassigned) this.#unassigned.add(id);
  }

  async putNode(node: Node): Promise<void> {
    await Promise.resolve();
    this.node = node;
  }

  async putStatus(taskId: string, status: TaskStatus): Promise<void> {
    await Promise.resolve();
    this.#statuses.set(taskId, status);
  }

  async forget(taskId: string): Promise<void> {
    await Promise.resolve();
    this.#tasks.delete(taskId);
    this.#statuses.delete(taskId);
    this.#unassigned.delete(taskId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
  }
}
