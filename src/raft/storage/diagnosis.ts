import { SwarmError } from '../../runtime/index.ts';
import type { Entry, EntryId, HardState } from '../core/types.ts';
import { type Examination, examine } from './examination.ts';
import type { LogKeys } from './log-keys.ts';
import { type LogIdentity, newHardState, type StoredLog } from './log-store.ts';
import type { SentinelState } from './sentinel/slot.ts';

/** What is known of a log that may be damaged. */
export interface Diagnosis {
  /** What is wrong; empty, if the log is intact. */
  readonly problems: readonly string[];
  readonly identity: LogIdentity | undefined;
  /**
   * What is certainly there: the snapshot, and from it, or else from the beginning, every entry
   * that follows the one before it. `undefined`, if that is nothing.
   */
  readonly verified: StoredLog | undefined;
  /** The last batch that was acknowledged, if the sentinel or the witness can still tell. */
  readonly acknowledged: SentinelState | undefined;
  /** The number of the last batch that is there; 0 if it is not known. */
  readonly lastSeq: number;
}

/**
 * Says what is left of a log. It changes nothing.
 *
 * @param outsideWitness a witness that lies elsewhere, if there is one
 * @throws SwarmError failed-precondition, if a key is missing
 */
export async function diagnose(
  directory: string,
  keys: LogKeys | undefined,
  outsideWitness?: string,
): Promise<Diagnosis> {
  const examination = await examine(directory, keys, outsideWitness);
  if (examination.missingKey !== undefined) throw examination.missingKey;
  return diagnosisOf(examination);
}

export function diagnosisOf(examination: Examination): Diagnosis {
  const { problems, identity, acknowledged, tail } = examination;
  const verified = verifiedOf(examination);
  return { problems, identity, acknowledged, verified, lastSeq: tail?.seq ?? 0 };
}

function verifiedOf(examination: Examination): StoredLog | undefined {
  const snapshot = examination.snapshot?.snapshot;
  const entries = entriesAfter(examination);
  if (snapshot === undefined && entries.length === 0) return undefined;
  const before = { index: snapshot?.index ?? 0, term: snapshot?.term ?? 0 };
  const hardState = hardStateAt(entries.at(-1) ?? before, examination);
  const commitIndex = Math.max(hardState.commitIndex, before.index);
  return { hardState: { ...hardState, commitIndex }, snapshot, before, entries };
}

/** A term that was begun, or voted in, is never entered again, whatever else was lost. */
function hardStateAt(last: EntryId, { tail, acknowledged }: Examination): HardState {
  const stored = tail?.hardState ?? newHardState;
  const known = [stored, acknowledged ?? stored].toSorted(
    (a, b) => b.currentTerm - a.currentTerm,
  )[0];
  const { currentTerm, votedFor } = known ?? stored;
  const commitIndex = Math.min(stored.commitIndex, last.index);
  return currentTerm >= last.term
    ? { currentTerm, votedFor, commitIndex }
    : { currentTerm: last.term, votedFor: undefined, commitIndex };
}

/** Every entry after the snapshot that follows the one before it. */
function entriesAfter(examination: Examination): readonly Entry[] {
  const entries: Entry[] = [];
  let { index, previousCrc } = startOf(examination);
  for (let entry = examination.entries.get(index); entry; entry = examination.entries.get(index)) {
    if (previousCrc !== undefined && entry.previousCrc !== previousCrc) break;
    entries.push({ index, term: entry.term, type: entry.type, data: entry.data });
    previousCrc = entry.crc;
    index += 1;
  }
  return entries;
}

/** Where the entries that are wanted begin, and what the first of them must follow, if known. */
function startOf({ snapshot, entries, tail }: Examination): {
  readonly index: number;
  readonly previousCrc: number | undefined;
} {
  if (snapshot === undefined) return { index: 1, previousCrc: 0 };
  const { index, term } = snapshot.snapshot;
  const same = entries.get(index);
  if (same?.term === term) return { index: index + 1, previousCrc: same.crc };
  const isCompactedThere = tail?.before.index === index;
  return { index: index + 1, previousCrc: isCompactedThere ? tail.beforeCrc : undefined };
}

/** A log that is not what was acknowledged. It is in quarantine: nothing is served from it. */
export class DamagedLog extends SwarmError {
  constructor(directory: string, diagnosis: Diagnosis) {
    super('data-loss', explain(directory, diagnosis));
  }
}

/** For the person at a log in quarantine: what is wrong, and what is left. */
function explain(directory: string, { problems, verified, acknowledged }: Diagnosis): string {
  const [first = '', ...others] = problems;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const last = verified?.entries.at(-1) ?? verified?.before;
  const there =
    last === undefined
      ? 'nothing of it can be verified'
      : `certainly there is everything up to index ${last.index} of term ${last.term}` +
        (verified?.snapshot === undefined
          ? ', without a snapshot'
          : `, with a snapshot of index ${verified.snapshot.index}`);
  return (
    `raft log is damaged: ${first}${more}; nothing is served and nothing in ${directory} was ` +
    `changed; ${there}; ${missing(last, acknowledged)}`
  );
}

function missing(last: EntryId | undefined, acknowledged: SentinelState | undefined): string {
  if (acknowledged === undefined) return 'what was acknowledged after that is not known';
  const { lastIndex, lastTerm } = acknowledged;
  const count = lastIndex - (last?.index ?? 0);
  return count > 0
    ? `acknowledged was everything up to index ${lastIndex} of term ${lastTerm}, so ${count} ` +
        `${count === 1 ? 'entry' : 'entries'} may be missing`
    : `acknowledged was everything up to index ${lastIndex} of term ${lastTerm}, so no entry is missing`;
}
