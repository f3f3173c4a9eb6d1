import type { LogBatch } from '../../../../src/raft/storage/log-store.ts';
import type { RaftDriver, RaftId, RaftStatus } from '../../../../src/raft/index.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Marks } from '../../kernel/marks.ts';
import type { Disk } from '../../ports/disk.ts';
import type { CommittedLog } from './committed-log.ts';
import type { Configurations } from './configurations.ts';
import type { Elections } from './elections.ts';

interface Deps {
  readonly kernel: Kernel;
  readonly name: string;
  readonly disk: Disk;
  readonly marks: Marks;
  readonly committed: CommittedLog;
  readonly configurations: Configurations;
  readonly elections: Elections;
  /** Whether one has voted for another in a term. */
  readonly hasVoted: (id: RaftId, candidate: RaftId, term: number) => boolean;
  /** Told of an entry that nobody has applied before. */
  readonly onCommitted: (index: number) => void;
}

/** What a member has on its disk, from its first day. */
export interface MemberRecord {
  term: number;
  votedFor: RaftId | undefined;
  /** The last entry it was seen to apply. */
  applied: number;
  /** Where its log changes the group, as far as that may not be committed. */
  changes: number[];
  /** Whether a leader's snapshot took the place of its log. */
  hasTakenSnapshot: boolean;
}

export const newRecord = (): MemberRecord => ({
  term: 0,
  votedFor: undefined,
  applied: 0,
  changes: [],
  hasTakenSnapshot: false,
});

/** Holds one process of a member of the group to Raft's rules, at each step. Raft Figure 3 */
export class MemberRules {
  readonly #deps: Deps;
  readonly #raft: RaftDriver;
  readonly #record: MemberRecord;
  readonly #id: RaftId;
  #last: RaftStatus;
  #ledTerm = 0;
  /** The configuration that it was compared with last. */
  #group = -1;

  constructor(deps: Deps, raft: RaftDriver, record: MemberRecord) {
    this.#deps = deps;
    this.#raft = raft;
    this.#record = record;
    this.#last = { ...raft.status(), commitIndex: 0, lastApplied: 0, role: 'follower' };
    this.#id = this.#last.raftId;
    if (this.#last.term < record.term) this.#backwards('term', record.term, this.#last.term);
    this.look();
  }

  /** After a step of the world. */
  look(): void {
    const now = this.#raft.status();
    const last = this.#last;
    this.#last = now;
    if (now.term < last.term) this.#backwards('term', last.term, now.term);
    if (now.commitIndex < last.commitIndex) {
      this.#backwards('commit index', last.commitIndex, now.commitIndex);
    }
    if (now.lastApplied !== last.lastApplied) this.#applied(last.lastApplied, now);
    if (now.role === 'candidate' && last.role === 'follower') this.#campaigns(now);
    if (now.role !== 'leader') return;
    this.#leads(now);
    if (last.role === 'leader' && now.term === last.term && now.commitIndex > last.commitIndex) {
      this.#commits(now);
    }
  }

  /** What it is held to lead by, if it leads and serves. */
  get leadership(): RaftStatus | undefined {
    return this.#last.isLeader ? this.#last : undefined;
  }

  /** A leader commits no further than an entry of its own term. Raft §5.4.2 */
  #commits({ term, commitIndex }: RaftStatus): void {
    const { kernel, name, disk } = this.#deps;
    // What is not on its own disk yet is its own.
    const committed = disk.termAt(commitIndex) ?? term;
    if (committed === term) return;
    kernel.violate(
      'leaders-commit-their-own',
      `${name} commits ${commitIndex} of term ${committed} in term ${term}`,
    );
  }

