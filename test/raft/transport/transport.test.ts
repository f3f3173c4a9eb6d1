import { expect, test } from 'vitest';
import type { RpcConnection } from '../../../src/api/index.ts';
import type { RaftId } from '../../../src/raft/core/types.ts';
import { Transport } from '../../../src/raft/transport/transport.ts';
import { SwarmError } from '../../../src/runtime/index.ts';
import { countingRandom } from '../../support/counting-random.ts';
import { aMessage, raftId } from '../../support/raft-network.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

/** Member 1, whose log names 2 and 3, and not 4: what it says to whom, in order. */
async function setup(knownBy: Readonly<Record<string, string>>) {
  const clock = new VirtualClock();
  const said: string[] = [];
  const connect = (address: string): RpcConnection => ({
    unary: async (_service, method) => {
      said.push(`${method} to ${address}`);
      const addr = knownBy[address];
      if (method === 'ResolveAddress' && addr === undefined) throw new SwarmError('not-found', '');
      return Promise.resolve({ addr } as never); // Of whatever method.
    },
    clientStream: async () => {
      throw new SwarmError('unimplemented', '');
    },
    serverStream: () => {
      throw new Error('not called');
    },
    [Symbol.dispose]: () => undefined,
  });
  const random = countingRandom();
  const transport = new Transport({ clock, random, log: silentLog, connect, advertise: 'host:1' });
  const addresses = new Map<RaftId, string>([2, 3].map((id) => [raftId(id), `host:${id}`]));
  const life = new AbortController();
  const ended = transport.run(
    {
      addressOf: (id) => addresses.get(id),
      members: () => [1, 2, 3].map((id) => ({ raftId: raftId(id) })),
      status: () => ({ raftId: raftId(1) }),
      reportUnreachable: () => undefined,
      reportSnapshot: () => undefined,
      noteRemoved: () => undefined,
      noteGone: () => undefined,
    },
    life.signal,
  );
  const answerTo4 = async (): Promise<void> => {
    transport.send([aMessage({ type: 'MsgHeartbeatResp', to: raftId(4), term: 1 })]);
    await clock.advance(0);
  };
  const stop = async (): Promise<void> => {
    life.abort();
    await ended.catch(() => undefined);
  };
  return { said, transport, addresses, answerTo4, stop };
}

test('where an unknown member is, all are asked that the log names, be it for the first time', async () => {
  const { said, answerTo4, stop } = await setup({ 'host:3': 'host:4' });
  await answerTo4(); // What is said before it is known is lost.
  expect(said).toEqual(['ResolveAddress to host:2', 'ResolveAddress to host:3']);
  await answerTo4();
  expect(said.at(-1)).toBe('ProcessRaftMessage to host:4');
  await stop();
});

test('if nobody knows it is asked again with the next message', async () => {
  const { said, answerTo4, stop } = await setup({});
  await answerTo4();
  await answerTo4();
  expect(said).toHaveLength(4);
  await stop();
});

test('a member is answered where it says that it is, whatever a log says that is behind', async () => {
  const { said, transport, addresses, answerTo4, stop } = await setup({});
  transport.hear(raftId(4), 'host:5');
  await answerTo4();
  expect(said.at(-1)).toBe('ProcessRaftMessage to host:5');
  addresses.set(raftId(4), 'old:4'); // Where it was when it joined.
  transport.hear(raftId(4), 'host:5');
  await answerTo4();
  expect(said.at(-1)).toBe('ProcessRaftMessage to host:5');
  addresses.set(raftId(4), 'host:6'); // It has moved on, as others have heard.
  await answerTo4();
  expect(said.at(-1)).toBe('ProcessRaftMessage to host:6');
  await stop();
});
