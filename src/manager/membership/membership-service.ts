import { isIP } from 'node:net';
import type {
  JoinRequest,
  JoinResponseInput,
  LeaveRequest,
  LeaveResponseInput,
} from '../../api/gen/types.ts';
import type { CallContext, Caller, Handlers, RpcConnection } from '../../api/index.ts';
import {
  memberRemoved,
  newRaftId,
  type RaftDriver,
  type RaftId,
  raftIdFrom,
  type RaftMember,
  type RaftMemberInfo,
} from '../../raft/index.ts';
import {
  isSwarmError,
  type Log,
  messageOf,
  orAborted,
  type Random,
  SwarmError,
} from '../../runtime/index.ts';
import type { Store } from '../store/store.ts';

interface Deps {
  readonly random: Random;
  readonly log: Log;
  readonly store: Pick<Store, 'view'>;
  readonly connect: (address: string) => RpcConnection;
  /** @throws SwarmError unavailable, while this manager is no member */
  readonly raft: () => RaftDriver;
}

/** A manager that wants to join is to answer within this time. swarmkit manager/state/raft/raft.go */
const dialBackMs = 5_000;

/**
 * Who is a member of the Raft group. It answers on the leader. swarmkit manager/state/raft/raft.go
 *
 * A new member has no vote until it has caught up: a majority never waits for it.
 */
export class MembershipService implements Handlers<'RaftMembership'> {
  readonly #deps: Deps;
  /** Joins are answered one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /**
   * Makes the caller's node a member. One that is a member already, and has its log, only gets its
   * new address published; one that has lost its log comes back as another member, since nobody
   * knows what it has promised as the first.
   *
   * @throws SwarmError not-found, with the text that ends its Raft, if its node is to be no manager;
   *   invalid-argument; failed-precondition, if its address does not answer
   */
  async join({ addr: given }: JoinRequest, context: CallContext): Promise<JoinResponseInput> {
    const nodeId = nodeIdOf(context.caller);
    const addr = reachableAddress(given, context.caller.remoteIp);
    const joined = this.#last.then(async () => this.#join({ nodeId, addr }, context.signal));
    this.#last = joined.catch(() => undefined);
    const raftId = await joined;
    const members = this.#deps.raft().members();
    return { raftId, members: members.map((member) => ({ ...member, status: {} })) };
  }

  /**
   * Removes the caller from the group.
   *
   * @throws SwarmError permission-denied, if it is another's place; failed-precondition, if the
   *   others would have no quorum
   */
  async leave({ node }: LeaveRequest, context: CallContext): Promise<LeaveResponseInput> {
    const raft = this.#deps.raft();
    const raftId = raftIdFrom(node?.raftId ?? '0');
    const nodeId = nodeIdOf(context.caller);
    const member = raft.members().find((other) => other.raftId === raftId);
    if (member === undefined) throw new SwarmError('not-found', 'raft: member unknown');
    if (member.nodeId !== nodeId) {
      throw new SwarmError('permission-denied', `raft: node ${nodeId} is not member ${raftId}`);
    }
    if (raftId === raft.status().raftId) {
      raft.transferLeadership(); // The next leader lets it go.
      throw new SwarmError('unavailable', 'raft: no elected cluster leader');
    }
    await this.#remove(raftId, context.signal);
    return {};
  }

