import type { RpcConnection } from '../../api/index.ts';
import {
  isRemovedAnswer,
  type LogStore,
  memberRemoved,
  newRaftId,
  RaftDriver,
  type RaftDriverConfig,
  raftDefaults,
  type RaftDriverDeps,
  type RaftId,
  raftIdFrom,
  type RaftMember,
  type RaftMemberInfo,
  Transport,
} from '../../raft/index.ts';
import {
  childOf,
  type Clock,
  firstOf,
  isSwarmError,
  type Log,
  messageOf,
  orAborted,
  type Random,
  runTogether,
  SwarmError,
} from '../../runtime/index.ts';
import type { LogStores } from '../ports.ts';
import type { Store } from '../store/store.ts';
import { RollCall } from './roll-call.ts';

interface SeatDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly store: Store;
  readonly logs: LogStores;
  /** Whether this manager may found a group of its own, if it has no log. */
  readonly mayFound: boolean;
  readonly join: { readonly connect: () => RpcConnection } | undefined;
  readonly connect: (address: string) => RpcConnection;
  readonly advertise: string;
  readonly pace?: Partial<RaftDriverConfig>;
  readonly hints?: readonly string[];
  readonly leftBehind?: readonly RaftMember[];
  /** Called once there is a driver. */
  readonly opened: (raft: RaftDriver) => void;
}

/** A call to join lasts at most so long: the leader dials back, and the change is to be committed. */
const joinMsMax = 25_000;
/** A manager that cannot be reached where it says it is gives up after so many attempts. */
const unreachedMax = 10;
/** Whoever speaks to a manager that is being let in waits for its log so long: half of its patience. */
const letInMsMax = 1_000;
const backoffMs = { first: 100, max: 2_000 } as const;

/**
 * A manager's place in the Raft group: its log, its driver, and the ways to the other members. One
 * that is to join has none of them before a leader has let it in.
 */
export class Seat implements AsyncDisposable {
  readonly #deps: SeatDeps;
  readonly #transport: Transport;
  readonly #opened: Promise<RaftDriver>;
  #open: (raft: RaftDriver) => void = () => undefined;
  #raft: RaftDriver | undefined;
  #rollCall: RollCall | undefined;
  #hasRun = false;
  /** Whether it has asked to be a member. */
  #isBeingLetIn = false;
  #wasRefused = false;

