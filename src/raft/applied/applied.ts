import { assert } from '../../runtime/index.ts';
import type { Entry, Message, Snapshot } from '../core/types.ts';
import type { Members } from '../members/members.ts';
import type { StateMachine } from '../ports.ts';
import type { Proposals } from '../proposals.ts';
import { decodeMemberChange, type MemberChange } from '../wire.ts';
import { decodeEnvelope, envelopeOf } from './snapshot-envelope.ts';
import type { Snapshots } from './snapshots.ts';

interface Deps {
  readonly stateMachine: StateMachine;
  readonly members: Members;
  readonly proposals: Proposals;
  readonly snapshots: Snapshots;
  /** Puts a committed change of the members into effect. */
  readonly change: (change: MemberChange) => void;
}

/**
 * What the log has led to so far: the state machine and the members, as of one entry. All of it is
 * synchronous: nobody sees half of an entry.
 */
export class Applied {
  readonly #deps: Deps;
  index = 0;
  term = 0;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Applies the next entries, and tells whoever has proposed them. */
  apply(entries: readonly Entry[]): void {
    for (const entry of entries) this.#apply(entry);
  }

  /** Replaces everything by what a snapshot holds. */
  restore({ index, term, confState, data }: Snapshot): void {
    const { stateMachine, members, snapshots } = this.#deps;
    const { membership, store } = decodeEnvelope(data);
    members.restore(membership, confState);
    stateMachine.restore(store, index);
    this.index = index;
    this.term = term;
    snapshots.restored();
  }

  /** The state as it is now, in pieces. */
  snapshot(): Omit<Snapshot, 'data'> & { readonly pieces: Iterable<Buffer> } {
    const { index, term } = this;
    const { stateMachine, members } = this.#deps;
    const pieces = envelopeOf(members.toWire(), stateMachine.snapshot());
    return { index, term, confState: members.confState, pieces };
  }

  /**
   * A message as it may leave. A snapshot from before a member was added would not make it one: it
   * gets the present state.
   */
  fresh(message: Message): Message {
    if (message.snapshot === undefined) return message;
    const { voters, learners } = message.snapshot.confState;
    if (voters.includes(message.to) || learners.includes(message.to)) return message;
    const { pieces, ...snapshot } = this.snapshot();
    return { ...message, snapshot: { ...snapshot, data: Buffer.concat([...pieces]) } };
  }

  #apply(entry: Entry): void {
    const { stateMachine, snapshots, proposals } = this.#deps;
    const { index, term, type, data } = entry;
    assert(index === this.index + 1, 'entries are applied in order, each once');
    let refusal: string | undefined;
    if (type === 'EntryConfChange') refusal = this.#changeMembers(entry);
    else if (data.length > 0) stateMachine.apply({ index, term, data });
    this.index = index;
    this.term = term;
    snapshots.applied(data.length);
    proposals.settle(entry, refusal);
  }

  /** @returns why a change has no effect, if it has none */
  #changeMembers({ data }: Entry): string | undefined {
    const change = decodeMemberChange(data);
    const refusal = this.#deps.members.refusalOf(change);
    if (refusal === undefined) this.#deps.change(change);
    return refusal;
  }
}
