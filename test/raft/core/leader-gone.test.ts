import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RaftConfig } from '../../../src/raft/core/types.ts';
import { raftId, RaftNetwork } from '../../support/raft-network.ts';

const careful: Partial<RaftConfig> = {
  checksQuorum: true,
  asksBeforeElection: true,
  concedesPreElections: true,
};

/** A network led by 1. */
function led(count: number): RaftNetwork {
  const network = new RaftNetwork(count, careful);
  network.campaign(1);
  return network;
}

const notice = (network: RaftNetwork, ...numbers: readonly number[]): boolean[] =>
  numbers.map((number) => network.peer(number).node.leaderGone(raftId(1)));

/** The leader's process ends; of an entry it was sending only `receivers` hear. */
function kill(network: RaftNetwork, receivers: readonly number[]): void {
  for (const number of [...network.peers.keys()].map(Number)) {
    if (number !== 1 && !receivers.includes(number)) network.cut(1, number);
    network.cut(number, 1);
  }
  network.propose(1, 'its last words');
  network.isolate(1);
}

/** All act at the same time, round after round: nobody is ahead of the others. */
function settleTogether(network: RaftNetwork): void {
  const peers = [...network.peers.values()];
  while (peers.some(({ node }) => node.hasReady)) {
    network.deliver(peers.flatMap((peer) => (peer.node.hasReady ? peer.handleReady() : [])));
  }
}

const leadersOf = (network: RaftNetwork): string[] =>
  [...network.peers]
    .filter(([id, { node }]) => id !== raftId(1) && node.status.role === 'leader')
    .map(([id]) => id);

describe('a leader whose connection was closed and is refused', () => {
  test('is replaced without waiting once a majority knows', () => {
    const network = led(3);
    network.isolate(1);
    notice(network, 2);
    network.settle();
    expect(leadersOf(network)).toEqual([]);
    notice(network, 3);
    network.settle();
    expect(leadersOf(network)).toEqual(['2']);
    expect(network.terms()).toEqual([1, 2, 2]);
  });

  test('is replaced as fast if all see it at the same moment', () => {
    for (const count of [3, 5, 7]) {
      const network = led(count);
      network.isolate(1);
      notice(network, ...Array.from({ length: count - 1 }, (_, position) => position + 2));
      settleTogether(network);
      expect(leadersOf(network)).toEqual(['2']);
    }
  });

  test('is replaced whatever the order, the logs, and who asks in between', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray([2, 3, 4, 5], { minLength: 3 }),
        fc.subarray([2, 3, 4, 5]),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        (witnesses, receivers, settles) => {
          const network = led(5);
          kill(network, receivers);
          for (const [position, number] of witnesses.entries()) {
            notice(network, number);
            if (settles[position] === true) network.settle();
          }
          network.settle();
          expect(leadersOf(network)).toHaveLength(1);
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);

  test('goes on leading if that was an error, and nobody is disturbed', () => {
    const network = led(3);
    expect(notice(network, 2)).toEqual([true]);
    network.settle();
    expect(network.roles()).toEqual(['leader', 'pre-candidate', 'follower']);
    network.tick(1);
    expect(network.roles()).toEqual(['leader', 'follower', 'follower']);
    network.propose(1, 'still here');
    expect(network.peer(2).data).toEqual(['still here']);
    expect(network.terms()).toEqual([1, 1, 1]);
  });

  test('goes on leading if a member hears of another that is gone', () => {
    const network = led(3);
    expect(network.peer(2).node.leaderGone(raftId(3))).toBe(false);
    expect(network.peer(1).node.leaderGone(raftId(1))).toBe(false);
    network.settle();
    expect(network.roles()).toEqual(['leader', 'follower', 'follower']);
  });

  test('a question from before the last election timeout is not answered any more', () => {
    const network = led(3);
    notice(network, 2);
    network.settle();
    network.isolate(2);
    network.tick(10, [1, 3]);
    network.heal();
    network.isolate(1);
    const before = network.sent.length;
    notice(network, 3);
    for (const message of network.peer(3).handleReady()) {
      expect(message.type).toBe('MsgPreVote');
    }
    expect(network.sent.length).toBe(before);
  });

  test('a learner votes for who asks, and asks nobody', () => {
    const network = led(3);
    network.peer(1).proposeChange({ type: 'ConfChangeAddLearnerNode', raftId: raftId(3) });
    network.settle();
    network.isolate(1);
    expect(notice(network, 3)).toEqual([true]);
    network.settle();
    expect(network.roles()).toEqual(['leader', 'follower', 'follower']);
  });
});

describe('two pre-candidates', () => {
  test('of equal logs: the one with the larger ID withdraws', () => {
    const network = new RaftNetwork(2, careful);
    network.peer(1).node.campaign();
    network.peer(2).node.campaign();
    settleTogether(network);
    expect(network.roles()).toEqual(['leader', 'follower']);
  });

  test('of unequal logs: the one with the older withdraws', () => {
    const network = led(3);
    kill(network, [3]);
    notice(network, 2, 3);
    settleTogether(network);
    expect(leadersOf(network)).toEqual(['3']);
  });
});

describe('a leader that steps down', () => {
  test('follows nobody in its term, and the others elect another', () => {
    const network = led(3);
    expect(network.peer(1).node.stepDown()).toBe(true);
    expect(network.peer(1).node.propose(Buffer.from('late'))).toBe('proposal-dropped');
    network.settle();
    expect(network.roles()).toEqual(['follower', 'follower', 'follower']);
    expect(network.terms()).toEqual([1, 1, 1]);
    network.tick(10, [2, 3]);
    expect(leadersOf(network)).toHaveLength(1);
  });

  test('may do so with a Ready in hand', () => {
    const network = new RaftNetwork(3, careful);
    network.campaign(1);
    const { node, disk } = network.peer(1);
    node.propose(Buffer.from('stalled'));
    const ready = node.ready();
    expect(node.stepDown()).toBe(true);
    disk.append(ready.entries);
    node.advance();
    network.deliver(ready.messages);
    network.settle();
    expect(network.roles()).toEqual(['follower', 'follower', 'follower']);
  });

  test('must lead', () => {
    expect(led(3).peer(2).node.stepDown()).toBe(false);
  });
});
