import { describe, expect, test } from 'vitest';
import type { RpcConnection } from '../../../src/api/index.ts';
import type { Message } from '../../../src/raft/core/types.ts';
import { Peer } from '../../../src/raft/transport/peer.ts';
import { orAborted, SwarmError } from '../../../src/runtime/index.ts';
import { countingRandom } from '../../support/counting-random.ts';
import { aMessage, anEntry, raftId } from '../../support/raft-network.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const removed = new SwarmError('not-found', 'raft: member was removed from the cluster');
const refused = new SwarmError('unavailable', 'No connection established: ECONNREFUSED');

/** Another member: what reaches it, and how it answers. */
class FakeMember {
  readonly heard: string[] = [];
  failure: SwarmError | undefined;
  /** Set, it answers nothing until this resolves. */
  hold: Promise<void> | undefined;
  connections = 0;
  close: () => void = () => undefined;

  connect(): RpcConnection {
    this.connections += 1;
    const closed = new Promise<void>((resolve) => {
      this.close = resolve;
    });
    const answer = async (what: string, signal: AbortSignal): Promise<never> => {
      this.heard.push(what);
      if (this.hold !== undefined) await orAborted(this.hold, signal);
      if (this.failure !== undefined) throw this.failure;
      return {} as never; // Nobody looks at what is answered.
    };
    return {
      unary: async (_service, method, request, { signal }) => {
        const { message } = request as { message?: Message };
        const entries = message?.entries.length ?? 0;
        return answer(message === undefined ? method : `${message.type} ${entries}`, signal);
      },
      serverStream: () => {
        throw new Error('not called');
      },
      clientStream: async (_service, _method, requests, { signal }) => {
        let parts = 0;
        for await (const _ of requests) parts += 1;
        return answer(`MsgSnap in ${parts} parts`, signal);
      },
      closed: async (signal) => orAborted(closed, signal),
      [Symbol.dispose]: () => undefined,
    };
  }
}

async function setup() {
  const clock = new VirtualClock();
  const member = new FakeMember();
  const reports: string[] = [];
  const peer = new Peer(
    {
      clock,
      random: countingRandom(),
      log: silentLog,
      connect: () => member.connect(),
      reports: {
        reportUnreachable: () => reports.push('unreachable'),
        reportSnapshot: (_id, isDelivered) => reports.push(`snapshot ${isDelivered}`),
        noteRemoved: () => reports.push('removed'),
        noteGone: () => reports.push('gone'),
      },
    },
    raftId(2),
    'host:1',
  );
  const controller = new AbortController();
  const ended = peer.run(controller.signal);
  await clock.advance(0);
  const stop = async (): Promise<void> => {
    controller.abort();
    await ended;
  };
  return { clock, member, reports, peer, stop };
}

const append = (index: number): Message =>
  aMessage({ type: 'MsgApp', term: 1, index: index - 1, logTerm: 1, entries: [anEntry(1, index)] });

const vote = aMessage({ type: 'MsgVote', term: 3 });

const snapshot = aMessage({
  type: 'MsgSnap',
  term: 1,
  snapshot: {
    index: 5,
    term: 1,
    confState: { voters: [raftId(1)], learners: [] },
    data: Buffer.alloc(5_000_000),
  },
});

/** Has a member answer nothing until it is released. */
function held(member: { hold: Promise<void> | undefined }): () => void {
  const gate = new AbortController();
  member.hold = new Promise((resolve) => {
    gate.signal.addEventListener('abort', () => {
      resolve();
    });
  });
  return () => {
    gate.abort();
  };
}

