import {
  childOf,
  orAborted,
  runTogether,
  type Subscription,
  SwarmError,
  Watch,
} from '../runtime/index.ts';
import { Applied } from './applied/applied.ts';
import { Snapshots } from './applied/snapshots.ts';
import { Bell } from './bell.ts';
import { coreConfig, Pace, raftDefaults, type RaftDriverConfig } from './config.ts';
import { Durable } from './durable.ts';
import { RaftNode } from './core/raft-node.ts';
import type { Entry, Message, RaftId, Ready } from './core/types.ts';
import { GroupCommit } from './group-commit.ts';
import { Group } from './members/group.ts';
import { Members } from './members/members.ts';
import type { RaftDriverDeps, RaftMemberInfo, RaftStatus } from './ports.ts';
import { checkProposal, lostLeadership, notLeading, Proposals, stopped } from './proposals.ts';
import { Reads } from './reads.ts';
import { founded, recalled, type Stored } from './stored.ts';
import { encodeMemberChange, type MemberChange } from './wire.ts';

/**
 * The loop round the core: ticks and messages in; then save, send, apply, advance, in this order.
 * Raft's rule that nothing is told before it is durable is kept here and nowhere else.
 *
 * While a batch is being synced, proposals and messages go on coming in; they share the next one.
 */
export class RaftDriver {
  readonly #deps: RaftDriverDeps;
  #config: RaftDriverConfig;
  readonly #pace = new Pace();
  readonly #raftId: RaftId;
  readonly #durable: Durable;
  readonly #node: RaftNode;
  readonly #members = new Members();
  readonly #proposals = new Proposals();
  readonly #reads = new Reads();
  readonly #bell = new Bell();
  readonly #groupCommit: GroupCommit;
  readonly #watch = new Watch<RaftStatus>();
  readonly #group: Group;
  #changing: Promise<void> = Promise.resolve();
  readonly #applied: Applied;
  readonly #snapshots: Snapshots;
  #published: RaftStatus;
  #publishedMembers = 0;
  #isPromoting = false;
  #isStopped = false;
  #wasToldRemoved = false;

