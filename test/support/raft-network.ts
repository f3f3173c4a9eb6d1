import { RaftNode } from '../../src/raft/core/raft-node.ts';
import { MemoryLog } from '../../src/raft/core/stable-log.ts';
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  Message,
  MessageType,
  RaftConfig,
  RaftId,
  Ready,
} from '../../src/raft/core/types.ts';
import { newHardState } from '../../src/raft/storage/log-store.ts';

/** A test's members are called 1, 2, 3. */
export const raftId = (number: number): RaftId => String(number) as RaftId;

export const aRaftConfig = (id: number, changes: Partial<RaftConfig> = {}): RaftConfig => ({
  id: raftId(id),
  electionTicks: 10,
  heartbeatTicks: 1,
  messageBytesMax: 65_535,
  applyBytesMax: 1_048_576,
  uncommittedBytesMax: 1_048_576,
  inflightMessagesMax: 256,
  inflightBytesMax: Infinity,
  checksQuorum: false,
  asksBeforeElection: false,
  concedesPreElections: false,
  forwardsProposals: true,
  stepsDownOnRemoval: true,
  random: () => 0,
  ...changes,
});

/** One member in memory: its core, its disk, and what it has applied. */
export class RaftPeer {
  readonly disk = new MemoryLog();
  readonly config: RaftConfig;
  node: RaftNode;
  hardState: HardState = newHardState;
  confState: ConfState;
  applied: Entry[] = [];
  readStates: { readonly index: number; readonly context: string }[] = [];
  /** Every Ready so far. */
  readonly readies: Ready[] = [];

  constructor(config: RaftConfig, confState: ConfState, log: readonly Entry[] = []) {
    this.config = config;
    this.confState = confState;
    this.disk.append(log);
    this.node = this.#boot();
  }

  /** Loses everything that is not on disk. */
  restart(): void {
    const snapshot = this.disk.snapshot();
    this.confState = snapshot?.confState ?? this.confState;
    this.applied = [];
    this.node = this.#boot();
  }

  /** Does what one Ready says; returns what is to be sent. */
  handleReady(): readonly Message[] {
    const ready = this.node.ready();
    this.readies.push(ready);
    this.hardState = ready.hardState ?? this.hardState;
    if (ready.snapshot !== undefined) this.disk.restore(ready.snapshot);
    this.disk.append(ready.entries);
    for (const entry of ready.committedEntries) this.#apply(entry);
    this.readStates.push(
      ...ready.readStates.map(({ index, context }) => ({ index, context: context.toString() })),
    );
    this.node.advance();
    return ready.messages;
  }

  get data(): string[] {
    return this.applied
      .filter(({ type, data }) => type === 'EntryNormal' && data.length > 0)
      .map(({ data }) => data.toString());
  }

  /** The log on disk, as `term/index`. */
  get log(): string[] {
    const entries = this.disk.entries(this.disk.firstIndex(), this.disk.lastIndex() + 1, Infinity);
    return (entries ?? []).map(({ term, index }) => `${term}/${index}`);
  }

  proposeChange(change: ConfChange): void {
    this.node.proposeConfChange(Buffer.from(JSON.stringify(change)));
  }

  /** Takes a snapshot of what is applied, and compacts the log under it. */
  compact(): void {
    const { lastApplied } = this.node.status;
    const term = this.disk.term(lastApplied) ?? 0;
    const { confState } = this.node;
    this.disk.keepSnapshot({ index: lastApplied, term, confState, data: Buffer.from('state') });
    this.disk.compact(lastApplied);
  }

  #apply(entry: Entry): void {
    this.applied.push(entry);
    if (entry.type !== 'EntryConfChange') return;
    this.node.applyConfChange(JSON.parse(entry.data.toString()) as ConfChange);
  }

  #boot(): RaftNode {
    const { confState, hardState } = this;
    const lastApplied = this.disk.snapshot()?.index ?? 0;
    return new RaftNode(this.disk, this.config, { confState, hardState, lastApplied });
  }
}

/** Members that exchange messages at once, in order, unless a test cuts them off. */
export class RaftNetwork {
  readonly peers = new Map<RaftId, RaftPeer>();
  readonly sent: Message[] = [];
  readonly #cut = new Set<string>();
  readonly #ignored = new Set<MessageType>();

  constructor(count: number, changes: Partial<RaftConfig> = {}) {
    const voters = Array.from({ length: count }, (_, position) => raftId(position + 1));
    for (const id of voters) {
      const peer = new RaftPeer(aRaftConfig(Number(id), changes), { voters, learners: [] });
      this.peers.set(id, peer);
    }
  }

  peer(number: number): RaftPeer {
    const peer = this.peers.get(raftId(number));
    if (peer === undefined) throw new Error(`there is no member ${number}`);
    return peer;
  }

  /** A member that knows nothing yet. */
  join(number: number, changes: Partial<RaftConfig> = {}): RaftPeer {
    const peer = new RaftPeer(aRaftConfig(number, changes), { voters: [], learners: [] });
    this.peers.set(raftId(number), peer);
    return peer;
  }

  /** From now on messages from one to the other are lost. */
  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`);
  }

  isolate(number: number): void {
    for (const id of this.peers.keys()) {
      this.cut(number, Number(id));
      this.cut(Number(id), number);
    }
  }

  ignore(type: MessageType): void {
    this.#ignored.add(type);
  }

  heal(): void {
    this.#cut.clear();
    this.#ignored.clear();
  }

  /** Lets everything happen that needs no time to pass. */
  settle(): void {
    for (let isQuiet = false; !isQuiet;) {
      isQuiet = true;
      for (const peer of this.peers.values()) {
        while (peer.node.hasReady) {
          isQuiet = false;
          this.deliver(peer.handleReady());
        }
      }
    }
  }

  deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      const { from, to, type } = message;
      if (this.#cut.has(`${from}>${to}`) || this.#ignored.has(type)) continue;
      this.sent.push(message);
      this.peers.get(to)?.node.step(message);
    }
  }

  campaign(number: number): void {
    this.peer(number).node.campaign();
    this.settle();
  }

  propose(number: number, ...data: readonly string[]): void {
    for (const text of data) this.peer(number).node.propose(Buffer.from(text));
    this.settle();
  }

  /** One tick everywhere, or of some, `count` times. */
  tick(count: number, numbers: readonly number[] = [...this.peers.keys()].map(Number)): void {
    for (let n = 0; n < count; n += 1) {
      for (const number of numbers) this.peer(number).node.tick();
      this.settle();
    }
  }

  roles(): string[] {
    return [...this.peers.values()].map(({ node }) => node.status.role);
  }

  terms(): number[] {
    return [...this.peers.values()].map(({ node }) => node.status.currentTerm);
  }
}

/** A message as the wire would bring it: whatever is not given is zero. */
export function aMessage(draft: Pick<Message, 'type'> & Partial<Message>): Message {
  return {
    to: raftId(1),
    from: raftId(2),
    term: 0,
    index: 0,
    logTerm: 0,
    entries: [],
    commit: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: undefined,
    ...draft,
  };
}

export const anEntry = (term: number, index: number, data = `${term}/${index}`): Entry => ({
  term,
  index,
  type: 'EntryNormal',
  data: Buffer.from(data),
});

/** A log whose entries have these terms. */
export const aLog = (...terms: readonly number[]): Entry[] =>
  terms.map((term, position) => anEntry(term, position + 1));
