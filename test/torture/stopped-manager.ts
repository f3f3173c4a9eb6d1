import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Store } from '../../src/manager/store/store.ts';
import { LevelLog, RaftDriver } from '../../src/raft/index.ts';
import type { Entry, Snapshot } from '../../src/raft/core/types.ts';
import { diagnose } from '../../src/raft/storage/diagnosis.ts';
import type { LogStore, StoredLog } from '../../src/raft/storage/log-store.ts';
import { CryptoRandom, isSwarmError, SystemClock } from '../../src/runtime/index.ts';
import { aService, aTask } from '../support/builders.ts';
import { logKeys } from '../support/log-keys.ts';
import { aLogIdentity } from '../support/memory-log-store.ts';
import { silentLog } from '../support/silent-log.ts';

const keys = logKeys('two', 'one');

/** Small, so that there are tables, snapshots and compaction in little space. */
const config = { snapshotEntries: 12, keptEntries: 4 };
const lives = 4;
const writesPerLife = 9;

/** A directory where nothing is synced to a disk, if there is one. */
export const newDirectory = (): string =>
  mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'swarmd-torture-'));

/** All that was ever written to a log, whatever became of it. */
class History {
  readonly entries = new Map<number, Entry>();
  readonly snapshots = new Map<number, Snapshot>();

  /** The same store; what is written to it is remembered. */
  of(store: LogStore): LogStore {
    return {
      identity: store.identity,
      isEmpty: store.isEmpty,
      load: async () => store.load(),
      save: async (batch) => {
        for (const entry of batch.entries) this.entries.set(entry.index, entry);
        await store.save(batch);
      },
      saveSnapshot: async ({ pieces, ...snapshot }, compactThrough) => {
        const all: Buffer[] = [];
        for await (const piece of pieces) all.push(piece);
        this.snapshots.set(snapshot.index, { ...snapshot, data: Buffer.concat(all) });
        await store.saveSnapshot({ ...snapshot, pieces: all }, compactThrough);
      },
      entries: async (from, below) => store.entries(from, below),
      term: async (index) => store.term(index),
      close: async () => store.close(),
    };
  }
}

/** A manager's log and store, without its doors. */
class Life implements AsyncDisposable {
  readonly store = new Store({ clock: new SystemClock() });
  readonly #controller = new AbortController();
  #ended: Promise<void> = Promise.resolve();

  static async begin(raft: string, history: History): Promise<Life> {
    const life = new Life();
    const log = (await LevelLog.exists(raft))
      ? await LevelLog.open(raft, keys)
      : await LevelLog.create(raft, aLogIdentity(), logKeys('one'));
    log.rekey(keys);
    const logStore = history.of(log);
    const deps = {
      clock: new SystemClock(),
      random: new CryptoRandom(),
      log: silentLog,
      logStore,
      stateMachine: life.store,
      send: () => undefined,
    };
    const driver = logStore.isEmpty
      ? await RaftDriver.found(deps, { addr: 'host:1' }, config)
      : await RaftDriver.open(deps, config);
    life.store.attach(driver);
    const { signal } = life.#controller;
    life.#ended = driver.run(signal);
    using watch = driver.watchStatus();
    while (!driver.status().isLeader) {
      await watch.changed(signal);
      watch.drain();
    }
    return life;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort();
    await this.#ended;
  }
}

/** The files of a manager that was stopped in good order, and all that it knew. */
export class StoppedManager {
  /** `raft/` lies in it, and the witness. */
  readonly stateDir: string;
  readonly raft: string;
  /** By path below the state directory. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly #truth: StoredLog;
  readonly #history: History;

  private constructor(stateDir: string, truth: StoredLog, history: History) {
    this.stateDir = stateDir;
    this.raft = join(stateDir, 'raft');
    this.files = filesIn(stateDir);
    this.#truth = truth;
    this.#history = history;
  }

  static async create(stateDir: string): Promise<StoppedManager> {
    const raft = join(stateDir, 'raft');
    const history = new History();
    for (let life = 0; life < lives; life += 1) {
      await using manager = await Life.begin(raft, history);
      const { store } = manager;
      const service = aService();
      await store.update((tx) => {
        tx.create('service', service);
      });
      for (let write = 1; write < writesPerLife; write += 1) {
        await store.update((tx) => {
          tx.create('task', aTask({ serviceId: service.id }));
        });
      }
    }
    const before = filesIn(stateDir);
    const log = await LevelLog.open(raft, keys);
    const truth = await log.load();
    await log.close();
    putFiles(stateDir, before);
    return new StoppedManager(stateDir, truth, history);
  }

  /** Puts every file back. */
  restore(): void {
    putFiles(this.stateDir, this.files);
  }

  /**
   * What a manager makes of the files as they are now.
   *
   * @param looksCloser whether what is refused is looked at too: untouched, and no word of it wrong
   * @throws if the answer is neither the state as it was nor a refusal
   */
  async verdict({ looksCloser }: { readonly looksCloser: boolean }): Promise<'same' | 'refused'> {
    const before = looksCloser ? filesIn(this.stateDir) : undefined;
    let log: LevelLog;
    try {
      log = await LevelLog.open(this.raft, keys);
    } catch (error) {
      if (!isSwarmError(error, 'data-loss')) throw error;
      if (before !== undefined) await this.#examineRefused(before);
      return 'refused';
    }
    const found = await log.load();
    await log.close();
    if (isDeepStrictEqual(found, this.#truth)) return 'same';
    throw new Error('another state than it had, without a word');
  }

  async #examineRefused(before: ReadonlyMap<string, Buffer>): Promise<void> {
    if (!isDeepStrictEqual(filesIn(this.stateDir), before)) throw new Error('files were changed');
    const { verified } = await diagnose(this.raft, keys);
    if (verified === undefined) return;
    const { snapshot, entries } = verified;
    const isTrue =
      snapshot === undefined ||
      isDeepStrictEqual(snapshot, this.#history.snapshots.get(snapshot.index));
    if (!isTrue) throw new Error('a snapshot is said to be there that never was');
    const wrong = entries.find(
      (entry) => !isDeepStrictEqual(entry, this.#history.entries.get(entry.index)),
    );
    if (wrong !== undefined)
      throw new Error(`an entry ${wrong.index} is said to be there that never was`);
  }
}

function filesIn(directory: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(path.slice(directory.length + 1), readFileSync(path));
  }
  return files;
}

function putFiles(directory: string, files: ReadonlyMap<string, Buffer>): void {
  rmSync(directory, { recursive: true });
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), bytes);
  }
}
