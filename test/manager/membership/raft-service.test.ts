import { expect, test } from 'vitest';
import type { ProcessRaftMessageRequest } from '../../../src/api/gen/types.ts';
import { RaftService } from '../../../src/manager/membership/raft-service.ts';
import { messageToWire } from '../../../src/raft/wire.ts';
import { codecOf } from '../../../src/api/index.ts';
import { aMessage, raftId } from '../../support/raft-network.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const asRequest = codecOf('ProcessRaftMessageRequest');

async function* messages(): AsyncGenerator<ProcessRaftMessageRequest> {
  const message = aMessage({ type: 'MsgHeartbeatResp', from: raftId(2), to: raftId(1), term: 1 });
  yield asRequest.create({ message: messageToWire(message) });
  await new Promise(() => undefined); // The caller may have more to say.
}

const caller = {
  kind: 'node',
  nodeId: 'n2',
  role: 'swarm-manager',
  clusterId: 'c',
  remoteIp: '',
} as const;

/** A manager's service, with what it has taken, and where it has heard that others are. */
function setup(letIn: (signal: AbortSignal) => Promise<void> = async () => undefined) {
  const taken: string[] = [];
  const heard: string[] = [];
  const service = new RaftService({
    raft: () => ({
      admit: () => undefined,
      receive: ({ type }) => taken.push(type),
      isRemoved: () => false,
      status: () => {
        throw new Error('not called');
      },
    }),
    letIn,
    addressOf: () => undefined,
    advertise: 'host:1',
    met: () => undefined,
    hear: (id, address) => heard.push(`${id} ${address}`),
  });
  return { service, taken, heard };
}

test('a stream of messages is taken as it comes, and ends with the manager', async () => {
  const { service, taken, heard } = setup();
  const life = new AbortController();
  const answered = service.processRaftMessages(messages(), {
    caller,
    signal: life.signal,
    managerAddress: 'host:2',
  });
  await expect.poll(() => taken).toEqual(['MsgHeartbeatResp']);
  expect(heard).toEqual(['2 host:2']); // Our log may not name it yet.
  life.abort(new Error('the manager ends'));
  await expect(answered).rejects.toThrow('the manager ends');
});

test('what its leader says to a member that has no log yet waits for it', async () => {
  const clock = new VirtualClock();
  const { service, taken } = setup(async (signal) => clock.sleep(50, signal));
  const { signal } = new AbortController();
  const message = messageToWire(
    aMessage({ type: 'MsgHeartbeat', from: raftId(2), to: raftId(1), term: 1 }),
  );
  const answered = service.processRaftMessage(asRequest.create({ message }), { caller, signal });
  await clock.advance(40);
  expect(taken).toEqual([]);
  await clock.advance(10);
  await answered;
  expect(taken).toEqual(['MsgHeartbeat']);
});
