import type { ConfChange, Entry } from '../../../src/raft/core/types.ts';
import { idFrom } from './arguments.ts';

/** In the order of their numbers in raftpb. */
const kinds = [
  { letter: 'v', type: 'ConfChangeAddNode' },
  { letter: 'r', type: 'ConfChangeRemoveNode' },
  { letter: 'u', type: 'ConfChangeUpdateNode' },
  { letter: 'l', type: 'ConfChangeAddLearnerNode' },
] as const satisfies ReadonlyArray<{
  readonly letter: string;
  readonly type: ConfChange['type'];
}>;

/** Reads changes as a trace writes them: `v1 l2 r3 u4`. */
export const parseChanges = (text: string): ConfChange[] =>
  text
    .split(/\s+/u)
    .filter(Boolean)
    .map((word) => {
      const kind = kinds.find(({ letter }) => word.startsWith(letter));
      if (kind === undefined) throw new Error(`no change of the configuration: ${word}`);
      return { type: kind.type, raftId: idFrom(word.slice(1)) };
    });

export const formatChanges = (changes: readonly ConfChange[]): string =>
  changes
    .map(({ type, raftId }) => `${kinds.find((kind) => kind.type === type)?.letter}${raftId}`)
    .join(' ');

const kindNumber = (change: ConfChange): number =>
  kinds.findIndex(({ type }) => type === change.type);

/** A `raftpb.ConfChange`, fields that are 0 included, as limits count them. */
export const encodeChange = (change: ConfChange): Buffer =>
  Buffer.from([0x08, 0, 0x10, kindNumber(change), 0x18, Number(change.raftId)]);

/** A `raftpb.ConfChangeV2` of one change. */
export const encodeChangeV2 = (change: ConfChange): Buffer =>
  Buffer.from([0x08, 0, 0x12, 4, 0x08, kindNumber(change), 0x10, Number(change.raftId)]);

/** Reads what {@link encodeChange} or {@link encodeChangeV2} wrote. */
export function decodeChange({ type, data }: Entry): ConfChange {
  const [kindAt, idAt] = type === 'EntryConfChange' ? [3, 5] : [5, 7];
  const kind = kinds[data[kindAt] ?? -1];
  if (kind === undefined) throw new Error('an entry that holds no change');
  return { type: kind.type, raftId: idFrom(String(data[idAt])) };
}
