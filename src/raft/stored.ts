import { assert } from '../runtime/index.ts';
import { MemoryLog } from './core/stable-log.ts';
import type { Entry, HardState } from './core/types.ts';
import { type LogStore, newHardState } from './storage/log-store.ts';
import { encodeMemberChange } from './wire.ts';

/** What a member begins with: what its disk holds, for the core to read, and what it has promised. */
export interface Stored {
  readonly mirror: MemoryLog;
  readonly hardState: HardState;
}

/** What a member left when it ran last. */
export async function recalled(logStore: LogStore): Promise<Stored> {
  const { hardState, snapshot, before, entries } = await logStore.load();
  const mirror = new MemoryLog();
  if (snapshot !== undefined) mirror.restore(snapshot);
  mirror.reset(before, entries);
  // What a snapshot holds was committed, even if that was not written down.
  const commitIndex = Math.max(hardState.commitIndex, snapshot?.index ?? 0);
  return { mirror, hardState: { ...hardState, commitIndex } };
}

/**
 * A group of one member, in an empty log: its first entry, committed by definition, is the addition
 * of this member.
 */
export async function founded(logStore: LogStore, addr: string): Promise<Stored> {
  assert(logStore.isEmpty, 'a cluster is founded in an empty log');
  const { raftId, nodeId } = logStore.identity;
  const member = { raftId, nodeId, addr };
  const data = encodeMemberChange({ type: 'ConfChangeAddNode', raftId, member });
  const first: Entry = { index: 1, term: 1, type: 'EntryConfChange', data };
  const { before } = await logStore.load();
  const hardState = { ...newHardState, currentTerm: 1, commitIndex: 1 };
  await logStore.save({ hardState, entries: [first], snapshot: undefined });
  const mirror = new MemoryLog();
  mirror.reset(before, [first]);
  return { mirror, hardState };
}
