import type { RaftNode } from '../../src/raft/core/raft-node.ts';
import type { MemoryLog } from '../../src/raft/core/stable-log.ts';
import type { Entry, HardState, Message, RaftId } from '../../src/raft/core/types.ts';

/** A member as the watchman sees it. */
interface Watched {
  readonly id: RaftId;
  readonly node: RaftNode;
  readonly disk: { readonly log: MemoryLog; readonly written: HardState };
}

/** What may never happen, over the whole history of a cluster. Raft Figure 3. */
export class RaftWatchman {
  readonly #leaders = new Map<number, RaftId>();
  readonly #votes = new Map<string, RaftId>();
  readonly #terms = new Map<RaftId, number>();
  /** The configuration after each entry that was the last applied somewhere. */
  readonly #groups = new Map<number, string>();
  /** Each entry that ever was in a log, by index and term: what it is, and the term before it. */
  readonly #entries = new Map<string, string>();
  /** Each entry that ever was applied, by index. */
  readonly #committed = new Map<number, string>();
  #newestCommit = 0;
  /** What was applied somewhere when a read was asked for. */
  readonly #questions = new Map<string, number>();

  /** Looks at a member, each time something has happened to it. */
  look(peer: Watched): void {
    const { id, node } = peer;
    // What was never on disk may be forgotten in a crash: nobody was told.
    const { currentTerm, votedFor } = peer.disk.written;
    if (currentTerm < (this.#terms.get(id) ?? 0)) throw new Error(`the term of ${id} went back`);
    this.#terms.set(id, currentTerm);
    if (votedFor !== undefined) {
      same(this.#votes, `${id} in term ${currentTerm}`, votedFor, 'one vote a term');
    }
    if (node.status.role === 'leader') this.#lookAtLeader(peer);
  }

  /** Looks at entries as they come to a disk. */
  saved(entries: readonly Entry[], log: MemoryLog): void {
    for (const entry of entries) {
      const { index, term } = entry;
      const termBefore = log.term(index - 1) ?? 0;
      const text = `${textOf(entry)} after ${termBefore}`;
      same(this.#entries, `${index} of term ${term}`, text, 'log matching');
      if (term < termBefore) throw new Error(`terms go back at ${index}`);
    }
  }

  /** Looks at an entry as a member takes it, after the one at `before`. */
  applied(entry: Entry, before: number): void {
    const { index } = entry;
    if (index !== before + 1) throw new Error(`${index} is applied after ${before}`);
    same(this.#committed, index, textOf(entry), 'state machine safety');
    this.#newestCommit = Math.max(this.#newestCommit, index);
  }

  /** Looks at the configuration of a member that has done all it had to do. */
  group({ confState, status }: RaftNode): void {
    same(this.#groups, status.lastApplied, JSON.stringify(confState), 'one configuration');
  }

  /** Looks at a message as it leaves: what it claims must be on disk. Raft Figure 2 */
  sent({ type, to, term, index, reject }: Message, { id, disk }: Watched): void {
    const { currentTerm, votedFor } = disk.written;
    if (term > currentTerm && type !== 'MsgPreVote' && type !== 'MsgPreVoteResp') {
      throw new Error(`${id} speaks of term ${term}, which is not on its disk`);
    }
    // What belongs to an earlier term cannot be broken any more: a later one is on disk.
    if (term < currentTerm || reject) return;
    if (type === 'MsgVoteResp' && votedFor !== to) {
      throw new Error(`${id} gave a vote that is not on its disk`);
    }
    if (type === 'MsgAppResp' && index > disk.log.lastIndex()) {
      throw new Error(`${id} acknowledged ${index}, which is not on its disk`);
    }
  }

  /** A read is asked for; the name it goes by. */
  question(): string {
    const name = `read ${this.#questions.size}`;
    this.#questions.set(name, this.#newestCommit);
    return name;
  }

  /** A read is answered: nothing that was applied before it was asked for is missing. */
  read(name: string, index: number): void {
    const known = this.#questions.get(name) ?? 0;
    if (index < known) throw new Error(`${name} sees ${index}, but ${known} was known before`);
  }

  #lookAtLeader({ id, node, disk }: Watched): void {
    const { currentTerm } = node.status;
    const isNew = !this.#leaders.has(currentTerm);
    same(this.#leaders, currentTerm, id, 'election safety');
    if (!isNew) return;
    const first = disk.log.firstIndex();
    for (const [index, text] of this.#committed) {
      // What is not in the log on disk any more is in a snapshot, which holds only what is committed.
      if (index < first) continue;
      const [entry] = disk.log.entries(index, index + 1, Infinity) ?? [];
      const found = entry === undefined ? 'nothing' : textOf(entry);
      // A leader's own newest entries may not be on its disk yet; they are not committed then.
      if (found !== text) throw new Error(`leader completeness: ${id} has ${found}, not ${text}`);
    }
    if (node.status.lastIndex < disk.log.lastIndex()) throw new Error('a leader lost entries');
  }
}

const textOf = ({ term, type, data }: Entry): string => `${term} ${type} ${data.toString()}`;

function same<K, V>(known: Map<K, V>, key: K, value: V, rule: string): void {
  const before = known.get(key) ?? value;
  if (before !== value) {
    throw new Error(`${rule}: ${String(before)} and ${String(value)} at ${String(key)}`);
  }
  known.set(key, value);
}
