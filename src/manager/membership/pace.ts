import type { Cluster } from '../../api/index.ts';
import type { RaftDriver, RaftDriverConfig } from '../../raft/index.ts';
import { changesOf } from '../store/events.ts';
import type { Store } from '../store/store.ts';

/**
 * Raft's pace as the swarm's settings have it, in ticks and entries. How long a tick lasts is each
 * manager's own. A pace that no leader could keep is passed over.
 */
export function paceOf(cluster: Cluster | undefined): Partial<RaftDriverConfig> {
  const raft = cluster?.spec?.raft;
  if (raft === undefined || raft === null) return {};
  const snapshotEntries = Number(raft.snapshotInterval);
  const { heartbeatTick: heartbeatTicks, electionTick: electionTicks } = raft;
  return {
    ...(snapshotEntries > 0 ? { snapshotEntries } : {}),
    ...(heartbeatTicks > 0 && electionTicks > 2 * heartbeatTicks
      ? { heartbeatTicks, electionTicks }
      : {}),
  };
}

/**
 * Keeps a member at the swarm's pace until the signal aborts.
 *
 * @param fixed what is not the swarm's to set
 */
export async function followPace(
  { store, raft }: { readonly store: Store; readonly raft: RaftDriver },
  fixed: Partial<RaftDriverConfig>,
  signal: AbortSignal,
): Promise<void> {
  using changes = store.subscribe(changesOf('cluster'));
  while (!signal.aborted) {
    changes.drain();
    const [cluster] = store.view((view) => view.find('cluster'));
    raft.configure({ ...paceOf(cluster), ...fixed });
    await changes.changed(signal);
  }
}
