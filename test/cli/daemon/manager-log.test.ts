import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LogSecrets } from '../../../src/ca/index.ts';
import { ManagerLog } from '../../../src/cli/daemon/manager-log.ts';
import { levelDisk } from '../../../src/manager/index.ts';
import { aLogIdentity } from '../../support/memory-log-store.ts';
import { silentLog } from '../../support/silent-log.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

let path: string;
let log: ManagerLog;
beforeEach(async () => {
  const directory = await TemporaryDirectory.create();
  path = directory.path;
  log = new ManagerLog(path);
  return async () => directory[Symbol.asyncDispose]();
});

/** Makes a log as a manager does, and closes it. */
async function make(): Promise<void> {
  const secrets = { current: Buffer.alloc(32), pending: undefined, needsRotation: false };
  const keys = {
    logSecrets: async () => secrets,
    updateLogSecrets: async (change: (present: typeof secrets) => LogSecrets) => change(secrets),
    reseal: async () => 'kept' as const,
  };
  const { logs } = levelDisk(log.path, keys, { log: silentLog });
  const made = await logs.create(aLogIdentity());
  await made.close();
}

const left = (): readonly string[] => readdirSync(path);

describe('the log of a node’s manager', () => {
  test('is there once it was made, even if somebody takes it away', async () => {
    expect(log.exists).toBe(false);
    await make();
    expect(log.exists).toBe(true);
    rmSync(log.path, { recursive: true });
    expect(log.exists).toBe(true);
  });

  test('that is dropped leaves nothing', async () => {
    await make();
    log.drop();
    expect(log.exists).toBe(false);
    expect(left()).toEqual([]);
    log.drop();
    expect(log.exists).toBe(false);
  });

  test('that was lost is dropped like one that is there', async () => {
    await make();
    rmSync(log.path, { recursive: true });
    log.drop();
    expect(left()).toEqual([]);
  });

  test('whose dropping was cut short is dropped when the node starts again', async () => {
    await make();
    renameSync(log.path, join(path, 'raft.dropped'));
    expect(log.exists).toBe(true);
    log.finishDrop();
    expect(log.exists).toBe(false);
    expect(left()).toEqual([]);
  });

  test('that was made after another was dropped survives a start', async () => {
    await make();
    const before = left();
    mkdirSync(join(path, 'raft.dropped'));
    writeFileSync(join(path, 'raft.dropped', 'rest'), '');
    log.finishDrop();
    expect(left()).toEqual(before);
  });
});
