import {
  type Config,
  type Frozen,
  type Node,
  type Secret,
  type Task,
  type TaskStatus,
} from '../api/index.ts';
import type { AssignmentsMessage } from '../api/gen/types.ts';
import { type Clock, type Log, runTogether, Watch } from '../runtime/index.ts';
import { Dependencies } from './dependencies.ts';
import type { Executor } from './execution.ts';
import type { StatusReporter } from './status-reporter.ts';
import { mayReplace, StartGate, TaskManager } from './task-manager.ts';
import type { TaskStore } from './task-store.ts';

export interface WorkerDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly executor: Executor;
  readonly store: TaskStore;
  readonly reporter: StatusReporter;
}

/** An Engine that is away when strays are sought is asked again after 1, 2, 4 … seconds. */
const sweepRetryMs = { first: 1_000, max: 30_000 };

/**
 * Holds what is assigned to this node against what runs on it. It resumes from the task store
 * and needs no manager to go on.
 */
export class Worker {
  readonly #deps: WorkerDeps;
  readonly #nodeId: string;
  readonly #gate: StartGate;
  readonly #dependencies = new Dependencies();
  readonly #assigned = new Map<string, Task>();
  readonly #managers = new Map<string, TaskManager>();
  /** What the managers have said of the states of tasks, and no task manager has heard yet. */
  readonly #told = new Map<string, TaskStatus | null>();
  /** Managers that are not running yet. */
  #arrivals: TaskManager[] = [];
  readonly #changes = new Watch<undefined>();
  readonly #started = new Watch<TaskManager>();
  #isComplete = false;
  #isSwept = false;

  constructor(deps: WorkerDeps, { nodeId }: { readonly nodeId: string }) {
    this.#deps = deps;
    this.#nodeId = nodeId;
    this.#gate = new StartGate(deps.clock);
    if (deps.store.node !== undefined) this.#configure(deps.store.node);
    for (const { task, status, isAssigned } of deps.store.records) {
      if (status === undefined) continue;
      deps.reporter.report({ taskId: task.id, status });
      this.#add(task, status);
      if (isAssigned) this.#assigned.set(task.id, task);
    }
  }

  /** The tasks of this node, dead ones included. */
  get tasks(): Iterable<TaskManager> {
    return this.#managers.values();
  }

  /** Tells of each task that comes to this node. */
  get started(): Pick<Watch<TaskManager>, 'subscribe'> {
    return this.#started;
  }

  /** Runs the tasks. Aborted, it leaves their containers as they are. */
  async run(signal: AbortSignal): Promise<void> {
    await runTogether(signal, [
      async (inner) => this.#supervise(inner),
      async (inner) => this.#sweep(inner),
    ]);
  }

  /**
   * Takes over what a manager assigns. What is wrong with a single task is that task's failure,
   * never the worker's.
   */
  async apply({ type, changes }: Frozen<AssignmentsMessage>): Promise<void> {
    const isComplete = type === 'COMPLETE';
    const { tasks, ...dependencies } = sorted(changes);
    this.#dependencies.apply(dependencies, isComplete);
    const gone = new Set(isComplete ? this.#assigned.keys() : []);
    const assigned: Task[] = [];
    for (const [id, task] of tasks) {
      if (task === undefined) gone.add(id);
      else {
        gone.delete(id);
        this.#told.set(id, task.status);
        const known = this.#assigned.get(id);
        if (known === undefined || mayReplace(known, task)) assigned.push(task);
      }
    }
    const unassigned = [...gone].filter((id) => this.#assigned.delete(id));
    for (const task of assigned) this.#assigned.set(task.id, task);
    await this.#deps.store.assign({ assigned, unassigned });
    if (isComplete) this.#isComplete = true;
    this.#changes.publish(undefined);
  }

  /** Takes this node's object as the managers have it. Tasks that resume are told of it too. */
  async configure(node: Node): Promise<void> {
    this.#configure(node);
    await this.#deps.store.putNode(node);
  }

  /** Resolves once no task and no container of this node is left. */
  async emptied(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#isSwept && this.#managers.size === 0, signal);
  }

  #configure(node: Node): void {
    try {
      this.#deps.executor.configure(node);
    } catch (error) {
      this.#deps.log.error({ err: error }, 'node cannot be configured');
    }
  }

  /** Runs a manager per task, as tasks come and go. */
  async #supervise(signal: AbortSignal): Promise<void> {
    // One signal for each: a listener per task on a common one looks like a leak to Node.
    const running = new Map<Promise<void>, AbortController>();
    using changes = this.#changes.subscribe(undefined, 1);
    try {
      for (;;) {
        this.#reconcile();
        for (const manager of this.#arrivals.splice(0)) {
          const life = new AbortController();
          const ended = this.#live(manager, life.signal).finally(() => running.delete(ended));
          running.set(ended, life);
        }
        await changes.changed(signal);
        changes.drain();
      }
    } finally {
      for (const life of running.values()) life.abort(signal.reason);
      await Promise.all(running.keys());
    }
  }

