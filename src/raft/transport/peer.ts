import type { RpcConnection } from '../../api/index.ts';
import {
  type Clock,
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
import { Courier, sendMsMax } from './courier.ts';
import { Lane } from './lane.ts';

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
  /** Where this manager is found: `host:port`. */
  readonly advertise: string;
  readonly reports: PeerReports;
}

/** Survivors of a leader ask for votes within so many milliseconds of each other. */
const goneSpreadMs = 30;

/**
 * Another member, as messages go to it: in order. What cannot be delivered is dropped and reported;
 * Raft sends it again.
 *
 * Snapshots have a lane of their own: heartbeats do not wait until megabytes are through.
 */
export class Peer {
  readonly id: RaftId;
  readonly #deps: PeerDeps;
  readonly #lanes: { readonly messages: Lane; readonly snapshots: Lane };
  readonly #connected = new Bell();
  #address: string;
  #courier: Courier | undefined;
  #isReached = false;

  constructor(deps: PeerDeps, id: RaftId, address: string) {
    this.#deps = deps;
    this.id = id;
    this.#address = address;
    this.#lanes = { messages: new Lane(deps.clock), snapshots: new Lane(deps.clock) };
  }

  /** Where it is reached from now on. */
  moveTo(address: string): void {
    if (address === this.#address) return;
    this.#address = address;
    this.#disconnect();
  }

  /** The way to it that messages take. */
  get connection(): RpcConnection {
    return this.#way.connection;
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
      const message = await lane.take(signal);
      if (message === undefined) continue;
      const courier = this.#way;
      const failure = await failureOf(
        message.type === 'MsgSnap'
          ? courier.deliverSnapshot(message, signal)
          : courier.deliver(message, lane, signal),
      );
      signal.throwIfAborted();
      if (message.type === 'MsgSnap') {
        this.#deps.reports.reportSnapshot(this.id, failure === undefined);
      }
      if (failure === undefined) this.#reached();
      else if (courier === this.#courier) this.#failed(failure, lane);
      else this.#deps.reports.reportUnreachable(this.id); // It is elsewhere, or was given up.
    }
  }

  get #way(): Courier {
    this.#courier ??= new Courier(this.#deps, this.#address);
    return this.#courier;
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
    this.#courier?.[Symbol.dispose]();
    this.#courier = undefined;
  }

  /**
   * A process that dies closes its connections, and its port refuses others: that says more than
   * silence, and says it sooner.
   */
  async #watchConnection(signal: AbortSignal): Promise<void> {
    const { clock, random, reports } = this.#deps;
    while (!signal.aborted) {
      await this.#connected.heard(signal);
      const connection = this.#courier?.connection;
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

/** Why a delivery has failed; `undefined`, if it has not. */
async function failureOf(delivery: Promise<void>): Promise<SwarmError | undefined> {
  try {
    await delivery;
    return undefined;
  } catch (error) {
    return error instanceof SwarmError
      ? error
      : new SwarmError('unknown', messageOf(error), { cause: error });
  }
}
