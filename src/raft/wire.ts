import { codecOf } from '../api/index.ts';
import type {
  RaftConfState,
  RaftEntry,
  RaftEntryInput,
  RaftMessage,
  RaftMessageInput,
  RaftSnapshot,
  RaftSnapshotInput,
} from '../api/gen/types.ts';
import { type Random, SwarmError } from '../runtime/index.ts';
import type {
  ConfChange,
  ConfState,
  Entry,
  EntryType,
  Message,
  PeerMessageType,
  RaftId,
  Snapshot,
} from './core/types.ts';

const peerMessages: readonly PeerMessageType[] = [
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
];

const entryTypes: readonly EntryType[] = ['EntryNormal', 'EntryConfChange'];

const confChangeCodec = codecOf('raftpb.ConfChange');
const memberCodec = codecOf('RaftMember');

const bad = (what: string): SwarmError =>
  new SwarmError('invalid-argument', `raft message has ${what}`);

/**
 * A Raft ID from the wire.
 *
 * @throws SwarmError invalid-argument, if it is none
 */
export function raftIdFrom(text: string): RaftId {
  if (!/^[1-9]\d{0,19}$/u.test(text)) throw bad(`the member ID ${text}`);
  return text as RaftId; // It was just seen to be one.
}

/**
 * A new Raft ID: a random positive 63-bit integer. swarmkit manager/state/raft/raft.go
 *
 * @param isTaken whether an ID is, or ever was, a member's
 */
export function newRaftId(random: Random, isTaken: (id: RaftId) => boolean = () => false): RaftId {
  for (;;) {
    const number = random.bytes(8).readBigUInt64BE() >> 1n;
    const id = String(number + 1n) as RaftId; // A number in 64 bits, and not 0.
    if (!isTaken(id)) return id;
  }
}

/** A term or an index: a counter, which never comes near 2^53. */
function counterFrom(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw bad(`the counter ${text}`);
  return value;
}

function entryToWire({ type, term, index, data }: Entry): RaftEntryInput {
  const entry = { Type: type, Term: term, Index: index };
  // SwarmKit takes an entry with data, be it empty, for a request.
  return data.length === 0 ? entry : { ...entry, Data: data };
}

function entryFromWire({ Type, Term, Index, Data }: RaftEntry): Entry {
  const type = entryTypes.find((known) => known === Type);
  if (type === undefined) throw bad(`an entry of type ${Type}`);
  return { type, term: counterFrom(Term), index: counterFrom(Index), data: Data };
}

const confStateToWire = ({
  voters,
  learners,
}: ConfState): { voters: string[]; learners: string[] } => ({
  voters: [...voters],
  learners: [...learners],
});

function confStateFromWire(state: RaftConfState | null | undefined): ConfState {
  if ((state?.votersOutgoing.length ?? 0) > 0) throw bad('a joint configuration');
  return {
    voters: (state?.voters ?? []).map(raftIdFrom),
    learners: (state?.learners ?? []).map(raftIdFrom),
  };
}

const snapshotToWire = ({ index, term, confState, data }: Snapshot): RaftSnapshotInput => ({
  data,
  metadata: { index, term, confState: confStateToWire(confState) },
});

function snapshotFromWire({ data, metadata }: RaftSnapshot): Snapshot | undefined {
  const index = counterFrom(metadata?.index ?? '0');
  if (index === 0) return undefined; // Older peers send an empty one with every message.
  const term = counterFrom(metadata?.term ?? '0');
  return { index, term, confState: confStateFromWire(metadata?.confState), data };
}

/** A message as etcd's raftpb has it. */
export function messageToWire(message: Message): RaftMessageInput {
  const { type, to, from, term, index, logTerm, commit, reject, rejectHint } = message;
  const { entries, snapshot, context } = message;
  return {
    type,
    to,
    from,
    term,
    index,
    logTerm,
    commit,
    reject,
    rejectHint,
    entries: entries.map(entryToWire),
    ...(snapshot === undefined ? {} : { snapshot: snapshotToWire(snapshot) }),
    ...(context === undefined ? {} : { context }),
  };
}

/**
 * A message from a peer.
 *
 * @throws SwarmError invalid-argument, if it is none that a peer may send
 */
export function messageFromWire(message: RaftMessage): Message {
  const type = peerMessages.find((known) => known === message.type);
  if (type === undefined) throw bad(`type ${message.type}`);
  return {
    type,
    to: raftIdFrom(message.to),
    from: raftIdFrom(message.from),
    term: counterFrom(message.term),
    index: counterFrom(message.index),
    logTerm: counterFrom(message.logTerm),
    entries: message.entries.map(entryFromWire),
    commit: counterFrom(message.commit),
    snapshot: message.snapshot === null ? undefined : snapshotFromWire(message.snapshot),
    reject: message.reject,
    rejectHint: counterFrom(message.rejectHint),
    context: message.context.length === 0 ? undefined : message.context,
  };
}

/** Who a Raft ID is: what a change of the configuration carries as its context. */
export interface RaftMember {
  readonly raftId: RaftId;
  readonly nodeId: string;
  /** Where it is reached by its peers: host:port. */
  readonly addr: string;
}

/** A change of one member, with who it is, except for a removal. */
export interface MemberChange extends ConfChange {
  readonly member: RaftMember | undefined;
}

/** A change of the configuration as an entry carries it. */
export function encodeMemberChange({ type, raftId, member }: MemberChange): Buffer {
  const context = member === undefined ? {} : { context: memberCodec.encode(member) };
  return confChangeCodec.encode({ type, nodeId: raftId, ...context });
}

/** @throws SwarmError invalid-argument, if it is none; what protobuf throws */
export function decodeMemberChange(data: Buffer): MemberChange {
  const { type, nodeId, context } = confChangeCodec.decode(data);
  const raftId = raftIdFrom(nodeId);
  if (context.length === 0) return { type, raftId, member: undefined };
  const member = memberCodec.decode(context);
  return { type, raftId, member: { raftId, nodeId: member.nodeId, addr: member.addr } };
}
