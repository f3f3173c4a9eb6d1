import {
  compareStates,
  isEqual,
  type Service,
  type ServiceSpec,
  type Task,
} from '../../../api/index.ts';
import type { Clock, Random } from '../../../runtime/index.ts';
import type { ReadView, Transaction } from '../../store/view.ts';
import { globalService, isServed } from '../plan-global.ts';
import { filledPlaces, fillingTasks, replicasOf } from '../plan-replicated.ts';
import { stillStopping } from '../plan-restart.ts';
import {
  adoptedTasks,
  completed,
  failed,
  failsUpdate,
  isUnderWay,
  started,
  type UpdateConfig,
  updateConfigOf,
} from './plan-update.ts';
import { advanceDesired, type Change, createTask, tasksAt } from '../replace.ts';
import {
  byPlace,
  isTaskDirty,
  isWanted,
  type Place,
  placeKey,
  placeOf,
  stateOf,
} from '../slots.ts';

/** A place that is being updated. */
interface Work {
  readonly place: Place;
  /** The task that is to run there. */
  readonly taskId: string;
  /** Since it runs: until when the next place waits. */
  restsUntil: number | undefined;
}

/**
 * One update of one service to one spec: which places are done, under way and to come, and which
 * of its tasks failed.
 *
 * All decisions are made inside the transactions that {@link changes} yields. What is kept here is
 * only what the store does not say: since when a task was seen running, and the delay between
 * places. A new leader makes another one, which finds out from the store what is left to do.
 */
export class ServiceUpdate {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #serviceId: string;
  readonly #spec: ServiceSpec | null;
  readonly #config: UpdateConfig;
  #phase: 'new' | 'rolling' | 'monitoring' | 'over' = 'new';
  /** Places that are out of date, in the order in which they are begun. */
  readonly #queue: Place[] = [];
  readonly #working = new Map<string, Work>();
  /** Tasks this update made, and since when each was seen running. */
  readonly #watched = new Map<string, number | undefined>();
  /** How many tasks this update is about. */
  #total = 0;
  #failures = 0;
  /** The task whose failure was one too many. */
  #failedBy: string | undefined;
  #endsAt = Infinity;

  constructor({ clock, random }: { clock: Clock; random: Random }, service: Service) {
    this.#clock = clock;
    this.#random = random;
    this.#serviceId = service.id;
    this.#spec = service.spec;
    this.#config = updateConfigOf(service);
  }

