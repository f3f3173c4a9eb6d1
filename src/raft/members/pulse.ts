import type { Clock } from '../../runtime/index.ts';
import type { Message, MessageType, RaftId } from '../core/types.ts';

interface PulseDeps {
  readonly clock: Clock;
  /** An answer to a question that is older than this, in milliseconds, says nothing. */
  readonly keptMs: number;
}

/** What only the question of one leader, or candidate, is answered with. */
const questions: Partial<Record<MessageType, MessageType>> = {
  MsgVoteResp: 'MsgVote',
  MsgHeartbeatResp: 'MsgHeartbeat',
};

/**
 * When other members were there for certain. What one of them says may have been on its way for
 * long, behind a cut, or before a process that was frozen, and its sender be dead by now. But it is
 * younger than what it answers: the vote that was asked for in this term, or a heartbeat, which
 * carries a stamp that its answer repeats. Decision 21.
 */
export class Pulse {
  readonly #deps: PulseDeps;
  /** When each question was asked, oldest first. */
  readonly #askedAt = new Map<string, number>();
  readonly #aliveAt = new Map<RaftId, number>();
  #stamps = 0;

  constructor(deps: PulseDeps) {
    this.#deps = deps;
  }

  /** What leaves for other members, with a stamp on each heartbeat that carries nothing yet. */
  stamped(messages: readonly Message[]): readonly Message[] {
    const now = this.#deps.clock.monotonic();
    this.#forget(now - this.#deps.keptMs);
    let stamp: Buffer | undefined;
    return messages.map((message) => {
      if (message.type !== 'MsgVote' && message.type !== 'MsgHeartbeat') return message;
      const isBare = message.type === 'MsgHeartbeat' && message.context === undefined;
      const question = isBare ? { ...message, context: (stamp ??= this.#nextStamp()) } : message;
      const key = keyOf(question.type, question);
      // What is asked again may be answered as it was asked first.
      if (!this.#askedAt.has(key)) this.#askedAt.set(key, now);
      return question;
    });
  }

  /** Another member says something. */
  hear(message: Message): void {
    const question = questions[message.type];
    const askedAt = question && this.#askedAt.get(keyOf(question, message));
    if (askedAt !== undefined) this.seen(message.from, askedAt);
  }

  /** A member was there for certain at some time, by the monotonic clock. */
  seen(id: RaftId, at: number): void {
    if (at > this.aliveAt(id)) this.#aliveAt.set(id, at);
  }

  /** A member's process is gone. */
  lose(id: RaftId): void {
    this.#aliveAt.delete(id);
  }

  /** When a member was there for certain, by the monotonic clock. */
  aliveAt(id: RaftId): number {
    return this.#aliveAt.get(id) ?? -Infinity;
  }

  #nextStamp(): Buffer {
    this.#stamps += 1;
    // Of another length than the number of a read, which a heartbeat may carry in its place.
    const stamp = Buffer.alloc(4);
    stamp.writeUInt32LE(this.#stamps % 2 ** 32);
    return stamp;
  }

  #forget(before: number): void {
    for (const [key, at] of this.#askedAt) {
      if (at >= before) return;
      this.#askedAt.delete(key);
    }
  }
}

/** A vote is asked for once in a term; why, only its question says. */
const keyOf = (type: MessageType, { term, context }: Message): string =>
  type === 'MsgVote' ? `vote ${term}` : `${term} ${context?.toString('hex') ?? ''}`;
