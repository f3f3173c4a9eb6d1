import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { merged } from '../../../src/raft/transport/merge.ts';
import type { Message } from '../../../src/raft/core/types.ts';
import { aMessage, anEntry } from '../../support/raft-network.ts';

/** Entries `from` to `to`, as a leader of term 2 sends them after entry `from - 1`. */
const append = (from: number, to: number, commit = 0, data = 'x'): Message =>
  aMessage({
    type: 'MsgApp',
    term: 2,
    index: from - 1,
    logTerm: 2,
    entries: Array.from({ length: to - from + 1 }, (_, n) => anEntry(2, from + n, data)),
    commit,
  });

const answer = (index: number, changes: Partial<Message> = {}): Message =>
  aMessage({ type: 'MsgAppResp', term: 2, index, ...changes });

/** What a follower's log ends at, and what it knows to be committed, after messages in order. */
function follow(messages: readonly Message[]): { last: number; commit: number } {
  let [last, commit] = [0, 0];
  for (const message of messages) {
    expect(message.index).toBeLessThanOrEqual(last);
    last = Math.max(last, message.entries.at(-1)?.index ?? 0);
    commit = Math.max(commit, Math.min(message.commit, message.index + message.entries.length));
  }
  return { last, commit };
}

describe('messages that wait', () => {
  test('entries that follow on each other become one message', () => {
    const both = merged(append(1, 2, 0), append(3, 3, 2));
    expect(both).toMatchObject({ index: 0, commit: 2 });
    expect(both?.entries.map(({ index }) => index)).toEqual([1, 2, 3]);
  });

  test('what is committed goes with the entries before it', () => {
    const both = merged(append(1, 2, 0), append(3, 2, 2));
    expect(both).toMatchObject({ index: 0, commit: 2 });
    expect(both?.entries).toHaveLength(2);
  });

  test('entries with a gap, of another term, or too many bytes stay apart', () => {
    expect(merged(append(1, 2), append(4, 4))).toBeUndefined();
    expect(merged(append(1, 2), append(2, 3))).toBeUndefined();
    expect(merged(append(1, 2), { ...append(3, 3), term: 3 })).toBeUndefined();
    expect(merged(append(1, 2), { ...append(3, 3), logTerm: 1 })).toBeUndefined();
    const large = 'x'.repeat(600_000);
    expect(merged(append(1, 1, 0, large), append(2, 2, 0, large))).toBeUndefined();
  });

  test('an acknowledgement covers those before it; a refusal stands alone', () => {
    expect(merged(answer(3), answer(5))).toEqual(answer(5));
    expect(merged(answer(5), answer(3))).toBeUndefined();
    expect(merged(answer(3), answer(5, { reject: true }))).toBeUndefined();
    expect(merged(answer(3, { reject: true }), answer(5))).toBeUndefined();
  });

  test('of heartbeats the last counts, and whose read is younger', () => {
    const beat = aMessage({ type: 'MsgHeartbeat', term: 2, commit: 1 });
    const [older, younger] = [Buffer.from('older'), Buffer.from('younger')];
    expect(merged(beat, { ...beat, commit: 4 })).toMatchObject({ commit: 4 });
    expect(merged({ ...beat, context: older }, beat)).toMatchObject({ context: older });
    expect(merged(beat, { ...beat, context: older })).toMatchObject({ context: older });
    const both = merged({ ...beat, context: older }, { ...beat, context: younger });
    expect(both).toMatchObject({ context: younger });
    expect(merged(beat, { ...beat, term: 3 })).toBeUndefined();
  });

  test('a vote is never merged', () => {
    const vote = aMessage({ type: 'MsgVote', term: 2 });
    expect(merged(vote, vote)).toBeUndefined();
  });

  test('a follower ends where it would have ended without', () => {
    const lengths = fc.array(fc.tuple(fc.nat(3), fc.nat(20)), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(lengths, (parts) => {
        let next = 1;
        const messages = parts.map(([length, commit]) => {
          const message = append(next, next + length - 1, commit);
          next += length;
          return message;
        });
        const queue: Message[] = [];
        for (const message of messages) {
          const last = queue.at(-1);
          const both = last && merged(last, message);
          if (both === undefined) queue.push(message);
          else queue[queue.length - 1] = both;
        }
        expect(follow(queue).last).toBe(follow(messages).last);
        expect(queue).toHaveLength(1);
        expect(queue[0]?.commit).toBe(messages.at(-1)?.commit);
      }),
    );
  });
});
