import { managerAddressName, type RpcConnection } from '../../api/index.ts';
import {
  childOf,
  childOfBoth,
  type Clock,
  firstOf,
  isSwarmError,
  SwarmError,
} from '../../runtime/index.ts';
import type { Message } from '../core/types.ts';
import { messageToWire } from '../wire.ts';
import type { Lane } from './lane.ts';
import { partsOf } from './snapshot-parts.ts';

/** A message, or a part of one, is taken within this time, or is given up. */
export const sendMsMax = 2_000;

/** A stream carries what there is for so long. Then its answer shows that all of it has arrived. */
const streamMs = 1_000;

interface CourierDeps {
  readonly clock: Clock;
  readonly connect: (address: string) => RpcConnection;
  readonly advertise: string;
}

type Request = { readonly message: ReturnType<typeof messageToWire> };

/**
 * Carries messages to another member over one connection: by a stream, if it takes one, as managers
 * of swarmd do; else by a call for each.
 */
export class Courier implements Disposable {
  readonly connection: RpcConnection;
  readonly #address: string;
  readonly #clock: Clock;
  /** Who has never heard of us knows where to answer. */
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #life = new AbortController();
  /** `undefined`, until it was asked. */
  #takesStreams: boolean | undefined;

  constructor({ clock, connect, advertise }: CourierDeps, address: string) {
    this.#clock = clock;
    this.#metadata = { [managerAddressName]: advertise };
    this.#address = address;
    this.connection = connect(address);
  }

  /**
   * Delivers a message, and for a while those that come after it. Once it resolves, all that was
   * taken from the lane has arrived.
   *
   * @throws SwarmError, if something of it may not have arrived; the signal's reason
   */
  async deliver(first: Message, lane: Lane, signal: AbortSignal): Promise<void> {
    using call = childOfBoth(signal, this.#life.signal);
    try {
      if (this.#takesStreams === false) await this.#call(first, call.signal);
      // The first one goes alone: it may have to go again.
      else await this.#stream(first, this.#takesStreams ? lane : undefined, call.signal);
    } catch (error) {
      if (this.#takesStreams !== undefined || !isSwarmError(error, 'unimplemented')) throw error;
      this.#takesStreams = false; // A stock manager.
      await this.#call(first, call.signal);
    }
    this.#takesStreams ??= true;
  }

  /**
   * Delivers a snapshot, no faster than it is taken. That may take long, as long as it moves on.
   *
   * @throws SwarmError, if it may not have arrived; the signal's reason
   */
  async deliverSnapshot(message: Message, signal: AbortSignal): Promise<void> {
    const clock = this.#clock;
    using life = childOfBoth(signal, this.#life.signal);
    let movedAt = clock.monotonic();
    async function* requests(): AsyncGenerator<Request> {
      for (const part of partsOf(messageToWire(message))) {
        movedAt = clock.monotonic();
        yield { message: part };
      }
      movedAt = clock.monotonic();
    }
    const untilStuck = async (inner: AbortSignal): Promise<void> => {
      for (let left = sendMsMax; left > 0; left = movedAt + sendMsMax - clock.monotonic()) {
        await clock.sleep(left, inner);
      }
      throw new SwarmError('deadline-exceeded', `raft: a snapshot to ${this.#address} is stuck`);
    };
    const call = async (inner: AbortSignal): Promise<void> => {
      await this.connection.clientStream('Raft', 'StreamRaftMessage', requests(), {
        signal: inner,
      });
    };
    try {
      await firstOf(life.signal, call, untilStuck);
    } catch (error) {
      if (!isSwarmError(error, 'unimplemented')) throw error;
      await this.#call(message, life.signal); // An old manager, which takes small ones alone.
    }
  }

  /** Whatever is under way fails. */
  [Symbol.dispose](): void {
    this.#life.abort(
      new SwarmError('unavailable', `raft: the way to ${this.#address} was given up`),
    );
    this.connection[Symbol.dispose]();
  }

  /** The cheaper of the two calls that stock managers take. */
  async #call(message: Message, signal: AbortSignal): Promise<void> {
    const request = { message: messageToWire(message) };
    const options = { signal, deadlineMs: sendMsMax, metadata: this.#metadata };
    await this.connection.unary('Raft', 'ProcessRaftMessage', request, options);
  }

  async #stream(first: Message, rest: Lane | undefined, signal: AbortSignal): Promise<void> {
    using life = childOf(signal);
    const requests = this.#requests(first, rest, life.signal);
    const options = { signal, deadlineMs: streamMs + sendMsMax, metadata: this.#metadata };
    try {
      await this.connection.clientStream('RaftStream', 'ProcessRaftMessages', requests, options);
    } finally {
      life.abort(); // Nothing more is taken from the lane for it.
    }
  }

  async *#requests(
    first: Message,
    rest: Lane | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Request> {
    const until = this.#clock.monotonic() + streamMs;
    for (let next: Message | undefined = first; next !== undefined;) {
      yield { message: messageToWire(next) };
      next = await rest?.take(signal, until);
    }
  }
}
