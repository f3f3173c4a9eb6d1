import { type Cluster, isTerminal, type Task } from '../../../api/index.ts';
import { changesOf, type StoreEvent } from '../../store/events.ts';
import { Alarms } from '../alarms.ts';
import { type Loop, type LoopDeps, runLoop } from '../event-loop.ts';
import { advanceDesired, type Change, tasksAt } from '../replace.ts';
import { isLeaving, type Place, placeKey, placeOf, stateOf } from '../slots.ts';
import { historyLimit, isForgotten, planHistory } from './plan-reaper.ts';

/** The history of places is looked at in rounds: this long after a first task came or ended. */
const roundMs = 250;
/** Or as soon as so many places are to be looked at. */
const placesMax = 1_000;

/**
 * Forgets tasks: those of removed services, once they have stopped, and of every place those that
 * its history has no room for. swarmkit manager/orchestrator/taskreaper
 */
export async function runTaskReaper(deps: LoopDeps, signal: AbortSignal): Promise<void> {
  await runLoop(deps, new TaskReaper(deps), signal);
}

/** A place of a service whose history may have grown. */
interface Noted {
  readonly serviceId: string;
  readonly place: Place;
}

class TaskReaper implements Loop {
  readonly #deps: LoopDeps;
  readonly #places = new Map<string, Noted>();
  readonly #tasks = new Set<string>();
  /** Services that are gone, whose tasks have to go. */
  readonly #services = new Set<string>();
  readonly #alarms = new Alarms();

  constructor(deps: LoopDeps) {
    this.#deps = deps;
  }

  readonly wants = changesOf('service', 'task', 'node', 'cluster');

  note(event: StoreEvent): void {
    if (event.action === 'committed') return;
    if (event.kind === 'service' && event.action === 'removed') {
      this.#services.add(event.object.id);
    }
    if (event.kind === 'node' && event.action === 'removed') this.#noteNode(event.object.id);
    if (event.kind === 'task' && event.action !== 'removed') {
      this.#noteTask(event.object, event.action === 'created');
    }
    if (event.kind === 'cluster' && limitOf(event.object) !== limitOf(event.old)) this.noteAll();
  }

  noteAll(): void {
    this.#deps.store.view((view) => {
      for (const task of view.find('task')) {
        this.#noteTask(task, true);
        const isOrphan = task.serviceId !== '' && !view.get('service', task.serviceId);
        if (isOrphan) this.#services.add(task.serviceId);
      }
    });
  }

  nextAt(): number {
    return this.#alarms.next();
  }

  async work(): Promise<void> {
    const now = this.#deps.clock.monotonic();
    const isRound = this.#alarms.takeDue(now).length > 0 || this.#places.size > placesMax;
    const places = isRound ? [...this.#places.values()] : [];
    const [tasks, services] = [[...this.#tasks], [...this.#services]];
    if (isRound) this.#places.clear();
    this.#tasks.clear();
    this.#services.clear();
    await this.#deps.store.batch(this.#changes({ tasks, services, places }));
  }

  #noteNode(nodeId: string): void {
    const tasks = this.#deps.store.view((view) => view.find('task', { by: 'node', nodeId }));
    for (const { id } of tasks) this.#tasks.add(id);
  }

  #noteTask(task: Task, isNew: boolean): void {
    if (isLeaving(task) || task.serviceId === '') this.#tasks.add(task.id);
    const mayTrim = isNew || isTerminal(stateOf(task));
    if (!mayTrim || task.serviceId === '') return;
    const place = placeOf(task);
    if (this.#places.size === 0) this.#alarms.set('round', this.#deps.clock.monotonic() + roundMs);
    this.#places.set(placeKey(task.serviceId, place), { serviceId: task.serviceId, place });
  }

  *#changes(noted: {
    readonly tasks: readonly string[];
    readonly services: readonly string[];
    readonly places: readonly Noted[];
  }): Iterable<Change> {
    for (const serviceId of noted.services) {
      const tasks = this.#deps.store.view((view) =>
        view.find('task', { by: 'service', serviceId }),
      );
      for (const { id } of tasks) yield (tx) => advanceDesired(tx, id, 'REMOVE');
    }
    for (const id of noted.tasks) {
      yield (tx) => {
        const task = tx.get('task', id);
        if (task === undefined) return;
        const hasNode = tx.get('node', task.nodeId) !== undefined;
        if (isForgotten(task, hasNode)) tx.remove('task', id);
      };
    }
    for (const place of noted.places) yield* this.#trim(place);
  }

  *#trim({ serviceId, place }: Noted): Iterable<Change> {
    const surplus = this.#deps.store.view((view) => {
      const service = view.get('service', serviceId);
      if (service === undefined) return [];
      const limit = historyLimit(service, view.find('cluster')[0]);
      return planHistory(tasksAt(view, serviceId, place), limit);
    });
    for (const { id } of surplus) {
      yield (tx) => {
        if (tx.get('task', id) !== undefined) tx.remove('task', id);
      };
    }
  }
}

const limitOf = (cluster: Cluster | undefined): string | undefined =>
  cluster?.spec?.orchestration?.taskHistoryRetentionLimit;
