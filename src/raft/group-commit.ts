import type { Clock } from '../runtime/index.ts';

/** A batch is closed after so many turns of the event loop in which nobody has come. */
const quietTurnsMax = 6;
/** It waits no longer than this, in milliseconds: less than a sync takes. */
const waitMsMax = 1;

/**
 * Group commit: those who propose at the same time share a sync, and a message to each follower.
 *
 * Clients that were answered together ask again one after the other. A batch that took the first of
 * them alone would have all others wait for its sync, and from then on there are two groups that
 * wait for each other. So a batch waits for as many as the two before it had, in turns of the event
 * loop; a proposer who is alone, and whom nobody was with, does not wait.
 */
export class GroupCommit {
  readonly #clock: Pick<Clock, 'monotonic' | 'turn'>;
  #last = 0;
  #lastButOne = 0;

  constructor(clock: Pick<Clock, 'monotonic' | 'turn'>) {
    this.#clock = clock;
  }

  /**
   * Resolves once the next batch is to be saved.
   *
   * @param size of the batch so far, at least 1: it grows meanwhile
   */
  async gather(size: () => number): Promise<void> {
    const expected = Math.max(this.#last, this.#lastButOne);
    const until = this.#clock.monotonic() + waitMsMax;
    for (let quiet = 0, before = size(); before < expected && quiet < quietTurnsMax;) {
      if (this.#clock.monotonic() >= until) break;
      await this.#clock.turn();
      quiet = size() === before ? quiet + 1 : 0;
      before = size();
    }
    this.#lastButOne = this.#last;
    this.#last = size();
  }
}
