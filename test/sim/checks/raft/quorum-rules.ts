import type { RaftId } from '../../../../src/raft/index.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Disk } from '../../ports/disk.ts';
import type { Configuration } from './configurations.ts';

/** A manager that was down for so long is known to be, even on a slow disk: it is five elections. */
const knownDownMs = 6_000;

/** A manager's host, as far as a quorum depends on it. */
interface Seat {
  readonly disk: Disk;
  readonly isDown: boolean;
  readonly downSince: number;
}

/** What is accepted of a person never costs the swarm its quorum. */
export class QuorumRules {
  readonly #kernel: Kernel;
  readonly #seats: readonly Seat[];
  readonly #newest: () => Configuration;

  constructor(kernel: Kernel, seats: readonly Seat[], newest: () => Configuration) {
    this.#kernel = kernel;
    this.#seats = seats;
    this.#newest = newest;
  }

  /**
   * Whether the voters have a majority without some node, without those that are nowhere, and without
   * those that may be taken out meanwhile.
   *
   * @param isStaying whether a node is to be a manager
   */
  maySpare(nodeId: string, isStaying: (nodeId: string) => boolean): boolean {
    const { voters, nodes } = this.#newest();
    const left = [...voters].filter((id) => {
      const own = nodes.get(id) ?? '';
      return own !== nodeId && this.#seatOf(id) !== undefined && isStaying(own);
    });
    return 2 * left.length > voters.size;
  }

  /** A member was taken out of the group: a majority of those that remain is somewhere. */
  removed({ voters, since }: Configuration): void {
    const there = [...voters].filter((id) => this.#seatOf(id) !== undefined);
    if (2 * there.length > voters.size) return;
    this.#kernel.violate(
      'removals-keep-the-quorum',
      `after the removal at ${since} there are ${there.length} of ${voters.size} voters`,
    );
  }

  /** Somebody was told that a node is demoted, or removed, having asked for it some time ago. */
  accepted(what: string, nodeId: string, askedAt: number): void {
    const { voters, nodes } = this.#newest();
    const others = [...voters].filter((id) => nodes.get(id) !== nodeId);
    // The last one stays until there are others: these went while the answer was on its way.
    if (others.length === voters.size || others.length === 0) return;
    const dead = others.filter((id) => {
      const seat = this.#seatOf(id);
      return seat === undefined || (seat.isDown && seat.downSince < askedAt - knownDownMs);
    });
    if (2 * (others.length - dead.length) > others.length) return;
    this.#kernel.violate(
      'removals-keep-the-quorum',
      `to ${what} ${nodeId} was accepted: ${dead.length} of the ${others.length} other voters are down`,
    );
  }

  #seatOf(id: RaftId): Seat | undefined {
    return this.#seats.find(({ disk }) => disk.raftId === id);
  }
}
