import type { Progress } from '../../../src/raft/core/progress.ts';
import type {
  ConfState,
  Entry,
  HardState,
  Message,
  RaftId,
  RaftRole,
  ReadState,
  Ready,
  Snapshot,
} from '../../../src/raft/core/types.ts';
import { decodeChange, formatChanges } from './changes.ts';

/** Each line two spaces to the right. */
export const indent = (text: string): string => text.replaceAll(/^(?=.)/gmu, '  ');

const stateNames: Readonly<Record<RaftRole, string>> = {
  follower: 'StateFollower',
  'pre-candidate': 'StatePreCandidate',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
};

export const formatRole = (role: RaftRole): string => stateNames[role];

function formatEntry(entry: Entry): string {
  const { term, index, type, data } = entry;
  const content =
    type === 'EntryNormal'
      ? JSON.stringify(data.toString('latin1'))
      : formatChanges([decodeChange(entry)]);
  return `${term}/${index} ${type} ${content}`;
}

export const formatEntries = (entries: readonly Entry[]): string =>
  entries.map((entry) => `${formatEntry(entry)}\n`).join('');

function formatSnapshot({ index, term, confState }: Snapshot): string {
  const { voters, learners } = confState;
  const state = `Voters:[${voters.join(' ')}] VotersOutgoing:[] Learners:[${learners.join(' ')}] LearnersNext:[] AutoLeave:false`;
  return `Index:${index} Term:${term} ConfState:${state}`;
}

export function formatMessage(message: Message): string {
  const { type, to, from, term, index, logTerm, commit, reject, rejectHint } = message;
  const parts = [`${from}->${to} ${type} Term:${term} Log:${logTerm}/${index}`];
  if (reject) parts.push(`Rejected (Hint: ${rejectHint})`);
  if (commit > 0) parts.push(`Commit:${commit}`);
  const [first, ...more] = message.entries;
  if (first !== undefined && more.length === 0) parts.push(`Entries:[${formatEntry(first)}]`);
  if (more.length > 0) parts.push(`Entries:[\n${indent(formatEntries(message.entries))}]`);
  const head = parts.join(' ');
  if (message.snapshot === undefined) return head;
  return `${head}\n  Snapshot: ${formatSnapshot(message.snapshot)}`;
}

function formatHardState({ currentTerm, votedFor, commitIndex }: HardState): string {
  const vote = votedFor === undefined ? '' : ` Vote:${votedFor}`;
  return `Term:${currentTerm}${vote} Commit:${commitIndex}`;
}

const formatReadState = ({ index, context }: ReadState): string =>
  `{${index} [${[...context].join(' ')}]}`;

export function formatReady(ready: Ready): string {
  const { softState, hardState, readStates, entries, snapshot, committedEntries } = ready;
  const lines: string[] = [];
  if (softState !== undefined) {
    lines.push(`Lead:${softState.leaderId ?? 0} State:${formatRole(softState.role)}\n`);
  }
  if (hardState !== undefined) lines.push(`HardState ${formatHardState(hardState)}\n`);
  if (readStates.length > 0)
    lines.push(`ReadStates [${readStates.map(formatReadState).join(' ')}]\n`);
  if (entries.length > 0) lines.push('Entries:\n', formatEntries(entries));
  if (snapshot !== undefined) lines.push(`Snapshot ${formatSnapshot(snapshot)}\n`);
  if (committedEntries.length > 0)
    lines.push('CommittedEntries:\n', formatEntries(committedEntries));
  if (ready.messages.length > 0) {
    lines.push('Messages:\n', ...ready.messages.map((message) => `${formatMessage(message)}\n`));
  }
  return lines.length === 0
    ? '<empty Ready>'
    : `Ready MustSync=${ready.mustSync}:\n${lines.join('')}`;
}

/** Who takes part: `voters=(1 2) learners=(3)`. */
export function formatConfState({ voters, learners }: ConfState): string {
  const rest = learners.length === 0 ? '' : ` learners=(${learners.join(' ')})`;
  return `voters=(${voters.join(' ')})${rest}`;
}

const progressNames = {
  probe: 'StateProbe',
  replicate: 'StateReplicate',
  snapshot: 'StateSnapshot',
} as const satisfies Record<Progress['state'], string>;

export function formatProgress(id: RaftId, progress: Readonly<Progress>): string {
  const { state, matchIndex, nextIndex, pendingSnapshot, inflights } = progress;
  const parts = [`${id}: ${progressNames[state]} match=${matchIndex} next=${nextIndex}`];
  if (progress.isLearner) parts.push('learner');
  if (progress.isPaused) parts.push('paused');
  if (pendingSnapshot > 0) parts.push(`pendingSnap=${pendingSnapshot}`);
  if (!progress.isRecentlyActive) parts.push('inactive');
  if (inflights.count > 0)
    parts.push(`inflight=${inflights.count}${inflights.isFull ? '[full]' : ''}`);
  return parts.join(' ');
}
