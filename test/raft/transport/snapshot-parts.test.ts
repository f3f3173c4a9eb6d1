import { describe, expect, test } from 'vitest';
import { codecOf } from '../../../src/api/index.ts';
import type { RaftMessage, RaftMessageInput } from '../../../src/api/gen/types.ts';
import { assembled, messageBytesMax, partsOf } from '../../../src/raft/transport/snapshot-parts.ts';

const codec = codecOf('raftpb.Message');
const requestCodec = codecOf('StreamRaftMessageRequest');

const snapshot = (bytes: number): RaftMessageInput => ({
  type: 'MsgSnap',
  to: '1',
  from: '2',
  term: 5,
  snapshot: {
    data: Buffer.alloc(bytes, 'all the state there is'),
    metadata: { index: 9, term: 5, confState: { voters: ['1', '2'] } },
  },
});

async function* received(parts: Iterable<RaftMessageInput>): AsyncGenerator<RaftMessage> {
  for (const part of parts) yield codec.decode(codec.encode(part));
}

const refusal = async (parts: Iterable<RaftMessageInput>, bytesMax = 1e9): Promise<string> =>
  assembled(received(parts), bytesMax).then(
    () => 'taken',
    (error: unknown) => String(error),
  );

describe('a snapshot in parts', () => {
  test('a small message is one part', () => {
    const message = snapshot(1_000);
    expect([...partsOf(message)]).toEqual([message]);
  });

  test('a large one is cut so that each part fits, and is whole again', async () => {
    const message = snapshot(9_000_000);
    const parts = [...partsOf(message)];
    expect(parts).toHaveLength(3);
    for (const part of parts) {
      const bytes = requestCodec.encode({ message: part }).length;
      expect(bytes).toBeLessThanOrEqual(messageBytesMax);
    }
    const whole = await assembled(received(parts), 1e9);
    const sent = codec.decode(codec.encode(message));
    expect(whole?.snapshot?.data.equals(sent.snapshot?.data ?? Buffer.alloc(0))).toBe(true);
    expect({ ...whole, snapshot: whole?.snapshot?.metadata }).toEqual({
      ...sent,
      snapshot: sent.snapshot?.metadata,
    });
  });

  test('parts of different messages are refused in the words of the original', async () => {
    const [first = {}, second = {}] = partsOf(snapshot(5_000_000));
    expect(await refusal([first, { ...second, index: 7 }])).toContain(
      'Raft message chunk with index 7 is different from the previously received raft message index 0',
    );
    expect(await refusal([first, { ...second, type: 'MsgApp' }])).toContain(
      'Raft message chunk is not of type 7',
    );
    expect(await assembled(received([]), 1e9)).toBeUndefined();
  });

  test('more than a member may send is refused', async () => {
    expect(await refusal(partsOf(snapshot(5_000_000)), 4_500_000)).toContain('larger than');
  });
});
