import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KeyStore, type LogSecrets } from '../../src/ca/index.ts';
import { logKeysOf, runAutolock } from '../../src/manager/autolock.ts';
import { levelDisk } from '../../src/manager/level-disk.ts';
import type { DiskSeal } from '../../src/manager/ports.ts';
import { type LogStore, newRaftId } from '../../src/raft/index.ts';
import { newHardState } from '../../src/raft/storage/log-store.ts';
import { CryptoRandom } from '../../src/runtime/index.ts';
import { aCluster } from '../support/builders.ts';
import { aStore } from '../support/immediate-log.ts';
import { anEntry } from '../support/raft-network.ts';
import { silentLog } from '../support/silent-log.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { TestSwarm } from '../support/test-swarm.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const random = new CryptoRandom();
const swarm = new TestSwarm();
const identity = swarm.identity('swarm-manager', { nodeId: 'n1' });
const [a, b] = [random.bytes(32), random.bytes(32)];
const confState = { voters: [], learners: [] };

let directory: TemporaryDirectory;
beforeEach(async () => {
  directory = await TemporaryDirectory.create();
});
afterEach(async () => directory[Symbol.asyncDispose]());

const keysIn = (path: string): KeyStore => new KeyStore({ directory: join(path, 'keys'), random });
const keyFileIn = async (path: string): Promise<string> =>
  readFile(join(path, 'keys', 'swarm-node.key'), 'utf8');

/** A manager's disk that is opened, and what a process does with it. */
class Disk {
  readonly path: string;
  readonly keys: KeyStore;
  readonly seal: DiskSeal;
  readonly log: LogStore;
  compactions = 0;
  /** Whether the log begins anew when it is asked to. */
  mayCompact = true;
  #last: number;
  #writing: Promise<void> = Promise.resolve();

  private constructor(parts: Pick<Disk, 'path' | 'keys' | 'seal' | 'log'>, last: number) {
    this.path = parts.path;
    this.keys = parts.keys;
    this.seal = parts.seal;
    this.log = parts.log;
    this.#last = last;
  }

  /** A new manager's, with five entries in its log. */
  static async create(path: string): Promise<Disk> {
    const keys = keysIn(path);
    await keys.save(identity);
    const { logs, seal } = levelDisk(join(path, 'raft'), keys, { log: silentLog });
    const log = await logs.create({ clusterId: 'c', nodeId: 'n1', raftId: newRaftId(random) });
    await log.load();
    const disk = new Disk({ path, keys, seal, log }, 0);
    for (let count = 0; count < 5; count += 1) await disk.append();
    return disk;
  }

  /** What the next process finds. @returns also the entries and the snapshot it reads */
  static async open(path: string, kek: Buffer | undefined) {
    const keys = keysIn(path);
    if (kek !== undefined && !(await keys.unlock(kek))) throw new Error('it is locked');
    const { logs, seal } = levelDisk(join(path, 'raft'), keys, { log: silentLog });
    const log = await logs.open();
    const { entries, snapshot } = await log.load();
    const last = entries.at(-1)?.index ?? snapshot?.index ?? 0;
    return { disk: new Disk({ path, keys, seal, log }, last), last };
  }

