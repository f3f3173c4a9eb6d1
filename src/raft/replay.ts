import { SwarmError } from '../runtime/index.ts';
import type { RaftId } from './core/types.ts';
import { Members } from './members/members.ts';
import type { StateMachine } from './ports.ts';
import { decodeEnvelope, envelopeOf } from './applied/snapshot-envelope.ts';
import type { LogIdentity, StoredLog } from './storage/log-store.ts';
import { decodeMemberChange, type RaftMember } from './wire.ts';

/** A group of one, as it begins. */
export interface LoneGroup {
  readonly identity: LogIdentity;
  readonly log: StoredLog;
}

/**
 * A log that is gone through without its group: offline, to begin anew with what it holds.
 *
 * All of it counts, whether it is known to be committed or not. A member learns late what is
 * committed, so an entry that nobody is known to have acknowledged may have been; and one that was
 * not was never refused for good, either.
 */
export class Replay {
  readonly #machine: StateMachine;
  readonly #members = new Members();
  readonly #log: StoredLog;
  #index = 0;

  /** Brings an empty state machine up to the end of a log. */
  constructor(log: StoredLog, machine: StateMachine) {
    this.#log = log;
    this.#machine = machine;
    if (log.snapshot !== undefined) {
      const { membership, store } = decodeEnvelope(log.snapshot.data);
      this.#members.restore(membership, log.snapshot.confState);
      machine.restore(store, log.snapshot.index);
      this.#index = log.snapshot.index;
    }
    for (const { index, term, type, data } of log.entries) {
      if (index <= this.#index) continue;
      this.#index = index;
      if (type === 'EntryConfChange') this.#change(data);
      else if (data.length > 0) machine.apply({ index, term, data });
    }
  }

  get members(): readonly RaftMember[] {
    return this.#members.all;
  }

  nextIndex(): number {
    return this.#index + 1;
  }

  /** Adds an entry. */
  append(data: Buffer): void {
    this.#index += 1;
    this.#machine.apply({ index: this.#index, term: this.#term, data });
  }

  /** Whether an ID is, or was, a member's. */
  isTaken(id: RaftId): boolean {
    return this.#members.get(id) !== undefined || this.#members.isRemoved(id);
  }

  /**
   * The log of a new group, whose only member has all that is here. Everybody who was a member is
   * removed for ever, the member whose log this was among them: what it has promised, and what it is
   * still believed to be, binds nobody in the new group.
   */
  alone({ raftId, nodeId, addr }: RaftMember, clusterId: string): LoneGroup {
    if (this.isTaken(raftId)) {
      throw new SwarmError('already-exists', `raft member ${raftId} is known to the log already`);
    }
    const { members = [], removed = [] } = this.#members.toWire();
    const membership = {
      members: [{ raftId, nodeId, addr }],
      removed: [...removed, ...members.map((member) => member.raftId ?? '')],
    };
    const before = { index: this.#index, term: this.#term };
    const data = Buffer.concat([...envelopeOf(membership, this.#machine.snapshot())]);
    const confState = { voters: [raftId], learners: [] };
    const hardState = {
      currentTerm: before.term,
      votedFor: undefined,
      commitIndex: before.index,
    };
    return {
      identity: { clusterId, raftId, nodeId },
      log: { hardState, snapshot: { ...before, confState, data }, before, entries: [] },
    };
  }

  /** The first that the group of old has not begun, as far as this log knows. */
  get #term(): number {
    return this.#log.hardState.currentTerm + 1;
  }

  #change(data: Buffer): void {
    const change = decodeMemberChange(data);
    if (this.#members.refusalOf(change) === undefined) this.#members.apply(change);
  }
}
