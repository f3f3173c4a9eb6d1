declare const brand: unique symbol;

/** A member's Raft ID: an unsigned 64-bit integer, as a decimal string. Never reused. */
export type RaftId = string & { readonly [brand]: 'RaftId' };

/** Orders Raft IDs as the numbers they are. */
export const compareRaftIds = (a: RaftId, b: RaftId): number =>
  a.length - b.length || (a < b ? -1 : Number(a > b));

/**
 * What an entry carries. The core does not read it: `EntryConfChangeV2` is raftpb's newer form of a
 * change, which swarms do not use.
 */
export type EntryType = 'EntryNormal' | 'EntryConfChange' | 'EntryConfChangeV2';

export const isConfChange = ({ type }: Pick<Entry, 'type'>): boolean => type !== 'EntryNormal';

/** One entry of the log. Raft §5.3, Figure 2. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly type: EntryType;
  /** Empty in the entry with which a leader begins its term. */
  readonly data: Buffer;
}

/** An entry by its place in history: two logs that agree on one agree on all before it. Raft §5.3 */
export type EntryId = Pick<Entry, 'index' | 'term'>;

/** An entry to be: its leader gives it a term and an index. */
export type Proposal = Pick<Entry, 'type' | 'data'>;

/** What must be durable before a message of a new term leaves. Raft Figure 2, persistent state. */
export interface HardState {
  readonly currentTerm: number;
  readonly votedFor: RaftId | undefined;
  /** Only a hint: it may be lost, and is then learnt again from the leader. */
  readonly commitIndex: number;
}

export const isSameHardState = (a: HardState, b: HardState): boolean =>
  a.currentTerm === b.currentTerm && a.votedFor === b.votedFor && a.commitIndex === b.commitIndex;

/** Raft §5.1, Figure 4; a pre-candidate asks whether an election could be won (thesis §9.6). */
export type RaftRole = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

/** What is not worth storing, and worth telling. */
export interface SoftState {
  readonly role: RaftRole;
  readonly leaderId: RaftId | undefined;
}

/** Who takes part. A learner receives the log and does not count (thesis §4.2.1). */
export interface ConfState {
  readonly voters: readonly RaftId[];
  readonly learners: readonly RaftId[];
}

/** The state machine's state after `index`, in place of the entries up to it. Raft §7. */
export interface Snapshot {
  readonly index: number;
  readonly term: number;
  /** The configuration as of `index`. */
  readonly confState: ConfState;
  readonly data: Buffer;
}

/** A change of one member. Thesis §4.1. */
export interface ConfChange {
  readonly type:
    | 'ConfChangeAddNode'
    | 'ConfChangeRemoveNode'
    | 'ConfChangeUpdateNode'
    | 'ConfChangeAddLearnerNode';
  readonly raftId: RaftId;
}

/** The messages members exchange, by the names of etcd's raftpb. */
export type PeerMessageType =
  | 'MsgProp'
  | 'MsgApp'
  | 'MsgAppResp'
  | 'MsgVote'
  | 'MsgVoteResp'
  | 'MsgPreVote'
  | 'MsgPreVoteResp'
  | 'MsgSnap'
  | 'MsgHeartbeat'
  | 'MsgHeartbeatResp'
  | 'MsgTransferLeader'
  | 'MsgTimeoutNow'
  | 'MsgReadIndex'
  | 'MsgReadIndexResp';

/** Messages a member sends to itself, which never travel. */
type LocalMessageType =
  | 'MsgHup'
  | 'MsgBeat'
  | 'MsgCheckQuorum'
  | 'MsgUnreachable'
  | 'MsgSnapStatus'
  | 'MsgForgetLeader';

export type MessageType = PeerMessageType | LocalMessageType;

