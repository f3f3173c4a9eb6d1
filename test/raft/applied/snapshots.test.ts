import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LevelLog, RaftDriver, type StateMachine } from '../../../src/raft/index.ts';
import { decodeEnvelope } from '../../../src/raft/applied/snapshot-envelope.ts';
import { createLog, CryptoRandom, SystemClock } from '../../../src/runtime/index.ts';
import { logKeys } from '../../support/log-keys.ts';
import { aLogIdentity } from '../../support/memory-log-store.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const itemBytes = 20_000;
/** An item says which it is, and is of a fixed length. */
const anItem = (number: number): Buffer => Buffer.alloc(itemBytes, `${number};`);
const numbersIn = (data: Buffer): number[] =>
  Array.from({ length: data.length / itemBytes }, (_, n) =>
    Number.parseInt(data.toString('latin1', n * itemBytes, n * itemBytes + 10), 10),
  );

/** Remembers items, and gives them one by one. */
class Items implements StateMachine {
  items: Buffer[] = [];
  /** Is called for each piece of a snapshot. */
  onPiece: () => void = () => undefined;

  apply({ data }: { readonly data: Buffer }): void {
    this.items.push(data);
  }

  snapshot(): Iterable<Buffer> {
    return this.#piecesOf([...this.items]);
  }

  restore(data: Buffer): void {
    this.items = numbersIn(data).map(anItem);
  }

  *#piecesOf(items: readonly Buffer[]): Generator<Buffer> {
    for (const item of items) {
      this.onPiece();
      yield item;
    }
  }
}

let directory: TemporaryDirectory;
const stops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  directory = await TemporaryDirectory.create();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await directory[Symbol.asyncDispose]();
});

const keys = logKeys('key');
const config = { snapshotEntries: 100, keptEntries: 10 };

async function start() {
  const path = join(directory.path, 'raft');
  const logStore = (await LevelLog.exists(path))
    ? await LevelLog.open(path, keys)
    : await LevelLog.create(path, aLogIdentity(), keys);
  const machine = new Items();
  const clock = new SystemClock();
  let taken = 0;
  const log = createLog(clock, 'info', {
    write: (line) => {
      if (line.includes('snapshot taken')) taken += 1;
    },
  });
  const deps = {
    clock,
    random: new CryptoRandom(),
    log,
    logStore,
    stateMachine: machine,
    send: () => undefined,
  };
  const driver = logStore.isEmpty
    ? await RaftDriver.found(deps, { addr: 'host:1' }, config)
    : await RaftDriver.open(deps, config);
  const controller = new AbortController();
  const ended = driver.run(controller.signal);
  const stop = async (): Promise<void> => {
    controller.abort();
    await ended;
  };
  stops.push(stop);
  using watch = driver.watchStatus();
  while (!driver.status().isLeader) {
    await watch.changed(controller.signal);
    watch.drain();
  }
  return { driver, machine, stop, taken: () => taken };
}

describe('a snapshot', () => {
  test('is taken while proposals go on, and holds the state at its index, no more and no less', async () => {
    const member = await start();
    const { driver, machine } = member;
    let [begun, committedMeanwhile] = [false, 0];
    machine.onPiece = () => (begun = true);
    for (let number = 1; member.taken() === 0; number += 1) {
      await driver.propose(anItem(number));
      if (begun) committedMeanwhile += 1;
    }
    expect(committedMeanwhile).toBeGreaterThan(1);
    await member.stop();

    const log = await LevelLog.open(join(directory.path, 'raft'), keys);
    const { snapshot, before, entries } = await log.load();
    await log.close();
    const numbers = numbersIn(decodeEnvelope(snapshot?.data ?? Buffer.alloc(0)).store);
    expect(numbers).toEqual(numbers.map((_, position) => position + 1));
    // The first two entries are the member's and the leader's.
    expect(numbers).toHaveLength((snapshot?.index ?? 0) - 2);
    expect(before.index).toBe((snapshot?.index ?? 0) - config.keptEntries);
    expect(entries.length).toBeGreaterThanOrEqual(config.keptEntries + committedMeanwhile);

    const again = await start();
    expect(Buffer.concat(again.machine.items).equals(Buffer.concat(machine.items))).toBe(true);
  });

  test('that is not whole when its process is to end is given up, and the log is as it was', async () => {
    const member = await start();
    const seen = { pieces: 0 };
    let stopped = Promise.resolve();
    member.machine.onPiece = () => {
      seen.pieces += 1;
      if (seen.pieces === 50) stopped = member.stop();
    };
    for (let number = 1; seen.pieces < 50; number += 1) {
      await member.driver.propose(anItem(number)).catch(() => undefined);
    }
    await stopped;
    expect(member.taken()).toBe(0);
    const again = await start();
    // What was on its way when it stopped may be there too.
    const { items } = member.machine;
    expect(
      Buffer.concat(again.machine.items.slice(0, items.length)).equals(Buffer.concat(items)),
    ).toBe(true);
    await expect.poll(() => again.taken(), { timeout: 10_000 }).toBe(1);
  });
});