describe('a peer', () => {
  test('hears messages in order, one at a time; what waits is merged', async () => {
    const { clock, member, peer, stop } = await setup();
    const release = held(member);
    for (const message of [append(1), append(2), append(3), vote]) peer.push(message);
    await clock.advance(0);
    expect(member.heard).toHaveLength(1);
    release();
    await clock.advance(0);
    expect(member.heard).toEqual(['MsgApp 3', 'MsgVote 0']);
    await stop();
  });

  test('over a slow wire no more waits than a heartbeat and what there is to append', async () => {
    const { clock, member, peer, stop } = await setup();
    const release = held(member);
    peer.push(vote);
    await clock.advance(0);
    for (let index = 1; index <= 50; index += 1) {
      peer.push(aMessage({ type: 'MsgHeartbeat', term: 1 }));
      peer.push(append(index));
    }
    member.hold = undefined;
    release();
    await clock.advance(0);
    expect(member.heard).toEqual(['MsgVote 0', 'MsgHeartbeat 0', 'MsgApp 50']);
    await stop();
  });

  test('what is committed waits a moment for entries to go with', async () => {
    const { clock, member, peer, stop } = await setup();
    peer.push(aMessage({ type: 'MsgApp', term: 1, logTerm: 1, commit: 1 }));
    await clock.advance(5);
    expect(member.heard).toEqual([]);
    peer.push(append(1));
    await clock.advance(0);
    expect(member.heard).toEqual(['MsgApp 1']);
    peer.push(aMessage({ type: 'MsgApp', term: 1, index: 1, commit: 1 }));
    await clock.advance(10);
    expect(member.heard).toEqual(['MsgApp 1', 'MsgApp 0']);
    await stop();
  });

  test('a snapshot goes in parts, and holds nothing up', async () => {
    const { clock, member, reports, peer, stop } = await setup();
    peer.push(snapshot);
    peer.push(vote);
    await clock.advance(0);
    expect(member.heard.toSorted()).toEqual(['MsgSnap in 2 parts', 'MsgVote 0']);
    expect(reports).toEqual(['snapshot true']);
    await stop();
  });

  test('a snapshot that is stuck for two seconds is given up', async () => {
    const { clock, member, reports, peer, stop } = await setup();
    member.hold = new Promise(() => undefined);
    peer.push(snapshot);
    await clock.advance(1_999);
    expect(reports).toEqual([]);
    await clock.advance(2);
    expect(reports).toEqual(['snapshot false', 'unreachable']);
    await stop();
  });

  test('one that is not reached is reported, what waited is dropped, and it is dialled anew', async () => {
    const { clock, member, reports, peer, stop } = await setup();
    member.failure = refused;
    peer.push(vote);
    peer.push(vote);
    await clock.advance(0);
    expect([reports, member.heard]).toEqual([['unreachable'], ['MsgVote 0']]);
    member.failure = undefined;
    peer.push(vote);
    await clock.advance(0);
    expect(reports).toEqual(['unreachable']);
    expect(member.connections).toBe(2);
    await stop();
  });

  test('more than 4,096 messages do not wait', async () => {
    const { member, reports, peer, stop } = await setup();
    member.hold = new Promise(() => undefined);
    for (let n = 0; n < 4_100; n += 1) peer.push(vote);
    expect(reports).toEqual(['unreachable', 'unreachable', 'unreachable', 'unreachable']);
    await stop();
  });

  test('one that says we were removed is believed', async () => {
    const { clock, member, reports, peer, stop } = await setup();
    member.failure = removed;
    peer.push(vote);
    await clock.advance(0);
    expect(reports).toEqual(['removed']);
    await stop();
  });

  test('one whose connection closes, and that refuses another, is gone', async () => {
    const { clock, member, reports, peer, stop } = await setup();
    peer.push(vote);
    await clock.advance(0);
    member.failure = refused;
    member.close();
    await clock.advance(100);
    expect(reports).toEqual(['gone']);
    await stop();
  });

  test('one whose connection closes and that takes another is there', async () => {
    const { clock, member, reports, peer, stop } = await setup();
    peer.push(vote);
    await clock.advance(0);
    member.close();
    await clock.advance(100);
    expect(reports).toEqual([]);
    await stop();
  });
});
