import { RaftNode } from '../../src/raft/core/raft-node.ts';
import { MemoryLog } from '../../src/raft/core/stable-log.ts';
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  Message,
  RaftConfig,
  RaftId,
  Ready,
  Snapshot,
} from '../../src/raft/core/types.ts';
import { raftId } from './raft-network.ts';
import { RaftWatchman } from './raft-watchman.ts';

/** What a crash leaves: the log as it is in `MemoryLog`, and the last hard state that was synced. */
interface Disk {
  readonly log: MemoryLog;
  synced: HardState;
  /** Written since, and lost in a crash: a commit index that did not have to be synced. */
  written: HardState;
}

/** A member whose disk, network and clock are worked by a schedule, one step at a time. */
export class ScheduledPeer {
  readonly id: RaftId;
  readonly disk: Disk;
  readonly #config: RaftConfig;
  readonly #first: ConfState;
  /** The last entry that its state machine has taken in this life. */
  lastTaken: Entry | undefined;
  node: RaftNode;

  constructor(config: RaftConfig, boot: Snapshot | undefined) {
    this.id = config.id;
    this.#config = config;
    this.#first = boot?.confState ?? { voters: [], learners: [] };
    const log = new MemoryLog();
    if (boot !== undefined) log.restore(boot);
    const index = boot?.index ?? 0;
    const born = { currentTerm: boot?.term ?? 0, votedFor: undefined, commitIndex: index };
    this.disk = { log, synced: born, written: born };
    this.node = this.#boot();
  }

  save({ hardState, entries, snapshot, mustSync }: Ready): void {
    this.disk.written = hardState ?? this.disk.written;
    if (snapshot !== undefined) this.disk.log.restore(snapshot);
    this.disk.log.append(entries);
    if (mustSync || snapshot !== undefined) this.disk.synced = this.disk.written;
  }

  take(entry: Entry): void {
    this.lastTaken = entry;
    if (entry.type === 'EntryNormal') return;
    this.node.applyConfChange(JSON.parse(entry.data.toString()) as ConfChange);
  }

  /** A message as it is sent: a snapshot from before its receiver was a member is of no use to it. */
  addressed(message: Message): Message {
    if (message.snapshot?.confState.voters.includes(message.to) !== false) return message;
    const { lastApplied } = this.node.status;
    const term = this.lastTaken?.term ?? message.snapshot.term;
    const { confState } = this.node;
    return { ...message, snapshot: { ...message.snapshot, index: lastApplied, term, confState } };
  }

  /** Ends the process, and begins it anew with what was synced. */
  crash(): void {
    this.disk.written = this.disk.synced;
    this.lastTaken = undefined;
    this.node = this.#boot();
  }

  compact(): void {
    const { lastApplied } = this.node.status;
    const { log } = this.disk;
    const term = log.term(lastApplied);
    if (term === undefined || lastApplied <= (log.snapshot()?.index ?? 0)) return;
    log.keepSnapshot({
      index: lastApplied,
      term,
      confState: this.node.confState,
      data: Buffer.alloc(0),
    });
    log.compact(lastApplied);
  }

  #boot(): RaftNode {
    const snapshot = this.disk.log.snapshot();
    // A snapshot holds nothing but what was committed.
    const commitIndex = Math.max(this.disk.synced.commitIndex, snapshot?.index ?? 0);
    return new RaftNode(this.disk.log, this.#config, {
      hardState: { ...this.disk.synced, commitIndex },
      confState: snapshot?.confState ?? this.#first,
      lastApplied: snapshot?.index ?? 0,
    });
  }
}

/** Far more rounds of messages than any exchange takes. */
const roundsMax = 1_000;

/**
 * Members and the messages between them, which are delivered, lost, repeated and overtaken as a
 * schedule says. What must never happen is watched all the time.
 */
export class RaftSchedule {
  readonly peers: readonly ScheduledPeer[];
  inFlight: Message[] = [];
  readonly #watchman = new RaftWatchman();
  #proposals = 0;

  /** The first so many members found the cluster; the others may join later. */
  constructor(founders: number, all: number, configOf: (number: number) => RaftConfig) {
    const numbers = Array.from({ length: all }, (_, position) => position + 1);
    const voters = numbers.slice(0, founders).map(raftId);
    const confState = { voters, learners: [] };
    const boot: Snapshot = { index: 1, term: 1, confState, data: Buffer.alloc(0) };
    this.peers = numbers.map(
      (number) => new ScheduledPeer(configOf(number), number <= founders ? boot : undefined),
    );
  }

