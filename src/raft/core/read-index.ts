import type { Membership } from './membership.ts';
import type { Message, RaftId } from './types.ts';

/** A reader's question, and the commit index at the time it was asked. */
export interface PendingRead {
  readonly request: Message;
  readonly index: number;
}

/** The words by which a reader knows its answer again; they are its own, and unique. */
export const contextOf = (request: Message): Buffer => request.entries[0]?.data ?? Buffer.alloc(0);

/**
 * Reads waiting for a majority to confirm that the leader still leads. Thesis §6.4.
 *
 * Reads are numbered within a leadership, and a heartbeat carries the number of the youngest: an
 * answer to it confirms that one and all older ones, and none that was asked later, however often a
 * reader repeats its words or the network an answer. etcd read_only.go, v3.7
 */
export class ReadQueue {
  /** Oldest first. The first has the number after `#confirmed`. */
  #waiting: PendingRead[] = [];
  #confirmed = 0;
  /** The largest number each member has answered. */
  readonly #acks = new Map<RaftId, number>();

  add(request: Message, index: number): void {
    this.#waiting.push({ request, index });
  }

  /** What a heartbeat carries to confirm all that wait; `undefined` if none does. */
  get context(): Buffer | undefined {
    if (this.#waiting.length === 0) return undefined;
    const context = Buffer.alloc(8);
    context.writeBigUInt64LE(BigInt(this.#youngest));
    return context;
  }

  /**
   * Notes that a member answered a heartbeat of this leadership.
   *
   * @returns the reads this confirms, oldest first
   */
  acknowledge(from: RaftId, context: Buffer, membership: Membership): readonly PendingRead[] {
    if (context.length !== 8) return [];
    const answered = Math.min(Number(context.readBigUInt64LE()), this.#youngest);
    this.#acks.set(from, Math.max(this.#acks.get(from) ?? 0, answered));
    const agreed = membership.majorityOf((id) => this.#acks.get(id) ?? 0);
    // Never fewer than before, though a new member has answered none yet.
    const confirmed = this.#waiting.splice(0, Math.max(0, agreed - this.#confirmed));
    this.#confirmed += confirmed.length;
    return confirmed;
  }

  get #youngest(): number {
    return this.#confirmed + this.#waiting.length;
  }
}