  private constructor(deps: RaftDriverDeps, config: RaftDriverConfig, stored: Stored) {
    this.#deps = deps;
    this.#config = config;
    this.#groupCommit = new GroupCommit(deps.clock);
    this.#raftId = deps.logStore.identity.raftId;
    const onSaved = (ms: number): void => {
      this.#pace.observe(ms);
      this.#bell.ring();
    };
    this.#durable = new Durable({ ...deps, onSaved }, stored);
    this.#snapshots = new Snapshots({ ...deps, mirror: stored.mirror }, config);
    this.#applied = new Applied({
      stateMachine: deps.stateMachine,
      members: this.#members,
      proposals: this.#proposals,
      snapshots: this.#snapshots,
      change: (change) => {
        this.#changeMembers(change);
      },
    });
    const snapshot = stored.mirror.snapshot();
    if (snapshot !== undefined) this.#applied.restore(snapshot);
    this.#node = new RaftNode(
      stored.mirror,
      coreConfig(this.#raftId, () => this.#config, deps.random),
      {
        hardState: stored.hardState,
        confState: snapshot?.confState ?? { voters: [], learners: [] },
        lastApplied: this.#applied.index,
      },
    );
    this.#group = new Group({
      node: this.#node,
      members: this.#members,
      clock: deps.clock,
      raftId: this.#raftId,
      silenceMsMax: this.#electionMs,
    });
    this.#published = this.status();
  }

  /**
   * Comes back as the member whose log this is: restores the snapshot, and applies what is known to
   * be committed. With an empty log it is a member to be, which waits for a leader to send it one.
   */
  static async open(
    deps: RaftDriverDeps,
    config: Partial<RaftDriverConfig> = {},
  ): Promise<RaftDriver> {
    const stored = await recalled(deps.logStore);
    const driver = new RaftDriver(deps, { ...raftDefaults, ...config }, stored);
    driver.#replay();
    return driver;
  }

  /**
   * Founds a cluster of one member, in an empty log: its first entry, committed by definition, is
   * the addition of this member.
   */
  static async found(
    deps: RaftDriverDeps,
    founder: { readonly addr: string },
    config: Partial<RaftDriverConfig> = {},
  ): Promise<RaftDriver> {
    const stored = await founded(deps.logStore, founder.addr);
    const driver = new RaftDriver(deps, { ...raftDefaults, ...config }, stored);
    driver.#replay();
    return driver;
  }

  /**
   * Takes part until `signal` aborts, or this member was removed: the Ready in hand is finished,
   * what is in flight fails, the log is closed.
   *
   * @throws what the log store or the state machine threw: this member cannot go on
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      // A sole voter has nobody to wait for.
      if (this.#node.isSoleVoter) this.#node.campaign();
      using life = childOf(signal);
      await runTogether(life.signal, [
        async (inner) => this.#tick(inner),
        async (inner) => this.#snapshots.run(inner),
        async (inner) => {
          await this.#handleReadies(inner);
          await this.#group.partFromOthers(inner);
          life.abort(); // Removed.
        },
      ]);
      await this.#durable.saveCommitIndex();
    } finally {
      this.#isStopped = true;
      this.#proposals.rejectAll(stopped);
      this.#reads.rejectAll();
      await this.#deps.logStore.close();
    }
  }

  /** Changes the pace from now on. */
  configure(config: Partial<RaftDriverConfig>): void {
    this.#config = { ...this.#config, ...config };
  }

  /** The log index the next proposal will have, if it is made before this turn ends. */
  nextIndex(): number {
    return this.#node.status.lastIndex + 1;
  }

  /**
   * Appends an entry. Synchronous as far as the append; the promise settles once the entry is
   * committed and applied here.
   *
   * @throws SwarmError unavailable, if this manager does not lead, or loses the leadership before
   *   (the entry may then still be committed by the next leader); resource-exhausted, if the entry
   *   is too large, or too much waits to be committed
   */
  async propose(data: Buffer): Promise<void> {
    checkProposal(data);
    await this.#append('EntryNormal', data);
  }

  status(): RaftStatus {
    const { role, leaderId, currentTerm: term, commitIndex } = this.#node.status;
    const isLeader = role === 'leader' && this.#applied.term === term && !this.#isStopped;
    return {
      raftId: this.#raftId,
      term,
      role: role === 'pre-candidate' ? 'candidate' : role,
      isLeader,
      leaderId,
      commitIndex,
      lastApplied: this.#applied.index,
    };
  }

  /** Each change of role, term, leader, right to lead, or the members. */
  watchStatus(): Subscription<RaftStatus> {
    return this.#watch.subscribe();
  }

  members(): readonly RaftMemberInfo[] {
    return this.#group.all;
  }

  /** Where a member is reached: `host:port`; `undefined`, if it is none that the log names. */
  addressOf(id: RaftId): string | undefined {
    return this.#members.get(id)?.addr;
  }

  /** Whether an ID was a member's, and is not any more: nothing is ever taken from it again. */
  isRemoved(id: RaftId): boolean {
    return this.#members.isRemoved(id);
  }

  /**
   * Of a leader: whether a member has never said anything, to this leader or another, so that it may
   * begin anew. One that has said anything has promised something, or will have, when it arrives.
   */
  isUnproven(id: RaftId): boolean {
    return this.#node.progressOf(id)?.isLearner === true && this.#group.isUnheard(id);
  }

  /** Whether this member was removed: its own log says so, or another member did. */
  get wasRemoved(): boolean {
    return this.#wasToldRemoved || this.#members.isRemoved(this.#raftId);
  }

  /**
   * Whether a majority of the voters that remain without a member can be reached, as this leader
   * sees it. swarmkit manager/state/raft CanRemoveMember
   */
  canRemove(id: RaftId): boolean {
    return this.#group.canSpare(id);
  }

  /**
   * Resolves once a majority has confirmed, after this call, that this manager leads, and all that
   * was committed until then is applied. What is read then is current. Thesis §6.4.
   *
   * @throws SwarmError unavailable, if it does not lead, or loses the leadership meanwhile; the
   *   signal's reason
   */
  async confirmLeadership(signal: AbortSignal): Promise<void> {
    if (!this.status().isLeader) throw notLeading();
    if (this.#node.isSoleVoter) return;
    const confirmed = this.#reads.join((context) => {
      this.#node.readIndex(context);
      this.#bell.ring();
    });
    await orAborted(confirmed, signal);
  }

  /**
   * Changes the configuration by one member, after the changes asked for before. Settles as
   * {@link propose} does.
   *
   * @throws SwarmError failed-precondition, if the change makes no sense, or another leader's is
   *   under way
   */
  async changeMember(wanted: MemberChange): Promise<void> {
    const before = this.#changing;
    const change = async (): Promise<void> => {
      await before;
      const refusal = this.#members.refusalOf(wanted);
      if (refusal !== undefined) throw new SwarmError('failed-precondition', refusal);
      if (wanted.type === 'ConfChangeAddLearnerNode') this.#group.adds(wanted.raftId);
      await this.#append('EntryConfChange', encodeMemberChange(wanted));
    };
    const changed = change();
    this.#changing = changed.catch(() => undefined);
    await changed;
  }

  /** Publishes where this manager, which leads, is reached from now on. */
  async updateAddress(addr: string): Promise<void> {
    const { raftId, nodeId } = this.#deps.logStore.identity;
    if (this.#members.get(raftId)?.addr === addr) return;
    const member = { raftId, nodeId, addr };
    await this.changeMember({ type: 'ConfChangeUpdateNode', raftId, member });
  }

  /**
   * Hands the leadership over. It is done when the status says so, and given up after an election
   * timeout. Proposals are refused meanwhile.
   *
   * @param to by default the voter that has most of the log
   * @throws SwarmError failed-precondition, if there is nobody to hand it to
   */
  transferLeadership(to: RaftId | undefined = this.#group.bestSuccessor): void {
    if (to === undefined) {
      throw new SwarmError('failed-precondition', 'raft: no member to transfer the leadership to');
    }
    this.#node.transferLeadership(to);
    this.#bell.ring();
  }

  /**
   * Lets a node speak for a member, as its certificate says who it is.
   *
   * @throws SwarmError not-found, if the member was removed; permission-denied, if it is another's
   */
  admit(from: RaftId, nodeId: string): void {
    this.#members.admit(from, nodeId);
  }

  /**
   * Has the log begin anew, as soon as it can, with a snapshot of what is applied by then: no entry
   * before it is kept.
   */
  compact(): void {
    this.#snapshots.compactNext();
    this.#bell.ring();
  }

  /** Takes a message from a peer. One from a member that was removed is not taken. */
  receive(message: Message): void {
    if (message.to !== this.#raftId || this.#members.isRemoved(message.from)) return;
    // A proposal has a version that only its leader knows: SwarmKit does not forward either.
    if (message.type === 'MsgProp') return;
    this.#node.step(message);
    this.#group.heard(message);
    this.#bell.ring();
  }

  /** A peer says that this member was removed: {@link run} ends. */
  noteRemoved(): void {
    this.#wasToldRemoved = true;
    this.#bell.ring();
  }

  /** A member's process is gone. If it led, another is elected at once. */
  noteGone(id: RaftId): void {
    this.#group.lost(id);
    if (!this.#node.leaderGone(id)) return;
    this.#deps.log.info({ 'leader.id': id }, 'the leader is gone: an election is held');
    this.#bell.ring();
  }

  /** A message to a peer was not delivered. */
  reportUnreachable(id: RaftId): void {
    this.#node.reportUnreachable(id);
    this.#bell.ring();
  }

  /** A snapshot was delivered to a peer, or was not. */
  reportSnapshot(id: RaftId, isDelivered: boolean): void {
    this.#node.reportSnapshot(id, isDelivered);
    this.#bell.ring();
  }

  async #append(type: Entry['type'], data: Buffer): Promise<void> {
    if (this.#isStopped) throw stopped();
    const { isLeader, term } = this.status();
    if (!isLeader) throw notLeading();
    const index = this.nextIndex();
    const refusal =
      type === 'EntryNormal' ? this.#node.propose(data) : this.#node.proposeConfChange(data);
    if (refusal !== undefined) {
      if (this.#node.status.transferee !== undefined) throw notLeading();
      throw new SwarmError('resource-exhausted', 'raft: too much is waiting to be committed');
    }
    this.#bell.ring();
    await this.#proposals.open({ index, term, type });
  }

  /** One tick for each time it wakes: a process that was paused does not rush into an election. */
  async #tick(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    for (let isSlow = false; !signal.aborted;) {
      const tickMs = this.#pace.next(this.#config);
      if (tickMs > this.#config.tickMs && !isSlow) {
        log.warn({ tickMs }, 'the disk or this process is slow: raft goes at a slower pace');
      }
      isSlow = tickMs > this.#config.tickMs;
      const dueAt = clock.monotonic() + tickMs;
      await clock.sleep(tickMs, signal);
      this.#pace.observeTick(clock.monotonic() - dueAt, this.#config);
      this.#node.tick();
      this.#stepDownIfStalled();
      this.#bell.ring();
    }
  }

  async #handleReadies(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.wasRemoved) {
      this.#promoteLearner();
      if (this.#hasProposals) await this.#groupCommit.gather(() => this.#unsaved);
      if (this.#node.hasReady) await this.#handle(this.#node.ready());
      else await this.#bell.heard(signal);
      if (this.#snapshots.isDue(this.#applied.index))
        this.#snapshots.take(this.#applied.snapshot());
    }
  }

  /** A leader whose disk stalls sends no heartbeats: another is elected, and it is not to go on. */
  #stepDownIfStalled(): void {
    const stalledMs = this.#durable.savingMs;
    if (stalledMs === undefined || stalledMs < this.#electionMs) return;
    if (this.#node.isSoleVoter || !this.#node.stepDown()) return;
    this.#deps.log.warn({ stalledMs }, 'the disk stalls: stepped down');
    this.#failWhatIsLost();
    this.#publish();
  }

  /** A learner that has everything becomes a voter. Thesis §4.2.1 */
  #promoteLearner(): void {
    if (!this.status().isLeader || this.#isPromoting) return;
    const member = this.#group.readyLearner;
    if (member === undefined) return;
    this.#isPromoting = true;
    this.changeMember({ type: 'ConfChangeAddNode', raftId: member.raftId, member })
      .catch((error: unknown) => {
        this.#deps.log.debug({ err: error, 'peer.id': member.raftId }, 'member is still a learner');
      })
      .finally(() => {
        this.#isPromoting = false;
      });
  }

  async #handle(ready: Ready): Promise<void> {
    const { role } = this.#node.status;
    this.#reads.closeCollection();
    // Whoever is removed goes once it hears that this is committed. Of two, the other is to know so
    // though it may die in the next moment: alone it would have no majority, for ever.
    const changesMembers = this.#node.changesMembers(ready);
    const isEarly = ({ type }: Message): boolean =>
      role === 'leader' && !changesMembers && (type === 'MsgApp' || type === 'MsgHeartbeat');
    // Followers write while this leader does: its own copy counts once it is saved. Thesis §10.2.1
    this.#send(ready.messages.filter(isEarly));
    const saving = this.#durable.save({ ...ready, mustSync: ready.mustSync || changesMembers });
    saving.catch(() => undefined); // It is waited for once nothing else can be done.
    const durable = this.#node.durableIn(ready);
    this.#failWhatIsLost();
    this.#applied.apply(ready.committedEntries.slice(0, durable));
    if (durable === ready.committedEntries.length) await this.#applyDuringSave();
    await saving;
    const rest = ready.messages.filter((message) => !isEarly(message));
    if (!changesMembers) this.#send(rest);
    this.#failWhatIsLost();
    this.#finish(ready, durable);
    if (changesMembers) this.#send(rest); // But to those who were removed: they hear of it last.
    for (const state of ready.readStates) this.#reads.confirmed(state);
    this.#reads.applied(this.#applied.index);
    this.#publish();
  }

  /**
   * While a batch is on its way to the disk, those before it are acknowledged by others: who waits
   * for them need not wait for this one too.
   */
  async #applyDuringSave(): Promise<void> {
    while (this.#durable.savingMs !== undefined) {
      await this.#bell.heard();
      const before = this.#applied.index;
      this.#failWhatIsLost();
      this.#node.applyDurable((entries) => {
        this.#applied.apply(entries);
      });
      if (this.#applied.index === before) continue;
      this.#partFromRemoved();
      this.#reads.applied(this.#applied.index);
      this.#publish();
    }
  }

  #send(messages: readonly Message[]): void {
    const to = messages.filter((message) => !this.#members.isRemoved(message.to));
    const fresh = to.map((message) => this.#applied.fresh(message));
    if (to.length > 0) this.#deps.send(this.#group.asks(fresh));
  }

  /**
   * Fails everything in flight once another term has begun, before anything of that term is
   * applied: a proposer must not be told that its entry was lost after others have seen it.
   */
  #failWhatIsLost(): void {
    const { role, currentTerm } = this.#node.status;
    if (role === 'leader' && currentTerm === this.#published.term) return;
    this.#proposals.rejectAll(lostLeadership);
    this.#reads.rejectAll();
  }

  /** Applies what a Ready has committed, and was not applied before. Synchronous: nobody sees half of it. */
  #finish(ready: Ready, alreadyApplied = 0): void {
    if (ready.snapshot !== undefined) this.#applied.restore(ready.snapshot);
    this.#applied.apply(ready.committedEntries.slice(alreadyApplied));
    this.#partFromRemoved();
    this.#node.advance();
    const { leaderId } = this.#node.status;
    if (leaderId === undefined || !this.#members.isRemoved(leaderId)) return;
    // Nothing more will come from it. One of us campaigns at once; all together would split the vote.
    this.#node.forgetLeader();
    if (this.#node.confState.voters[0] === this.#raftId) this.#node.campaign();
  }

  /** Applies what was known to be committed before this process began. */
  #replay(): void {
    while (this.#node.hasReady) this.#finish(this.#node.ready());
  }

  #changeMembers(change: MemberChange): void {
    const isRemoval = change.type === 'ConfChangeRemoveNode';
    if (isRemoval) this.#group.removes(change.raftId);
    this.#members.apply(change);
    this.#node.applyConfChange(change);
    // An empty entry: with it the others hear that the removal is committed, and say that they did.
    if (isRemoval) this.#node.propose(Buffer.alloc(0));
  }

  #partFromRemoved(): void {
    const farewells = this.#group.farewells(this.#applied.index);
    if (farewells.length > 0) this.#deps.send(farewells);
  }

  /** Tells who watches, if what they watch has changed. */
  #publish(): void {
    const [before, now] = [this.#published, this.status()];
    this.#published = now;
    const isSameRole =
      before.role === now.role && before.term === now.term && before.leaderId === now.leaderId;
    if (!isSameRole) {
      const fields = { 'raft.id': this.#raftId, 'raft.term': now.term, 'leader.id': now.leaderId };
      this.#deps.log.info({ ...fields, role: now.role }, 'raft role changed');
    }
    const isSameGroup = this.#publishedMembers === this.#members.version;
    this.#publishedMembers = this.#members.version;
    if (!isSameRole || !isSameGroup || before.isLeader !== now.isLeader) this.#watch.publish(now);
  }

  get #unsaved(): number {
    return this.#node.status.lastIndex - this.#durable.mirror.lastIndex();
  }

  get #hasProposals(): boolean {
    return this.#node.status.role === 'leader' && this.#unsaved > 0;
  }

  get #electionMs(): number {
    return this.#config.tickMs * this.#config.electionTicks;
  }
}
