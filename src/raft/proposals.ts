import { assert, SwarmError } from '../runtime/index.ts';
import type { Entry, EntryType } from './core/types.ts';

/** SwarmKit's text; its store and its CLI know it. swarmkit manager/state/raft/raft.go */
export const lostLeadership = (): SwarmError =>
  new SwarmError('unavailable', 'raft: failed to process the request: node lost leader status');

/** Nothing was appended: another manager may be asked. swarmkit manager/state/raft/raft.go */
export const notLeading = (): SwarmError =>
  new SwarmError('unavailable', 'raft: no elected cluster leader');

export const stopped = (): SwarmError =>
  new SwarmError('unavailable', 'raft: failed to process the request: node is stopped');

/** An entry's data is at most so long, in bytes (1.5 MiB). swarmkit manager/state/store/memory.go */
const proposalBytesMax = 1_572_864;

/** @throws SwarmError resource-exhausted, if an entry would be too large */
export function checkProposal(data: Buffer): void {
  assert(data.length > 0, 'an entry without data is a new leader’s');
  if (data.length <= proposalBytesMax) return;
  throw new SwarmError('resource-exhausted', "raft: raft message is too large and can't be sent");
}

interface InFlight {
  readonly term: number;
  readonly type: EntryType;
  readonly resolve: () => void;
  readonly reject: (reason: SwarmError) => void;
}

/** Proposals that are appended and not yet applied, by the index each has in the log. */
export class Proposals {
  readonly #inFlight = new Map<number, InFlight>();

  /** Settles once the entry at `index` is applied, or it is known that another may be there. */
  async open({ index, term, type }: Pick<Entry, 'index' | 'term' | 'type'>): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#inFlight.set(index, { term, type, resolve, reject });
    });
  }

  /** Notes that an entry is applied; `refusal` says why it had no effect, if it had none. */
  settle({ index, term, type }: Entry, refusal?: string): void {
    const proposal = this.#inFlight.get(index);
    if (proposal === undefined) return;
    this.#inFlight.delete(index);
    if (proposal.term !== term) {
      proposal.reject(lostLeadership());
    } else if (proposal.type !== type) {
      // The core puts an empty entry in the place of a change it does not allow.
      proposal.reject(
        new SwarmError('failed-precondition', 'raft: another membership change is in progress'),
      );
    } else if (refusal !== undefined) {
      proposal.reject(new SwarmError('failed-precondition', refusal));
    } else {
      proposal.resolve();
    }
  }

  /** Fails all at once. Their entries may still be committed, by us or by another leader. */
  rejectAll(reason: () => SwarmError): void {
    const lost = [...this.#inFlight.values()];
    this.#inFlight.clear();
    for (const { reject } of lost) reject(reason());
  }
}
