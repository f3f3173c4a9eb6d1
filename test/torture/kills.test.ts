import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plan, replay, seeded } from './plan.ts';
import { newDirectory } from './stopped-manager.ts';
import { CompiledWriters, type Writer } from './writer-process.ts';

let writers: CompiledWriters;
let directory: string;
beforeAll(() => {
  writers = new CompiledWriters();
  directory = newDirectory();
});
afterAll(() => {
  writers[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

/** Through the driver a process takes long to start, so fewer of them are killed. */
const throughDriver = Math.ceil(plan.kills / 10);

/** Kills a process that writes, again and again; the log is one. */
async function killAgainAndAgain(name: 'log-writer' | 'driver-writer', kills: number) {
  const below = seeded(plan.seed);
  const orders = { directory: join(directory, name), entryBytes: 2_000, snapshotBytes: 300_000 };
  const waiting: Writer[] = [];
  let [acknowledged, opened] = [0, 0];
  for (let life = 0; life < kills; life += 1) {
    while (waiting.length < 2) waiting.push(writers.start(name));
    const writer = waiting.shift() ?? writers.start(name);
    // One in five is killed as it opens its log.
    const lived = await (below(5) === 0
      ? writer.liveFor(orders, below(40))
      : writer.writeMoreThan(orders, below(30)));
    expect(lived.complaint, `life ${life}`).toBe('');
    expect(lived.found ?? acknowledged, `life ${life}`).toBeGreaterThanOrEqual(acknowledged);
    if (lived.found !== undefined) opened += 1;
    acknowledged = Math.max(acknowledged, lived.acknowledged);
  }
  for (const writer of waiting) await writer.kill();
  process.stdout.write(
    `${kills} kills of ${name}: ${opened} opened, ${acknowledged} acknowledged\n`,
  );
  return { opened, acknowledged };
}

describe(`a process that is killed at any moment (${replay})`, () => {
  test('loses no entry that its log acknowledged, nor alters one', async () => {
    const kills = plan.kills - throughDriver;
    const { opened, acknowledged } = await killAgainAndAgain('log-writer', kills);
    expect(opened).toBeGreaterThan(kills / 2);
    expect(acknowledged).toBeGreaterThan(kills);
  }, 3_600_000);

  test('loses no proposal that its driver acknowledged, nor finds one twice', async () => {
    const { opened, acknowledged } = await killAgainAndAgain('driver-writer', throughDriver);
    expect(opened).toBeGreaterThan(throughDriver / 3);
    expect(acknowledged).toBeGreaterThan(throughDriver);
  }, 3_600_000);
});
