import type { RaftId } from '../../raft/index.ts';
import type { GroupMember } from './plan-roles.ts';

/** The label of the swarm that says after how many milliseconds a silent manager counts as dead. */
export const deadManagerLabel = 'swarmd.dead-manager-timeout-ms';

/** A restart, or a network that is mended, takes its time: nobody is dead sooner. */
const deadMsMin = 30_000;

/**
 * After how long a silent manager counts as dead.
 *
 * @returns `undefined`, if it never does, as when nobody has said otherwise
 */
export function deadAfterMs(
  labels: Readonly<Record<string, string>> | undefined,
): number | undefined {
  const text = labels?.[deadManagerLabel] ?? '';
  const ms = /^\d{1,15}$/u.test(text) ? Number(text) : 0;
  return ms === 0 ? undefined : Math.max(ms, deadMsMin);
}

/**
 * The dead member that the group is better off without, if there is one: with all the dead gone, it
 * would bear the loss of more managers than now. That is so once a dead one was replaced. Until then
 * it keeps its place: it may come back.
 *
 * @param silentMs for how long a member was not heard from
 */
export function deadMember(
  members: readonly GroupMember[],
  silentMs: (raftId: RaftId) => number,
  limitMs: number,
): GroupMember | undefined {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const alive = voters.filter(({ isReachable }) => isReachable).length;
  const dead = voters.filter(
    ({ isReachable, raftId }) => !isReachable && silentMs(raftId) >= limitMs,
  );
  const lossesBorne = (among: number): number => alive - (Math.floor(among / 2) + 1);
  const now = lossesBorne(voters.length);
  return now >= 0 && lossesBorne(voters.length - dead.length) > now ? dead[0] : undefined;
}
