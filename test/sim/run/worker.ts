import { writeSync } from 'node:fs';
import { setImmediate } from 'node:timers';
import { drawPlan } from '../world/plan/draw-plan.ts';
import type { Plan, Size } from '../world/plan/plan.ts';
import { isSeldom, marksOf } from '../kernel/marks.ts';
import { runSeed } from './seed.ts';
import { shrink } from './shrink.ts';

/** What a process of the simulation is asked to do. */
export type Job =
  | {
      readonly kind: 'run';
      readonly seed: string;
      readonly size: Size;
      readonly plan?: Plan;
      readonly isLoud?: boolean;
    }
  | {
      readonly kind: 'shrink';
      readonly seed: string;
      readonly size: Size;
      readonly plan?: Plan;
      readonly rule: string;
    }
  | { readonly kind: 'marks'; readonly size: Size };

function carryOut(job: Job): unknown {
  switch (job.kind) {
    case 'run': {
      const { seed, size, plan, isLoud = false } = job;
      const tell = isLoud ? (text: string) => writeSync(1, `${text}\n`) : undefined;
      const { user, system } = process.cpuUsage();
      const outcome = runSeed(seed, size, { plan, tell });
      const used = process.cpuUsage({ user, system });
      return { ...outcome, cpuMs: (used.user + used.system) / 1_000 };
    }
    case 'shrink': {
      const { seed, size, plan, rule } = job;
      return shrink(seed, size, plan ?? drawPlan(seed, size), rule);
    }
    case 'marks':
      return { names: marksOf(job.size), seldom: marksOf(job.size).filter(isSeldom) };
  }
}

// Each job begins in a turn of its own: a world runs all microtasks itself.
process.on('message', (job: Job) => {
  setImmediate(() => process.send?.(carryOut(job)));
});
