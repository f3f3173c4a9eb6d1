import { Stream } from '../kernel/streams.ts';
import type { DiskPace } from '../ports/disk.ts';
import type { EnginePace } from '../ports/engine.ts';
import type { Weather } from '../ports/wires.ts';

/** What a world is like, beside what happens to it. */
export interface Setting {
  readonly hasCodec: boolean;
  readonly weather: Weather;
  readonly disk: DiskPace;
  readonly engine: EnginePace;
  readonly heartbeatMs: number;
  readonly snapshotEntries: number;
  /** Which managers take messages of Raft by a stream: the others are as stock ones are. */
  readonly streams: 'all' | 'some' | 'none';
}

/** An Engine that has what it needs, on a host that is not busy. */
export const ordinaryEngine: EnginePace = { pullMs: 300, startMs: 80, stopMs: 150 };

/** Most worlds are ordinary in most things, and strange in one or two. */
export function drawSetting(seed: string): Setting {
  const chance = new Stream(seed, 'setting');
  const late = new Stream(seed, 'late');
  const isRare = (): boolean => chance.chance(0.15);
  return {
    hasCodec: chance.chance(0.1),
    weather: {
      delayMs: isRare() ? chance.between(5, 60) : 0.2,
      jitterMs: isRare() ? chance.between(5, 80) : 0.5,
      loss: isRare() ? chance.between(0.005, 0.08) : 0,
      repeat: isRare() ? chance.between(0.005, 0.05) : 0,
      repeatLate: late.chance(0.4) ? late.between(0.01, 0.1) : 0,
    },
    disk: {
      syncMs: isRare() ? chance.between(10, 80) : 2,
      stallChance: isRare() ? chance.between(0.001, 0.02) : 0,
      stallMs: 1_500,
    },
    engine: {
      pullMs: isRare() ? chance.between(2_000, 8_000) : ordinaryEngine.pullMs,
      startMs: isRare() ? chance.between(500, 2_000) : ordinaryEngine.startMs,
      stopMs: isRare() ? chance.between(2_000, 8_000) : ordinaryEngine.stopMs,
    },
    heartbeatMs: isRare() ? chance.pick([1_000, 2_000, 3_000, 10_000]) : 5_000,
    snapshotEntries: chance.pick([40, 100, 250, 1_000]),
    streams: chance.pick(['all', 'all', 'some', 'none']),
  };
}
