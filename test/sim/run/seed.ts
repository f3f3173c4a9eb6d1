import { sealed } from '../kernel/sealed.ts';
import type { Mark } from '../kernel/marks.ts';
import { drawPlan } from '../world/plan/draw-plan.ts';
import type { Plan, Size } from '../world/plan/plan.ts';
import { type Turns, World } from '../world/world.ts';

/** What became of one seed. */
export interface Outcome extends Turns {
  readonly seed: string;
  readonly hash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly marks: readonly Mark[];
  readonly violation:
    | { readonly rule: string; readonly message: string; readonly at: number }
    | undefined;
}

/** Runs one world from its beginning to its end, or to the first rule that is broken. */
export function runSeed(
  seed: string,
  size: Size,
  also: {
    readonly plan?: Plan | undefined;
    readonly tell?: ((text: string) => unknown) | undefined;
  } = {},
): Outcome {
  const { plan = drawPlan(seed, size), tell } = also;
  return sealed(() => {
    const world = new World({ seed, size, plan, ...(tell === undefined ? {} : { tell }) });
    const { kernel } = world;
    const lost = (error: unknown): void => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      kernel.violate('no-exception', `nobody waited for this: ${text}`);
    };
    process.on('unhandledRejection', lost);
    try {
      world.run();
    } catch (error) {
      lost(error);
    } finally {
      process.off('unhandledRejection', lost);
    }
    const { violation, now, hash, events } = kernel;
    return {
      seed,
      hash,
      events,
      virtualMs: violation?.at ?? now,
      marks: [...world.marks.seen],
      ...world.turns,
      violation: violation && {
        rule: violation.rule,
        message: violation.message,
        at: violation.at,
      },
    };
  }, tell !== undefined);
}
