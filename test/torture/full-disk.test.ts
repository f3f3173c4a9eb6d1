import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plan, replay, seeded } from './plan.ts';
import { newDirectory } from './stopped-manager.ts';
import { CompiledWriters, type Life, type Writer } from './writer-process.ts';

const isRoot = process.getuid?.() === 0;
const rounds = 20;

describe.skipIf(!isRoot)(`a disk that is full (${replay})`, () => {
  let writers: CompiledWriters;
  let directory: string;
  let disk: string;
  beforeAll(() => {
    writers = new CompiledWriters();
    directory = newDirectory();
    disk = join(directory, 'disk');
    mkdirSync(disk);
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'swarmd-torture', disk]);
    if (status !== 0) throw new Error('a tmpfs cannot be mounted');
  });
  afterAll(() => {
    spawnSync('umount', [disk]);
    writers[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  /** Leaves so many bytes of the disk free, at most. */
  function fill(free: number): void {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, 'filler'), Buffer.alloc(Math.max(0, bavail * bsize - free)));
  }

  test(
    'ends the process loudly; once it is freed nothing is missing, and more can be written',
    async () => {
      const below = seeded(plan.seed);
      const orders = { directory: join(disk, 'log'), entryBytes: 2_000, snapshotBytes: 5_000 };
      let waiting: Writer = writers.start('log-writer');
      const next = (): Writer => {
        const writer = waiting;
        waiting = writers.start('log-writer');
        return writer;
      };
      let acknowledged = 0;
      /** Nothing that was ever acknowledged is missing or altered. */
      const check = (lived: Life, round: number): void => {
        expect(lived.complaint, `round ${round}`).not.toMatch(/^wrong|data-loss|damaged/mu);
        expect(lived.found ?? acknowledged, `round ${round}`).toBeGreaterThanOrEqual(acknowledged);
        acknowledged = Math.max(acknowledged, lived.acknowledged);
      };
      check(await next().writeMoreThan(orders, 1), 0);
      for (let round = 1; round <= rounds; round += 1) {
        // What is compacted stays on the disk for a while: much more would fill it by itself.
        fill(below(100_000));
        const failed = await next().writeUntilItFails(orders);
        expect(failed.complaint, `round ${round}`).toMatch(/no space left on device/iu);
        check(failed, round);
        rmSync(join(disk, 'filler'));
        const before = acknowledged;
        const killed = await next().writeMoreThan(orders, 1 + below(10));
        expect(killed.complaint, `round ${round}`).toBe('');
        check(killed, round);
        expect(acknowledged, `round ${round}`).toBeGreaterThan(before);
      }
      await waiting.kill();
      process.stdout.write(`${rounds} full disks: ${acknowledged} entries acknowledged\n`);
    },
    20 * 60_000,
  );
});
