import type { Node } from '../../api/index.ts';
import type { RaftId } from '../../raft/index.ts';

/** A member of the Raft group, as its leader sees it. */
export interface GroupMember {
  readonly raftId: RaftId;
  readonly nodeId: string;
  /** It has no vote yet. */
  readonly isLearner: boolean;
  readonly isReachable: boolean;
}

/** A node gets the role that it is to have: its next certificate says so. */
export interface RoleChange {
  readonly nodeId: string;
  readonly role: Node['role'];
}

/** A change of who is in the Raft group, or who leads it. */
export type GroupChange =
  | { readonly kind: 'remove'; readonly member: GroupMember }
  /** This leader is to go itself: one of these leads from then on, and lets it go. */
  | { readonly kind: 'hand-over'; readonly successors: readonly RaftId[] };

/** What brings nodes closer to the roles they are to have. */
export interface RolePlan {
  readonly roles: readonly RoleChange[];
  /** One at a time: what comes after it depends on it. */
  readonly group: GroupChange | undefined;
  /** Members that are to go, and may not yet: the others would have no quorum. */
  readonly held: readonly GroupMember[];
}

interface Swarm {
  readonly nodes: readonly Node[];
  readonly members: readonly GroupMember[];
  /** This leader. */
  readonly self: RaftId;
  /** Whether the others have a quorum without a member. */
  readonly mayRemove: (raftId: RaftId) => boolean;
}

export const desiredRoleOf = (node: Node | undefined): Node['role'] =>
  node?.spec?.desiredRole ?? 'WORKER';

/**
 * The next steps from the roles that nodes have to those they are to have.
 *
 * A promotion is one step: the node joins the Raft group by itself, once its certificate lets it. A
 * demotion has two, and the first is the one that matters: the member leaves the group, and only
 * when it is out does its node become a worker. The leader itself hands over first, to one that
 * stays. A member whose node is gone leaves like one that is demoted. swarmkit
 * manager/role_manager.go
 *
 * Pure, and from the present state alone: the next leader goes on where this one was cut short.
 */
export function planRoles(swarm: Swarm): RolePlan {
  const { nodes, members, self, mayRemove } = swarm;
  const nodeOf = new Map(nodes.map((node) => [node.id, node]));
  const isLeaving = ({ nodeId }: GroupMember): boolean =>
    desiredRoleOf(nodeOf.get(nodeId)) === 'WORKER';
  const leaving = members.filter(isLeaving);
  const isFree = ({ raftId }: GroupMember): boolean => mayRemove(raftId);
  // Those that do not answer first: the group is safer without them.
  const [next] = leaving
    .filter((member) => member.raftId !== self && isFree(member))
    .toSorted((a, b) => Number(a.isReachable) - Number(b.isReachable));
  const successors = members
    .filter((member) => member.isReachable && !member.isLearner && !isLeaving(member))
    .map(({ raftId }) => raftId);
  const mustHandOver = leaving.some((member) => member.raftId === self && isFree(member));
  return {
    roles: nodes.flatMap((node) => roleChangeOf(node, members) ?? []),
    group: next
      ? { kind: 'remove', member: next }
      : mustHandOver && successors.length > 0
        ? { kind: 'hand-over', successors }
        : undefined,
    held: leaving.filter((member) => !isFree(member)),
  };
}

/** The change of role that a node is ready for. */
export function roleChangeOf(node: Node, members: readonly GroupMember[]): RoleChange | undefined {
  const role = desiredRoleOf(node);
  if (node.role === role) return undefined;
  const isMember = members.some(({ nodeId }) => nodeId === node.id);
  return role === 'WORKER' && isMember ? undefined : { nodeId: node.id, role };
}
