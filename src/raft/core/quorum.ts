/**
 * The largest index that a majority of voters has stored. Raft §5.3.
 *
 * The leader may commit up to it only if the entry there is of its own term: that rule (§5.4.2)
 * is the caller's.
 *
 * @returns Infinity without voters, so that an empty configuration decides nothing
 */
export function majorityIndex(matchIndexes: readonly number[]): number {
  const descending = matchIndexes.toSorted((a, b) => b - a);
  return descending[Math.floor(descending.length / 2)] ?? Infinity;
}

export type VoteResult = 'won' | 'lost' | 'pending';

/**
 * Counts an election. Raft §5.2.
 *
 * @param votes one per voter: granted, refused, or not yet known
 */
export function tally(votes: ReadonlyArray<boolean | undefined>): VoteResult {
  const majority = Math.floor(votes.length / 2) + 1;
  const granted = votes.filter((vote) => vote === true).length;
  const missing = votes.filter((vote) => vote === undefined).length;
  if (votes.length === 0 || granted >= majority) return 'won';
  return granted + missing >= majority ? 'pending' : 'lost';
}
