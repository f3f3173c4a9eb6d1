import {
  isEqual,
  isTerminal,
  mayAdvance,
  stateNumber,
  type Task,
  type TaskStatus,
  timestampFromMs,
} from '../../api/index.ts';
import { type Clock, type Log, orAborted } from '../../runtime/index.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/view.ts';

/** Once so many reports wait, callers wait for the write in hand. swarmkit manager/dispatcher */
const waitingMax = 10_000;

/** Longer texts are cut: a status must never be too large for a transaction. */
const textMax = 8_192;
const portsMax = 1_024;

export interface StatusWriterDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Who writes, as `applied_by` says. */
  readonly self: { readonly nodeId: string };
}

/**
 * Writes what agents report of their tasks. Of several reports on one task the newest counts; they
 * are written together as soon as those before them are committed, so that a first report waits
 * for nothing and a flood of them makes few transactions.
 */
export class StatusWriter {
  readonly #deps: StatusWriterDeps;
  #waiting = new Map<string, TaskStatus>();
  #wake: () => void = () => undefined;
  #flushed: Promise<void> = Promise.resolve();

  constructor(deps: StatusWriterDeps) {
    this.#deps = deps;
  }

  /** Takes a report. Its caller has checked whose task it is. */
  add(taskId: string, status: TaskStatus): void {
    const known = this.#waiting.get(taskId);
    if (known !== undefined && !mayAdvance(known.state, status.state)) return;
    this.#waiting.set(taskId, bounded(status));
    this.#wake();
  }

  /** Waits for the write in hand, if too many reports wait. */
  async room(caller: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#waiting.size >= waitingMax) await orAborted(this.#flushed, caller.signal);
  }

  /** Writes reports as they come. It ends when the store can no longer be written to. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#waiting.size === 0) await this.#somethingWaits(signal);
      const reports = this.#waiting;
      this.#waiting = new Map();
      this.#flushed = this.#write(reports);
      await this.#flushed;
    }
  }

  async #somethingWaits(signal: AbortSignal): Promise<void> {
    const added = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await orAborted(added, signal);
  }

  async #write(reports: ReadonlyMap<string, TaskStatus>): Promise<void> {
    const { store, clock, log, self } = this.#deps;
    const applied = { appliedBy: self.nodeId, appliedAt: timestampFromMs(clock.now()) };
    const changes = [...reports].map(([taskId, status]) => (tx: Transaction) => {
      const task = tx.get('task', taskId);
      if (task === undefined || !isNews(task, status)) return;
      log.debug({ 'task.id': taskId, 'state.transition': transition(task, status) }, 'task moved');
      tx.update('task', { ...task, status: { ...status, ...applied } });
    });
    await store.batch(changes);
  }
}

/** Whether a report may be written: a task never goes back, and the same need not be said twice. */
function isNews({ status: known }: Task, status: TaskStatus): boolean {
  if (known === null) return true;
  if (!mayAdvance(known.state, status.state)) return false;
  return !isEqual({ ...known, appliedBy: '', appliedAt: null }, status);
}

const transition = (task: Task, { state }: TaskStatus): string =>
  `${task.status?.state ?? 'NEW'}->${state}`;

/** A report with nothing in it that only the manager may say, and nothing too large. */
const bounded = (status: TaskStatus): TaskStatus => ({
  ...status,
  message: status.message.slice(0, textMax),
  err: status.err.slice(0, textMax),
  portStatus: status.portStatus && { ports: status.portStatus.ports.slice(0, portsMax) },
  appliedBy: '',
  appliedAt: null,
});

/** Whether a report is of a state that an agent may reach; a later protocol may know others. */
export const isReportable = ({ state }: TaskStatus): boolean =>
  stateNumber(state) > stateNumber('ASSIGNED') && state !== 'REMOVE' && state !== 'ORPHANED';

/** Ends a task that no agent can be given, with the reason. */
export function rejectTask(
  tx: Transaction,
  {
    taskId,
    reason,
    now,
  }: { readonly taskId: string; readonly reason: string; readonly now: number },
): void {
  const task = tx.get('task', taskId);
  const state = task?.status?.state ?? 'NEW';
  if (task === undefined || isTerminal(state) || !mayAdvance(state, 'REJECTED')) return;
  tx.update('task', {
    ...task,
    status: {
      timestamp: timestampFromMs(now),
      state: 'REJECTED',
      message: 'task rejected by dispatcher',
      err: reason,
      portStatus: null,
      appliedBy: '',
      appliedAt: null,
    },
  });
}

/** Gives up a task on a node that has been away for too long. */
export function orphanTask(tx: Transaction, taskId: string, now: number): void {
  const task = tx.get('task', taskId);
  const status = task?.status;
  if (task === undefined || !status || isTerminal(status.state)) return;
  tx.update('task', {
    ...task,
    status: { ...status, state: 'ORPHANED', timestamp: timestampFromMs(now) },
  });
}
