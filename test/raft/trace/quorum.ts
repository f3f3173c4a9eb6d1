import { majorityIndex, tally, type VoteResult } from '../../../src/raft/core/quorum.ts';
import type { CommandTable, Directive } from './trace-file.ts';

/** The majorities that must agree: one, or two while a configuration is joint. */
function majoritiesOf({ options }: Directive): ReadonlyArray<readonly string[]> {
  const first = options.get('cfg') ?? [];
  const second = options.get('cfgj');
  if (second === undefined) return [first];
  return [first, second[0] === 'zero' ? [] : second];
}

/** What is said of each voter, in the order of the configurations; `_` says nothing. */
function saidOf(directive: Directive, key: string): (voter: string) => string | undefined {
  const voters = [...new Set(majoritiesOf(directive).flat())];
  const words = directive.options.get(key) ?? [];
  const said = new Map(voters.map((voter, position) => [voter, words[position]]));
  return (voter) => (said.get(voter) === '_' ? undefined : said.get(voter));
}

const voteNames: Readonly<Record<VoteResult, string>> = {
  won: 'VoteWon',
  lost: 'VoteLost',
  pending: 'VotePending',
};

/** Of two majorities both must be won, and either may be lost. */
function both(results: readonly VoteResult[]): VoteResult {
  if (results.includes('lost')) return 'lost';
  return results.includes('pending') ? 'pending' : 'won';
}

/** What a majority decides. The core knows single ones; two are put together here. */
export const quorumCommands: CommandTable = {
  committed: ({ directive }) => {
    const indexOf = saidOf(directive, 'idx');
    const indexes = majoritiesOf(directive).map((voters) =>
      majorityIndex(voters.map((voter) => Number(indexOf(voter) ?? 0))),
    );
    const committed = Math.min(...indexes);
    return committed === Infinity ? '∞' : String(committed);
  },
  vote: ({ directive }) => {
    const voteOf = saidOf(directive, 'votes');
    const results = majoritiesOf(directive).map((voters) =>
      tally(
        voters.map((voter) => {
          const vote = voteOf(voter);
          return vote === undefined ? undefined : vote === 'y';
        }),
      ),
    );
    return voteNames[both(results)];
  },
};