  peer(number: number): ScheduledPeer {
    const peer = this.peers[number - 1];
    if (peer === undefined) throw new Error(`there is no member ${number}`);
    return peer;
  }

  get leaders(): readonly ScheduledPeer[] {
    return this.peers.filter(({ node }) => node.status.role === 'leader');
  }

  /** Does a Ready, as far as it gets: a member may crash before or after it has saved. */
  handle(peer: ScheduledPeer, until: 'end' | 'saved' | 'begun' = 'end'): void {
    if (!peer.node.hasReady) return;
    this.#handle(peer, until);
    if (until === 'end') this.#watchman.group(peer.node);
  }

  /** Does a Ready, and while it is being saved a message arrives. */
  handleMeanwhile(peer: ScheduledPeer, position: number): void {
    if (!peer.node.hasReady) return;
    this.#handle(peer, 'end', () => {
      const theirs = this.inFlight.filter(({ to }) => to === peer.id);
      const message = theirs[position % Math.max(1, theirs.length)];
      if (message !== undefined) this.deliver(this.inFlight.indexOf(message));
    });
  }

  #handle(
    peer: ScheduledPeer,
    until: 'end' | 'saved' | 'begun',
    meanwhile: () => void = () => undefined,
  ): void {
    const ready = peer.node.ready();
    meanwhile();
    if (until !== 'begun') {
      peer.save(ready);
      this.#watchman.saved(ready.entries, peer.disk.log);
    }
    if (until !== 'end') {
      peer.crash();
      return;
    }
    if (ready.snapshot !== undefined) peer.lastTaken = undefined;
    for (const message of ready.messages) this.#watchman.sent(message, peer);
    this.inFlight.push(...ready.messages.map((message) => peer.addressed(message)));
    for (const { index, context } of ready.readStates) {
      this.#watchman.read(context.toString(), index);
    }
    for (const entry of ready.committedEntries) {
      this.#watchman.applied(entry, peer.lastTaken?.index ?? entry.index - 1);
      peer.take(entry);
    }
    peer.node.advance();
    this.#watchman.look(peer);
  }

  deliver(position: number): void {
    const [message] = this.inFlight.splice(position % Math.max(1, this.inFlight.length), 1);
    if (message === undefined) return;
    const peer = this.peer(Number(message.to));
    peer.node.step(message);
    this.#report(message, true);
    this.#watchman.look(peer);
  }

  drop(position: number): void {
    const [message] = this.inFlight.splice(position % Math.max(1, this.inFlight.length), 1);
    if (message !== undefined) this.#report(message, false);
  }

  repeat(position: number): void {
    const message = this.inFlight[position % Math.max(1, this.inFlight.length)];
    if (message !== undefined) this.inFlight.push(message);
  }

  propose(peer: ScheduledPeer): void {
    this.#proposals += 1;
    peer.node.propose(Buffer.from(`entry ${this.#proposals}`));
  }

  /**
   * Proposes a change at a leader; not of the leader itself. Members take a change into account
   * when they apply it: if a leader steps down by its own removal and nobody hears that this is
   * committed, the others go on needing its vote, which it refuses, since its log is the longer.
   * A leader hands over before it is removed.
   */
  change(peer: ScheduledPeer, change: ConfChange): void {
    if (change.raftId === peer.id) return;
    peer.node.proposeConfChange(Buffer.from(JSON.stringify(change)));
  }

  read(peer: ScheduledPeer): void {
    peer.node.readIndex(Buffer.from(this.#watchman.question()));
  }

  /** Tells a sender what became of its snapshot. */
  #report({ type, from, to }: Message, isDelivered: boolean): void {
    if (type === 'MsgSnap') this.peer(Number(from)).node.reportSnapshot(to, isDelivered);
  }

  get isQuiet(): boolean {
    return this.inFlight.length === 0 && this.peers.every(({ node }) => !node.hasReady);
  }

  /** Everything that needs no chance: all messages arrive in order, all Readies are done. */
  settle(): void {
    for (let round = 0; !this.isQuiet; round += 1) {
      if (round > roundsMax) throw new Error('members talk without end, though no time passes');
      for (const peer of this.peers) this.handle(peer);
      for (let count = this.inFlight.length; count > 0; count -= 1) this.deliver(0);
    }
  }
}
