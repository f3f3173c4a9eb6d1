import { expect, test } from 'vitest';
import { authorize } from '../../src/manager/grpc/authorize.ts';
import { SwarmError } from '../../src/runtime/index.ts';
import { withWayOn } from '../../src/worker/index.ts';

/** What a manager answers a node: `n1` was removed, and nobody is to be a manager. */
function answerTo(nodeId: string): unknown {
  const identity = { nodeId, organization: 'c1', roles: ['swarm-worker'] };
  const peer = { identity, forwarded: undefined, remoteIp: '10.0.0.1' };
  const access = {
    kind: 'roles',
    roles: [nodeId === 'n1' ? 'swarm-worker' : 'swarm-manager'],
  } as const;
  try {
    return authorize(peer, access, { clusterId: 'c1', isRemoved: (id) => id === 'n1' });
  } catch (error) {
    return error;
  }
}

test('a node that was removed is told how it comes back', () => {
  const answer = answerTo('n1');
  expect(withWayOn(answer)).toMatchObject({
    code: 'permission-denied',
    message: expect.stringMatching(
      /node n1 was removed from swarm; .*\("swarm leave --force"\) and join anew$/u,
    ) as unknown,
    cause: answer,
  });
});

test('other errors are as they were', () => {
  const another = answerTo('n2');
  expect(another).toMatchObject({ code: 'permission-denied' });
  for (const error of [another, new SwarmError('unavailable', 'n1 was removed from swarm'), 'x']) {
    expect(withWayOn(error)).toBe(error);
  }
});
