import type { Node, NodeSpec } from '../../api/index.ts';
import { SwarmError } from '../../runtime/index.ts';
import type { ReadView } from '../store/view.ts';
import { refused } from './common/errors.ts';
import type { RaftMember } from './deps.ts';

/**
 * Whether a node may be given the role it is to have. Any node may become a manager; the role
 * manager does the rest. swarmkit manager/controlapi/node.go UpdateNode
 *
 * A manager that is about to become a worker does not count: of the last two, one is kept, though
 * both were asked to go at the same time.
 *
 * @throws SwarmError failed-precondition, if the swarm would be left without a manager or without a
 *   quorum; not-found, if the manager is not (yet, or any more) a member
 */
export function checkRoleChange({
  view,
  node,
  spec,
  members,
}: {
  readonly view: ReadView;
  readonly node: Node;
  readonly spec: NodeSpec;
  readonly members: readonly RaftMember[];
}): void {
  const role = node.spec?.desiredRole ?? 'WORKER';
  if (role === spec.desiredRole || spec.desiredRole === 'MANAGER') return;
  const staying = view
    .find('node')
    .filter((other) => other.role === 'MANAGER' && other.spec?.desiredRole === 'MANAGER');
  if (staying.length === 1 && staying[0]?.id === node.id) {
    throw refused('attempting to demote the last manager of the swarm');
  }
  const member = members.find((candidate) => candidate.nodeId === node.id);
  if (member === undefined) {
    throw new SwarmError('not-found', "can't find manager in raft memberlist");
  }
  if (!mayLeave(view, member, members)) {
    throw refused("can't remove member from the raft: this would result in a loss of quorum");
  }
}

/**
 * Whether a node may be forgotten: not before it is demoted, and by force only while it answers. One
 * whose demotion waits for the others to have a quorum is still needed, and so is one of two that is
 * about to go, whose vote lets it go, or will be once others have gone: nobody listens to it any more
 * once it is forgotten, so the quorum would be lost with it.
 *
 * @throws SwarmError failed-precondition
 */
export function checkRemoval({
  view,
  node,
  isForced,
  members,
}: {
  readonly view: ReadView;
  readonly node: Node;
  readonly isForced: boolean;
  readonly members: readonly RaftMember[];
}): void {
  const member = members.find(({ nodeId }) => nodeId === node.id);
  if (node.spec?.desiredRole === 'MANAGER' && member !== undefined) {
    throw refused(
      `node ${node.id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
    );
  }
  const isNeeded =
    member !== undefined &&
    !member.isLearner &&
    !(mayLeave(view, member, members) && isServedWithout(view, member, members));
  if (isNeeded) {
    throw refused("can't remove member from the raft: this would result in a loss of quorum");
  }
  if (!isForced && node.status?.state === 'READY') {
    throw refused(`node ${node.id} is not down and can't be removed`);
  }
}

/**
 * Whether a quorum of the others can be reached; also once those are gone that are on their way out.
 * swarmkit manager/state/raft CanRemoveMember, which looks at the present members alone
 */
const mayLeave = (view: ReadView, leaving: RaftMember, members: readonly RaftMember[]): boolean =>
  haveQuorum(view, othersThan(leaving, members), 0);

/** Whether the others are a quorum of the present group, as long as the one is still counted. */
const isServedWithout = (
  view: ReadView,
  one: RaftMember,
  members: readonly RaftMember[],
): boolean => haveQuorum(view, othersThan(one, members), 1);

/** The other members that vote. */
const othersThan = (one: RaftMember, members: readonly RaftMember[]): readonly RaftMember[] =>
  members.filter(({ raftId, isLearner }) => raftId !== one.raftId && !isLearner);

/**
 * Whether some voters are a quorum with so many more that nobody listens to: now, and once those of
 * them have gone that are to. A voter whose node is forgotten is none that is listened to either,
 * and may be the last to go.
 */
function haveQuorum(view: ReadView, voters: readonly RaftMember[], unheard: number): boolean {
  const nodeOf = ({ nodeId }: RaftMember): Node | undefined => view.get('node', nodeId);
  const known = voters.filter((voter) => nodeOf(voter) !== undefined);
  const staying = known.filter((voter) => nodeOf(voter)?.spec?.desiredRole === 'MANAGER');
  const mute = unheard + voters.length - known.length;
  return [known, staying].every((some) => isMajority(some, some.length + mute));
}

/** Whether so many of them can be reached as a group of `size` needs. */
const isMajority = (voters: readonly RaftMember[], size: number): boolean =>
  voters.filter(({ isReachable }) => isReachable).length >= Math.floor(size / 2) + 1;
