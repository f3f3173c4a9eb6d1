import { expect, test } from 'vitest';
import type { RpcConnection } from '../../../src/api/index.ts';
import { RollCall } from '../../../src/manager/membership/roll-call.ts';
import { memberRemoved, type RaftId } from '../../../src/raft/index.ts';
import { SwarmError } from '../../../src/runtime/index.ts';
import { raftId } from '../../support/raft-network.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const [self, second, third] = [raftId(1), raftId(2), raftId(3)];

/** What the manager at an address says: where it finds each member. */
type Answers = Readonly<Record<string, Readonly<Record<RaftId, string>>>>;

type Deps = ConstructorParameters<typeof RollCall>[0];

/** A manager at `h1:1` calls others, who answer what they are asked of a member. */
function aRollCall(
  answer: (address: string, id: RaftId) => unknown,
  also: Pick<Deps, 'clock' | 'raft' | 'transport'> & Partial<Deps>,
): RollCall {
  const connect = (address: string): RpcConnection => {
    const unary = async (_service: string, _method: string, request: unknown): Promise<unknown> =>
      answer(address, (request as { raftId: RaftId }).raftId); // By the method.
    return { unary, [Symbol.dispose]: () => undefined } as unknown as RpcConnection; // All that is called.
  };
  const log = silentLog;
  const rest = { advertise: 'h1:1', hints: [], leftBehind: [], silentMs: 500 };
  return new RollCall({ log, connect, ...rest, ...also });
}

/** A manager at `h1:1`, in whose log the others are at `h2:1` and `h3:1`, calls the roll once. */
async function callRoll(answers: Answers): Promise<ReadonlyMap<RaftId, string>> {
  const clock = new VirtualClock();
  const known = new Map<RaftId, string>([
    [second, 'h2:1'],
    [third, 'h3:1'],
  ]);
  const answer = (address: string, id: RaftId): unknown => {
    const addr = answers[address]?.[id];
    if (answers[address] === undefined) throw new SwarmError('unavailable', 'nobody answers');
    if (addr === undefined) throw new SwarmError('not-found', 'not a member');
    return { addr };
  };
  const rollCall = aRollCall(answer, {
    clock,
    raft: {
      status: () => ({ raftId: self, leaderId: undefined }) as never, // All that is read.
      members: () =>
        [...known].map(([id, addr]) => ({ raftId: id, nodeId: `n${id}`, addr }) as never),
      isRemoved: () => false,
      noteRemoved: () => undefined,
    },
    transport: {
      addressOf: (id) => known.get(id),
      meet: (id, address) => known.set(id, address) instanceof Map,
    },
  });
  const life = new AbortController();
  const ended = rollCall.run(life.signal);
  await clock.advance(400);
  life.abort();
  await ended;
  return known;
}

test('a member that has moved is found by what another says, once it says so itself', async () => {
  const known = await callRoll({
    'h2:1': { [self]: 'h1:1', [second]: 'h2:1', [third]: 'elsewhere:1' },
    'elsewhere:1': { [self]: 'h1:1', [second]: 'h2:1', [third]: 'elsewhere:1' },
  });
  expect(known.get(third)).toBe('elsewhere:1');
});

test('who was away, and knows an old address, is not believed', async () => {
  const known = await callRoll({
    'h2:1': { [self]: 'h1:1', [second]: 'h2:1', [third]: 'old:1' },
    'h3:1': { [self]: 'h1:1', [second]: 'h2:1', [third]: 'h3:1' },
  });
  expect(known.get(third)).toBe('h3:1');
});

test('who has taken over the address of another is not taken for it', async () => {
  const known = await callRoll({
    'h2:1': { [self]: 'h1:1', [second]: 'h2:1', [third]: 'old:1' },
    'h3:1': { [self]: 'h1:1', [second]: 'h2:1', [third]: 'h3:1' },
    'old:1': { [self]: 'h1:1', [second]: 'h2:1', [third]: 'h3:1' },
  });
  expect(known.get(third)).toBe('h3:1');
});

test('who has no vote asks whether it was removed, as long as it has none', async () => {
  const clock = new VirtualClock();
  const calls: string[] = [];
  const was = { removed: false, isLearner: true };
  const answer = (address: string): never => {
    calls.push(address);
    if (address === 'gone:1') throw new SwarmError('unavailable', 'nobody answers');
    throw memberRemoved();
  };
  const rollCall = aRollCall(answer, {
    clock,
    raft: {
      status: () => ({ raftId: self, leaderId: second }) as never, // All that is read.
      members: () => [{ raftId: self, nodeId: 'n1', addr: '', isLearner: was.isLearner } as never],
      isRemoved: () => false,
      noteRemoved: () => (was.removed = true),
    },
    transport: { addressOf: () => 'gone:1', meet: () => false },
    hints: ['h2:1'],
  });
  const life = new AbortController();
  const ended = rollCall.run(life.signal);
  await clock.advance(1_000);
  calls.length = 0; // What it asks when it comes up.
  await clock.advance(5_000);
  expect(calls).toEqual(['gone:1', 'h2:1']);
  expect(was.removed).toBe(true);
  was.isLearner = false;
  await clock.advance(20_000);
  expect(calls).toHaveLength(2);
  life.abort();
  await ended;
});