  async #join(
    { nodeId, addr }: Pick<RaftMember, 'nodeId' | 'addr'>,
    signal: AbortSignal,
  ): Promise<RaftId> {
    this.#assertWanted(nodeId);
    using connection = this.#deps.connect(addr);
    await checkHealth(connection, signal);
    const raft = this.#deps.raft();
    const known = raft.members().find((member) => member.nodeId === nodeId);
    if (known !== undefined) {
      const isSame = raft.isUnproven(known.raftId) || (await hasLog(connection, known, signal));
      if (isSame) {
        await this.#publish({ ...known, addr }, known, signal);
        return known.raftId;
      }
      this.#deps.log.warn(
        { 'node.id': nodeId, 'raft.id': known.raftId },
        'a manager has lost its log: it becomes a member anew',
      );
      await this.#remove(known.raftId, signal);
    }
    const isTaken = (id: RaftId): boolean => raft.addressOf(id) !== undefined || raft.isRemoved(id);
    const raftId = newRaftId(this.#deps.random, isTaken);
    const member = { raftId, nodeId, addr };
    await orAborted(
      raft.changeMember({ type: 'ConfChangeAddLearnerNode', raftId, member }),
      signal,
    );
    this.#deps.log.info({ 'node.id': nodeId, 'raft.id': raftId, addr }, 'manager joins');
    return raftId;
  }

  async #publish(
    { raftId, nodeId, addr }: RaftMember,
    known: RaftMemberInfo,
    signal: AbortSignal,
  ): Promise<void> {
    if (known.addr === addr) return;
    const member = { raftId, nodeId, addr };
    const change = { type: 'ConfChangeUpdateNode', raftId, member } as const;
    await orAborted(this.#deps.raft().changeMember(change), signal);
    this.#deps.log.info({ 'node.id': nodeId, addr }, 'manager has another address');
  }

  async #remove(raftId: RaftId, signal: AbortSignal): Promise<void> {
    const raft = this.#deps.raft();
    if (!raft.canRemove(raftId)) {
      throw new SwarmError(
        'failed-precondition',
        'raft: member cannot be removed, because removing it may result in loss of quorum',
      );
    }
    const removal = { type: 'ConfChangeRemoveNode', raftId, member: undefined } as const;
    await orAborted(raft.changeMember(removal), signal);
  }

  /** A node that was demoted meanwhile would be removed as soon as it was in. */
  #assertWanted(nodeId: string): void {
    const node = this.#deps.store.view((view) => view.get('node', nodeId));
    if (node?.spec?.desiredRole !== 'MANAGER') throw memberRemoved();
  }
}

/** Whether the manager at the other end has the log of a member that it was. */
async function hasLog(
  connection: RpcConnection,
  { raftId }: RaftMember,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const options = { signal, deadlineMs: dialBackMs };
    await connection.unary('Raft', 'ResolveAddress', { raftId }, options);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    return !isSwarmError(error, 'unavailable') && !isSwarmError(error, 'not-found');
  }
}

const unreached = (why: string): SwarmError =>
  new SwarmError(
    'failed-precondition',
    `could not connect to prospective new cluster member using its advertised address: ${why}`,
  );

async function checkHealth(connection: RpcConnection, signal: AbortSignal): Promise<void> {
  try {
    const options = { signal, deadlineMs: dialBackMs };
    const { status } = await connection.unary('Health', 'Check', { service: 'Raft' }, options);
    if (status !== 'SERVING') throw unreached(`its raft is ${status}`);
  } catch (error) {
    signal.throwIfAborted();
    throw isSwarmError(error, 'failed-precondition') ? error : unreached(messageOf(error));
  }
}

/**
 * Where others reach a caller that has told where it listens.
 *
 * @throws SwarmError invalid-argument
 */
function reachableAddress(given: string, remoteIp: string): string {
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:[\]]*)):(?<port>\d{1,5})$/u.exec(given)?.groups;
  if (match === undefined) {
    throw new SwarmError('invalid-argument', `invalid address ${given} in raft join request`);
  }
  const host = match['v6'] ?? match['host'] ?? '';
  if (host !== '' && host !== '0.0.0.0' && host !== '::') return given;
  const ip = isIP(remoteIp) === 6 ? `[${remoteIp}]` : remoteIp;
  return `${ip}:${match['port'] ?? ''}`;
}

/** @throws SwarmError permission-denied, if the caller is no node */
function nodeIdOf(caller: Caller): string {
  if (caller.kind === 'node') return caller.nodeId;
  throw new SwarmError('permission-denied', 'Permission denied: unauthorized peer role');
}
