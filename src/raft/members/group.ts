import type { Clock } from '../../runtime/index.ts';
import type { RaftNode } from '../core/raft-node.ts';
import type { Message, RaftId } from '../core/types.ts';
import type { Members } from './members.ts';
import type { RaftMemberInfo } from '../ports.ts';
import type { RaftMember } from '../wire.ts';
import { Pulse } from './pulse.ts';

/** What says only what is committed waits a little for company, and may be lost once. */
const partingMs = 500;

interface GroupDeps {
  readonly node: RaftNode;
  readonly members: Members;
  readonly clock: Clock;
  /** This member. */
  readonly raftId: RaftId;
  /** A member that has answered nothing that was asked since, in milliseconds, is not reachable. */
  readonly silenceMsMax: number;
}

interface Farewell {
  readonly message: Message;
  /** It is said once an entry after this one is committed. */
  readonly after: number;
}

/** The members as this one sees them: who leads, who is there, who is up to date. */
export class Group {
  readonly #deps: GroupDeps;
  readonly #pulse: Pulse;
  /** When a follower has heard its leader last. */
  #leaderHeardAt = -Infinity;
  /** Members that this one has added as a leader, and has heard nothing of: in which term, and when. */
  readonly #unheard = new Map<RaftId, { readonly term: number; readonly at: number }>();
  #farewells: readonly Farewell[] = [];
  /** Whether this member led when its own removal was committed. */
  #ledItsRemoval = false;

  constructor(deps: GroupDeps) {
    this.#deps = deps;
    this.#pulse = new Pulse({ clock: deps.clock, keptMs: deps.silenceMsMax });
  }

  get all(): readonly RaftMemberInfo[] {
    const { node, members } = this.#deps;
    const { leaderId } = node.status;
    const learners = new Set(node.confState.learners);
    return members.all.map(({ raftId, nodeId, addr }) => ({
      raftId,
      nodeId,
      addr,
      isLearner: learners.has(raftId),
      isLeader: raftId === leaderId,
      isReachable: this.#isReachable(raftId),
    }));
  }

  /** What leaves for other members, so that their answers say that they are there. */
  asks(messages: readonly Message[]): readonly Message[] {
    return this.#pulse.stamped(messages);
  }

  /** What another member said was taken. */
  heard(message: Message): void {
    const { node, clock } = this.#deps;
    const added = this.#unheard.get(message.from);
    this.#unheard.delete(message.from);
    // The first word of a member is younger than the member.
    if (added !== undefined) this.#pulse.seen(message.from, added.at);
    this.#pulse.hear(message);
    if (message.from === node.status.leaderId) this.#leaderHeardAt = clock.monotonic();
  }

  /** This member adds another. */
  adds(id: RaftId): void {
    const { node, clock } = this.#deps;
    this.#unheard.set(id, { term: node.status.currentTerm, at: clock.monotonic() });
  }

  /** Whether a member was added in this term, and nothing was heard of it: another leader may have. */
  isUnheard(id: RaftId): boolean {
    return this.#unheard.get(id)?.term === this.#deps.node.status.currentTerm;
  }

  /** A member's process is gone: that it was there counts no more. */
  lost(id: RaftId): void {
    this.#pulse.lose(id);
    if (id === this.#deps.node.status.leaderId) this.#leaderHeardAt = -Infinity;
  }

  /** Whether the voters that remain without a member have a majority that can be reached. */
  canSpare(id: RaftId): boolean {
    const others = this.#deps.node.confState.voters.filter((voter) => voter !== id);
    const reachable = others.filter((voter) => this.#isReachable(voter)).length;
    return reachable >= Math.floor(others.length / 2) + 1;
  }

  /** Of a leader: the voter that has most of the log, among those that can be reached. */
  get bestSuccessor(): RaftId | undefined {
    const { node, raftId } = this.#deps;
    const matchIndexOf = (id: RaftId): number => node.progressOf(id)?.matchIndex ?? 0;
    return node.confState.voters
      .filter((id) => id !== raftId && this.#isReachable(id))
      .toSorted((a, b) => matchIndexOf(b) - matchIndexOf(a))[0];
  }

  /** Of a leader: a learner that has all that is committed. Thesis §4.2.1 */
  get readyLearner(): RaftMember | undefined {
    const { node, members } = this.#deps;
    const { commitIndex } = node.status;
    const learner = node.confState.learners.find((id) => {
      const progress = node.progressOf(id);
      return progress?.state === 'replicate' && progress.matchIndex >= commitIndex;
    });
    return learner === undefined ? undefined : members.get(learner);
  }

  /** The removal of a member is committed, and about to take effect. A leader has a word for it. */
  removes(id: RaftId): void {
    const { node, raftId: from } = this.#deps;
    const { role, currentTerm: term, commitIndex, lastIndex } = node.status;
    const progress = node.progressOf(id);
    if (id === from) this.#ledItsRemoval = role === 'leader';
    if (role !== 'leader' || progress === undefined || id === from) return;
    const commit = Math.min(progress.matchIndex, commitIndex);
    const message = { ...emptyHeartbeat, to: id, from, term, commit };
    this.#farewells = [...this.#farewells, { message, after: lastIndex }];
  }

  /**
   * What a leader says last to members that were removed: that this is committed, as far as they
   * have it. They go when they hear so. Until then their votes may be needed, by those of the others
   * who do not know it yet; so a majority is to know it first. Whoever has acknowledged an entry that
   * was appended since does: it was told with it, and has written that down.
   */
  farewells(lastApplied: number): readonly Message[] {
    const { role, currentTerm } = this.#deps.node.status;
    const isDue = ({ after }: Farewell): boolean => lastApplied > after;
    const due = this.#farewells.filter(isDue).map(({ message }) => message);
    if (due.length > 0) this.#farewells = this.#farewells.filter((each) => !isDue(each));
    return due.filter(({ term }) => role === 'leader' && term === currentTerm);
  }

  /**
   * A leader that has committed its own removal is heard before it ends: nobody else knows of it yet,
   * and of two the other would have no majority any more, for ever.
   */
  async partFromOthers(signal: AbortSignal): Promise<void> {
    if (this.#ledItsRemoval) await this.#deps.clock.sleep(partingMs, signal);
  }

  /** A leader knows of everybody, a follower only of its leader. */
  #isReachable(id: RaftId): boolean {
    const { node, raftId, clock, silenceMsMax } = this.#deps;
    const { role, leaderId } = node.status;
    if (id === raftId) return true;
    if (role !== 'leader' && id !== leaderId) return true;
    const thereAt = role === 'leader' ? this.#pulse.aliveAt(id) : this.#leaderHeardAt;
    return clock.monotonic() - thereAt <= silenceMsMax;
  }
}

const emptyHeartbeat = {
  type: 'MsgHeartbeat',
  index: 0,
  logTerm: 0,
  entries: [],
  snapshot: undefined,
  reject: false,
  rejectHint: 0,
  context: undefined,
} as const;
