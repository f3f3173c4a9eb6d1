import { describe, expect, test } from 'vitest';
import { record, replay } from './replay.ts';

const lines = (...text: readonly string[]): string => `${text.join('\n')}\n`;

const campaign = lines(
  '# One member, which elects itself.',
  'add-nodes 1 voters=(1) \\',
  '  index=3',
  '----',
  'ok',
  '',
  'campaign 1',
  '----',
  'INFO a line that only a logger writes',
  '',
  'raft-state',
  '----',
  '1: StateCandidate (Voter) Term:1 Lead:0',
);

describe('a replay', () => {
  test('agrees if all that is printed is the same but for log lines', () => {
    expect(replay(campaign)).toEqual({
      cases: 3,
      agreed: 3,
      skipped: undefined,
      difference: undefined,
    });
  });

  test('ends at the first difference, and names it', () => {
    const { agreed, difference } = replay(campaign.replace('StateCandidate', 'StateLeader'));
    expect(agreed).toBe(2);
    expect(difference).toEqual({
      line: 11,
      command: 'raft-state',
      expected: '1: StateLeader (Voter) Term:1 Lead:0',
      actual: '1: StateCandidate (Voter) Term:1 Lead:0',
    });
  });

  test('counts what a core is silent about as a difference', () => {
    const { difference } = replay(campaign.replace(/1: .*/u, 'ok'));
    expect(difference).toMatchObject({ expected: '' });
  });

  test('never counts what is out of scope as agreed', () => {
    const joint = lines('simple', 'v1', '----', 'voters=(1)', '1: StateProbe match=0 next=1', '');
    const { agreed, skipped } = replay(
      `${joint}\n${lines('enter-joint', 'v2 v3', '----', 'anything', '')}\n${joint}`,
    );
    expect(agreed).toBe(1);
    expect(skipped).toEqual({ cases: 2, why: 'joint consensus' });
  });

  test('reads an output with blank lines between two pairs of separators', () => {
    const quoted = lines('raft-state', '----', '----', '', '', '----', '----', '', 'vote', '----');
    expect(replay(`${quoted}VoteWon`)).toMatchObject({ cases: 2, agreed: 2 });
  });

  test('compares what a majority has committed, not the picture of it', () => {
    const text = lines('committed cfg=(1,2,3) idx=(9,_,7)', '----', 'a picture', '7');
    expect(replay(text)).toMatchObject({ agreed: 1 });
    expect(replay(text.replace('\n7', '\n8'))).toMatchObject({ agreed: 0 });
  });

  test('fails at a command that nobody knows', () => {
    expect(() => replay(lines('dance 1', '----', 'ok'))).toThrow('line 1: dance 1');
  });
});

test('a recording keeps everything but the answers', () => {
  const blank = campaign
    .replace(/1: .*/u, 'nothing')
    .replace('INFO a line that only a logger writes', 'ok');
  expect(record(blank)).toBe(campaign.replace('INFO a line that only a logger writes', 'ok'));
});
