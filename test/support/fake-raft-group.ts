import type { RaftId } from '../../src/raft/index.ts';
import type { GroupMember } from '../../src/manager/roles/plan-roles.ts';
import type { RaftGroup } from '../../src/manager/roles/role-manager.ts';
import { SwarmError } from '../../src/runtime/index.ts';

// A Raft ID is a string that only its type tells from others.
const raftIdOf = (text: string): RaftId => text as RaftId;

/** The members of a Raft group, without the log: what they agree on is so at once. */
export class FakeRaftGroup {
  /** What happened to the group, in order. */
  readonly history: string[] = [];
  /** The nodes whose members were to be removed, as often as that was tried. */
  readonly attempts: string[] = [];
  /** What happens to a removal: it is committed, it fails, or it never ends. */
  outcome: 'committed' | 'refused' | 'stuck' = 'committed';
  #members: readonly GroupMember[] = [];
  #leader: RaftId = raftIdOf('0');
  #ids = 0;

  get members(): readonly GroupMember[] {
    return this.#members;
  }

  get leader(): GroupMember | undefined {
    return this.#members.find(({ raftId }) => raftId === this.#leader);
  }

  /** A node's manager joins, with a new Raft ID. The first one leads. */
  join(nodeId: string, { isLearner = false }: { readonly isLearner?: boolean } = {}): void {
    if (this.#members.some((member) => member.nodeId === nodeId)) return;
    this.#ids += 1;
    const raftId = raftIdOf(String(this.#ids));
    if (this.#members.length === 0) this.#leader = raftId;
    this.#members = [...this.#members, { raftId, nodeId, isLearner, isReachable: true }];
  }

  /** A manager dies, or comes back. */
  setReachable(nodeId: string, isReachable: boolean): void {
    this.#members = this.#members.map((member) =>
      member.nodeId === nodeId ? { ...member, isReachable } : member,
    );
  }

  /** Another reachable voter leads from now on, if there is one. */
  elect(nodeId?: string): void {
    const candidates = this.#members.filter(
      (member) => member.isReachable && !member.isLearner && member.raftId !== this.#leader,
    );
    const next = candidates.find((member) => member.nodeId === nodeId) ?? candidates[0];
    if (next !== undefined) this.#leader = next.raftId;
  }

  get hasQuorum(): boolean {
    return hasQuorum(this.#members);
  }

  /** The group as the member that leads now sees it. */
  asLeader(): RaftGroup {
    const self = this.#leader;
    return {
      status: () => ({ raftId: self }),
      members: () => this.#members,
      canRemove: (raftId) => {
        const others = this.#members.filter((member) => member.raftId !== raftId);
        return others.length > 0 && hasQuorum(others);
      },
      changeMember: async ({ raftId }) => this.#remove(self, raftId),
      transferLeadership: (to) => {
        const nodeId = this.#nodeOf(to);
        this.history.push(`hand over to ${nodeId}`);
        if (this.outcome === 'committed') this.elect(nodeId);
      },
    };
  }

  async #remove(self: RaftId, raftId: RaftId): Promise<void> {
    await Promise.resolve();
    this.attempts.push(this.#nodeOf(raftId));
    if (this.outcome === 'stuck') await new Promise(() => undefined);
    if (this.outcome === 'refused' || self !== this.#leader) {
      throw new SwarmError('failed-precondition', 'raft: another change is under way');
    }
    this.history.push(`remove ${this.#nodeOf(raftId)}`);
    this.#members = this.#members.filter((member) => member.raftId !== raftId);
  }

  #nodeOf(raftId: RaftId): string {
    return this.#members.find((member) => member.raftId === raftId)?.nodeId ?? raftId;
  }
}

function hasQuorum(members: readonly GroupMember[]): boolean {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const reachable = voters.filter(({ isReachable }) => isReachable);
  return reachable.length >= Math.floor(voters.length / 2) + 1;
}
