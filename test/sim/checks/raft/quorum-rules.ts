import type { RaftId } from '../../../../src/raft/index.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Disk } from '../../ports/disk.ts';
import type { Age } from '../age.ts';
import { type Configuration, hasMajority } from './configurations.ts';

/** A manager that was down for so long is known to be, even on a slow disk: it is five elections. */
const knownDownMs = 6_000;

/** A manager's host, as far as a quorum depends on it. */
interface Seat {
  readonly disk: Disk;
  readonly isDown: boolean;
  readonly downSince: number;
  /** It is about to be gone for good. */
  readonly isLeaving: boolean;
}

/** What is accepted of a person never costs the swarm its quorum. */
export class QuorumRules {
  readonly #kernel: Kernel;
  readonly #seats: readonly Seat[];
  /** What holds now. */
  readonly #age: () => Pick<Age, 'raft' | 'ledger'>;
  /** When the member of a node was taken out last. */
  readonly #removedAt = new Map<string, number>();

  constructor(kernel: Kernel, seats: readonly Seat[], age: () => Pick<Age, 'raft' | 'ledger'>) {
    this.#kernel = kernel;
    this.#seats = seats;
    this.#age = age;
  }

  /**
   * Whether the voters have a majority without some node, without those that are nowhere, and without
   * those that may be taken out meanwhile.
   */
  maySpare(nodeId: string): boolean {
    const { newest } = this.#age().raft.configurations;
    return hasMajority(newest, (id) => {
      const own = newest.nodes.get(id) ?? '';
      return own !== nodeId && this.#seatOf(id)?.isLeaving === false && this.#isWanted(own);
    });
  }

  /** A member was taken out of the group: a majority of those that remain is somewhere. */
  removed({ voters, since }: Configuration, nodeId: string): void {
    this.#removedAt.set(nodeId, this.#kernel.now);
    const there = [...voters].filter((id) => this.#seatOf(id) !== undefined);
    if (2 * there.length > voters.size) return;
    this.#kernel.violate(
      'removals-keep-the-quorum',
      `after the removal at ${since} there are ${there.length} of ${voters.size} voters`,
    );
  }

  /** Somebody was told that a node is demoted, or removed, having asked for it some time ago. */
  accepted(what: string, nodeId: string, askedAt: number): void {
    const { voters, nodes } = this.#age().raft.configurations.newest;
    const all = [...voters].filter((id) => nodes.get(id) !== nodeId);
    const isDead = (id: RaftId): boolean => {
      const seat = this.#seatOf(id);
      return seat?.isDown !== false && (seat?.downSince ?? 0) < askedAt - knownDownMs;
    };
    // A dead one that is to go as well goes first: this one waits for that.
    const others = all.filter((id) => !isDead(id) || this.#isWanted(nodes.get(id) ?? ''));
    // The last one stays until there are others: these went while the answer was on its way.
    if (all.length === voters.size || others.length === 0) return;
    const dead = others.filter(isDead);
    // One that was wanted again while it was being taken out joins anew.
    const back = [...this.#removedAt].filter(
      ([id, at]) => at >= askedAt && id !== nodeId && this.#isWanted(id),
    );
    const staying = others.length + back.length;
    if (2 * (staying - dead.length) > staying) return;
    this.#kernel.violate(
      'removals-keep-the-quorum',
      `to ${what} ${nodeId} was accepted: ${dead.length} of the ${others.length} other voters are down`,
    );
  }

  /** Whether a node is to be a manager. */
  #isWanted(nodeId: string): boolean {
    return this.#age().ledger.node(nodeId)?.spec?.desiredRole === 'MANAGER';
  }

  #seatOf(id: RaftId): Seat | undefined {
    return this.#seats.find(({ disk }) => disk.raftId === id);
  }
}
