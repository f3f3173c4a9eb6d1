import { isTerminal, type Task } from '../../api/index.ts';
import { changesOf, type StoreEvent } from '../store/events.ts';
import type { Transaction } from '../store/view.ts';
import { runLoop, type Loop } from './event-loop.ts';
import {
  globalService,
  type GlobalService,
  isGlobal,
  isServed,
  planGlobal,
} from './plan-global.ts';
import { needsRestart } from './plan-restart.ts';
import { advanceDesired, type Change, createTask, restartTask, tasksAt } from './replace.ts';
import type { OrchestratorDeps } from './replicated.ts';
import { isWanted, onNode, stateOf } from './slots.ts';

/** Keeps one task of each global service on each node that may have one. */
export async function runGlobal(deps: OrchestratorDeps, signal: AbortSignal): Promise<void> {
  await runLoop(deps, new Global(deps), signal);
}

class Global implements Loop {
  readonly #deps: OrchestratorDeps;
  /** To be looked at on every node. */
  readonly #services = new Set<string>();
  /** To be looked at for every global service. */
  readonly #nodes = new Set<string>();
  readonly #tasks = new Set<string>();

  constructor(deps: OrchestratorDeps) {
    this.#deps = deps;
  }

  readonly wants = changesOf('service', 'task', 'node');

  note(event: StoreEvent): void {
    if (event.action === 'committed') return;
    if (event.kind === 'service' && event.action !== 'removed' && isGlobal(event.object)) {
      this.#services.add(event.object.id);
    }
    if (event.kind === 'node') this.#nodes.add(event.object.id);
    if (event.kind === 'task') this.#noteTask(event.object, event.action === 'removed');
  }

  noteAll(): void {
    this.#deps.store.view((view) => {
      for (const service of view.find('service')) {
        if (!isGlobal(service)) continue;
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
    const [tasks, services, nodes] = [[...this.#tasks], [...this.#services], [...this.#nodes]];
    this.#tasks.clear();
    this.#services.clear();
    this.#nodes.clear();
    await this.#deps.store.batch(this.#changes({ tasks, services, nodes }));
  }

  #noteTask(task: Task, isRemoved: boolean): void {
    if (!isWanted(task) || task.slot !== '0') return;
    if (isRemoved) this.#nodes.add(task.nodeId);
    else if (isTerminal(stateOf(task))) this.#tasks.add(task.id);
  }

  *#changes(noted: {
    readonly tasks: readonly string[];
    readonly services: readonly string[];
    readonly nodes: readonly string[];
  }): Iterable<Change> {
    for (const id of noted.tasks) yield (tx) => this.#restart(tx, id);
    for (const serviceId of noted.services) {
      const nodes = this.#deps.store.view((view) => {
        const tasks = view.find('task', { by: 'service', serviceId });
        return [...tasks.map(({ nodeId }) => nodeId), ...view.find('node').map(({ id }) => id)];
      });
      yield* this.#reconcile(serviceId, new Set(nodes));
    }
    if (noted.nodes.length === 0) return;
    const services = this.#deps.store.view((view) => view.find('service').filter(isGlobal));
    for (const { id } of services) yield* this.#reconcile(id, noted.nodes);
  }

  *#reconcile(serviceId: string, nodeIds: Iterable<string>): Iterable<Change> {
    let read: GlobalService | undefined;
    for (const nodeId of nodeIds) {
      yield (tx) => {
        const service = tx.get('service', serviceId);
        if (service === undefined || !isGlobal(service)) return;
        if (read?.service !== service) read = globalService(service);
        this.#reconcileNode(tx, read, nodeId);
      };
    }
  }

  #reconcileNode(tx: Transaction, read: GlobalService, nodeId: string): void {
    const place = onNode(nodeId);
    const tasks = tasksAt(tx, read.service.id, place);
    const plan = planGlobal(read, tasks, tx.get('node', nodeId));
    for (const { id } of plan.stop) advanceDesired(tx, id, plan.stopAs);
    if (plan.create) createTask(tx, this.#deps, read.service, { place });
  }

  /** A task that ended is restarted where it was; on a node that takes no more it is let go. */
  #restart(tx: Transaction, id: string): void {
    const task = tx.get('task', id);
    const service = tx.get('service', task?.serviceId ?? '');
    if (task === undefined || service === undefined || !isGlobal(service)) return;
    if (isServed(globalService(service), tx.get('node', task.nodeId))) {
      restartTask(tx, this.#deps, id);
    } else if (task.desiredState !== 'READY') {
      advanceDesired(tx, id, 'SHUTDOWN');
    }
  }
}