  async append(): Promise<void> {
    this.#last += 1;
    const entries = [anEntry(1, this.#last)];
    await this.log.save({ hardState: newHardState, entries, snapshot: undefined });
  }

  /** As the driver does it: with the next entry. */
  compact(): void {
    this.compactions += 1;
    if (!this.mayCompact) return;
    this.#writing = this.#beginAnew(this.#writing);
  }

  async #beginAnew(before: Promise<void>): Promise<void> {
    await before;
    await this.append();
    const pieces = [Buffer.from('state')];
    await this.log.saveSnapshot({ index: this.#last, term: 1, confState, pieces }, this.#last);
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.log.close();
  }
}

/** A running autolock over a disk, and the cluster object it watches. */
async function autolock(disk: Disk, options: { readonly seal?: DiskSeal } = {}) {
  const clock = new VirtualClock();
  const store = aStore(clock);
  await store.update((tx) => {
    tx.create('cluster', aCluster({ id: 'c' }));
  });
  const controller = new AbortController();
  const running = runAutolock(
    {
      store,
      seal: options.seal ?? disk.seal,
      compactLog: () => {
        disk.compact();
      },
      clock,
      random,
      log: silentLog,
    },
    controller.signal,
  ).catch((error: unknown) => {
    if (!controller.signal.aborted) throw error;
  });
  return {
    /** The swarm locks its managers with this key. */
    lock: async (key: Buffer | undefined): Promise<void> =>
      store.update((tx) => {
        const [cluster] = tx.find('cluster');
        if (cluster === undefined) return;
        const ofManagers = { subsystem: 'swarm-manager', algorithm: 'AES_128_GCM' } as const;
        const unlockKeys = key === undefined ? [] : [{ ...ofManagers, key, lamportTime: '0' }];
        tx.update('cluster', { ...cluster, unlockKeys });
      }),
    /** Lets time pass until something is so. */
    until: async (isSo: () => Promise<boolean>, stepMs = 1_000): Promise<void> => {
      await expect
        .poll(
          async () => {
            await clock.advance(stepMs);
            return isSo();
          },
          { timeout: 30_000, interval: 5 },
        )
        .toBe(true);
    },
    end: async (): Promise<void> => {
      controller.abort();
      await running;
      await disk.close();
    },
  };
}

/** Whether every part of a log is sealed with the one secret there is. */
const isSettled = async ({ seal, keys }: Pick<Disk, 'seal' | 'keys'>): Promise<boolean> => {
  const { current, pending, needsRotation } = await keys.logSecrets();
  const [key] = [logKeysOf({ current, pending: undefined }).current];
  const inUse = await seal.keysInUse();
  return pending === undefined && !needsRotation && inUse.size === 1 && inUse.has(key.id);
};

const secretOf = async ({ keys }: Disk): Promise<string> =>
  (await keys.logSecrets()).current.toString('hex');

describe('autolock', { timeout: 60_000 }, () => {
  test('leaves a swarm that does not lock its managers alone', async () => {
    const disk = await Disk.create(directory.path);
    const before = await keyFileIn(disk.path);
    const { until, end } = await autolock(disk);
    await until(async () => isSettled(disk));
    expect(disk.compactions).toBe(0);
    expect(await keyFileIn(disk.path)).toBe(before);
    await end();
  });

  test('seals the keys, and gives the log another one', async () => {
    const disk = await Disk.create(directory.path);
    const first = await secretOf(disk);
    const { lock, until, end } = await autolock(disk);
    await lock(a);
    await until(async () => (await secretOf(disk)) !== first && (await isSettled(disk)));
    await end();
    expect(await keyFileIn(disk.path)).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    const { disk: next, last } = await Disk.open(disk.path, a);
    expect(last).toBe(5 + disk.compactions);
    await next.close();
  });

  test('does so again with another unlock key, and only opens the keys when it is turned off', async () => {
    const disk = await Disk.create(directory.path);
    const { lock, until, end } = await autolock(disk);
    await lock(a);
    await until(async () => disk.compactions > 0 && (await isSettled(disk)));
    const second = await secretOf(disk);
    await lock(b);
    await until(async () => (await secretOf(disk)) !== second && (await isSettled(disk)));
    expect(await keysIn(disk.path).unlock(a)).toBe(false);
    expect(await keysIn(disk.path).unlock(b)).toBe(true);
    const third = await secretOf(disk);
    await lock(undefined);
    await until(async () => !(await keysIn(disk.path).isLocked()));
    expect(await secretOf(disk)).toBe(third);
    await end();
  });

  test('does what is asked for in the middle of a rotation after it', async () => {
    const disk = await Disk.create(directory.path);
    const first = await secretOf(disk);
    disk.mayCompact = false;
    const { lock, until, end } = await autolock(disk);
    await lock(a);
    await until(async () => disk.compactions > 0);
    const { pending } = await disk.keys.logSecrets();
    await lock(b);
    await until(async () => keysIn(disk.path).unlock(b));
    expect(await disk.keys.logSecrets()).toMatchObject({ pending, needsRotation: true });
    disk.mayCompact = true;
    await until(async () => isSettled(disk));
    expect([first, pending?.toString('hex')]).not.toContain(await secretOf(disk));
    await end();
  });

  test('tells of a disk that does not take the keys, and tries again', async () => {
    const disk = await Disk.create(directory.path);
    let failures = 2;
    const seal: DiskSeal = {
      ...disk.seal,
      reseal: async (kek) => {
        if (kek.key !== undefined && (failures -= 1) >= 0)
          return disk.keys.reseal({ ...kek, version: 0 });
        return disk.seal.reseal(kek);
      },
    };
    const { lock, until, end } = await autolock(disk, { seal });
    await lock(a);
    await until(async () => keysIn(disk.path).isLocked(), 60_000);
    expect(failures).toBe(-1);
    await end();
  });
});

describe('a crash between two steps of a rotation', { timeout: 60_000 }, () => {
  test.each([
    ['from no unlock key', undefined],
    ['from another', b],
  ] as const)('loses nothing, and the next process ends what was begun: %s', async (_, before) => {
    const disk = await Disk.create(join(directory.path, 'live'));
    const copies: string[] = [];
    let isWatched = false;
    /** What a process that dies here leaves behind. */
    const crashHere = async (): Promise<void> => {
      if (!isWatched) return;
      const path = join(directory.path, `crash-${copies.length}`);
      copies.push(path);
      await cp(disk.path, path, { recursive: true });
    };
    const seal: DiskSeal = {
      ...disk.seal,
      reseal: async (kek) => {
        const resealing = await disk.seal.reseal(kek);
        if (resealing !== 'kept') await crashHere();
        return resealing;
      },
      updateLogSecrets: async (change) => {
        const secrets = await disk.keys.logSecrets();
        const changed = await disk.seal.updateLogSecrets(change);
        if (!isDeepStrictEqual(changed, secrets)) await crashHere();
        return changed;
      },
      keysInUse: async () => {
        await disk.append();
        const inUse = await disk.seal.keysInUse();
        await crashHere();
        return inUse;
      },
    };
    const { lock, until, end } = await autolock(disk, { seal });
    if (before !== undefined) {
      await lock(before);
      await until(async () => disk.compactions > 0 && (await isSettled(disk)));
    }
    isWatched = true;
    const first = await secretOf(disk);
    await lock(a);
    await until(async () => (await secretOf(disk)) !== first && (await isSettled(disk)));
    await end();

    const seen: LogSecrets[] = [];
    for (const path of copies) {
      const { disk: next, last } = await Disk.open(path, a);
      expect(last).toBeGreaterThanOrEqual(5);
      seen.push(await next.keys.logSecrets());
      const again = await autolock(next);
      await again.lock(a);
      await again.until(async () => isSettled(next));
      expect(await secretOf(next)).not.toBe(first);
      await again.end();
      const { disk: settled } = await Disk.open(path, a);
      await settled.close();
    }
    // Each of the steps was cut short.
    expect(seen.some(({ needsRotation }) => needsRotation)).toBe(true);
    expect(seen.some(({ pending }) => pending !== undefined)).toBe(true);
    expect(seen.some(({ current }) => current.toString('hex') !== first)).toBe(true);
  });
});
