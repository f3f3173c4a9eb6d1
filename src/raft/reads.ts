import { assert } from '../runtime/index.ts';
import type { ReadState } from './core/types.ts';
import { notLeading } from './proposals.ts';

interface Round {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
  /** Once a majority has answered: what must be applied before the read. */
  index: number | undefined;
}

/**
 * Readers that wait until the leadership is confirmed. Those who come while no Ready has been taken
 * share one round of heartbeats.
 */
export class Reads {
  readonly #rounds = new Map<string, Round>();
  #collecting: Round | undefined;
  #count = 0;

  /** Joins the round being collected; `begin` starts one, with its unique context, if there is none. */
  async join(begin: (context: Buffer) => void): Promise<void> {
    this.#collecting ??= this.#open(begin);
    await this.#collecting.promise;
  }

  /** Whoever comes from now on needs a round of its own. */
  closeCollection(): void {
    this.#collecting = undefined;
  }

  confirmed({ index, context }: ReadState): void {
    const round = this.#rounds.get(context.toString('latin1'));
    if (round !== undefined) round.index = index;
  }

  /** Lets those read whose index is applied. */
  applied(lastApplied: number): void {
    for (const [context, { index, resolve }] of this.#rounds) {
      if (index === undefined || index > lastApplied) continue;
      this.#rounds.delete(context);
      resolve();
    }
  }

  rejectAll(): void {
    const rounds = [...this.#rounds.values()];
    this.#rounds.clear();
    this.#collecting = undefined;
    for (const { reject } of rounds) reject(notLeading());
  }

  #open(begin: (context: Buffer) => void): Round {
    this.#count += 1;
    const context = Buffer.alloc(8);
    context.writeBigUInt64BE(BigInt(this.#count));
    const { promise, resolve, reject } = deferred();
    const round: Round = { promise, resolve, reject, index: undefined };
    this.#rounds.set(context.toString('latin1'), round);
    begin(context);
    return round;
  }
}

function deferred(): Pick<Round, 'promise' | 'resolve' | 'reject'> {
  let settle: Pick<Round, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  assert(settle !== undefined, 'a promise runs its executor at once');
  return { promise, ...settle };
}
