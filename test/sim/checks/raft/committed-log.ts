import type { Entry } from '../../../../src/raft/core/types.ts';
import type { Kernel } from '../../kernel/kernel.ts';

interface Committed {
  readonly entry: Entry;
  /** The term of the member that was seen to apply it first: it was committed in that one, or before. */
  readonly seenIn: number;
}

/** An entry as it came to a disk for the first time. */
interface Written {
  readonly entry: Entry;
  readonly termBefore: number;
}

/** Every entry that ever was in a log, and which of them are committed. Raft Figure 3 */
export class CommittedLog {
  readonly #kernel: Kernel;
  readonly #committed: (Committed | undefined)[] = [];
  /** By index, the few that different terms have put there. */
  readonly #written: (Written[] | undefined)[] = [];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** It begins after an entry, as a snapshot of it has it. */
  begin(index: number, term: number): void {
    const entry: Entry = { index, term, type: 'EntryNormal', data: Buffer.alloc(0) };
    this.#committed[index] = { entry, seenIn: term };
  }

  /** The last entry that anybody has applied. */
  get lastIndex(): number {
    return Math.max(0, this.#committed.length - 1);
  }

  termOf(index: number): number | undefined {
    return this.#committed[index]?.entry.term;
  }

  /**
   * The last entry that was committed in a term before this one, as far as is known: whoever is
   * elected in this one has it.
   */
  lastBefore(term: number): Entry | undefined {
    for (let index = this.lastIndex; index > 0; index -= 1) {
      const committed = this.#committed[index];
      if (committed !== undefined && committed.seenIn < term) return committed.entry;
    }
    return undefined;
  }

  /** Two logs that have an entry of the same index and term have the same before it. Raft §5.3 */
  written(entry: Entry, termBefore: number, who: string): void {
    const { index, term } = entry;
    const here = (this.#written[index] ??= []);
    const known = here.find((each) => each.entry.term === term);
    if (known === undefined) here.push({ entry, termBefore });
    else if (!isSame(known.entry, entry) || known.termBefore !== termBefore) {
      this.#kernel.violate('logs-match', `${who} has another entry ${index} of term ${term}`);
    }
    if (termBefore > term) {
      this.#kernel.violate('logs-match', `${who} has term ${term} after ${termBefore} at ${index}`);
    }
  }

  /** @returns whether nobody had applied it before */
  applied(entry: Entry, seenIn: number, who: string): boolean {
    const { index, term } = entry;
    const known = this.#committed[index];
    if (known !== undefined) {
      if (!isSame(known.entry, entry)) {
        this.#kernel.violate(
          'committed-entries-stay',
          `${who} applies an entry ${index} of term ${term}, where another of term ${known.entry.term} was`,
        );
      }
      return false;
    }
    const isNew = index > this.lastIndex;
    this.#committed[index] = { entry, seenIn };
    return isNew;
  }
}

const isSame = (a: Entry, b: Entry): boolean =>
  a === b ||
  (a.term === b.term && a.type === b.type && (a.data === b.data || a.data.equals(b.data)));
