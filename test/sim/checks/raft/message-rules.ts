import { type Message, type RaftId } from '../../../../src/raft/index.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Marks } from '../../kernel/marks.ts';
import type { Disk } from '../../ports/disk.ts';
import type { CommittedLog } from './committed-log.ts';
import type { Elections } from './elections.ts';

interface Deps {
  readonly kernel: Kernel;
  readonly diskOf: (id: RaftId) => Disk | undefined;
  readonly elections: Elections;
  readonly committed: CommittedLog;
  readonly marks: Marks;
}

/** What members of a Raft group tell each other is true, and on their disks. Raft Figures 2, 3. */
export class MessageRules {
  readonly #deps: Deps;
  readonly #votes = new Map<string, RaftId>();
  readonly #terms = new Map<string, number>();
  /** What a leader has last told a member to commit. */
  readonly #told = new Map<string, { readonly term: number; readonly commit: number }>();
  /** When a member last answered a heartbeat of another. */
  readonly #answered = new Map<string, number>();
  /** Who has acknowledged an entry. */
  readonly #spoken = new Set<RaftId>();
  /** Who asked whom for a pre-vote, in which term. */
  readonly #asked = new Set<string>();
  /** What a message says, unless it refuses something. */
  readonly #saying: Readonly<Partial<Record<Message['type'], (message: Message) => void>>> = {
    MsgApp: (message) => {
      this.#leads(message);
    },
    MsgSnap: (message) => {
      this.#leads(message);
    },
    MsgHeartbeat: (message) => {
      this.#leads(message);
      this.#commits(message);
    },
    MsgHeartbeatResp: (message) => {
      this.#follows(message);
    },
    MsgAppResp: (message) => {
      this.#holds(message);
    },
    MsgPreVote: (message) => {
      this.#asks(message);
    },
    MsgPreVoteResp: (message) => {
      this.#answers(message);
    },
    MsgVoteResp: (message) => {
      this.#votesFor(message);
    },
    MsgTimeoutNow: () => {
      this.#deps.marks.hit('the leadership was handed over');
    },
  };

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Whether a member has ever said that it holds anything. */
  hasSpoken(id: RaftId): boolean {
    return this.#spoken.has(id);
  }

  /** Whether a member was promised a vote, or has its own. */
  hasVoted(id: RaftId, candidate: RaftId, term: number): boolean {
    return id === candidate || this.#votes.get(`${id} ${term}`) === candidate;
  }

  /** Whether one has answered a heartbeat of another since then. */
  hasAnswered(id: RaftId, leader: RaftId, since: number): boolean {
    return id === leader || (this.#answered.get(`${id} ${leader}`) ?? -Infinity) >= since;
  }

  /** A message leaves. */
  sent(message: Message): void {
    const { type, reject } = message;
    if (type !== 'MsgPreVote' && type !== 'MsgPreVoteResp') this.#speaksOf(message);
    if (!reject) this.#saying[type]?.(message);
  }

  /** The term of a message is on its sender's disk. */
  #speaksOf({ type, from, term }: Message): void {
    const state = this.#deps.diskOf(from)?.durableState;
    if (state === undefined || state.currentTerm >= term) return;
    this.#deps.kernel.violate(
      'nothing-is-told-before-it-is-durable',
      `${from} sends ${type} of term ${term}: its disk has ${state.currentTerm}`,
    );
  }

  #leads({ from, to, term }: Message): void {
    const { kernel, elections } = this.#deps;
    elections.leads(from, term);
    const pair = `${from} ${to}`;
    const last = this.#terms.get(pair) ?? 0;
    this.#terms.set(pair, term);
    if (term >= last) return;
    kernel.violate('terms-grow', `${from} spoke in term ${last}, and speaks in ${term}`);
  }

  /**
   * What a heartbeat tells to be committed, its receiver has: it may have something else beyond. It
   * says how much the receiver has acknowledged: that never becomes less. Raft Figure 2, matchIndex
   */
  #commits({ from, to, term: leaderTerm, commit }: Message): void {
    const { kernel, diskOf, committed } = this.#deps;
    const pair = `${from} ${to}`;
    const last = this.#told.get(pair);
    this.#told.set(pair, { term: leaderTerm, commit });
    if (last?.term === leaderTerm && commit < last.commit) {
      kernel.violate(
        'what-is-acknowledged-stays',
        `${from} told ${to} in term ${leaderTerm} to commit ${last.commit}, and then ${commit}`,
      );
    }
    const disk = diskOf(to);
    const term = committed.termOf(commit);
    if (disk === undefined || term === undefined || commit === 0) return;
    const held = disk.termAt(commit);
    // What is compacted was committed.
    if (held === term || (held === undefined && disk.durableIndex > commit)) return;
    kernel.violate(
      'only-what-is-held-is-committed',
      `${from} tells ${to} to commit ${commit} of term ${term}: it has ${held ?? 'nothing'} there`,
    );
  }

  #follows({ from, to }: Message): void {
    this.#answered.set(`${from} ${to}`, this.#deps.kernel.now);
  }

  #asks({ from, to, term }: Message): void {
    this.#asked.add(`${from} ${to} ${term}`);
  }

  /** A pre-vote is for the term that was asked for. Thesis §9.6 */
  #answers({ from, to, term }: Message): void {
    if (this.#asked.has(`${to} ${from} ${term}`)) return;
    this.#deps.kernel.violate(
      'answers-are-to-questions',
      `${from} would vote for ${to} in term ${term}, which was not asked`,
    );
  }

  #votesFor({ from, to, term }: Message): void {
    const { kernel, diskOf } = this.#deps;
    const key = `${from} ${term}`;
    const voted = this.#votes.get(key) ?? to;
    this.#votes.set(key, voted);
    if (voted !== to) {
      kernel.violate('one-vote-a-term', `${from} votes for ${voted} and ${to} in ${term}`);
    }
    const state = diskOf(from)?.durableState;
    if (state === undefined || state.currentTerm > term) return;
    if (state.currentTerm === term && state.votedFor === to) return;
    kernel.violate(
      'nothing-is-told-before-it-is-durable',
      `${from} votes for ${to} in term ${term}: its disk has ${state.votedFor ?? 'nobody'} in ${state.currentTerm}`,
    );
  }

  #holds({ from, index, term }: Message): void {
    const { kernel, diskOf } = this.#deps;
    const disk = diskOf(from);
    if (index > 0) this.#spoken.add(from);
    if (disk === undefined || disk.durableIndex >= index) return;
    // Of an earlier term it may be late: a later leader's entries have taken the place of it.
    if (disk.durableState.currentTerm > term) return;
    kernel.violate(
      'nothing-is-told-before-it-is-durable',
      `${from} says that it has entry ${index}: its disk ends at ${disk.durableIndex}`,
    );
  }
}
