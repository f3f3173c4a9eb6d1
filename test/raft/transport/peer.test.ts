import { describe, expect, test } from 'vitest';
import type { CallOptions, RpcConnection } from '../../../src/api/index.ts';
import type { Message } from '../../../src/raft/core/types.ts';
import { Peer } from '../../../src/raft/transport/peer.ts';
import { orAborted, SwarmError } from '../../../src/runtime/index.ts';
import { countingRandom } from '../../support/counting-random.ts';
import { aMessage, anEntry, raftId } from '../../support/raft-network.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const removed = new SwarmError('not-found', 'raft: member was removed from the cluster');
const unknownService = new SwarmError('unimplemented', 'unknown service swarmd.v1.RaftStream');
const refused = new SwarmError('unavailable', 'No connection established: ECONNREFUSED');

/** Another member: what reaches it, and how it answers. */
class FakeMember {
  readonly heard: string[] = [];
  failure: SwarmError | undefined;
  /** Whether it takes streams of messages, as managers of swarmd do. */
  takesStreams = false;
  /** Set, it answers nothing until this resolves. */
  hold: Promise<void> | undefined;
  connections = 0;
  /** So many it has been given. */
  streams = 0;
  close: () => void = () => undefined;
  /** Ends the stream that it takes. */
  breakOff: () => void = () => undefined;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** Each message of a stream is heard as it comes. */
  async #takeStream(
    requests: AsyncIterable<{ readonly message: Message }>,
    { signal, deadlineMs = Infinity }: CallOptions,
  ): Promise<never> {
    if (!this.takesStreams) throw unknownService;
    this.streams += 1;
    const takeAll = async (): Promise<never> => {
      for await (const { message } of requests) {
        if (this.failure !== undefined) throw this.failure;
        this.heard.push(`${message.type} ${message.entries.length}`);
      }
      if (this.hold !== undefined) await this.hold;
      return {} as never; // Nobody looks at what is answered.
    };
    const broken = new Promise<never>((_, reject) => {
      this.breakOff = () => {
        reject(refused);
      };
    });
    return orAborted(Promise.race([takeAll(), broken, this.#late(deadlineMs, signal)]), signal);
  }

  async #late(ms: number, signal: AbortSignal): Promise<never> {
    await this.#clock.sleep(ms, signal);
    throw new SwarmError('deadline-exceeded', 'Deadline exceeded');
  }

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
      clientStream: async (service, _method, requests, options) => {
        if (service === 'RaftStream') return this.#takeStream(requests as never, options);
        const { signal } = options;
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
  const member = new FakeMember(clock);
  const reports: string[] = [];
  const peer = new Peer(
    {
      clock,
      random: countingRandom(),
      log: silentLog,
      connect: () => member.connect(),
      advertise: 'host:9',
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

/** One that takes streams, and has heard a vote: that first message alone shows that it does. */
async function setupWithStreams() {
  const all = await setup();
  all.member.takesStreams = true;
  all.peer.push(vote);
  await all.clock.advance(0);
  return all;
}

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

  describe('that takes streams', () => {
    test('hears what comes within a second by one, and then by another', async () => {
      const { clock, member, reports, peer, stop } = await setupWithStreams();
      expect(member.streams).toBe(1);
      for (let index = 1; index <= 10; index += 1) {
        peer.push(append(index));
        await clock.advance(90);
      }
      const appends = Array.from({ length: 10 }, () => 'MsgApp 1');
      expect([member.heard, member.streams]).toEqual([['MsgVote 0', ...appends], 2]);
      await clock.advance(100);
      peer.push(vote);
      await clock.advance(0);
      expect([member.heard.at(-1), member.streams]).toEqual(['MsgVote 0', 3]);
      expect([reports, member.connections]).toEqual([[], 1]);
      await stop();
    });

    test('is asked for them by the first message alone, which a stock manager gets by a call', async () => {
      const { clock, member, reports, peer, stop } = await setup();
      for (const index of [1, 2]) {
        peer.push(append(index));
        await clock.advance(0);
      }
      expect([member.heard, member.streams]).toEqual([['MsgApp 1', 'MsgApp 1'], 0]);
      expect(reports).toEqual([]);
      await stop();
    });

    test('and does not answer for three seconds is not reached, and is dialled anew', async () => {
      const { clock, member, reports, peer, stop } = await setupWithStreams();
      member.hold = new Promise(() => undefined);
      peer.push(vote);
      await clock.advance(2_999);
      expect([reports, member.connections]).toEqual([[], 1]);
      await clock.advance(1);
      expect(reports).toEqual(['unreachable']);
      member.hold = undefined;
      peer.push(vote);
      await clock.advance(0);
      expect([member.heard.length, member.connections]).toEqual([3, 2]);
      await stop();
    });

    test('and breaks one off is not reached; what comes next is not lost in it', async () => {
      const { clock, member, reports, peer, stop } = await setupWithStreams();
      peer.push(vote);
      await clock.advance(0);
      member.breakOff();
      await clock.advance(0);
      expect([reports, member.connections]).toEqual([['unreachable'], 1]);
      peer.push(append(1));
      await clock.advance(0);
      expect([member.heard.at(-1), member.connections]).toEqual(['MsgApp 1', 2]);
      await stop();
    });

    test('and says in one that we were removed is believed', async () => {
      const { clock, member, reports, peer, stop } = await setupWithStreams();
      peer.push(vote);
      await clock.advance(0);
      member.failure = removed;
      peer.push(vote);
      await clock.advance(0);
      expect(reports).toEqual(['removed']);
      await stop();
    });

    test('and moves hears nothing more where it was', async () => {
      const { clock, member, reports, peer, stop } = await setupWithStreams();
      peer.push(append(1));
      await clock.advance(0);
      peer.moveTo('host:2');
      peer.push(append(2));
      await clock.advance(0);
      expect([member.heard, member.connections]).toEqual([
        ['MsgVote 0', 'MsgApp 1', 'MsgApp 1'],
        2,
      ]);
      expect(reports).toEqual(['unreachable']); // What was under way may be lost.
      await stop();
    });
  });
});
