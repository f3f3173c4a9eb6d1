import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type RaftPeer, RaftNetwork } from '../../support/raft-network.ts';

const member = fc.integer({ min: 1, max: 5 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('propose' as const), member }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('tick' as const), member }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('campaign' as const), member }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('isolate' as const), member }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart' as const), member }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const), member }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('heal' as const), member }) },
  // The member's next Ready is saved, but its messages are lost.
  { weight: 2, arbitrary: fc.record({ do: fc.constant('silence' as const), member }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What may never happen, watched over a whole history. Raft Figure 3. */
class Watchman {
  readonly #network: RaftNetwork;
  readonly #leaders = new Map<number, string>();
  readonly #committed = new Map<number, string>();

  constructor(network: RaftNetwork) {
    this.#network = network;
  }

  look(): void {
    for (const [id, peer] of this.#network.peers) {
      const { role, currentTerm } = peer.node.status;
      if (role === 'leader') this.#same(this.#leaders, currentTerm, id);
      for (const { index, term, data } of peer.applied) {
        this.#same(this.#committed, index, `${term} ${data.toString()}`);
      }
    }
  }

  #same<T>(known: Map<number, T>, key: number, value: T): void {
    const before = known.get(key) ?? value;
    if (before !== value) throw new Error(`${String(before)} and ${String(value)} at ${key}`);
    known.set(key, value);
  }
}

function take(network: RaftNetwork, { do: what, member: number }: Step, count: number): void {
  const peer = network.peer(number);
  const actions: Record<Step['do'], () => void> = {
    propose: () => void peer.node.propose(Buffer.from(`entry ${count}`)),
    tick: () => {
      network.tick(7, [number]);
    },
    campaign: () => {
      peer.node.campaign();
    },
    isolate: () => {
      network.isolate(number);
    },
    restart: () => {
      peer.restart();
    },
    compact: () => {
      if (peer.node.status.lastApplied > (peer.disk.snapshot()?.index ?? 0)) peer.compact();
    },
    heal: () => {
      network.heal();
    },
    silence: () => {
      if (peer.node.hasReady) peer.handleReady();
    },
  };
  actions[what]();
}

/** Draws that differ from each other, unlike those that shrink towards zero: else votes split for ever. */
function seededDraws(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const lastOf = (peer: RaftPeer): string | undefined => peer.applied.at(-1)?.data.toString();

describe('whatever happens (Figure 3)', () => {
  test('there is one leader a term and one entry an index; healed, all agree and go on', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 20, maxLength: 120 }),
        fc.boolean(),
        fc.nat(),
        (steps, isCareful, seed) => {
          const random = seededDraws(seed);
          const settings = {
            asksBeforeElection: isCareful,
            checksQuorum: isCareful,
            concedesPreElections: isCareful,
            random,
          };
          const network = new RaftNetwork(5, settings);
          const watchman = new Watchman(network);
          for (const [count, one] of steps.entries()) {
            take(network, one, count);
            if (count % 3 !== 0) network.settle();
            watchman.look();
          }

          network.heal();
          const peers = [...network.peers.values()];
          const isDone = (): boolean => peers.every((peer) => lastOf(peer) === 'the end');
          for (let round = 0; round < 100 && !isDone(); round += 1) {
            network.tick(5);
            for (const { node } of peers) {
              if (node.status.role === 'leader') node.propose(Buffer.from('the end'));
            }
            network.settle();
          }
          watchman.look();
          expect(peers.map(lastOf)).toEqual(peers.map(() => 'the end'));
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);
});
