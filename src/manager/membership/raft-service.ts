import type {
  ProcessRaftMessageRequest,
  ProcessRaftMessageResponseInput,
  RaftMessage,
  ResolveAddressRequest,
  ResolveAddressResponseInput,
  StreamRaftMessageRequest,
  StreamRaftMessageResponseInput,
} from '../../api/gen/types.ts';
import type { Handlers } from '../../api/index.ts';
import {
  assembled,
  memberRemoved,
  messageFromWire,
  type RaftDriver,
  type RaftId,
  raftIdFrom,
} from '../../raft/index.ts';
import { orAborted, SwarmError } from '../../runtime/index.ts';
import type { ServedContext } from '../grpc/calls.ts';

/** A snapshot that another manager sends is at most so large, in bytes. */
const snapshotBytesMax = 1_073_741_824;

interface Deps {
  /** @throws SwarmError unavailable, while this manager is no member */
  readonly raft: () => Pick<RaftDriver, 'admit' | 'receive' | 'isRemoved' | 'status'>;
  /** Waits until a manager that is being let in can take messages; it does not wait for any other. */
  readonly letIn: (signal: AbortSignal) => Promise<void>;
  /** Where messages to another member go. */
  readonly addressOf: (id: RaftId) => string | undefined;
  /** Where this manager is found, whatever its log says so far. */
  readonly advertise: string;
  /** Is told where a manager says that it is. */
  readonly met: (nodeId: string, address: string) => void;
  /** Is told where a member that sends messages is, should the log not say so, or not yet. */
  readonly hear: (id: RaftId, address: string) => void;
}

/**
 * Takes the messages of other members. Who speaks for a member is bound to its certificate, so no
 * call that a manager passes on for another is taken. swarmkit manager/state/raft/raft.go
 */
export class RaftService implements Handlers<'Raft'>, Handlers<'RaftStream'> {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** @throws SwarmError not-found, with a text that ends its Raft, if the sender was removed */
  async processRaftMessage(
    { message }: ProcessRaftMessageRequest,
    context: ServedContext,
  ): Promise<ProcessRaftMessageResponseInput> {
    await this.#deps.letIn(context.signal);
    if (message !== null) this.#take(message, context);
    return {};
  }

  /**
   * As {@link processRaftMessage}, for one after the other.
   *
   * @throws the signal's reason: the caller may have more to say when this manager ends
   */
  async processRaftMessages(
    requests: AsyncIterable<ProcessRaftMessageRequest>,
    context: ServedContext,
  ): Promise<ProcessRaftMessageResponseInput> {
    await this.#deps.letIn(context.signal);
    const takeAll = async (): Promise<void> => {
      for await (const { message } of requests) if (message !== null) this.#take(message, context);
    };
    await orAborted(takeAll(), context.signal);
    return {};
  }

  /** As {@link processRaftMessage}; a snapshot comes in parts. */
  async streamRaftMessage(
    requests: AsyncIterable<StreamRaftMessageRequest>,
    context: ServedContext,
  ): Promise<StreamRaftMessageResponseInput> {
    await this.#deps.letIn(context.signal);
    const message = await assembled(messagesOf(requests), snapshotBytesMax);
    if (message !== undefined) this.#take(message, context);
    return {};
  }

  /**
   * Where a member is found.
   *
   * @throws SwarmError not-found, if it is none that is known; with a text that ends its Raft, if it
   *   was removed
   */
  async resolveAddress(
    { raftId }: ResolveAddressRequest,
    { caller, redirectedFrom, managerAddress }: ServedContext,
  ): Promise<ResolveAddressResponseInput> {
    const id = raftIdFrom(raftId);
    const raft = this.#deps.raft();
    if (caller.kind === 'node' && redirectedFrom === undefined && managerAddress !== undefined) {
      this.#deps.met(caller.nodeId, managerAddress);
    }
    if (raft.isRemoved(id)) throw memberRemoved();
    const isSelf = id === raft.status().raftId;
    const addr = isSelf ? this.#deps.advertise : this.#deps.addressOf(id);
    if (addr === undefined) {
      throw new SwarmError('not-found', `member ${BigInt(id).toString(16)} not found`);
    }
    return { addr };
  }

  #take(wire: RaftMessage, { caller, redirectedFrom, managerAddress }: ServedContext): void {
    if (caller.kind !== 'node' || redirectedFrom !== undefined) {
      throw new SwarmError('permission-denied', 'raft: a member speaks for itself alone');
    }
    const raft = this.#deps.raft();
    const message = messageFromWire(wire);
    raft.admit(message.from, caller.nodeId);
    if (managerAddress !== undefined) this.#deps.hear(message.from, managerAddress);
    raft.receive(message);
  }
}

async function* messagesOf(
  requests: AsyncIterable<StreamRaftMessageRequest>,
): AsyncGenerator<RaftMessage | null> {
  for await (const { message } of requests) yield message;
}
