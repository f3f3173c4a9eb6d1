import { type Clock, SwarmError } from '../../runtime/index.ts';

/**
 * How fast nodes may join. Generous for a data centre that powers on together; it keeps whoever
 * holds a token from filling the log.
 */
export const joinRate = { burst: 1_000, perSecond: 100 } as const;

/** A bucket of permissions to join, filled steadily. */
export class JoinRate {
  readonly #clock: Clock;
  #permits: number = joinRate.burst;
  #filledAt: number;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
    this.#filledAt = clock.monotonic();
  }

  /** @throws SwarmError resource-exhausted, if too many nodes have joined just now */
  take(): void {
    const now = this.#clock.monotonic();
    const filled = this.#permits + ((now - this.#filledAt) / 1_000) * joinRate.perSecond;
    this.#permits = Math.min(filled, joinRate.burst);
    this.#filledAt = now;
    if (this.#permits < 1) {
      throw new SwarmError('resource-exhausted', 'too many nodes are joining at once');
    }
    this.#permits -= 1;
  }
}
