import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codecOf } from '../../src/api/index.ts';
import type { Message } from '../../src/raft/core/types.ts';
import { Members } from '../../src/raft/members/members.ts';
import { decodeEnvelope, envelopeOf } from '../../src/raft/applied/snapshot-envelope.ts';
import {
  decodeMemberChange,
  encodeMemberChange,
  messageFromWire,
  messageToWire,
  newRaftId,
} from '../../src/raft/wire.ts';
import { aMessage, anEntry, raftId } from '../support/raft-network.ts';

const encodeEnvelope = (
  ...[membership, ...store]: [ReturnType<Members['toWire']>, ...Buffer[]]
): Buffer => Buffer.concat([...envelopeOf(membership, store)]);

const messageCodec = codecOf('raftpb.Message');
const overTheWire = (message: Message): Message =>
  messageFromWire(messageCodec.decode(messageCodec.encode(messageToWire(message))));

describe('messages on the wire', () => {
  test('come through as they were, whatever their fields', () => {
    const counter = fc.maxSafeNat();
    fc.assert(
      fc.property(counter, counter, fc.boolean(), (index, term, reject) => {
        const message = aMessage({
          type: 'MsgAppResp',
          index,
          term,
          logTerm: term,
          commit: index,
          reject,
          from: newRaftId({ bytes: () => Buffer.alloc(8, 255), integer: () => 0 }),
          rejectHint: index,
          context: Buffer.from('context'),
          entries: [anEntry(term, index)],
        });
        expect(overTheWire(message)).toEqual(message);
      }),
    );
  });

  test('a snapshot keeps its configuration and its data', () => {
    const confState = { voters: [raftId(1), raftId(2)], learners: [raftId(3)] };
    const snapshot = { index: 5, term: 2, confState, data: Buffer.from('state') };
    expect(overTheWire(aMessage({ type: 'MsgSnap', snapshot })).snapshot).toEqual(snapshot);
  });

  test('an entry without data has none on the wire, not even of length 0', () => {
    const wire = messageToWire(aMessage({ type: 'MsgApp', entries: [anEntry(1, 1, '')] }));
    expect(wire.entries?.[0]).not.toHaveProperty('Data');
  });

  test('a local message, an unknown one, and one from nobody are refused', () => {
    const message = messageCodec.create(messageToWire(aMessage({ type: 'MsgApp' })));
    expect(() => messageFromWire({ ...message, type: 'MsgHup' })).toThrow('raft message has type');
    expect(() => messageFromWire({ ...message, from: '0' })).toThrow('the member ID 0');
    expect(() => messageFromWire({ ...message, term: '9007199254740993' })).toThrow('the counter');
  });
});

describe('newRaftId', () => {
  test('is a positive number of 63 bits, and never one that was used', () => {
    const drawn = [Buffer.alloc(8, 0), Buffer.alloc(8, 255)];
    const random = { bytes: () => drawn.shift() ?? Buffer.alloc(8, 1), integer: () => 0 };
    expect(newRaftId(random)).toBe('1');
    expect(newRaftId(random)).toBe('9223372036854775808');
    const first = newRaftId(random);
    drawn.push(Buffer.alloc(8, 1), Buffer.alloc(8, 2));
    expect(newRaftId(random, (id) => id === first)).not.toBe(first);
  });
});

describe('a change of the membership', () => {
  test('carries who the member is; a removal carries nobody', () => {
    const member = { raftId: raftId(5), nodeId: 'node', addr: 'host:1' };
    const addition = { type: 'ConfChangeAddNode' as const, raftId: raftId(5), member };
    expect(decodeMemberChange(encodeMemberChange(addition))).toEqual(addition);
    const removal = { type: 'ConfChangeRemoveNode' as const, raftId: raftId(5), member: undefined };
    expect(decodeMemberChange(encodeMemberChange(removal))).toEqual(removal);
  });
});

describe('the envelope of a snapshot', () => {
  const members = new Members();
  const member = { raftId: raftId(5), nodeId: 'node', addr: 'host:1' };
  const learner = { raftId: raftId(10), nodeId: 'learner', addr: 'host:2' };
  members.apply({ type: 'ConfChangeAddLearnerNode', raftId: raftId(10), member: learner });
  members.apply({ type: 'ConfChangeAddLearnerNode', raftId: raftId(5), member });
  members.apply({ type: 'ConfChangeAddNode', raftId: raftId(5), member });
  members.apply({ type: 'ConfChangeRemoveNode', raftId: raftId(6), member: undefined });

  test('gives back the members, the removed, and the store’s bytes as they were', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
        const { membership, store } = decodeEnvelope(
          encodeEnvelope(members.toWire(), Buffer.from(bytes), Buffer.of(1, 2)),
        );
        expect(store).toEqual(Buffer.from([...bytes, 1, 2]));
        const restored = new Members();
        restored.restore(membership, members.confState);
        expect(restored.all).toEqual([learner, member]);
        expect(restored.confState).toEqual({ voters: [raftId(5)], learners: [raftId(10)] });
        expect(restored.isRemoved(raftId(6))).toBe(true);
      }),
    );
  });

  test('is SwarmKit’s Snapshot, in both directions', () => {
    const codec = codecOf('Snapshot');
    const storeCodec = codecOf('StoreSnapshot');
    const store = { nodes: [{ id: 'node' }] };
    const ours = codec.decode(encodeEnvelope(members.toWire(), storeCodec.encode(store)));
    expect(ours.membership?.members).toMatchObject([
      { raftId: '10' },
      { raftId: '5', nodeId: 'node' },
    ]);
    expect(ours.store?.nodes).toMatchObject([{ id: 'node' }]);
    const theirs = decodeEnvelope(
      codec.encode({ version: 'V0', membership: members.toWire(), store }),
    );
    expect(storeCodec.decode(theirs.store).nodes).toMatchObject([{ id: 'node' }]);
    expect(theirs.membership.removed).toEqual(['6']);
  });

  test('one that is cut short, or of another version, is refused', () => {
    const whole = encodeEnvelope(members.toWire(), Buffer.from('store'));
    expect(() => decodeEnvelope(whole.subarray(0, -1))).toThrow('cut short');
    expect(() => decodeEnvelope(Buffer.concat([Buffer.of(8, 1), whole]))).toThrow(
      'unrecognized snapshot version 1',
    );
  });
});
