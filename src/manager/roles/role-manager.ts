import type { RaftId } from '../../raft/index.ts';
import { type Clock, firstOf, type Log, orAborted } from '../../runtime/index.ts';
import type { StoreEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/view.ts';
import {
  desiredRoleOf,
  type GroupChange,
  type GroupMember,
  planRoles,
  type RoleChange,
  roleChangeOf,
  type RolePlan,
} from './plan-roles.ts';

/** What the role manager needs of Raft, on the leader. */
export interface RaftGroup {
  status(): { readonly raftId: RaftId };
  members(): readonly GroupMember[];
  /** Whether the others have a quorum without this member. */
  canRemove(raftId: RaftId): boolean;
  /** Settles once the change is committed and applied. */
  changeMember(change: MemberRemoval): Promise<void>;
  /** Hands the leadership over. Whether it has come about is seen later. */
  transferLeadership(to: RaftId): void;
}

interface MemberRemoval {
  readonly type: 'ConfChangeRemoveNode';
  readonly raftId: RaftId;
  readonly member: undefined;
}

interface Deps {
  readonly store: Pick<Store, 'view' | 'subscribe' | 'batch'>;
  readonly raft: RaftGroup;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * What could not be done yet is tried again after so long: at first soon, since a new leader hears
 * of the others only now; then at SwarmKit's pace. swarmkit manager/role_manager.go
 */
const retryMs = { first: 250, max: 5_000 } as const;
/** A removal that is not committed by then is looked at anew. swarmkit manager/role_manager.go */
const removalMsMax = 5_000;
/** Everything is looked at again this often: a member may have joined late. */
const resyncMs = 60_000;

/**
 * Gives nodes the roles they are to have: a manager's place in the Raft group follows its node's
 * desired role, and its certificate's role follows that. A leader's loop.
 *
 * Each step is committed before the next is thought of, so that the swarm can be asked how far a
 * demotion is, and the next leader can finish it.
 */
export async function runRoleManager(deps: Deps, signal: AbortSignal): Promise<void> {
  await new RoleManager(deps).run(signal);
}

/** Whether an event may call for a change of roles. Nodes report often, and mostly other things. */
function isAboutRoles(event: StoreEvent): boolean {
  if (event.action === 'committed' || event.kind !== 'node') return false;
  if (event.action === 'removed') return true;
  const { object, old } = event;
  const role = desiredRoleOf(object);
  return object.role !== role || (old !== undefined && desiredRoleOf(old) !== role);
}

class RoleManager {
  readonly #deps: Deps;
  /** Which members were last said to be held back: said once. */
  #held = '';
  #handOvers = 0;
  /** Whether what it waits for has not come about soon. */
  #isPatient = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#deps;
    using changes = store.subscribe(isAboutRoles);
    let nextRetryMs: number = retryMs.first;
    while (!signal.aborted) {
      changes.drain();
      const outcome = await this.#step(signal);
      const pauseMs = outcome === 'waiting' ? nextRetryMs : resyncMs;
      nextRetryMs = outcome === 'waiting' ? Math.min(2 * pauseMs, retryMs.max) : retryMs.first;
      if (outcome === 'progress') continue;
      this.#isPatient = pauseMs >= retryMs.max;
      await firstOf(
        signal,
        async (inner) => changes.changed(inner),
        async (inner) => clock.sleep(pauseMs, inner),
      );
    }
  }

  /** Does what can be done now; says whether it is done, or there is more to do, or to wait for. */
  async #step(signal: AbortSignal): Promise<'progress' | 'waiting' | 'done'> {
    const { roles, group, held } = this.#plan();
    this.#tellOf(held);
    if (roles.length > 0) await this.#giveRoles(roles);
    if (group !== undefined)
      return (await this.#changeGroup(group, signal)) ? 'progress' : 'waiting';
    if (roles.length > 0) return 'progress';
    return held.length > 0 ? 'waiting' : 'done';
  }

  #plan(): RolePlan {
    const { store, raft } = this.#deps;
    return store.view((view) =>
      planRoles({
        nodes: view.find('node'),
        members: raft.members(),
        self: raft.status().raftId,
        mayRemove: (raftId) => raft.canRemove(raftId),
      }),
    );
  }

  async #giveRoles(roles: readonly RoleChange[]): Promise<void> {
    const { store, log } = this.#deps;
    await store.batch(roles.map((change) => this.#give(change)));
    for (const { nodeId, role } of roles)
      log.info({ 'node.id': nodeId, role }, 'node has its role');
  }

  /** Decided anew in the transaction: the wish, or the group, may have changed. */
  #give({ nodeId }: RoleChange): (tx: Transaction) => void {
    const { raft } = this.#deps;
    return (tx) => {
      const node = tx.get('node', nodeId);
      const change = node && roleChangeOf(node, raft.members());
      if (node === undefined || change === undefined) return;
      tx.update('node', { ...node, role: change.role });
    };
  }

  /** @returns whether it is done; what failed is tried again later */
  async #changeGroup(change: GroupChange, signal: AbortSignal): Promise<boolean> {
    const { raft, log } = this.#deps;
    try {
      if (change.kind === 'remove') return await this.#remove(change.member, signal);
      // One that cannot take over now may be slow: the next time it is another's turn.
      const to = change.successors[this.#handOvers % change.successors.length];
      this.#handOvers += 1;
      if (to === undefined) return false;
      log.info({ 'raft.id': to }, 'this leader is demoted: it hands the leadership over first');
      raft.transferLeadership(to);
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ err: error }, 'the managers could not be changed yet');
    }
    return false;
  }

  async #remove({ raftId, nodeId }: GroupMember, signal: AbortSignal): Promise<boolean> {
    const { raft, clock, log } = this.#deps;
    const removal = { type: 'ConfChangeRemoveNode', raftId, member: undefined } as const;
    const isDone = await firstOf(
      signal,
      async (inner) => orAborted(raft.changeMember(removal), inner).then(() => true),
      async (inner) => clock.sleep(removalMsMax, inner).then(() => false),
    );
    const fields = { 'node.id': nodeId, 'raft.id': raftId };
    if (isDone) log.info(fields, 'manager removed from the raft group');
    else log.warn(fields, 'a manager is not removed yet: too few managers answer');
    return isDone;
  }

  #tellOf(held: readonly GroupMember[]): void {
    if (held.length > 0 && !this.#isPatient) return;
    const nodes = held.map(({ nodeId }) => nodeId);
    if (nodes.join() === this.#held) return;
    this.#held = nodes.join();
    if (nodes.length === 0) return;
    this.#deps.log.warn({ nodes }, 'demotion waits: the other managers would have no quorum');
  }
}
