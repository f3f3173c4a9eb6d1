import { SwarmError } from '../../../runtime/index.ts';
import type { KnownManager } from '../remotes.ts';
import { notManager, notMember } from './texts.ts';

const hasMajority =
  'this swarm has a leader: nothing is to be rebuilt. Demote the managers that are gone with "docker node demote", or promote others first.';

interface Standing {
  readonly isLocked: boolean;
  readonly membership:
    | {
        readonly nodeId: string;
        readonly isManager: boolean;
        readonly manager: { readonly leaderlessForMs: number | undefined } | undefined;
      }
    | undefined;
  readonly known: readonly KnownManager[];
}

/**
 * Whether a node may go on without all other managers. A swarm that has a majority needs no such
 * thing, and would be two afterwards.
 *
 * @throws SwarmError unavailable, if it is no manager that runs; failed-precondition, if its swarm has
 *   a leader
 */
export function checkNewBeginning({ isLocked, membership, known }: Standing): void {
  if (isLocked) throw new SwarmError('unavailable', notManager.locked);
  if (membership === undefined) throw new SwarmError('unavailable', notMember);
  const { manager, isManager, nodeId } = membership;
  if (!isManager) throw new SwarmError('unavailable', notManager.worker);
  const hasOthers = known.some((other) => other.nodeId !== nodeId);
  if (manager !== undefined && manager.leaderlessForMs === undefined && hasOthers) {
    throw new SwarmError('failed-precondition', hasMajority);
  }
}