  private constructor(deps: SeatDeps) {
    this.#deps = deps;
    this.#transport = new Transport(deps);
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  /**
   * Opens the log, if there is one, or makes a founder's.
   *
   * @throws SwarmError data-loss, if the log is damaged; or gone, and there is no way to join
   */
  static async open(deps: SeatDeps): Promise<Seat> {
    const { logs, mayFound, join, random, clusterId, nodeId } = deps;
    const seat = new Seat(deps);
    if (await logs.exists()) await seat.#begin(await logs.open());
    else if (mayFound) {
      await seat.#begin(await logs.create({ clusterId, nodeId, raftId: newRaftId(random) }));
    } else if (join === undefined) {
      throw new SwarmError(
        'data-loss',
        'the raft log is gone: restore the state directory from a copy, or leave the swarm and found a new one',
      );
    }
    return seat;
  }

  /** @throws SwarmError unavailable, while this manager is no member */
  get raft(): RaftDriver {
    if (this.#raft !== undefined) return this.#raft;
    throw new SwarmError('unavailable', 'raft: node is not yet part of a raft cluster');
  }

  get isMember(): boolean {
    return this.#raft !== undefined;
  }

  /** Leads, and may serve and propose. */
  get isLeader(): boolean {
    return this.#raft?.status().isLeader ?? false;
  }

  /** Where another member that leads is, be it one that our log does not name yet. */
  get leaderAddress(): string | undefined {
    const { leaderId, raftId } = this.#raft?.status() ?? {};
    return leaderId === undefined || leaderId === raftId ? undefined : this.addressOf(leaderId);
  }

  members(): readonly RaftMemberInfo[] {
    return this.#raft?.members() ?? [];
  }

  /** Whether this manager was removed from the group, or is not let in. */
  get wasRemoved(): boolean {
    return this.#wasRefused || (this.#raft?.wasRemoved ?? false);
  }

  /** Resolves once there is a driver. */
  async opened(signal: AbortSignal): Promise<RaftDriver> {
    return orAborted(this.#opened, signal);
  }

  /**
   * Resolves once a manager that is being let in has a log: its leader speaks to it before. It does
   * so at once for any other, and after a while in any case.
   */
  async letIn(signal: AbortSignal): Promise<void> {
    if (this.#raft !== undefined || !this.#isBeingLetIn) return;
    await firstOf(
      signal,
      async (inner) => this.#deps.clock.sleep(letInMsMax, inner),
      async (inner) => this.opened(inner).then(() => undefined),
    );
  }

  /** Joins, if need be, and takes part until the signal aborts or this member was removed. */
  async run(signal: AbortSignal): Promise<void> {
    this.#hasRun = true;
    try {
      if (this.#raft === undefined || this.#raft.members().length === 0) await this.#join(signal);
    } catch (error) {
      await this.#raft?.run(AbortSignal.abort()); // Its log is closed.
      // A member to be, whose node was removed meanwhile, is nobody any more.
      const isNobody = this.isMember && isSwarmError(error, 'permission-denied');
      if (!isNobody && !isRemovedAnswer(error)) throw error;
      this.#wasRefused = true;
      return;
    }
    const { raft } = this;
    const rollCall = this.#callingRoll(raft);
    using life = childOf(signal);
    await runTogether(life.signal, [
      async (inner) => {
        await raft.run(inner);
        life.abort();
      },
      async (inner) => this.#transport.run(raft, inner),
      async (inner) => rollCall.run(inner),
      async (inner) => this.#publishAddress(raft, inner),
    ]);
  }

  /** Where messages to another member go; `undefined`, if it is nowhere known. */
  addressOf(id: RaftId): string | undefined {
    return this.#transport.addressOf(id) ?? this.#raft?.addressOf(id);
  }

  /** A manager says where it is. */
  met(nodeId: string, address: string): void {
    this.#rollCall?.met(nodeId, address);
  }

  /** Where a member is, as it says with what it sends. */
  hear(id: RaftId, address: string): void {
    this.#transport.hear(id, address);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A log that never ran is still open: run it to its end.
    if (!this.#hasRun) await this.#raft?.run(AbortSignal.abort());
  }

  async #begin(logStore: LogStore): Promise<void> {
    const { clock, random, log, store, mayFound, advertise, pace, opened } = this.#deps;
    const { send } = this.#transport;
    const raft: RaftDriverDeps = { clock, random, log, logStore, stateMachine: store, send };
    this.#raft =
      logStore.isEmpty && mayFound
        ? await RaftDriver.found(raft, { addr: advertise }, pace)
        : await RaftDriver.open(raft, pace);
    store.attach(this.#raft);
    opened(this.#raft);
    this.#open(this.#raft);
  }

  /** The log is made with the identity that the leader gives: a crash before is as if never asked. */
  async #join(signal: AbortSignal): Promise<void> {
    const { logs, clusterId, nodeId } = this.#deps;
    this.#isBeingLetIn = true;
    const { raftId, members } = await this.#askToJoin(signal);
    const id = raftIdFrom(raftId);
    for (const member of members) this.#transport.learn(raftIdFrom(member.raftId), member.addr);
    if (this.#raft === undefined) {
      await this.#begin(await logs.create({ clusterId, nodeId, raftId: id }));
    }
    // The member that an empty log was made for was removed before it ever spoke: now it is another.
    if (this.#raft?.status().raftId !== id) throw memberRemoved();
  }

  async #askToJoin(signal: AbortSignal): Promise<{
    readonly raftId: string;
    readonly members: readonly { readonly raftId: string; readonly addr: string }[];
  }> {
    const { join, clock, log, advertise } = this.#deps;
    if (join === undefined) {
      throw new SwarmError(
        'failed-precondition',
        'raft: the log is empty, and no manager is known',
      );
    }
    let unreached = 0;
    for (let pauseMs: number = backoffMs.first; ; pauseMs = Math.min(pauseMs * 2, backoffMs.max)) {
      try {
        using connection = join.connect();
        const options = { signal, deadlineMs: joinMsMax };
        return await connection.unary('RaftMembership', 'Join', { addr: advertise }, options);
      } catch (error) {
        signal.throwIfAborted();
        if (isSwarmError(error, 'failed-precondition')) unreached += 1;
        if (isFinal(error) || unreached >= unreachedMax) throw error;
        log.info({ reason: messageOf(error) }, 'not yet let into the raft group');
        await clock.sleep(pauseMs, signal);
      }
    }
  }

  #callingRoll(raft: RaftDriver): RollCall {
    const { hints = [], leftBehind = [] } = this.#deps;
    this.#rollCall = new RollCall({
      ...this.#deps,
      raft,
      transport: this.#transport,
      hints,
      leftBehind,
      silentMs: Math.max(100, 4 * (this.#deps.pace?.tickMs ?? raftDefaults.tickMs)),
    });
    return this.#rollCall;
  }

  /** Whenever the log says that this manager is elsewhere, it has the leader write where it is. */
  async #publishAddress(raft: RaftDriver, signal: AbortSignal): Promise<void> {
    const { clock, log, advertise } = this.#deps;
    const { raftId } = raft.status();
    using changes = raft.watchStatus();
    for (let pauseMs: number = backoffMs.first; ; changes.drain()) {
      const published = raft.addressOf(raftId);
      // The log of a member to be does not name it yet; a leader writes its address down by itself.
      if (published === undefined || published === advertise || raft.status().isLeader) {
        if (published === advertise && pauseMs > backoffMs.first) {
          log.info({ advertise }, 'the new address is published');
        }
        pauseMs = backoffMs.first;
        await changes.changed(signal);
        continue;
      }
      await this.#askToPublish(raft, pauseMs === backoffMs.first, signal);
      const waitMs = pauseMs;
      await firstOf(
        signal,
        async (inner) => changes.changed(inner),
        async (inner) => clock.sleep(waitMs, inner),
      );
      pauseMs = Math.min(pauseMs * 2, backoffMs.max);
    }
  }

  /** Without a quorum it is asked for ever: only what the first attempts came to is worth a line. */
  async #askToPublish(raft: RaftDriver, isFirst: boolean, signal: AbortSignal): Promise<void> {
    const { connect, log, advertise } = this.#deps;
    const { raftId: self } = raft.status();
    for (const { addr, raftId } of raft.members()) {
      if (raftId === self) continue;
      const address = this.#transport.addressOf(raftId) ?? addr;
      using connection = connect(address);
      const options = { signal, deadlineMs: joinMsMax };
      try {
        await connection.unary('RaftMembership', 'Join', { addr: advertise }, options);
        return;
      } catch (error) {
        signal.throwIfAborted();
        const fields = { advertise, asked: address, reason: messageOf(error) };
        log[isFirst ? 'info' : 'debug'](fields, 'the new address is not published yet');
      }
    }
  }
}

/** Whether asking again would not help. */
const isFinal = (error: unknown): boolean =>
  isRemovedAnswer(error) ||
  isSwarmError(error, 'permission-denied') ||
  isSwarmError(error, 'invalid-argument');
