import type { ClusterSnapshot, ClusterSnapshotInput } from '../../api/gen/types.ts';
import { compareRaftIds, type ConfState, type RaftId } from '../core/types.ts';
import { isSwarmError, SwarmError } from '../../runtime/index.ts';
import { type MemberChange, raftIdFrom, type RaftMember } from '../wire.ts';

/** SwarmKit's text, exactly: a member that is told so shuts its Raft down. */
const removedText = 'raft: member was removed from the cluster';

/** So many members that are in no log are told apart. */
const newcomersMax = 64;

/** What a member that was removed is told, whatever it says. swarmkit manager/state/raft/raft.go */
export const memberRemoved = (): SwarmError => new SwarmError('not-found', removedText);

/** Whether a peer has said that we were removed. */
export const isRemovedAnswer = (error: unknown): boolean =>
  isSwarmError(error, 'not-found') && error.message === removedText;

/**
 * Who the members are: Raft ID, node ID and address; and which IDs are gone for ever. It follows
 * from the log alone, so it is the same on every manager at the same index, and is part of the
 * snapshot. swarmkit manager/state/raft/membership
 */
export class Members {
  readonly #members = new Map<RaftId, RaftMember>();
  readonly #removed = new Set<RaftId>();
  readonly #voters = new Set<RaftId>();
  readonly #learners = new Set<RaftId>();
  /** Members that have written to us before our log names them, and whose they are. */
  readonly #newcomers = new Map<RaftId, string>();
  /** Grows with every change. */
  version = 0;

  get all(): readonly RaftMember[] {
    return [...this.#members.values()];
  }

  /**
   * Who votes and who learns, as of the last entry that was applied. The core may be ahead: it goes
   * by a snapshot as soon as it has one.
   */
  get confState(): ConfState {
    return { voters: inOrder(this.#voters), learners: inOrder(this.#learners) };
  }

  get(id: RaftId): RaftMember | undefined {
    return this.#members.get(id);
  }

  /** Whether an ID was a member's, and is not any more. It is never used again. */
  isRemoved(id: RaftId): boolean {
    return this.#removed.has(id);
  }

  /**
   * Why a change cannot be made, in SwarmKit's words. What is refused changes nothing on any
   * member: the entry stays in the log, without an effect.
   */
  refusalOf({ type, raftId, member }: MemberChange): string | undefined {
    if (this.#removed.has(raftId)) return removedText;
    const known = this.#members.get(raftId);
    switch (type) {
      case 'ConfChangeAddNode':
      case 'ConfChangeAddLearnerNode': {
        const isTaken = this.all.some(
          (other) => other.raftId !== raftId && other.nodeId === member?.nodeId,
        );
        return isTaken
          ? "raft: can't add member to the cluster: node id is a duplicate"
          : undefined;
      }
      case 'ConfChangeUpdateNode':
        return known === undefined ? 'raft: member unknown' : undefined;
      case 'ConfChangeRemoveNode':
        if (known === undefined) return 'raft: member unknown';
        return this.#members.size === 1
          ? 'raft: member cannot be removed, because removing it may result in loss of quorum'
          : undefined;
    }
  }

  /** Takes a committed change that was not refused. */
  apply({ type, raftId, member }: MemberChange): void {
    this.version += 1;
    if (type !== 'ConfChangeUpdateNode') {
      this.#voters.delete(raftId);
      this.#learners.delete(raftId);
    }
    if (type === 'ConfChangeAddNode') this.#voters.add(raftId);
    if (type === 'ConfChangeAddLearnerNode') this.#learners.add(raftId);
    if (type === 'ConfChangeRemoveNode') {
      this.#members.delete(raftId);
      this.#removed.add(raftId);
    } else if (member !== undefined) {
      this.#members.set(raftId, member);
    }
  }

  /**
   * Lets a node speak for a member. One that our log does not name yet belongs to the node that
   * spoke for it first.
   *
   * @throws SwarmError not-found, if the member was removed; permission-denied, if it is another's
   */
  admit(from: RaftId, nodeId: string): void {
    if (this.#removed.has(from)) throw memberRemoved();
    const owner = this.#members.get(from)?.nodeId ?? this.#newcomers.get(from) ?? nodeId;
    if (owner !== nodeId) {
      throw new SwarmError('permission-denied', `raft: node ${nodeId} is not member ${from}`);
    }
    if (this.#members.has(from)) return;
    if (this.#newcomers.size >= newcomersMax) this.#newcomers.clear();
    this.#newcomers.set(from, nodeId);
  }

  toWire(): ClusterSnapshotInput {
    return { members: [...this.#members.values()], removed: [...this.#removed] };
  }

  /** Replaces everything by what a snapshot holds. */
  restore({ members, removed }: ClusterSnapshot, { voters, learners }: ConfState): void {
    this.version += 1;
    for (const set of [this.#members, this.#removed, this.#voters, this.#learners]) set.clear();
    for (const id of voters) this.#voters.add(id);
    for (const id of learners) this.#learners.add(id);
    for (const { raftId, nodeId, addr } of members) {
      const id = raftIdFrom(raftId);
      this.#members.set(id, { raftId: id, nodeId, addr });
    }
    for (const id of removed) this.#removed.add(raftIdFrom(id));
  }
}

const inOrder = (ids: ReadonlySet<RaftId>): RaftId[] => [...ids].toSorted(compareRaftIds);
