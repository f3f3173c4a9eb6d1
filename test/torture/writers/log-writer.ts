import { writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { Entry, RaftId } from '../../../src/raft/core/types.ts';
import { LevelLog } from '../../../src/raft/storage/level-log.ts';
import { logKeys } from '../../support/log-keys.ts';
import { orders } from './orders.ts';

/**
 * A process that writes entries and snapshots to a log, both at once, as fast as it can, and says
 * each entry once it is acknowledged. What it finds it compares, to the byte, with what it must have
 * written. It ends when it is killed, or with what its log threw.
 */
const { directory, entryBytes, snapshotBytes } = await orders();
const keys = logKeys('key');
const identity = { clusterId: 'c', nodeId: 'n', raftId: '7' as RaftId };
const confState = { voters: [identity.raftId], learners: [] };

/** Bytes that no other index has. */
const bytesOf = (index: number, length: number): Buffer => {
  const bytes = Buffer.alloc(length, `${index} `);
  bytes.write(`of ${index};`);
  return bytes;
};
const entryOf = (index: number): Entry => ({
  index,
  term: 1 + Math.floor(index / 100),
  type: 'EntryNormal',
  data: bytesOf(index, 1 + ((index * 7919) % entryBytes)),
});

const log = (await LevelLog.exists(directory))
  ? await LevelLog.open(directory, keys)
  : await LevelLog.create(directory, identity, keys);
const { snapshot, before, entries } = await log.load();
let last = entries.at(-1)?.index ?? before.index;
const isRight =
  entries.every((entry) => {
    const expected = entryOf(entry.index);
    return entry.term === expected.term && entry.data.equals(expected.data);
  }) &&
  before.index <= (snapshot?.index ?? 0) &&
  (snapshot === undefined || snapshot.data.equals(bytesOf(snapshot.index, snapshotBytes)));
writeSync(1, isRight ? `found ${last}\n` : `wrong ${last}\n`);

async function writeEntries(): Promise<void> {
  for (;;) {
    const batch = Array.from({ length: 1 + (last % 3) }, (_, offset) => entryOf(last + 1 + offset));
    const end = batch.at(-1);
    if (end === undefined) return;
    const hardState = { currentTerm: end.term, votedFor: identity.raftId, commitIndex: last };
    await log.save({ hardState, entries: batch, snapshot: undefined });
    last = end.index;
    writeSync(1, `acknowledged ${last}\n`);
  }
}

async function writeSnapshots(): Promise<void> {
  let newest = snapshot?.index ?? 0;
  for (;;) {
    if (last < newest + 20) {
      await turn();
      continue;
    }
    newest = last;
    const bytes = bytesOf(newest, snapshotBytes);
    const pieces = [0, 1, 2].map((third) =>
      bytes.subarray((third * bytes.length) / 3, ((third + 1) * bytes.length) / 3),
    );
    const { term } = entryOf(newest);
    await log.saveSnapshot({ index: newest, term, confState, pieces }, newest - 5);
  }
}

try {
  await Promise.all([writeEntries(), writeSnapshots()]);
} catch (error) {
  writeSync(1, `failed ${String(error)}\n`);
  process.exit(1);
}