  #reconcile(): void {
    for (const [id, task] of this.#assigned) {
      const manager = this.#managers.get(id);
      if (manager === undefined) this.#started.publish(this.#add(task, undefined));
      else if (manager.task !== task) manager.update(task);
    }
    for (const [id, status] of this.#told) this.#managers.get(id)?.confirm(status);
    this.#told.clear();
    for (const [id, manager] of this.#managers) {
      if (!this.#assigned.has(id)) manager.remove();
    }
  }

  #add(task: Task, status: TaskStatus | undefined): TaskManager {
    const { clock, log, executor } = this.#deps;
    const manager = new TaskManager(
      {
        clock,
        log,
        executor,
        gate: this.#gate,
        dependenciesOf: (of) => this.#dependencies.of(of),
        publish: async (taskId, newest) => this.#publish(taskId, newest),
      },
      task,
      status,
    );
    this.#managers.set(task.id, manager);
    this.#arrivals.push(manager);
    return manager;
  }

  /** Keeps a status before it tells it, so that nothing told is forgotten by a restart. */
  async #publish(taskId: string, status: TaskStatus): Promise<void> {
    await this.#deps.store.putStatus(taskId, status);
    this.#deps.reporter.report({ taskId, status });
  }

  /** One task from its coming to its removal. Never rejects. */
  async #live(manager: TaskManager, signal: AbortSignal): Promise<void> {
    const { id } = manager.task;
    const { store, reporter, log } = this.#deps;
    try {
      if (!manager.isLeaving) await store.putStatus(id, manager.status);
      await manager.run(signal);
      reporter.forget(id);
      await store.forget(id);
      this.#managers.delete(id);
      const again = this.#assigned.get(id);
      if (again !== undefined) await store.assign({ assigned: [again], unassigned: [] });
      this.#changes.publish(undefined);
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, 'task.id': id }, 'task is no longer driven');
    }
  }

  /**
   * Removes the containers of tasks that nobody knows any longer, such as those of a lost task
   * store: once, after a manager has said for the first time what this node is to run.
   */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { executor, log } = this.#deps;
    await this.#until(() => this.#isComplete, signal);
    const ids = await this.#persist(async () => executor.taskIds(this.#nodeId, signal), signal);
    const strays = ids.filter((id) => !this.#managers.has(id) && !this.#assigned.has(id));
    const removals = strays.map(async (id) => {
      log.info({ 'task.id': id }, 'container of an unknown task is removed');
      await this.#persist(async () => executor.removeStray(id, signal), signal);
    });
    await Promise.all(removals);
    this.#isSwept = true;
    this.#changes.publish(undefined);
  }

  /** What the Engine answers, however often it has to be asked. */
  async #persist<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, log } = this.#deps;
    for (let waitMs = sweepRetryMs.first; ; waitMs = Math.min(waitMs * 2, sweepRetryMs.max)) {
      try {
        return await ask();
      } catch (error) {
        signal.throwIfAborted();
        log.warn({ err: error }, 'containers of unknown tasks are still there');
        await clock.sleep(waitMs, signal);
      }
    }
  }

  async #until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
    using changes = this.#changes.subscribe(undefined, 1);
    while (!isSo()) {
      await changes.changed(signal);
      changes.drain();
    }
  }
}

interface SortedChanges {
  /** The last word on each task: `undefined` if it is assigned no longer. */
  readonly tasks: ReadonlyMap<string, Task | undefined>;
  readonly secrets: readonly Secret[];
  readonly configs: readonly Config[];
  readonly removedSecretIds: readonly string[];
  readonly removedConfigIds: readonly string[];
}

/** Changes by kind. What says nothing, or is of a kind this node does not run, is left out. */
function sorted(changes: Frozen<AssignmentsMessage>['changes']): SortedChanges {
  const tasks = new Map<string, Task | undefined>();
  const secrets: Secret[] = [];
  const configs: Config[] = [];
  const removedSecretIds: string[] = [];
  const removedConfigIds: string[] = [];
  for (const { assignment, action } of changes) {
    const isRemoval = action === 'REMOVE';
    const { task, secret, config } = assignment ?? {};
    if (task && task.id !== '') tasks.set(task.id, isRemoval ? undefined : task);
    if (secret && isRemoval) removedSecretIds.push(secret.id);
    else if (secret) secrets.push(secret);
    if (config && isRemoval) removedConfigIds.push(config.id);
    else if (config) configs.push(config);
  }
  return { tasks, secrets, configs, removedSecretIds, removedConfigIds };
}
