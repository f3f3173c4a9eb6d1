import type { RpcConnection } from '../../api/index.ts';
import {
  type Clock,
  firstOf,
  isSwarmError,
  type Log,
  messageOf,
  type Random,
  runTogether,
  SwarmError,
} from '../../runtime/index.ts';
import { Bell } from '../bell.ts';
import type { Message, RaftId } from '../core/types.ts';
import { isRemovedAnswer } from '../members/members.ts';
import { messageToWire } from '../wire.ts';
import { isBeat, merged } from './merge.ts';
import { partsOf } from './snapshot-parts.ts';

/** What becomes of messages, as the driver wants to know it. */
export interface PeerReports {
  reportUnreachable(id: RaftId): void;
  reportSnapshot(id: RaftId, isDelivered: boolean): void;
  /** A peer says that this member was removed. */
  noteRemoved(): void;
  /** A member's process is gone: its connection was closed, and another is refused. */
  noteGone(id: RaftId): void;
}

export interface PeerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly connect: (address: string) => RpcConnection;
  readonly reports: PeerReports;
}

/** So many messages may wait. swarmkit manager/state/raft/transport/transport.go */
const queuedMax = 4_096;
/** A message, or a part of one, is taken within this time, or is given up. */
export const sendMsMax = 2_000;
/** What only tells what is committed may wait so long, to go with what comes next. */
const commitLingerMs = 10;
/** Survivors of a leader ask for votes within so many milliseconds of each other. */
const goneSpreadMs = 30;

/**
 * Another member, as messages go to it: one at a time and in order. What cannot be delivered is
 * dropped and reported; Raft sends it again.
 *
 * Snapshots have a lane of their own: heartbeats do not wait until megabytes are through.
 */
export class Peer {
  readonly id: RaftId;
  readonly #deps: PeerDeps;
  readonly #lanes = { messages: new Lane(), snapshots: new Lane() } as const;
  readonly #connected = new Bell();
  #address: string;
  #connection: RpcConnection | undefined;
  #isReached = false;

  constructor(deps: PeerDeps, id: RaftId, address: string) {
    this.#deps = deps;
    this.id = id;
    this.#address = address;
  }

  /** Where it is reached from now on. */
  moveTo(address: string): void {
    if (address === this.#address) return;
    this.#address = address;
    this.#disconnect();
  }

  /** The way to it that messages take. */
  get connection(): RpcConnection {
    this.#connection ??= this.#deps.connect(this.#address);
    return this.#connection;
  }

  push(message: Message): void {
    const lane = message.type === 'MsgSnap' ? this.#lanes.snapshots : this.#lanes.messages;
    if (!lane.push(message)) this.#deps.reports.reportUnreachable(this.id);
  }

  /** Delivers until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await runTogether(signal, [
        async (inner) => this.#deliverAll(this.#lanes.messages, inner),
        async (inner) => this.#deliverAll(this.#lanes.snapshots, inner),
        async (inner) => this.#watchConnection(inner),
      ]);
    } finally {
      this.#disconnect();
    }
  }

  async #deliverAll(lane: Lane, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await lane.filled(signal);
      if (lane.tellsOnlyCommit) await lane.filledWithin(this.#deps.clock, signal);
      const message = lane.take();
      if (message === undefined) continue;
      const failure = await this.#deliver(message, signal);
      signal.throwIfAborted();
      if (message.type === 'MsgSnap') {
        this.#deps.reports.reportSnapshot(this.id, failure === undefined);
      }
      if (failure === undefined) this.#reached();
      else this.#failed(failure, lane);
    }
  }

  /** @returns why it was not delivered */
  async #deliver(message: Message, signal: AbortSignal): Promise<SwarmError | undefined> {
    try {
      if (message.type === 'MsgSnap') await this.#stream(message, signal);
      else await this.#process(message, signal);
      return undefined;
    } catch (error) {
      return error instanceof SwarmError
        ? error
        : new SwarmError('unknown', messageOf(error), { cause: error });
    }
  }

