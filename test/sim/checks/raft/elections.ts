import type { RaftId } from '../../../../src/raft/core/types.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Marks } from '../../kernel/marks.ts';

/** Who led when. Raft §5.2: at most one a term. */
export class Elections {
  readonly #kernel: Kernel;
  readonly #marks: Marks;
  readonly #leaders = new Map<number, RaftId>();
  /** Terms in which somebody was a candidate; the founder begins with one. */
  readonly begun = new Set([1]);
  newestTerm = 0;
  /** The newest in which somebody served. */
  servedTerm = 0;
  /** When the last leader was elected, in milliseconds. */
  at = 0;

  constructor(kernel: Kernel, marks: Marks) {
    this.#kernel = kernel;
    this.#marks = marks;
  }

  /** The members that led at any time. */
  get leaders(): Iterable<RaftId> {
    return this.#leaders.values();
  }

  /** A member is seen to lead. */
  leads(id: RaftId, term: number): void {
    const leader = this.#leaders.get(term);
    if (leader === id) return;
    if (leader !== undefined) {
      this.#kernel.violate('one-leader-a-term', `${id} and ${leader} lead in term ${term}`);
      return;
    }
    this.#leaders.set(term, id);
    if (term <= this.newestTerm) return;
    if (term > this.newestTerm + 1 && this.newestTerm > 0) {
      this.#marks.hit('an election had no winner');
    }
    this.newestTerm = term;
    this.at = this.#kernel.now;
  }
}
