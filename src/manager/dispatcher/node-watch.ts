import type { Node } from '../../api/index.ts';
import { type Clock, type Log, runTogether } from '../../runtime/index.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/view.ts';
import type { Absence, Expired, NodeSessions } from './node-sessions.ts';
import { awaitedMessage, longAbsent, markAbsent, tasksInDoubt } from './node-states.ts';
import { rebuiltGraceMs, unknownGraceMs } from './period.ts';
import { orphanTask } from './status-writer.ts';

export interface NodeWatchDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly sessions: NodeSessions;
  /** The heartbeat period as it is configured now. */
  readonly periodMs: () => number;
  /** Tells the streams of a node that its session has ended. */
  readonly sessionEnded: (nodeId: string) => void;
}

/** After so long without a sign of a node its tasks are given up. swarmkit defaultNodeDownPeriod */
const orphanAfterMs = 24 * 60 * 60_000;
const orphanCheckMs = 60_000;

const unknownMessage = 'Node moved to "unknown" state due to leadership change in cluster';
/** What a node says of itself that is down. */
export const absentMessages: Readonly<Record<Absence, string>> = {
  silent: 'heartbeat failure',
  unknown: 'heartbeat failure for node in "unknown" state',
  gone: 'agent stopped and did not come back',
};

/**
 * Says of each node whether it is there. A new leader knows of none: it waits for all that are not
 * down, longer than it will later. From then on a node that is silent for too long is down.
 */
export async function watchNodes(deps: NodeWatchDeps, signal: AbortSignal): Promise<void> {
  await expectAll(deps);
  await runTogether(signal, [
    async (inner) => endRemoved(deps, inner),
    async (inner) => {
      while (!inner.aborted) await markDown(deps, await deps.sessions.nextExpired(inner));
    },
  ]);
}

const isAwaited = ({ status }: Node): boolean => status?.message === awaitedMessage;

async function expectAll({ store, sessions, periodMs }: NodeWatchDeps): Promise<void> {
  const present = store
    .view((view) => view.find('node'))
    .filter(({ status }) => status?.state !== 'DOWN');
  for (const node of present) {
    sessions.expect(node.id, isAwaited(node) ? rebuiltGraceMs : unknownGraceMs(periodMs()));
  }
  await store.batch(
    present.map((node) => (tx: Transaction) => {
      const message = isAwaited(node) ? awaitedMessage : unknownMessage;
      if (sessions.isExpected(node.id)) markAbsent(tx, node.id, 'UNKNOWN', message);
    }),
  );
}

async function markDown(deps: NodeWatchDeps, expired: readonly Expired[]): Promise<void> {
  const { store, sessions, log, sessionEnded } = deps;
  for (const { nodeId, cause } of expired) {
    log.warn({ 'node.id': nodeId, reason: absentMessages[cause] }, 'node is down');
    sessionEnded(nodeId);
  }
  await store.batch(
    expired.map(({ nodeId, cause }) => (tx: Transaction) => {
      if (sessions.has(nodeId)) return; // It came back while others were written.
      markAbsent(tx, nodeId, 'DOWN', absentMessages[cause]);
    }),
  );
}

/** Ends the session of a node that was removed from the swarm. */
async function endRemoved(
  { store, sessions, sessionEnded }: NodeWatchDeps,
  signal: AbortSignal,
): Promise<void> {
  using removals = store.subscribe((event) => event.action === 'removed' && event.kind === 'node');
  while (!signal.aborted) {
    await removals.changed(signal);
    const events = removals.drain();
    if (events === 'resync') continue; // Such a session also ends at its next message.
    for (const event of events) {
      if (event.action === 'committed') continue;
      sessions.close(event.object.id);
      sessionEnded(event.object.id);
    }
  }
}

/** Gives up the tasks of nodes that have been away for a day, every minute. */
export async function giveUpOrphans(
  { store, clock, log }: Pick<NodeWatchDeps, 'store' | 'clock' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const now = clock.now();
    const taskIds = store.view((view) =>
      longAbsent(view, { now, forMs: orphanAfterMs }).flatMap((id) => tasksInDoubt(view, id)),
    );
    if (taskIds.length > 0) log.info({ tasks: taskIds.length }, 'tasks orphaned');
    await store.batch(
      taskIds.map((taskId) => (tx: Transaction) => {
        orphanTask(tx, taskId, now);
      }),
    );
    await clock.sleep(orphanCheckMs, signal);
  }
}