/** A message, in the shape of raftpb: which fields mean something depends on its type. */
export interface Message {
  readonly type: MessageType;
  readonly to: RaftId;
  readonly from: RaftId;
  /** The sender's term; for a vote, the term asked for. 0 in a message that has none. */
  readonly term: number;
  /** MsgApp: the entry before `entries`. Votes: the candidate's last entry. Else what it acknowledges. */
  readonly index: number;
  readonly logTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
  readonly snapshot: Snapshot | undefined;
  readonly reject: boolean;
  /** MsgAppResp, rejected: the last index at which the logs may agree; its term is `logTerm`. */
  readonly rejectHint: number;
  readonly context: Buffer | undefined;
}

/** The context of a vote asked for at the leader's wish: it is granted within the leader's lease. */
export const campaignTransfer = 'CampaignTransfer';

/** The part of a message that its sender fills in. */
export type MessageDraft = Pick<Message, 'type' | 'to'> & Partial<Message>;

/** Answers that only a member of the configuration may give. */
export const isResponse = (type: MessageType): boolean => responses.has(type);

const responses: ReadonlySet<MessageType> = new Set<MessageType>([
  'MsgAppResp',
  'MsgVoteResp',
  'MsgPreVoteResp',
  'MsgHeartbeatResp',
  'MsgReadIndexResp',
  'MsgUnreachable',
]);

/** The answer to a request for the right to read: thesis §6.4. */
export interface ReadState {
  /** The reader may answer once this index is applied. */
  readonly index: number;
  readonly context: Buffer;
}

/** Why a message was not taken. */
export type StepRefusal = 'proposal-dropped' | 'peer-not-found';

/**
 * What the shell has to do, in this order: save `hardState`, `entries` and `snapshot` as one; send
 * `messages`, never before; apply `committedEntries`; then `advance`.
 */
export interface Ready {
  /** Present if it changed. */
  readonly softState: SoftState | undefined;
  /** Present if it changed. */
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  /** A snapshot that a leader sent; it replaces the log and the state machine's state. */
  readonly snapshot: Snapshot | undefined;
  readonly messages: readonly Message[];
  /** Entries to apply. They are in the log on disk, or among `entries`. */
  readonly committedEntries: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Whether what is to be saved must be synced: entries, a term or a vote are among it. */
  readonly mustSync: boolean;
}

/** The settings of one member. Sizes are of the entries' wire form, in bytes. */
export interface RaftConfig {
  readonly id: RaftId;
  /** An election begins after this many ticks without a leader, up to twice as many, at random. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly messageBytesMax: number;
  /** Committed entries handed out at a time. */
  readonly applyBytesMax: number;
  /** A leader refuses proposals when so much is waiting to be committed. */
  readonly uncommittedBytesMax: number;
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** A leader that does not hear from a majority steps down; a follower that hears from it does not vote. */
  readonly checksQuorum: boolean;
  readonly asksBeforeElection: boolean;
  /** Who asks before an election, and is asked by one with a better claim, withdraws. Not etcd's. */
  readonly concedesPreElections: boolean;
  readonly forwardsProposals: boolean;
  readonly stepsDownOnRemoval: boolean;
  /** An integer in [0, below). */
  readonly random: (below: number) => number;
}

/** The size of an entry on the wire: raftpb writes type, term and index even if they are 0. */
function entryBytes({ index, term, data }: Entry): number {
  const fields = 3 + 1 + varintBytes(term) + varintBytes(index);
  return data.length === 0 ? fields : fields + 1 + varintBytes(data.length) + data.length;
}

const varintBytes = (value: number): number => {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
};

export const entriesBytes = (entries: readonly Entry[]): number =>
  entries.reduce((sum, entry) => sum + entryBytes(entry), 0);

/** The size of what entries carry; 0 for a leader's empty entry, so it is never refused. */
export const payloadBytes = (entries: readonly Proposal[]): number =>
  entries.reduce((sum, { data }) => sum + data.length, 0);

/** As many entries from the front as fit into `bytesMax`, but at least one. */
export function limitBytes(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let bytes = 0;
  for (const [position, entry] of entries.entries()) {
    bytes += entryBytes(entry);
    if (bytes > bytesMax && position > 0) return entries.slice(0, position);
  }
  return entries;
}
