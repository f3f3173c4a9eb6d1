import { rename, rm } from 'node:fs/promises';
import { SwarmError } from '../../runtime/index.ts';
import type { RaftId } from '../core/types.ts';
import { decodeMemberChange } from '../wire.ts';
import type { Diagnosis } from './diagnosis.ts';
import { isThere } from './durable-files.ts';
import { LevelLog } from './level-log.ts';
import { logFiles } from './log-files.ts';
import type { LogKeys } from './log-keys.ts';
import type { LogIdentity, StoredLog } from './log-store.ts';

/** So many entries are written as one batch. */
const batchEntries = 1_000;

/** A log of which no other can be made: a copy or the other managers may have what it has lost. */
export class Irrecoverable extends SwarmError {}

/** What became of a damaged log. */
export interface Recovery {
  /** Where the damaged one is now. */
  readonly damaged: string;
  readonly kept: StoredLog;
}

/**
 * Replaces the damaged log of an only manager by a new one, of what is certainly there. The damaged
 * one is set aside, never deleted. Nobody else may have the log open.
 *
 * @param options what is known of it; and the time in milliseconds since the Unix epoch, for the name
 *   of what is set aside
 * @throws SwarmError failed-precondition, if the log is intact
 * @throws Irrecoverable if it is of one of several managers, or nothing is left of it
 */
export async function recoverLog(
  directory: string,
  keys: LogKeys | undefined,
  { diagnosis, now }: { readonly diagnosis: Diagnosis; readonly now: number },
): Promise<Recovery> {
  const { identity, verified } = recoverable(directory, diagnosis);
  const next = { identity, log: verified };
  const damaged = await replaceLog(directory, keys, { diagnosis, next, now });
  return { damaged, kept: verified };
}

/**
 * Puts another log in the place of one, which is set aside. Nobody else may have it open.
 *
 * @returns where the log is now that was there
 */
export async function replaceLog(
  directory: string,
  keys: LogKeys | undefined,
  {
    diagnosis,
    next: { identity, log },
    now,
  }: {
    /** Of the log that is there. */
    readonly diagnosis: Diagnosis;
    readonly next: { readonly identity: LogIdentity; readonly log: StoredLog };
    /** Milliseconds since the Unix epoch, for the name of what is set aside. */
    readonly now: number;
  },
): Promise<string> {
  const aside = asideOf(directory, diagnosis.problems.length > 0 ? 'damaged' : 'replaced', now);
  const recovered = `${directory}.recovered`;
  await LevelLog.remove(recovered); // Of somebody who was interrupted.
  await writeLog(recovered, { identity, keys, log, seq: seqAfter(diagnosis) });
  if (await isThere(directory)) await rename(directory, aside);
  await rename(logFiles(recovered).witness, logFiles(directory).witness);
  await rename(recovered, directory);
  return aside;
}

/**
 * Takes a log out of its place, so that its member can join anew. Nobody else may have it open.
 *
 * @param now milliseconds since the Unix epoch, for the name of what is set aside
 * @returns where it is now; `undefined`, if nothing of it was left
 */
export async function setAsideLog(directory: string, now: number): Promise<string | undefined> {
  const aside = asideOf(directory, 'damaged', now);
  const isLeft = await isThere(directory);
  if (isLeft) await rename(directory, aside);
  await rm(logFiles(directory).witness, { force: true });
  return isLeft ? aside : undefined;
}

/**
 * What a log certainly holds.
 *
 * @throws Irrecoverable data-loss, if that is nothing
 */
export function verifiedOf(
  directory: string,
  { identity, verified }: Diagnosis,
): { readonly identity: LogIdentity; readonly verified: StoredLog } {
  if (identity === undefined || verified === undefined) {
    throw new Irrecoverable('data-loss', `nothing of raft log ${directory} can be verified`);
  }
  return { identity, verified };
}

function recoverable(directory: string, diagnosis: Diagnosis): ReturnType<typeof verifiedOf> {
  if (diagnosis.problems.length === 0) {
    throw new SwarmError('failed-precondition', `raft log ${directory} is intact: nothing is lost`);
  }
  const { identity, verified } = verifiedOf(directory, diagnosis);
  const voters = votersOf(verified);
  if (voters.size > 1) {
    throw new Irrecoverable(
      'failed-precondition',
      `raft log ${directory} is of one of ${voters.size} managers, which would go on without what it acknowledged`,
    );
  }
  return { identity, verified };
}

/** Makes a log that holds `log`, whose it may ever have been. */
async function writeLog(
  directory: string,
  {
    identity,
    keys,
    log,
    seq,
  }: {
    readonly identity: LogIdentity;
    readonly keys: LogKeys | undefined;
    readonly log: StoredLog;
    /** The number of its first batch. */
    readonly seq: number;
  },
): Promise<void> {
  const { hardState, snapshot, entries } = log;
  const store = await LevelLog.create(directory, identity, keys, { seq });
  try {
    await store.load();
    await store.save({ hardState, snapshot, entries: entries.slice(0, batchEntries) });
    for (let at = batchEntries; at < entries.length; at += batchEntries) {
      const batch = entries.slice(at, at + batchEntries);
      await store.save({ hardState, snapshot: undefined, entries: batch });
    }
  } finally {
    await store.close();
  }
}

/** Whose votes counted at the end of a log, if all of it was committed. */
function votersOf({ snapshot, entries }: StoredLog): ReadonlySet<RaftId> {
  const voters = new Set(snapshot?.confState.voters);
  for (const { type, data } of entries) {
    if (type !== 'EntryConfChange') continue;
    const change = decodeMemberChange(data);
    if (change.type === 'ConfChangeAddNode') voters.add(change.raftId);
    if (change.type === 'ConfChangeRemoveNode') voters.delete(change.raftId);
  }
  return voters;
}

/** A number that the damaged log never came to, so that an old copy of it is known as one. */
const seqAfter = ({ acknowledged, lastSeq }: Diagnosis): number =>
  Math.max(acknowledged?.seq ?? 0, lastSeq) + 2;

const asideOf = (directory: string, why: 'damaged' | 'replaced', now: number): string =>
  `${directory}.${why}-${nameOf(now)}`;

const nameOf = (now: number): string => new Date(now).toISOString().replaceAll(/[-:]|\.\d+/gu, '');
