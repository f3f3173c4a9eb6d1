import { join } from 'node:path';
import { expect, test } from 'vitest';
import { levelDisk } from '../../src/manager/level-disk.ts';
import { newHardState } from '../../src/raft/storage/log-store.ts';
import { createLog } from '../../src/runtime/index.ts';
import { LogImage } from '../support/log-image.ts';
import { aLogIdentity } from '../support/memory-log-store.ts';
import { anEntry } from '../support/raft-network.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const secrets = { current: Buffer.alloc(32), pending: undefined, needsRotation: false };

test('a boot that takes the last batch from the sentinel says so once', async () => {
  await using directory = await TemporaryDirectory.create();
  const path = join(directory.path, 'raft');
  const lines: string[] = [];
  const log = createLog(new VirtualClock(), 'info', { write: (line) => lines.push(line) });
  const keys = {
    logSecrets: async () => Promise.resolve(secrets),
    updateLogSecrets: async () => Promise.resolve(secrets),
    reseal: async () => Promise.resolve('kept' as const),
  };
  const { logs } = levelDisk(path, keys, { log });
  const store = await logs.create(aLogIdentity());
  await store.load();
  await store.save({ hardState: newHardState, entries: [anEntry(1, 1)], snapshot: undefined });
  await store.close();
  const image = await LogImage.of(path);
  await image.withJournal((journal) => journal.subarray(0, -1)).putTo(path);
  await (await logs.open()).close();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('"msg":"the last batch of the raft log is from its sentinel"');
  await (await logs.open()).close();
  expect(lines).toHaveLength(1);
});
