import type { RaftId } from '../../raft/index.ts';
import { type Clock, type Log } from '../../runtime/index.ts';
import { changesOf } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import { deadAfterMs, deadMember } from './plan-dead-managers.ts';
import { desiredRoleOf } from './plan-roles.ts';
import type { RaftGroup } from './role-manager.ts';

interface Deps {
  readonly store: Pick<Store, 'view' | 'subscribe' | 'update'>;
  readonly raft: Pick<RaftGroup, 'members'>;
  readonly clock: Clock;
  readonly log: Log;
}

const lookMs = 1_000;

/**
 * Demotes managers that were silent for as long as the swarm says, once they have been replaced. A
 * leader's loop; it does nothing in a swarm that has not asked for it.
 *
 * Only the wish is written. The role manager takes the member out of the group, if the others have a
 * quorum without it; and the node, should it come back, is a worker.
 */
export async function runDeadManagers(
  { store, raft, clock, log }: Deps,
  signal: AbortSignal,
): Promise<void> {
  using changes = store.subscribe(changesOf('cluster'));
  const silentSince = new Map<RaftId, number>();
  while (!signal.aborted) {
    changes.drain();
    const limitMs = store.view((view) =>
      deadAfterMs(view.find('cluster')[0]?.spec?.annotations?.labels),
    );
    if (limitMs === undefined) {
      silentSince.clear();
      await changes.changed(signal);
      continue;
    }
    const now = clock.monotonic();
    const members = raft.members();
    for (const { raftId, isReachable } of members) {
      if (isReachable) silentSince.delete(raftId);
      else if (!silentSince.has(raftId)) silentSince.set(raftId, now);
    }
    const silentMs = (raftId: RaftId): number => now - (silentSince.get(raftId) ?? now);
    const nodeOf = (nodeId: string) => store.view((view) => view.get('node', nodeId));
    // One at a time: the next is judged by the group without it.
    const isLeaving = members.some(({ nodeId }) => desiredRoleOf(nodeOf(nodeId)) === 'WORKER');
    const dead = isLeaving ? undefined : deadMember(members, silentMs, limitMs);
    if (dead !== undefined) {
      await demote(store, dead.nodeId);
      log.warn({ 'node.id': dead.nodeId, limitMs }, 'a manager that is dead was demoted');
    }
    await clock.sleep(lookMs, signal);
  }
}

async function demote(store: Deps['store'], nodeId: string): Promise<void> {
  await store.update((tx) => {
    const node = tx.get('node', nodeId);
    if (node?.spec === undefined || node.spec === null) return;
    tx.update('node', { ...node, spec: { ...node.spec, desiredRole: 'WORKER' } });
  });
}