  /** The cheaper of the two calls that stock managers take. */
  async #process(message: Message, signal: AbortSignal): Promise<void> {
    const request = { message: messageToWire(message) };
    const options = { signal, deadlineMs: sendMsMax };
    await this.connection.unary('Raft', 'ProcessRaftMessage', request, options);
  }

  /** A snapshot, no faster than the peer takes it. It may take long, as long as it moves on. */
  async #stream(message: Message, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let movedAt = clock.monotonic();
    async function* requests(): AsyncGenerator<{ message: ReturnType<typeof messageToWire> }> {
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
      await firstOf(signal, call, untilStuck);
    } catch (error) {
      if (!isSwarmError(error, 'unimplemented')) throw error;
      await this.#process(message, signal); // An old manager, which takes small ones alone.
    }
  }

  #reached(): void {
    if (!this.#isReached) {
      const { log } = this.#deps;
      log.debug({ 'peer.id': this.id, addr: this.#address }, 'peer is reached');
    }
    this.#isReached = true;
    this.#connected.ring();
  }

  #failed(failure: SwarmError, lane: Lane): void {
    const { log, reports } = this.#deps;
    if (isRemovedAnswer(failure)) {
      reports.noteRemoved();
      return;
    }
    if (this.#isReached) {
      const fields = { 'peer.id': this.id, addr: this.#address, reason: failure.message };
      log.warn(fields, 'peer is not reached');
    }
    this.#isReached = false;
    lane.clear(); // They would arrive too late to be worth anything.
    // A new connection is tried with the next message: no back-off is longer than a heartbeat.
    this.#disconnect();
    reports.reportUnreachable(this.id);
  }

  #disconnect(): void {
    this.#connection?.[Symbol.dispose]();
    this.#connection = undefined;
  }

  /**
   * A process that dies closes its connections, and its port refuses others: that says more than
   * silence, and says it sooner.
   */
  async #watchConnection(signal: AbortSignal): Promise<void> {
    const { clock, random, reports } = this.#deps;
    while (!signal.aborted) {
      await this.#connected.heard(signal);
      const connection = this.#connection;
      if (connection !== undefined) {
        if (connection.closed === undefined) return;
        await connection.closed(signal);
      }
      if (!(await this.#isRefused(signal))) continue;
      await clock.sleep(random.integer(goneSpreadMs), signal);
      reports.noteGone(this.id);
    }
  }

  async #isRefused(signal: AbortSignal): Promise<boolean> {
    using connection = this.#deps.connect(this.#address);
    try {
      await connection.unary('Health', 'Check', { service: '' }, { signal, deadlineMs: sendMsMax });
      return false;
    } catch (error) {
      signal.throwIfAborted();
      return isSwarmError(error, 'unavailable') && error.message.includes('ECONNREFUSED');
    }
  }
}

/** Messages that wait, in order. */
class Lane {
  readonly #bell = new Bell();
  #queue: Message[] = [];

  /** @returns whether there was room */
  push(message: Message): boolean {
    // Heartbeats and the rest merge past each other: else a slow wire would have ever more to carry.
    const at = this.#queue.findLastIndex((waiting) => isBeat(waiting) === isBeat(message));
    const last = this.#queue[at];
    const both = last === undefined ? undefined : merged(last, message);
    if (both !== undefined) {
      this.#queue[at] = both;
      this.#bell.ring();
      return true;
    }
    if (this.#queue.length >= queuedMax) return false;
    this.#queue.push(message);
    this.#bell.ring();
    return true;
  }

  clear(): void {
    this.#queue = [];
  }

  take(): Message | undefined {
    return this.#queue.shift();
  }

  /** Whether all that waits says nothing but what is committed. */
  get tellsOnlyCommit(): boolean {
    const [first] = this.#queue;
    return this.#queue.length === 1 && first?.type === 'MsgApp' && first.entries.length === 0;
  }

  /** Resolves once something waits. */
  async filled(signal: AbortSignal): Promise<void> {
    while (this.#queue.length === 0) await this.#bell.heard(signal);
  }

  /** Resolves once something more waits, or shortly after. */
  async filledWithin(clock: Clock, signal: AbortSignal): Promise<void> {
    this.#bell.silence();
    await firstOf(
      signal,
      async (inner) => this.#bell.heard(inner),
      async (inner) => clock.sleep(commitLingerMs, inner),
    );
  }
}
