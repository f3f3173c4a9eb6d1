import { beforeEach, describe, expect, test } from 'vitest';
import { Pulse } from '../../../src/raft/members/pulse.ts';
import type { Message, MessageType } from '../../../src/raft/core/types.ts';
import { aMessage, raftId } from '../../support/raft-network.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const [self, other] = [raftId(1), raftId(2)];

const message = (type: MessageType, fields: Partial<Message> = {}): Message =>
  aMessage({ type, from: self, to: other, term: 2, ...fields });

/** What the other member answers. */
const answer = ({ type, context }: Message, fields: Partial<Message> = {}): Message =>
  message(type === 'MsgVote' ? 'MsgVoteResp' : 'MsgHeartbeatResp', {
    to: self,
    from: other,
    context,
    ...fields,
  });

let clock: VirtualClock;
let pulse: Pulse;
beforeEach(() => {
  clock = new VirtualClock();
  pulse = new Pulse({ clock, keptMs: 1_000 });
});

/** A question as it leaves. */
function ask(question: Message): Message {
  const [sent = question] = pulse.stamped([question]);
  return sent;
}

/** So many milliseconds ago the other was there for certain. */
const aliveAgo = (): number => clock.monotonic() - pulse.aliveAt(other);

describe('Pulse', () => {
  test.each<MessageType>(['MsgHeartbeat', 'MsgVote'])(
    'who answers a %s was there when it was asked, however late the answer',
    async (type) => {
      const question = ask(message(type));
      expect(aliveAgo()).toBe(Infinity);
      await clock.advance(700);
      pulse.hear(answer(question));
      expect(aliveAgo()).toBe(700);
    },
  );

  test('an answer to an older question does not make anybody older', async () => {
    const first = ask(message('MsgHeartbeat'));
    await clock.advance(100);
    const second = ask(message('MsgHeartbeat'));
    pulse.hear(answer(second));
    pulse.hear(answer(first));
    expect(aliveAgo()).toBe(0);
  });

  test('heartbeats of one moment have one stamp; one that asks for a reader keeps its words', () => {
    const context = Buffer.alloc(8, 7);
    const third = raftId(3);
    const [one, two, reading, append] = pulse.stamped([
      message('MsgHeartbeat'),
      message('MsgHeartbeat', { to: third }),
      message('MsgHeartbeat', { context }),
      message('MsgApp'),
    ]);
    expect(one?.context).toHaveLength(4);
    expect(two?.context).toEqual(one?.context);
    expect(reading?.context).toBe(context);
    expect(append?.context).toBeUndefined();
    expect(ask(message('MsgHeartbeat')).context).not.toEqual(one?.context);
  });

  test('what is asked again may be answered as it was asked first', async () => {
    const reading = message('MsgHeartbeat', { context: Buffer.alloc(8, 7) });
    ask(reading);
    await clock.advance(600);
    ask(reading);
    pulse.hear(answer(reading));
    expect(aliveAgo()).toBe(600);
  });

  test('what answers nothing that was asked here, and lately, says nothing', async () => {
    const beat = ask(message('MsgHeartbeat'));
    const vote = ask(message('MsgVote'));
    pulse.hear(answer(beat, { term: 1 }));
    pulse.hear(answer(vote, { term: 3 }));
    pulse.hear(answer(beat, { context: undefined }));
    pulse.hear(answer(beat, { context: Buffer.alloc(8, 1) }));
    pulse.hear(message('MsgAppResp', { from: other }));
    pulse.hear(message('MsgVote', { from: other }));
    expect(aliveAgo()).toBe(Infinity);
    await clock.advance(1_001);
    ask(message('MsgHeartbeat'));
    pulse.hear(answer(beat));
    pulse.hear(answer(vote));
    expect(aliveAgo()).toBe(Infinity);
  });

  test('who is gone is there no more, until it answers anew', async () => {
    pulse.hear(answer(ask(message('MsgHeartbeat'))));
    pulse.lose(other);
    expect(aliveAgo()).toBe(Infinity);
    await clock.advance(100);
    pulse.hear(answer(ask(message('MsgHeartbeat'))));
    expect(aliveAgo()).toBe(0);
  });
});
