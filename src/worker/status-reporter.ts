import { mayAdvance, type TaskStatus } from '../api/index.ts';
import { Watch } from '../runtime/index.ts';

/** The status of one task, as it is to be told to a manager. */
export interface TaskReport {
  readonly taskId: string;
  readonly status: TaskStatus;
}

/** At most so many statuses go in one call: a few hundred bytes each, far below 4 MiB. */
const batchMax = 1_000;

/**
 * What the managers are to know of this node's tasks: the newest status of each, never an earlier
 * state after a later one, until one of them has accepted it.
 */
export class StatusReporter {
  readonly #statuses = new Map<string, TaskStatus>();
  /** IDs of tasks whose status no manager has accepted yet, the longest waiting first. */
  readonly #pending = new Set<string>();
  readonly #watch = new Watch<undefined>();
  readonly #changes = this.#watch.subscribe(undefined, 1);

  /** Takes the newest status of a task. One of an earlier state is ignored. */
  report({ taskId, status }: TaskReport): void {
    const known = this.#statuses.get(taskId);
    if (known !== undefined && !mayAdvance(known.state, status.state)) return;
    this.#statuses.set(taskId, status);
    this.#pending.add(taskId);
    this.#watch.publish(undefined);
  }

  /** A task is gone: nothing more is told of it. */
  forget(taskId: string): void {
    this.#statuses.delete(taskId);
    this.#pending.delete(taskId);
  }

  /** Everything known is to be told again, as a manager must be after each registration. */
  reportAll(): void {
    for (const taskId of this.#statuses.keys()) this.#pending.add(taskId);
    if (this.#pending.size > 0) this.#watch.publish(undefined);
  }

  /** Resolves once {@link pending} has something to give. */
  async changed(signal: AbortSignal): Promise<void> {
    while (this.#pending.size === 0) {
      this.#changes.drain();
      await this.#changes.changed(signal);
    }
  }

  /** What is to be told next, in one call. It stays pending until it was {@link accepted}. */
  pending(): readonly TaskReport[] {
    const reports: TaskReport[] = [];
    for (const taskId of this.#pending) {
      const status = this.#statuses.get(taskId);
      if (status !== undefined) reports.push({ taskId, status });
      if (reports.length === batchMax) break;
    }
    return reports;
  }

  /** A manager has these: what changed meanwhile stays pending. */
  accepted(reports: readonly TaskReport[]): void {
    for (const { taskId, status } of reports) {
      if (this.#statuses.get(taskId) === status) this.#pending.delete(taskId);
    }
  }
}
