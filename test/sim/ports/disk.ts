import { MemoryLog } from '../../../src/raft/core/stable-log.ts';
import type { Entry, HardState } from '../../../src/raft/core/types.ts';
import type { LogIdentity, LogStore, RaftId } from '../../../src/raft/index.ts';
import {
  type LogBatch,
  newHardState,
  type SnapshotInPieces,
  type StoredLog,
} from '../../../src/raft/storage/log-store.ts';
import { assert, SwarmError } from '../../../src/runtime/index.ts';
import type { LogStores } from '../../../src/manager/ports.ts';
import type { Kernel, Life } from '../kernel/kernel.ts';
import type { Stream } from '../kernel/streams.ts';

/** What a disk does to a log, beside being slow: LevelDB as it was measured. */
export type Damage =
  /** A bit flips in the journal: the batches after it are gone, and the database opens. */
  | 'journal'
  /** The disk was full once: an append failed, and what is written after it is lost. */
  | 'full'
  /** `CURRENT` is gone: a fresh database would be made over the old one. */
  | 'current'
  /** A value is not what was written. */
  | 'value';

/** How a log lies on the disk. Batches are counted, beside the database too: the sentinel. */
interface Image {
  readonly identity: LogIdentity;
  log: MemoryLog;
  hardState: HardState;
  /** The last batch in the database. */
  batch: number;
  /** The last batch that the sentinel knows. */
  sentinel: number;
  damage: Damage | undefined;
}

/** What is being written, and has not reached the disk. */
interface Pending {
  readonly apply: (image: Image) => void;
  isReached: boolean;
}

/** How fast a disk is. */
export interface DiskPace {
  readonly syncMs: number;
  /** How often a sync takes much longer, and how long. */
  readonly stallChance: number;
  readonly stallMs: number;
}

/** The disk of a manager's host: it outlives every process, and knows what has reached it. */
export class Disk implements LogStores {
  readonly #kernel: Kernel;
  readonly #chance: Stream;
  #pace: DiskPace;
  #image: Image | undefined;
  /** In the order in which they will reach it. */
  readonly #pending: Pending[] = [];
  #life: Life | undefined;
  /** How many of the next writes fail. */
  #failures = 0;
  #isFullSince: number | undefined;
  /** Called when a snapshot begins to be written. */
  onSnapshot: () => void = () => undefined;
  /** Called once, in the middle of the next write. */
  onceWriting: (() => void) | undefined;
  /** Called when a write is about to fail. */
  onFailure: () => void = () => undefined;
  /** Called with each batch that is about to become durable. */
  onDurable: (batch: LogBatch) => void = () => undefined;
  /** Called with the member whose log is deleted, and the last entry it held. */
  onErased: (raftId: RaftId, durableIndex: number) => void = () => undefined;
  /** How many batches reached it. */
  writes = 0;
  refusals = 0;

  constructor(kernel: Kernel, chance: Stream, pace: DiskPace) {
    this.#kernel = kernel;
    this.#chance = chance;
    this.#pace = pace;
  }

  /** The index of the last entry that would survive the loss of power now. */
  get durableIndex(): number {
    return this.#image?.log.lastIndex() ?? 0;
  }

  get durableState(): HardState {
    return this.#image?.hardState ?? newHardState;
  }

  termAt(index: number): number | undefined {
    return this.#image?.log.term(index);
  }

  entryAt(index: number): Entry | undefined {
    return this.#image?.log.entries(index, index + 1, Infinity)?.[0];
  }

  /** What an entry on it carries, if it is one that does. */
  dataAt(index: number): Buffer | undefined {
    const entry = this.entryAt(index);
    return entry?.type === 'EntryNormal' && entry.data.length > 0 ? entry.data : undefined;
  }

  /** How many entries it holds. */
  get length(): number {
    const { log } = this.#image ?? {};
    return log === undefined ? 0 : log.lastIndex() + 1 - log.firstIndex();
  }