  /** Whether this is the update that a service, as it now is, asks for. */
  isFor(service: Service): boolean {
    return (
      (service.spec === this.#spec || isEqual(service.spec, this.#spec)) &&
      isEqual(updateConfigOf(service), this.#config)
    );
  }

  /** Whether there is nothing left to do. */
  get isOver(): boolean {
    return this.#phase === 'over';
  }

  /** When there is something to do even if nothing happens, by the monotonic clock. */
  wakeAt(): number {
    const rests = [...this.#working.values()].map(({ restsUntil = Infinity }) => restsUntil);
    return Math.min(this.#endsAt, ...rests);
  }

  /**
   * What is to be done now, each change whole in itself; later ones follow from earlier ones. The
   * store may run a change twice before it keeps it: one that writes leaves the same behind then.
   */
  *changes(): Iterable<Change> {
    if (this.#phase === 'new') yield (tx) => this.#begin(tx);
    yield (tx) => this.#watch(tx);
    if (this.#failedBy !== undefined) {
      yield (tx) => this.#giveUp(tx);
      return;
    }
    let settled: readonly Work[] = [];
    yield (tx) => {
      settled = [...this.#working.values()].filter((work) => isSettled(tx, work));
    };
    for (const work of settled) {
      work.restsUntil ??= this.#clock.monotonic() + this.#config.delayMs;
      if (this.#config.order === 'START_FIRST') yield (tx) => this.#stopOthers(tx, work);
    }
    this.#release();
    while (this.#phase === 'rolling' && this.#working.size < this.#config.parallelism) {
      const place = this.#queue.shift();
      if (place === undefined) break;
      yield (tx) => this.#replace(tx, place);
    }
    this.#passOn();
    if (this.isOver) yield (tx) => this.#complete(tx);
  }

  /** Finds out what there is to do. A service with more slots than it wants is scaled down first. */
  #begin(tx: Transaction): void {
    const service = tx.get('service', this.#serviceId);
    if (service === undefined) return;
    const tasks = tx.find('task', { by: 'service', serviceId: service.id });
    const places = filledPlaces(service, tasks);
    if (places.length > (replicasOf(service) ?? Infinity)) return;
    const dirty = places.filter((those) => this.#isDirty(tx, service, those));
    const adopted = adoptedTasks(service, [...byPlace(tasks).values()], this.#config);

    this.#queue.length = 0;
    for (const [task] of dirty) if (task !== undefined) this.#queue.push(placeOf(task));
    for (const task of adopted) this.#adopt(task);
    this.#total = dirty.length + adopted.length;
    this.#phase = 'rolling';
    if (dirty.length > 0 && service.updateStatus === null) {
      tx.update('service', started(service, this.#clock.now()));
    }
  }

  #adopt(task: Task): void {
    this.#watched.set(task.id, undefined);
    if (!isWanted(task) || compareStates(stateOf(task), 'RUNNING') >= 0) return;
    const place = placeOf(task);
    const work = { place, taskId: task.id, restsUntil: undefined };
    this.#working.set(placeKey(this.#serviceId, place), work);
  }

  #isDirty(view: ReadView, service: Service, [task, ...more]: readonly Task[]): boolean {
    if (task === undefined) return false;
    const node = view.get('node', task.nodeId);
    if (replicasOf(service) === undefined && !isServed(globalService(service), node)) return false;
    return more.length > 0 || isTaskDirty(service, task, node);
  }

  /** Notes which tasks run and which have failed, and acts on a failure too many. */
  #watch(tx: Transaction): void {
    const now = this.#clock.monotonic();
    for (const [id, since] of this.#watched) {
      const task = tx.get('task', id);
      const ranMs = since === undefined ? 0 : now - since;
      if (task === undefined) {
        this.#watched.delete(id);
      } else if (failsUpdate(task, ranMs, this.#config)) {
        this.#watched.delete(id);
        this.#failures += 1;
        if (this.#isTooMuch()) this.#failedBy ??= id;
      } else if (compareStates(stateOf(task), 'RUNNING') > 0 || ranMs > this.#config.monitorMs) {
        this.#watched.delete(id);
      } else if (stateOf(task) === 'RUNNING' && since === undefined) {
        this.#watched.set(id, now);
      }
    }
  }

  #isTooMuch(): boolean {
    const { failureAction, failureRatioMax } = this.#config;
    return failureAction !== 'CONTINUE' && this.#failures / this.#total > failureRatioMax;
  }

  #giveUp(tx: Transaction): void {
    this.#phase = 'over';
    const service = this.#service(tx);
    const action = this.#config.failureAction;
    if (service === undefined || action === 'CONTINUE' || this.#failedBy === undefined) return;
    tx.update('service', failed(service, this.#failedBy, { action, nowMs: this.#clock.now() }));
  }

  /** Takes note of places that have rested, so that others may be begun. */
  #release(): void {
    const now = this.#clock.monotonic();
    for (const [key, { restsUntil = Infinity }] of this.#working) {
      const isLast = this.#queue.length === 0 && restsUntil !== Infinity;
      if (now >= restsUntil || isLast) this.#working.delete(key);
    }
  }

  /** Begins to update a place, unless that has become needless. */
  #replace(tx: Transaction, place: Place): void {
    const service = this.#service(tx);
    if (service === undefined) return;
    const present = tasksAt(tx, service.id, place);
    const filling = fillingTasks(service, present);
    if (!this.#isDirty(tx, service, filling)) return;

    const good = filling
      .filter((task) => isWanted(task))
      .filter((task) => !isTaskDirty(service, task, tx.get('node', task.nodeId)));
    const kept = good.find((task) => task.desiredState === 'RUNNING') ?? good[0];
    const isStopFirst = this.#config.order === 'STOP_FIRST';
    if (isStopFirst || (kept !== undefined && stateOf(kept) === 'RUNNING')) {
      for (const { id } of filling) if (id !== kept?.id) advanceDesired(tx, id, 'SHUTDOWN');
    }
    const task = kept ?? this.#successor(tx, service, place);
    if (kept === undefined) this.#watched.set(task.id, undefined);
    const work = { place, taskId: task.id, restsUntil: undefined };
    this.#working.set(placeKey(service.id, place), work);
  }

  /** A new task for a place. Where others have to stop first, it waits for them in READY. */
  #successor(tx: Transaction, service: Service, place: Place): Task {
    const stopping = stillStopping(tasksAt(tx, service.id, place), (id) => tx.get('node', id));
    const waits = this.#config.order === 'STOP_FIRST' && stopping.length > 0;
    const desiredState = waits ? 'READY' : 'RUNNING';
    return createTask(tx, { clock: this.#clock, random: this.#random }, service, {
      place,
      desiredState,
    });
  }

  /** Lets go of what a task replaces, once it runs. */
  #stopOthers(tx: Transaction, { place, taskId }: Work): void {
    if (stateOf(tx.get('task', taskId)) !== 'RUNNING') return;
    for (const other of tasksAt(tx, this.#serviceId, place)) {
      if (other.id !== taskId && isWanted(other)) advanceDesired(tx, other.id, 'SHUTDOWN');
    }
  }

  /** Once every place is done, watches for a while longer. */
  #passOn(): void {
    const now = this.#clock.monotonic();
    if (this.#phase === 'rolling' && this.#queue.length === 0 && this.#working.size === 0) {
      this.#endsAt = this.#total === 0 ? now : now + this.#config.monitorMs;
      this.#phase = 'monitoring';
    }
    if (this.#phase === 'monitoring' && now >= this.#endsAt) this.#phase = 'over';
  }

  #complete(tx: Transaction): void {
    const service = this.#service(tx);
    if (service === undefined || !isUnderWay(service)) return;
    tx.update('service', completed(service, this.#clock.now()));
  }

  /** The service, unless it has gone or has come to ask for something else in the meantime. */
  #service(view: ReadView): Service | undefined {
    const service = view.get('service', this.#serviceId);
    return service !== undefined && this.isFor(service) ? service : undefined;
  }
}

/** Whether the task that is to run in a place does so, or never will: then the next one may. */
function isSettled(view: ReadView, { taskId, restsUntil }: Work): boolean {
  if (restsUntil !== undefined) return false;
  const task = view.get('task', taskId);
  return task === undefined || !isWanted(task) || compareStates(stateOf(task), 'RUNNING') >= 0;
}
