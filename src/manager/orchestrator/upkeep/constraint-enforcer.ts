import { isEqual, type Node } from '../../../api/index.ts';
import { changesOf, type StoreEvent } from '../../store/events.ts';
import { type Loop, type LoopDeps, runLoop } from '../event-loop.ts';
import type { Change } from '../replace.ts';
import { statusOf } from '../slots.ts';
import { isEnforced, planEnforcement } from './plan-enforcement.ts';

/**
 * Rejects tasks whose node no longer meets their constraints or has too little left for them; the
 * orchestrators then place them elsewhere. swarmkit manager/orchestrator/constraintenforcer
 */
export async function runConstraintEnforcer(deps: LoopDeps, signal: AbortSignal): Promise<void> {
  await runLoop(deps, new ConstraintEnforcer(deps), signal);
}

class ConstraintEnforcer implements Loop {
  readonly #deps: LoopDeps;
  readonly #nodes = new Set<string>();

  constructor(deps: LoopDeps) {
    this.#deps = deps;
  }

  readonly wants = changesOf('node');

  note(event: StoreEvent): void {
    if (event.action === 'committed' || event.kind !== 'node' || event.action === 'removed') return;
    if (event.old === undefined || !isSamePlace(event.old, event.object)) {
      this.#nodes.add(event.object.id);
    }
  }

  noteAll(): void {
    for (const { id } of this.#deps.store.view((view) => view.find('node'))) this.#nodes.add(id);
  }

  nextAt(): number {
    return Infinity;
  }

  async work(): Promise<void> {
    const nodes = [...this.#nodes];
    this.#nodes.clear();
    await this.#deps.store.batch(this.#changes(nodes));
  }

  *#changes(nodeIds: readonly string[]): Iterable<Change> {
    for (const nodeId of nodeIds) {
      const rejected = this.#deps.store.view((view) => {
        const node = view.get('node', nodeId);
        const tasks = view.find('task', { by: 'node', nodeId });
        return node === undefined
          ? []
          : planEnforcement(node, tasks, (task) => view.get('service', task.serviceId));
      });
      for (const { id } of rejected) yield this.#reject(id);
    }
  }

  #reject(id: string): Change {
    return (tx) => {
      const task = tx.get('task', id);
      if (task === undefined || !isEnforced(task)) return;
      const rejected = statusOf(
        'REJECTED',
        'task rejected by constraint enforcer',
        this.#deps.clock.now(),
      );
      const err = 'assigned node no longer meets constraints';
      const status = { ...task.status, ...rejected, err };
      tx.update('task', { ...task, status });
    };
  }
}

/** Whether nothing about a node has changed that a constraint or a reservation can name. */
const isSamePlace = (a: Node, b: Node): boolean =>
  a.role === b.role &&
  a.status?.addr === b.status?.addr &&
  isEqual(a.spec, b.spec) &&
  isEqual(a.description, b.description);
