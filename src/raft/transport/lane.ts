import type { Clock } from '../../runtime/index.ts';
import { Bell } from '../bell.ts';
import type { Message } from '../core/types.ts';
import { isBeat, merged } from './merge.ts';

/** So many messages may wait. swarmkit manager/state/raft/transport/transport.go */
const queuedMax = 4_096;
/** What only tells what is committed may wait so long, to go with what comes next. */
const commitLingerMs = 10;

/** Messages that wait to go to a member, in order. */
export class Lane {
  readonly #clock: Clock;
  readonly #bell = new Bell();
  #queue: Message[] = [];
  /** Since when the first one waits, by the monotonic clock. */
  #waitsSince = 0;
  /** When the bell rings by itself. */
  #ringsAt = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

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
    if (this.#queue.length === 0) this.#waitsSince = this.#clock.monotonic();
    this.#queue.push(message);
    this.#bell.ring();
    return true;
  }

  clear(): void {
    this.#queue = [];
  }

  /**
   * Takes the next message, once there is one.
   *
   * @param until by the monotonic clock, in milliseconds
   * @returns `undefined`, if there was none until then
   * @throws the signal's reason, if it aborts first
   */
  async take(signal: AbortSignal, until = Infinity): Promise<Message | undefined> {
    for (;;) {
      const now = this.#clock.monotonic();
      if (now >= until) return undefined;
      const goesAt = this.#tellsOnlyCommit ? this.#waitsSince + commitLingerMs : now;
      if (this.#queue.length > 0 && goesAt <= now) return this.#queue.shift();
      this.#ringBy(this.#queue.length > 0 ? Math.min(goesAt, until) : until, signal);
      await this.#bell.heard(signal);
    }
  }

  /** Whether all that waits says nothing but what is committed. */
  get #tellsOnlyCommit(): boolean {
    const [first] = this.#queue;
    return this.#queue.length === 1 && first?.type === 'MsgApp' && first.entries.length === 0;
  }

  /** Whoever waits is woken by then, if not before. */
  #ringBy(time: number, signal: AbortSignal): void {
    if (time >= this.#ringsAt) return;
    this.#ringsAt = time;
    const ring = (): void => {
      if (this.#ringsAt === time) this.#ringsAt = Infinity;
      this.#bell.ring();
    };
    void this.#clock.sleep(time - this.#clock.monotonic(), signal).then(ring, ring);
  }
}
