import { entriesBytes, type Message } from '../core/types.ts';

/** What only says that its sender is there, and how far things are: the newest says it best. */
export const isBeat = ({ type }: Message): boolean =>
  type === 'MsgHeartbeat' || type === 'MsgHeartbeatResp';

/** Messages are made one no further than this, in bytes: a peer takes 4 MiB. */
const mergedBytesMax = 1_048_576;

/**
 * Two messages in one that says the same to the member they are for, if there is such a one. What
 * waits behind a slow send then leaves as one message, and is answered by one.
 *
 * @param first goes out before `second`, to the same member
 */
export function merged(first: Message, second: Message): Message | undefined {
  if (first.type !== second.type || first.term !== second.term) return undefined;
  // What confirms the younger of two reads confirms the older.
  if (isBeat(second)) return { ...second, context: second.context ?? first.context };
  if (first.context !== undefined || second.context !== undefined) return undefined;
  if (second.type === 'MsgApp') return mergedAppend(first, second);
  if (second.type !== 'MsgAppResp' || first.reject || second.reject) return undefined;
  return second.index >= first.index ? second : undefined; // It covers the earlier one.
}

/** Entries that follow on each other. Raft §5.3: the first's predecessor is the predecessor of all. */
function mergedAppend(first: Message, second: Message): Message | undefined {
  const last = first.entries.at(-1) ?? { index: first.index, term: first.logTerm };
  const follows = second.index === last.index && second.logTerm === last.term;
  if (!follows) return undefined;
  const bytes = entriesBytes(first.entries) + entriesBytes(second.entries);
  if (bytes > mergedBytesMax) return undefined;
  return {
    ...second,
    index: first.index,
    logTerm: first.logTerm,
    entries: [...first.entries, ...second.entries],
  };
}
