import type { Random } from '../runtime/index.ts';
import type { RaftConfig, RaftId } from './core/types.ts';

/**
 * The pace of a member. Ticks and entries are those of SwarmKit (manager/state/raft/raft.go,
 * DefaultNodeConfig, DefaultRaftConfig); a tick is a tenth of SwarmKit's second.
 */
export interface RaftDriverConfig {
  readonly tickMs: number;
  readonly heartbeatTicks: number;
  readonly electionTicks: number;
  /** A snapshot is taken after so many entries, or so many bytes, whatever comes first. */
  readonly snapshotEntries: number;
  readonly snapshotBytes: number;
  /** How many entries before a snapshot are kept, so that a slow follower need not be sent it. */
  readonly keptEntries: number;
}

export const raftDefaults: RaftDriverConfig = {
  tickMs: 100,
  heartbeatTicks: 1,
  electionTicks: 10,
  snapshotEntries: 10_000,
  snapshotBytes: 64 * 1_048_576,
  keptEntries: 500,
};

/** The core's limits, in bytes and messages. swarmkit manager/state/raft/raft.go */
const coreLimits = {
  messageBytesMax: 65_535,
  applyBytesMax: 1_048_576,
  uncommittedBytesMax: 64 * 1_048_576,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * 1_048_576,
} as const;

/** The core's settings. Only the pace is a matter of choice; it may change meanwhile. */
export const coreConfig = (
  id: RaftId,
  pace: () => Pick<RaftDriverConfig, 'electionTicks' | 'heartbeatTicks'>,
  random: Random,
): RaftConfig => ({
  id,
  get electionTicks() {
    return pace().electionTicks;
  },
  get heartbeatTicks() {
    return pace().heartbeatTicks;
  },
  ...coreLimits,
  checksQuorum: true,
  asksBeforeElection: true,
  concedesPreElections: true,
  // A proposal has a version that only its leader knows: SwarmKit does not forward either.
  forwardsProposals: false,
  stepsDownOnRemoval: true,
  random: (below) => random.integer(below),
});

/** A tick is made longer by no more than this. */
const stretchMax = 5;
/** An election timeout is to be so many times what this process was late by. */
const margin = 4;
/** What was slow a while ago counts less with every tick. */
const fading = 0.95;

/**
 * How long a tick lasts: as configured, or longer, where the disk or the event loop is so slow that
 * heartbeats would come too late for the election timeout.
 */
export class Pace {
  #slowestMs = 0;

  /** Notes how long the disk took, in milliseconds. */
  observe(ms: number): void {
    this.#slowestMs = Math.max(this.#slowestMs, ms);
  }

  /**
   * Notes by how much a tick was late, in milliseconds. One later than an election timeout was no
   * slowness: the process was frozen, or its machine was, and others have gone on without it. What
   * comes after that is as quick as what was before.
   */
  observeTick(lateMs: number, config: Pick<RaftDriverConfig, 'tickMs' | 'electionTicks'>): void {
    if (lateMs <= config.tickMs * config.electionTicks) this.observe(lateMs);
  }

  /** How long the next tick lasts. */
  next({ tickMs, electionTicks }: Pick<RaftDriverConfig, 'tickMs' | 'electionTicks'>): number {
    const neededMs = (margin * this.#slowestMs) / electionTicks;
    this.#slowestMs = Math.min(this.#slowestMs, tickMs * electionTicks * stretchMax) * fading;
    return Math.min(Math.max(tickMs, neededMs), tickMs * stretchMax);
  }
}
