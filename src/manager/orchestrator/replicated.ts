import { isTerminal, type Task } from '../../api/index.ts';
import type { Random } from '../../runtime/index.ts';
import { changesOf, type StoreEvent } from '../store/events.ts';
import type { Transaction } from '../store/view.ts';
import { type Loop, type LoopDeps, runLoop } from './event-loop.ts';
import {
  fillingTasks,
  planReplicated,
  type ReplicatedPlan,
  replicasOf,
} from './plan-replicated.ts';
import { needsRestart } from './plan-restart.ts';
import { advanceDesired, type Change, createTask, restartTask, tasksAt } from './replace.ts';
import { isInvalidNode, isWanted, numbered, stateOf } from './slots.ts';

export interface OrchestratorDeps extends LoopDeps {
  readonly random: Random;
}

/**
 * Keeps replicated services at their number of tasks: fills and empties slots, and restarts tasks
 * that ended or lost their node.
 */
export async function runReplicated(deps: OrchestratorDeps, signal: AbortSignal): Promise<void> {
  await runLoop(deps, new Replicated(deps), signal);
}

class Replicated implements Loop {
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
    if (event.kind === 'service' && !isRemoved) this.#services.add(event.object.id);
    if (event.kind === 'task') this.#noteTask(event.object, isRemoved, event.old);
    if (event.kind === 'node' && (isRemoved || isInvalidNode(event.object))) {
      this.#noteNode(event.object.id);
    }
  }

  noteAll(): void {
    this.#deps.store.view((view) => {
      for (const { id } of view.find('service')) this.#services.add(id);
      for (const task of view.find('task')) {
        if (needsRestart(task, view.get('node', task.nodeId))) this.#tasks.add(task.id);
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

  #noteTask(task: Task, isRemoved: boolean, old: Task | undefined): void {
    if (!isWanted(task)) return;
    if (isRemoved) this.#services.add(task.serviceId);
    else if (isTerminal(stateOf(task)) || task.nodeId !== old?.nodeId) this.#tasks.add(task.id);
  }

  #noteNode(nodeId: string): void {
    const tasks = this.#deps.store.view((view) => view.find('task', { by: 'node', nodeId }));
    for (const task of tasks) if (isWanted(task)) this.#tasks.add(task.id);
  }

  *#changes(tasks: readonly string[], services: readonly string[]): Iterable<Change> {
    for (const id of tasks) yield (tx) => this.#restart(tx, id);
    for (const id of services) yield* this.#reconcile(id);
  }

  #restart(tx: Transaction, id: string): void {
    const service = tx.get('service', tx.get('task', id)?.serviceId ?? '');
    if (service !== undefined && replicasOf(service) !== undefined) {
      restartTask(tx, this.#deps, id);
    }
  }

  /** Plans over the state as it is then, and carries the plan out task by task. */
  *#reconcile(serviceId: string): Iterable<Change> {
    let plan: ReplicatedPlan = { create: [], remove: [] };
    yield (tx) => {
      const service = tx.get('service', serviceId);
      if (service === undefined || replicasOf(service) === undefined) return;
      plan = planReplicated(service, tx.find('task', { by: 'service', serviceId }));
    };
    for (const slot of plan.create) yield (tx) => this.#fill(tx, serviceId, slot);
    for (const { id } of plan.remove) yield (tx) => advanceDesired(tx, id, 'REMOVE');
  }

  #fill(tx: Transaction, serviceId: string, slot: number): void {
    const service = tx.get('service', serviceId);
    if (service === undefined) return;
    const place = numbered(slot);
    if (fillingTasks(service, tasksAt(tx, serviceId, place)).length > 0) return;
    createTask(tx, this.#deps, service, { place });
  }
}