  /** Its log is deleted. */
  erase(): void {
    if (this.#image === undefined) return;
    this.onErased(this.#image.identity.raftId, this.durableIndex);
    this.#image = undefined;
    this.#pending.splice(0);
    this.repair();
  }

  /** Its log is set aside, and another is in its place: whole, and at once. */
  replace(identity: LogIdentity, { hardState, snapshot, entries }: StoredLog): void {
    this.erase();
    const log = new MemoryLog();
    if (snapshot !== undefined) log.restore(snapshot);
    log.append(entries);
    this.#image = { identity, log, hardState, batch: 1, sentinel: 1, damage: undefined };
  }

  /** Whose log it is. */
  get raftId(): RaftId | undefined {
    return this.#image?.identity.raftId;
  }

  get hasSnapshot(): boolean {
    return this.#image?.log.snapshot() !== undefined;
  }

  get damage(): Damage | undefined {
    return this.#image?.damage;
  }

  get isWriting(): boolean {
    return this.#pending.length > 0;
  }

  set pace(pace: DiskPace) {
    this.#pace = pace;
  }

  /** Whose writes come from now on: a process that has died writes no more. */
  mount(life: Life): void {
    this.#life = life;
    this.#isFullSince = undefined; // It was the writer that was out of step, not the file.
  }

  /** The process is gone: of what it was writing some is there, each batch whole or not at all. */
  cut(): void {
    const pending = this.#pending.splice(0);
    const reached = this.#chance.integer(pending.length + 1);
    for (const one of pending.slice(0, reached)) this.#reach(one);
  }

  /** Lets the next writes fail. */
  fail(count: number): void {
    this.#failures = count;
  }

  /** Spoils what lies there. It is seen when somebody reads. */
  spoil(damage: Damage): void {
    const image = this.#image;
    if (image === undefined) return;
    if (damage === 'full') {
      this.#failures = 1;
      this.#isFullSince = image.batch;
    } else image.damage = damage;
  }

  /** Somebody puts back a copy of all that was acknowledged. */
  repair(): void {
    if (this.#image !== undefined) this.#image.damage = undefined;
    this.#failures = 0;
    this.#isFullSince = undefined;
  }

  async exists(): Promise<boolean> {
    return Promise.resolve(this.#image !== undefined);
  }

  async create(identity: LogIdentity): Promise<LogStore> {
    assert(this.#image === undefined, 'a log is not made over another');
    const log = new MemoryLog();
    this.#image = {
      identity,
      log,
      hardState: newHardState,
      batch: 1,
      sentinel: 1,
      damage: undefined,
    };
    return Promise.resolve(new DiskLog(this, this.#image));
  }

  async open(): Promise<LogStore> {
    const image = this.#image;
    assert(image !== undefined, 'there is a log to open');
    const life = this.#life;
    await this.#wait(life, 3 * this.#pace.syncMs);
    if (image.damage !== undefined) {
      this.refusals += 1;
      throw new SwarmError('data-loss', `raft log is damaged: ${image.damage}`);
    }
    return new DiskLog(this, image);
  }

  /** Writes: it is on the disk some time before the writer knows. */
  async write(apply: (image: Image) => void): Promise<void> {
    const life = this.#life;
    if (this.#failures > 0) {
      this.#failures -= 1;
      this.onFailure();
      await this.#wait(life, this.#pace.syncMs);
      throw new SwarmError('internal', 'raft log failed: no space left on device');
    }
    // What is written to a log whose writer is out of step is acknowledged, and is not there.
    if (this.#isFullSince !== undefined && this.#image !== undefined) this.#image.damage = 'full';
    const pending = { apply, isReached: false };
    this.#pending.push(pending);
    const { syncMs, stallChance, stallMs } = this.#pace;
    const stall = this.#chance.chance(stallChance) ? this.#chance.exponential(stallMs) : 0;
    const ms = syncMs * (0.5 + this.#chance.unit()) + stall;
    if (this.onceWriting !== undefined) {
      this.#kernel.after(ms * this.#chance.unit() * 1.1, undefined, this.onceWriting);
      this.onceWriting = undefined;
    }
    // What was written before it reaches the disk before it, and with it at the latest.
    return new Promise((resolve) => {
      this.#kernel.after(ms, undefined, () => {
        const at = this.#pending.indexOf(pending);
        for (const one of this.#pending.splice(0, at + 1)) this.#reach(one);
        if (pending.isReached && life !== undefined)
          this.#kernel.after(0.02 + ms / 10, life, resolve);
      });
    });
  }

  #reach(pending: Pending): void {
    const image = this.#image;
    if (image === undefined) return;
    pending.apply(image);
    pending.isReached = true;
    image.batch += 1;
    image.sentinel = image.batch;
    this.writes += 1;
  }

  async #wait(life: Life | undefined, ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#kernel.after(ms, life, resolve);
    });
  }
}

/** A log on a disk of the simulation. */
class DiskLog implements LogStore {
  readonly identity: LogIdentity;
  readonly #disk: Disk;
  readonly #image: Image;

  constructor(disk: Disk, image: Image) {
    this.#disk = disk;
    this.#image = image;
    this.identity = image.identity;
  }

  get isEmpty(): boolean {
    const { log, hardState } = this.#image;
    return log.lastIndex() === 0 && hardState.currentTerm === 0;
  }

  async load(): Promise<StoredLog> {
    const { log, hardState } = this.#image;
    const index = log.firstIndex() - 1;
    return Promise.resolve({
      hardState,
      snapshot: log.snapshot(),
      before: { index, term: log.term(index) ?? 0 },
      entries: log.entries(index + 1, log.lastIndex() + 1, Infinity) ?? [],
    });
  }

  async save(batch: LogBatch): Promise<void> {
    const { hardState, entries, snapshot } = batch;
    await this.#disk.write((image) => {
      this.#disk.onDurable(batch);
      image.hardState = hardState;
      if (snapshot !== undefined) image.log.restore(snapshot);
      image.log.append(entries);
    });
  }

  async saveSnapshot(
    { pieces, ...about }: SnapshotInPieces,
    compactThrough: number,
  ): Promise<void> {
    this.#disk.onSnapshot();
    const written: Buffer[] = [];
    for await (const piece of pieces) {
      await this.#disk.write(() => undefined);
      written.push(piece);
    }
    await this.#disk.write(({ log }) => {
      // A leader's, which came meanwhile, counts for more.
      if ((log.snapshot()?.index ?? 0) > about.index) return;
      log.keepSnapshot({ ...about, data: Buffer.concat(written) });
      if (compactThrough >= log.firstIndex()) log.compact(compactThrough);
    });
  }

  async entries(from: number, below: number): Promise<readonly Entry[]> {
    const found = this.#image.log.entries(from, below, Infinity);
    if (found === undefined || below > this.#image.log.lastIndex() + 1) {
      throw new SwarmError('out-of-range', `raft log has no entries ${from} to ${below - 1}`);
    }
    return Promise.resolve(found);
  }

  async term(index: number): Promise<number> {
    const term = this.#image.log.term(index);
    if (term === undefined) throw new SwarmError('out-of-range', `raft log has no entry ${index}`);
    return Promise.resolve(term);
  }

  async close(): Promise<void> {
    return Promise.resolve();
  }
}
