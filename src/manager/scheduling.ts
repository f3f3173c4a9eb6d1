import { compareStates, type Task, timestampFromMs, versionOf } from '../api/index.ts';
import { type Clock, type Log, promptTiming, runReconcileLoop } from '../runtime/index.ts';
import { ClusterView, type Placement, type Refusal, schedule } from '../scheduler/index.ts';
import { changesOf, type StoreEvent } from './store/events.ts';
import type { Store } from './store/store.ts';
import type { Transaction } from './store/view.ts';

export interface SchedulingDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

type Status = NonNullable<Task['status']>;

/** What the allocator says of a task it passes on; the reasons why it waits are added to it. */
const waiting = 'pending task scheduling';

/**
 * Gives waiting tasks a node: PENDING to ASSIGNED. Those that find none are told why, and are
 * tried again when something changes that may help. A leader's loop.
 */
export async function runScheduling(deps: SchedulingDeps, signal: AbortSignal): Promise<void> {
  const { store, clock, log } = deps;
  using changes = store.subscribe(changesOf('node', 'task'));
  const read = (): ClusterView =>
    store.view((view) => ClusterView.from(view.find('node'), view.find('task')));
  let view = read();

  await runReconcileLoop(
    { clock, timing: promptTiming },
    async (inner) => changes.changed(inner),
    async () => {
      const events = changes.drain();
      if (events === 'resync') view = read();
      else if (!applyAll(view, events)) return;

      const now = clock.now();
      const { placements, refusals } = schedule(view, now);
      await store.batch([
        ...[...view.outdated.values()].map((task) => (tx: Transaction) => {
          stop(tx, { task, now });
        }),
        ...placements.map((placement) => (tx: Transaction) => {
          assign(tx, { placement, now });
        }),
        ...refusals.map((refusal) => (tx: Transaction) => {
          refuse(tx, { refusal, now });
        }),
      ]);
      const counts = { assigned: placements.length, waiting: refusals.length };
      if (placements.length + refusals.length > 0) log.debug(counts, 'tasks scheduled');
    },
    signal,
  );
}

/** Takes every event in; tells whether one of them calls for decisions. No event does, too. */
function applyAll(view: ClusterView, events: readonly StoreEvent[]): boolean {
  let isDue = events.length === 0;
  for (const event of events) {
    if (event.action === 'committed') continue;
    if (event.kind === 'node' || event.kind === 'task') isDue = view.apply(event) || isDue;
  }
  return isDue;
}

/**
 * Assigns a task, unless it or its node has changed since the decision: their change is on its way
 * here and brings the task up again.
 */
function assign(
  tx: Transaction,
  { placement, now }: { readonly placement: Placement; readonly now: number },
): void {
  const task = stillWaiting(tx, placement.task);
  const node = tx.get('node', placement.node.id);
  if (task === undefined || node === undefined) return;
  if (compareStates(task.desiredState, 'COMPLETE') > 0) return;
  if (versionOf(node) !== versionOf(placement.node)) return;
  const message =
    task.nodeId === ''
      ? 'scheduler assigned task to node'
      : 'scheduler confirmed task can run on preassigned node';
  tx.update('task', {
    ...task,
    nodeId: node.id,
    assignedGenericResources: placement.genericResources,
    status: statusOf({ state: 'ASSIGNED', message, now }),
  });
}

/** Says why a task waits, if it does not say so already. */
function refuse(
  tx: Transaction,
  { refusal, now }: { readonly refusal: Refusal; readonly now: number },
): void {
  const task = stillWaiting(tx, refusal.task);
  if (task === undefined) return;
  const isOrphan = task.serviceId !== '' && tx.get('service', task.serviceId) === undefined;
  if (isOrphan) return; // It goes with its service.
  const { isPreassigned, explanation } = refusal;
  const { summary, detail } = explanation;
  const sentence = summary === '' ? 'no suitable node' : `no suitable node (${summary})`;
  const err = isPreassigned ? summary : sentence;
  const message = detail === '' ? waiting : `${waiting}; ${detail}`;
  if (task.status?.err === err && task.status.message === message) return;
  tx.update('task', { ...task, status: statusOf({ state: 'PENDING', message, err, now }) });
}

/** Ends a task that nobody wants any more and that no node has heard of. */
function stop(tx: Transaction, { task, now }: { readonly task: Task; readonly now: number }): void {
  const current = stillWaiting(tx, task);
  if (current === undefined || compareStates(current.desiredState, 'COMPLETE') <= 0) return;
  const status = statusOf({ state: 'SHUTDOWN', message: 'shutdown', now });
  tx.update('task', { ...current, status });
}

/** The task as it is now, if it still waits as it did when the decision was made. */
function stillWaiting(tx: Transaction, decided: Task): Task | undefined {
  const task = tx.get('task', decided.id);
  const waits = task?.status?.state === 'PENDING' && task.nodeId === decided.nodeId;
  return waits ? task : undefined;
}

interface NewStatus {
  readonly state: Status['state'];
  readonly message: string;
  readonly err?: string;
  readonly now: number;
}

const statusOf = ({ state, message, err = '', now }: NewStatus): Status => ({
  state,
  message,
  err,
  timestamp: timestampFromMs(now),
  portStatus: null,
  appliedBy: '',
  appliedAt: null,
});
