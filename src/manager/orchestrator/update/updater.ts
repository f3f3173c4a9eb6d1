import type { Service } from '../../../api/index.ts';
import type { Random } from '../../../runtime/index.ts';
import { changesOf, type StoreEvent } from '../../store/events.ts';
import type { ReadView } from '../../store/view.ts';
import { Alarms } from '../alarms.ts';
import { type Loop, type LoopDeps, runLoop } from '../event-loop.ts';
import { isGlobal } from '../plan-global.ts';
import { replicasOf } from '../plan-replicated.ts';
import { isPaused } from './plan-update.ts';
import type { Change } from '../replace.ts';
import { ServiceUpdate } from './service-update.ts';

export interface UpdaterDeps extends LoopDeps {
  readonly random: Random;
}

/**
 * Brings the tasks of services up to date with their specs, a few at a time, and back again if
 * that goes wrong. A service is looked at when its spec changes, and, while it is being updated,
 * when one of its tasks does. swarmkit manager/orchestrator/update
 */
export async function runUpdater(deps: UpdaterDeps, signal: AbortSignal): Promise<void> {
  await runLoop(deps, new Updater(deps), signal);
}

class Updater implements Loop {
  readonly #deps: UpdaterDeps;
  readonly #updates = new Map<string, ServiceUpdate>();
  readonly #alarms = new Alarms();
  readonly #noted = new Set<string>();

  constructor(deps: UpdaterDeps) {
    this.#deps = deps;
  }

  readonly wants = changesOf('service', 'task', 'node');

  note(event: StoreEvent): void {
    if (event.action === 'committed') return;
    if (event.kind === 'service') this.#noted.add(event.object.id);
    if (event.kind === 'task' && this.#updates.has(event.object.serviceId)) {
      this.#noted.add(event.object.serviceId);
    }
    const isServedAgain =
      event.kind === 'node' &&
      event.object.spec?.availability === 'ACTIVE' &&
      event.old?.spec?.availability !== 'ACTIVE';
    if (isServedAgain) this.#noteAllOf(isGlobal);
  }

  noteAll(): void {
    this.#noteAllOf(() => true);
  }

  nextAt(): number {
    return this.#alarms.next();
  }

  async work(): Promise<void> {
    const ids = new Set([...this.#noted, ...this.#alarms.takeDue(this.#deps.clock.monotonic())]);
    this.#noted.clear();
    await this.#deps.store.batch(this.#changes(ids));
    for (const id of ids) {
      const update = this.#updates.get(id);
      if (update?.isOver === true) this.#updates.delete(id);
      if (update === undefined || update.isOver) this.#alarms.clear(id);
      else this.#alarms.set(id, update.wakeAt());
    }
  }

  #noteAllOf(which: (service: Service) => boolean): void {
    const services = this.#deps.store.view((view) => view.find('service'));
    for (const service of services) if (which(service)) this.#noted.add(service.id);
  }

  *#changes(ids: Iterable<string>): Iterable<Change> {
    for (const id of ids) {
      yield (tx) => {
        this.#refresh(tx, id);
      };
      const update = this.#updates.get(id);
      if (update !== undefined) yield* update.changes();
    }
  }

  /** Sees to it that the update of a service, if it has one, is the one that its spec asks for. */
  #refresh(view: ReadView, id: string): void {
    const service = view.get('service', id);
    const isUpdatable =
      service !== undefined && (isGlobal(service) || replicasOf(service) !== undefined);
    if (!isUpdatable || isPaused(service)) {
      this.#updates.delete(id);
    } else if (this.#updates.get(id)?.isFor(service) !== true) {
      this.#updates.set(id, new ServiceUpdate(this.#deps, service));
    }
  }
}
