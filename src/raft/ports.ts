import type { Clock, Log, Random } from '../runtime/index.ts';
import type { Message, RaftId } from './core/types.ts';
import type { LogStore } from './storage/log-store.ts';

/** What the log is for. Its methods are synchronous; one that throws stops the driver. */
export interface StateMachine {
  /** Takes a committed entry. Entries come in order, each once; those with no data are left out. */
  apply(entry: { readonly index: number; readonly term: number; readonly data: Buffer }): void;
  /**
   * Its whole state as it is now, however late a piece is asked for: together they are a protobuf
   * message (SwarmKit's `StoreSnapshot`), and each is one. To make a piece takes no time to speak of.
   */
  snapshot(): Iterable<Buffer>;
  /** Replaces its whole state by what it was after the entry at `index`. */
  restore(data: Buffer, index: number): void;
}

export interface RaftDriverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The driver owns it from now on, and closes it when it ends. */
  readonly logStore: LogStore;
  readonly stateMachine: StateMachine;
  /** Takes messages for peers. It must not wait; what it cannot deliver it may drop. */
  readonly send: (messages: readonly Message[]) => void;
}

export interface RaftStatus {
  readonly raftId: RaftId;
  readonly term: number;
  readonly role: 'follower' | 'candidate' | 'leader';
  /** Leads, and has applied an entry of its own term: it may serve and propose. */
  readonly isLeader: boolean;
  readonly leaderId: RaftId | undefined;
  readonly commitIndex: number;
  readonly lastApplied: number;
}

export interface RaftMemberInfo {
  readonly raftId: RaftId;
  readonly nodeId: string;
  readonly addr: string;
  readonly isLearner: boolean;
  readonly isLeader: boolean;
  /** Of a leader: heard from within an election timeout. A follower knows only of its leader. */
  readonly isReachable: boolean;
}
