import { managerAddressName, type RpcConnection } from '../../api/index.ts';
import {
  isRemovedAnswer,
  type RaftDriver,
  type RaftId,
  type RaftMember,
  type Transport,
} from '../../raft/index.ts';
import { type Clock, isSwarmError, type Log, runTogether, Watch } from '../../runtime/index.ts';

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  readonly raft: Pick<RaftDriver, 'status' | 'members' | 'isRemoved' | 'noteRemoved'>;
  readonly transport: Pick<Transport, 'addressOf' | 'meet'>;
  readonly connect: (address: string) => RpcConnection;
  /** Where this manager is found: `host:port`. */
  readonly advertise: string;
  /** Where managers may be found that are not where the log says. */
  readonly hints: readonly string[];
  /** Members of a group that this manager was rebuilt without. */
  readonly leftBehind: readonly RaftMember[];
  /** Who does not answer is called again after so long: before it could have been elected. */
  readonly silentMs: number;
}

/** Who answers may have learned more after so long. */
const heardMs = 1_000;
/** Who was left behind and answers was told; it is told again, should it not have understood. */
const toldMs = 5_000;
/** Who has no vote yet asks so often whether it is still to have one. */
const askedMs = 5_000;
const answerMsMax = 1_000;

/**
 * Managers that have come back tell each other where they are, before anybody is elected: one that
 * has moved is found, though the log, which says where, cannot be written without a leader. And one
 * that was removed meanwhile hears so, and campaigns no more.
 *
 * A manager that was rebuilt alone calls those it left behind for as long as it runs. If they came
 * back all together, somewhere else than it, they would be a majority that knows of nothing.
 */
export class RollCall {
  readonly #deps: Deps;
  readonly #moved = new Watch<string>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** A manager says where it is. Only its own certificate can say so. */
  met(nodeId: string, address: string): void {
    const member = this.#others.find((other) => other.nodeId === nodeId);
    if (member === undefined || !this.#deps.transport.meet(member.raftId, address)) return;
    this.#deps.log.info({ 'node.id': nodeId, addr: address }, 'a manager is found elsewhere');
    this.#moved.publish(address);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { hints, leftBehind } = this.#deps;
    await runTogether(signal, [
      async (inner) => this.#answerThoseWhoMoved(inner),
      async (inner) => this.#whileWithoutVote(inner),
      ...this.#others.map(
        ({ raftId }) =>
          async (inner: AbortSignal): Promise<void> =>
            this.#untilLed(() => this.#deps.transport.addressOf(raftId), inner),
      ),
      ...hints.map(
        (address) =>
          async (inner: AbortSignal): Promise<void> =>
            this.#untilLed(() => address, inner),
      ),
      ...leftBehind.map(
        (member) =>
          async (inner: AbortSignal): Promise<void> =>
            this.#remind(member, inner),
      ),
    ]);
  }

  get #others(): readonly RaftMember[] {
    const { raft } = this.#deps;
    const own = raft.status().raftId;
    return raft.members().filter(({ raftId }) => raftId !== own);
  }

  /** Once there is a leader, it has all that was to be found out. */
  async #untilLed(addressOf: () => string | undefined, signal: AbortSignal): Promise<void> {
    const { clock, raft, advertise, silentMs } = this.#deps;
    for (;;) {
      const address = addressOf();
      if (address === undefined || address === advertise) return;
      const isTold = await this.#call(address, signal);
      await clock.sleep(isTold ? heardMs : silentMs, signal);
      if (raft.status().leaderId !== undefined) return;
    }
  }

  async #answerThoseWhoMoved(signal: AbortSignal): Promise<void> {
    using moved = this.#moved.subscribe();
    while (!signal.aborted) {
      await moved.changed(signal);
      const addresses = moved.drain();
      if (addresses === 'resync') continue; // So many moves are nobody's.
      for (const address of new Set(addresses)) await this.#call(address, signal);
    }
  }

  /**
   * Who has no vote campaigns for none, and so would not hear that it was removed while it was cut
   * off: it asks from time to time.
   */
  async #whileWithoutVote(signal: AbortSignal): Promise<void> {
    const { clock, raft, transport, hints } = this.#deps;
    const mayBeRemoved = (): boolean => {
      const own = raft.status().raftId;
      return raft.members().find(({ raftId }) => raftId === own)?.isLearner !== false;
    };
    for (;;) {
      await clock.sleep(askedMs, signal);
      if (!mayBeRemoved()) return;
      const { leaderId } = raft.status();
      const known = [leaderId, ...this.#others.map(({ raftId }) => raftId)]
        .filter((id) => id !== undefined)
        .map((id) => transport.addressOf(id))
        .filter((address) => address !== undefined);
      // Who answers may not have heard of it either.
      for (const address of new Set([...known, ...hints])) await this.#call(address, signal);
    }
  }

  async #remind({ raftId, nodeId, addr }: RaftMember, signal: AbortSignal): Promise<void> {
    const { clock, raft, silentMs } = this.#deps;
    const isBehind = (): boolean =>
      raft.isRemoved(raftId) && !this.#others.some((other) => other.nodeId === nodeId);
    while (!signal.aborted && isBehind()) {
      const isTold = await this.#call(addr, signal);
      await clock.sleep(isTold ? toldMs : silentMs, signal);
    }
  }

  /**
   * Tells the manager at an address where this one is, and asks where it believes the others to be.
   *
   * @returns whether it answered
   */
  async #call(address: string, signal: AbortSignal): Promise<boolean> {
    const { connect, raft, transport } = this.#deps;
    const heard: { readonly raftId: RaftId; readonly at: string }[] = [];
    try {
      using connection = connect(address);
      await this.#ask(connection, raft.status().raftId, signal);
      for (const { raftId } of this.#others) {
        const at = await this.#ask(connection, raftId, signal);
        if (at !== undefined && at !== transport.addressOf(raftId)) heard.push({ raftId, at });
      }
    } catch {
      signal.throwIfAborted();
      return false;
    }
    await Promise.all(heard.map(async ({ raftId, at }) => this.#confirm(raftId, at, signal)));
    return true;
  }

  /**
   * Somebody says that a member is elsewhere. Who was away itself does not know better: that it is
   * there counts once it says so there.
   */
  async #confirm(raftId: RaftId, address: string, signal: AbortSignal): Promise<void> {
    const { connect, transport } = this.#deps;
    try {
      using connection = connect(address);
      const at = await this.#ask(connection, raftId, signal);
      if (at === address) transport.meet(raftId, address);
    } catch {
      signal.throwIfAborted();
    }
  }

  /** Where another manager finds a member; `undefined`, if it does not. It hears where this one is. */
  async #ask(
    connection: RpcConnection,
    raftId: RaftId,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { raft, advertise } = this.#deps;
    const metadata = { [managerAddressName]: advertise };
    const options = { signal, deadlineMs: answerMsMax, metadata };
    try {
      const { addr } = await connection.unary('Raft', 'ResolveAddress', { raftId }, options);
      return addr;
    } catch (error) {
      signal.throwIfAborted();
      if (isRemovedAnswer(error) && raftId === raft.status().raftId) raft.noteRemoved();
      if (isSwarmError(error, 'not-found')) return undefined;
      throw error;
    }
  }
}
