import type { RaftDriver } from '../../raft/index.ts';
import { type Clock, firstOf, type Log, messageOf } from '../../runtime/index.ts';

interface Deps {
  readonly raft: Pick<RaftDriver, 'status' | 'watchStatus' | 'transferLeadership'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long a leader that ends waits for another to take over. */
const handOverMsMax = 1_000;

/**
 * Lets another member lead before this leader ends, so that nobody waits for an election. It returns
 * once another leads, or it is clear that none will soon; and at once, where this one does not lead.
 */
export async function handOver({ raft, clock, log }: Deps, signal: AbortSignal): Promise<void> {
  if (!raft.status().isLeader) return;
  using changes = raft.watchStatus();
  const isLedByAnother = (): boolean => {
    const { leaderId, raftId } = raft.status();
    return leaderId !== undefined && leaderId !== raftId;
  };
  try {
    raft.transferLeadership();
    await firstOf(
      signal,
      async (inner) => clock.sleep(handOverMsMax, inner),
      async (inner) => {
        while (!isLedByAnother()) {
          await changes.changed(inner);
          changes.drain();
        }
      },
    );
  } catch (error) {
    log.debug({ reason: messageOf(error) }, 'the leadership is not handed over');
  }
}