  /** Who campaigns knows the group as it is, as far as it knows what is committed. */
  #campaigns({ lastApplied, commitIndex }: RaftStatus): void {
    const { kernel, name, disk } = this.#deps;
    for (let index = lastApplied + 1; index <= commitIndex; index += 1) {
      if (disk.entryAt(index)?.type !== 'EntryConfChange') continue;
      kernel.violate('voters-lead', `${name} campaigns before it has applied the change ${index}`);
    }
  }

  /** A batch is about to become durable. */
  saving({ hardState, entries, snapshot }: LogBatch): void {
    const { kernel, name, committed, configurations, marks } = this.#deps;
    const record = this.#record;
    const { currentTerm, votedFor } = hardState;
    if (currentTerm < record.term) this.#backwards('term on disk', record.term, currentTerm);
    if (currentTerm === record.term && record.votedFor !== undefined) {
      if (votedFor !== record.votedFor) {
        kernel.violate(
          'one-vote-a-term',
          `${name} has voted for ${record.votedFor} in ${currentTerm}, and now for ${votedFor ?? 'nobody'}`,
        );
      }
    }
    if (currentTerm > record.term) this.#begins(currentTerm, votedFor);
    record.term = currentTerm;
    record.votedFor = votedFor;
    if (snapshot !== undefined) {
      const { index, term, confState } = snapshot;
      const known = committed.termOf(index);
      if (index <= record.applied || (known !== undefined && known !== term)) {
        kernel.violate('committed-entries-stay', `${name} takes a snapshot of ${index}, ${term}`);
      }
      if (!isGroup(configurations.at(index), confState.voters, confState.learners)) {
        kernel.violate('one-group', `${name} takes a snapshot of ${index} with another group`);
      }
      record.changes = [];
      record.hasTakenSnapshot = true;
      marks.hit('a snapshot replaced a log');
    }
    this.#appending(entries, snapshot);
  }

  /** A term begins with a candidate, and nobody else makes one up. */
  #begins(term: number, votedFor: RaftId | undefined): void {
    const { kernel, name, elections } = this.#deps;
    if (votedFor === this.#id) elections.begun.add(term);
    if (elections.begun.has(term)) return;
    kernel.violate('candidates-begin-terms', `${name} is in term ${term}, which nobody has begun`);
  }

  #appending(entries: LogBatch['entries'], snapshot: LogBatch['snapshot']): void {
    const { kernel, name, disk, committed, marks } = this.#deps;
    const record = this.#record;
    const [head] = entries;
    if (head === undefined) return;
    if (disk.durableIndex >= head.index) marks.hit('entries that were not committed were replaced');
    // What follows an entry goes with it: that is for entries of another leader alone. Raft §5.3
    if (disk.durableIndex >= head.index && disk.termAt(head.index) === head.term) {
      kernel.violate('only-conflicts-are-replaced', `${name} has entry ${head.index} already`);
    }
    if (head.index <= record.applied) {
      kernel.violate('committed-entries-stay', `${name} replaces entry ${head.index} in its log`);
    }
    let before =
      snapshot?.index === head.index - 1 ? snapshot.term : (disk.termAt(head.index - 1) ?? 0);
    record.changes = record.changes.filter((index) => index < head.index);
    for (const entry of entries) {
      committed.written(entry, before, name);
      before = entry.term;
      if (entry.type !== 'EntryConfChange') continue;
      const open = record.changes.find((index) => index > committed.lastIndex);
      if (open !== undefined) {
        kernel.violate(
          'one-change-at-a-time',
          `${name} has changes of the group at ${open} and ${entry.index}, neither committed`,
        );
      }
      record.changes = [entry.index];
    }
  }

  #applied(last: number, { lastApplied, term, commitIndex }: RaftStatus): void {
    const { kernel, name, disk, committed, configurations, onCommitted } = this.#deps;
    if (lastApplied < last) this.#backwards('applied index', last, lastApplied);
    if (lastApplied > commitIndex) {
      kernel.violate('only-what-is-held-is-committed', `${name} has applied what is not committed`);
    }
    for (let index = last + 1; index <= lastApplied; index += 1) {
      const entry = disk.entryAt(index);
      // What a snapshot took the place of, others have applied.
      if (entry === undefined) continue;
      if (!committed.applied(entry, term, name)) continue;
      onCommitted(index);
      if (entry.type === 'EntryConfChange') configurations.take(entry);
    }
    if (lastApplied > committed.lastIndex) {
      kernel.violate('committed-entries-stay', `${name} has applied ${lastApplied}: nobody has it`);
    }
    this.#record.applied = Math.max(this.#record.applied, lastApplied);
    this.#compareGroup(lastApplied);
  }

  /** At the same entry all have the same group. */
  #compareGroup(index: number): void {
    const { kernel, name, configurations } = this.#deps;
    const configuration = configurations.at(index);
    if (configuration.since === this.#group) return;
    this.#group = configuration.since;
    const members = this.#raft.members();
    const ids = (isLearner: boolean): RaftId[] =>
      members.filter((member) => member.isLearner === isLearner).map(({ raftId }) => raftId);
    if (isGroup(configuration, ids(false), ids(true))) return;
    // While a snapshot is being saved it says who votes already, and who is there not yet.
    const { learners } = configurations.at(this.#raft.status().commitIndex);
    const known = [...configuration.voters, ...configuration.learners];
    const next = {
      voters: new Set(known),
      learners: new Set(known.filter((id) => learners.has(id))),
    };
    for (const id of next.learners) next.voters.delete(id);
    if (isGroup(next, ids(false), ids(true))) return;
    kernel.violate(
      'one-group',
      `${name} has ${textOf(ids(false), ids(true))} at ${index}; since ${configuration.since} there are ${textOf(configuration.voters, configuration.learners)}`,
    );
  }

  #leads({ term, lastApplied }: RaftStatus): void {
    const { kernel, name, disk, committed, configurations, elections } = this.#deps;
    const { voters, removed } = configurations.at(lastApplied);
    // Before it is applied, its own removal binds nobody.
    if (!voters.has(this.#id)) {
      const what = removed.has(this.#id) ? 'was removed' : 'is no voter';
      kernel.violate('voters-lead', `${name} leads in term ${term}, and ${what}`);
    }
    elections.leads(this.#id, term);
    if (term === this.#ledTerm) return;
    this.#ledTerm = term;
    this.#isElected(term, voters);
    const due = committed.lastBefore(term);
    if (due === undefined) return;
    const held = disk.termAt(due.index);
    // What is compacted was committed.
    if (held === due.term || (held === undefined && disk.durableIndex > due.index)) return;
    kernel.violate(
      'leaders-are-complete',
      `${name} is elected in term ${term} without entry ${due.index} of term ${due.term}`,
    );
  }

  /** By a majority of those who vote: nobody else's vote counts. Raft §5.2 */
  #isElected(term: number, voters: ReadonlySet<RaftId>): void {
    const { kernel, name, hasVoted } = this.#deps;
    const votes = [...voters].filter((id) => hasVoted(id, this.#id, term)).length;
    if (2 * votes > voters.size) return;
    kernel.violate(
      'majorities-elect',
      `${name} leads in term ${term} with the votes of ${votes} of ${voters.size} voters`,
    );
  }

  #backwards(what: string, from: number, to: number): void {
    const { kernel, name } = this.#deps;
    kernel.violate('terms-grow', `the ${what} of ${name} went from ${from} to ${to}`);
  }
}

const isGroup = (
  {
    voters,
    learners,
  }: { readonly voters: ReadonlySet<RaftId>; readonly learners: ReadonlySet<RaftId> },
  asVoters: readonly RaftId[],
  asLearners: readonly RaftId[],
): boolean =>
  voters.size === asVoters.length &&
  learners.size === asLearners.length &&
  asVoters.every((id) => voters.has(id)) &&
  asLearners.every((id) => learners.has(id));

const textOf = (voters: Iterable<RaftId>, learners: Iterable<RaftId>): string =>
  `voters ${[...voters].join(', ')} and learners ${[...learners].join(', ')}`;
