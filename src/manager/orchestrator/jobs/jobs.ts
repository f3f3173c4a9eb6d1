import { isTerminal, type Task } from '../../../api/index.ts';
import { changesOf, type StoreEvent } from '../../store/events.ts';
import type { Transaction } from '../../store/view.ts';
import { type Loop, runLoop } from '../event-loop.ts';
import { needsRestart } from '../plan-restart.ts';
import { advanceDesired, type Change, createTask, restartTask } from '../replace.ts';
import type { OrchestratorDeps } from '../replicated.ts';
import { isInvalidNode, isWanted, stateOf } from '../slots.ts';
import { isGlobalJob, isJob, type JobPlan, planJob } from './plan-jobs.ts';

/**
 * Brings jobs to their end, both those of so many completions and those of one on each node.
 * Unlike swarmkit's, a global job is taken up by a node that comes later.
 */
export async function runJobs(deps: OrchestratorDeps, signal: AbortSignal): Promise<void> {
  await runLoop(deps, new Jobs(deps), signal);
}

class Jobs implements Loop {
  readonly #deps: OrchestratorDeps;
  readonly #services = new Set<string>();
  readonly #tasks = new Set<string>();

  constructor(deps: OrchestratorDeps) {
    this.#deps = deps;
  }

  readonly wants = changesOf('service', 'task', 'node');

  note(event: StoreEvent): void {
    if (event.action === 'committed') return;
    const isRemoved = event.action === 'removed';
    if (event.kind === 'service' && !isRemoved && isJob(event.object)) {
      this.#services.add(event.object.id);
    }
    if (event.kind === 'task' && event.object.jobIteration !== null) {
      this.#noteTask(event.object, isRemoved);
    }
    if (event.kind === 'node') {
      this.#noteNode(event.object.id, isRemoved || isInvalidNode(event.object));
    }
  }

  noteAll(): void {
    this.#deps.store.view((view) => {
      for (const service of view.find('service')) {
        if (!isJob(service)) continue;
        this.#services.add(service.id);
        for (const task of view.find('task', { by: 'service', serviceId: service.id })) {
          if (needsRestart(task, view.get('node', task.nodeId))) this.#tasks.add(task.id);
        }
      }
    });
  }

  nextAt(): number {
    return Infinity;
  }

  async work(): Promise<void> {
    const [tasks, services] = [[...this.#tasks], [...this.#services]];
    this.#tasks.clear();
    this.#services.clear();
    await this.#deps.store.batch(this.#changes(tasks, services));
  }

  #noteTask(task: Task, isRemoved: boolean): void {
    if (isTerminal(stateOf(task)) || isRemoved) this.#services.add(task.serviceId);
    if (isTerminal(stateOf(task)) && isWanted(task)) this.#tasks.add(task.id);
  }

  #noteNode(nodeId: string, isInvalid: boolean): void {
    this.#deps.store.view((view) => {
      for (const service of view.find('service')) {
        if (isGlobalJob(service)) this.#services.add(service.id);
      }
      if (!isInvalid) return;
      for (const task of view.find('task', { by: 'node', nodeId })) {
        if (task.jobIteration !== null) this.#tasks.add(task.id);
      }
    });
  }

  *#changes(tasks: readonly string[], services: readonly string[]): Iterable<Change> {
    for (const id of tasks) yield (tx) => this.#restart(tx, id);
    for (const id of services) yield* this.#reconcile(id);
  }

  /** A global job's task is tied to its node; with the node it is let go, by the plan. */
  #restart(tx: Transaction, id: string): void {
    const task = tx.get('task', id);
    const service = tx.get('service', task?.serviceId ?? '');
    if (task === undefined || service === undefined || !isJob(service)) return;
    if (isGlobalJob(service) && isInvalidNode(tx.get('node', task.nodeId))) return;
    restartTask(tx, this.#deps, id);
  }

  *#reconcile(serviceId: string): Iterable<Change> {
    let plan: JobPlan = { create: [], remove: [], stop: [] };
    yield (tx) => {
      const service = tx.get('service', serviceId);
      if (service === undefined || !isJob(service)) return;
      const tasks = tx.find('task', { by: 'service', serviceId });
      plan = planJob(service, tasks, isGlobalJob(service) ? tx.find('node') : []);
    };
    for (const { id } of plan.remove) yield (tx) => advanceDesired(tx, id, 'REMOVE');
    for (const { id } of plan.stop) yield (tx) => advanceDesired(tx, id, 'SHUTDOWN');
    for (const place of plan.create) {
      yield (tx) => {
        const service = tx.get('service', serviceId);
        if (service === undefined) return;
        createTask(tx, this.#deps, service, { place, desiredState: 'COMPLETE' });
      };
    }
  }
}
