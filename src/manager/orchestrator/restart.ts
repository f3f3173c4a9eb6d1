import { type Task } from '../../api/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { changesOf, type StoreEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import type { ReadView } from '../store/view.ts';
import { Alarms } from './alarms.ts';
import { type Loop, type LoopDeps, runLoop } from './event-loop.ts';
import { delayedStart, runningStateOf, stillStopping } from './plan-restart.ts';
import { advanceDesired, tasksAt } from './replace.ts';
import { hasStopped, placeKey, placeOf } from './slots.ts';

/**
 * Starts tasks that are wanted READY once what they wait for is over: a restart delay, and the end
 * of the task they replace. It knows nothing of who created them: the replicated, global and job
 * loops and the updater only write such a task, and meet this loop in the store.
 *
 * A task that ends while it is wanted READY is started all the same when its time comes, and only
 * then restarted: so a task that cannot even be prepared is not tried in a tight circle.
 * swarmkit manager/orchestrator/restart
 */
export async function runDelayedStarts(deps: LoopDeps, signal: AbortSignal): Promise<void> {
  await runLoop(deps, new DelayedStarts(deps), signal);
}

/** A task that is wanted READY, and how long it waits; by the monotonic clock. */
interface Waiting {
  readonly place: string;
  readonly dueAt: number;
  readonly patienceEndsAt: number;
}

class DelayedStarts implements Loop {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();
  /** The waiting tasks of a place: one, as a rule. */
  readonly #byPlace = new Map<string, ReadonlySet<string>>();
  readonly #alarms = new Alarms();
  readonly #noted = new Set<string>();

  constructor({ store, clock }: LoopDeps) {
    this.#store = store;
    this.#clock = clock;
  }

  readonly wants = changesOf('task', 'node');

  note(event: StoreEvent): void {
    if (event.action === 'committed') return;
    if (event.kind === 'task') this.#noteTask(event.object);
    if (event.kind === 'node') for (const id of this.#waiting.keys()) this.#noted.add(id);
  }

  noteAll(): void {
    for (const id of this.#waiting.keys()) this.#noted.add(id);
    for (const task of this.#store.view((view) => view.find('task'))) this.#noteTask(task);
  }

  nextAt(): number {
    return this.#alarms.next();
  }

  async work(): Promise<void> {
    const ids = new Set([...this.#noted, ...this.#alarms.takeDue(this.#clock.monotonic())]);
    this.#noted.clear();
    const startable = this.#store.view((view) => [...ids].filter((id) => this.#mayStart(view, id)));
    await this.#store.batch(
      startable.map((id) => (tx) => {
        const task = tx.get('task', id);
        if (task !== undefined) advanceDesired(tx, id, runningStateOf(task));
      }),
    );
  }

  #noteTask(task: Task): void {
    if (task.desiredState === 'READY' || this.#waiting.has(task.id)) this.#noted.add(task.id);
    if (this.#byPlace.size === 0 || !hasStopped(task, undefined)) return;
    const others = this.#byPlace.get(placeKey(task.serviceId, placeOf(task))) ?? [];
    for (const id of others) this.#noted.add(id);
  }

  /** Whether a task's wait is over; if it is not, sees to it that it is asked about again. */
  #mayStart(view: ReadView, id: string): boolean {
    const task = view.get('task', id);
    if (task?.desiredState !== 'READY') {
      this.#forget(id);
      return false;
    }
    const others = tasksAt(view, task.serviceId, placeOf(task));
    const { dueAt, patienceEndsAt } = this.#waiting.get(id) ?? this.#admit(task, others);
    const now = this.#clock.monotonic();
    if (now < dueAt) {
      this.#alarms.set(id, dueAt);
      return false;
    }
    const isBlocked = stillStopping(others, (nodeId) => view.get('node', nodeId)).length > 0;
    if (isBlocked && now < patienceEndsAt) {
      this.#alarms.set(id, patienceEndsAt);
      return false;
    }
    return true;
  }

  #admit(task: Task, others: readonly Task[]): Waiting {
    const { delayMs, patienceMs } = delayedStart(task, others, this.#clock.now());
    const now = this.#clock.monotonic();
    const place = placeKey(task.serviceId, placeOf(task));
    const waiting = { place, dueAt: now + delayMs, patienceEndsAt: now + patienceMs };
    this.#waiting.set(task.id, waiting);
    this.#byPlace.set(place, new Set([...(this.#byPlace.get(place) ?? []), task.id]));
    return waiting;
  }

  #forget(id: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    this.#alarms.clear(id);
    const others = [...(this.#byPlace.get(waiting.place) ?? [])].filter((other) => other !== id);
    if (others.length === 0) this.#byPlace.delete(waiting.place);
    else this.#byPlace.set(waiting.place, new Set(others));
  }
}
