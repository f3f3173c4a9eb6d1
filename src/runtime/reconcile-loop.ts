import { firstOf } from './abort.ts';
import type { Clock } from './clock.ts';

export interface ReconcileTiming {
  /** Quiet time to wait for after a change, so that a burst is handled once. 0: none. */
  readonly settleMs: number;
  /** A burst is handled after this long even if it has not ended. */
  readonly latencyMaxMs: number;
  /** Reconciles this often even if nothing is known to have changed. */
  readonly resyncMs: number;
}

/**
 * The timing of the leader's loops. A loop acts at once on a first change; what arrives while it
 * waits for its own write to commit is the next burst, so bursts settle by themselves. (SwarmKit
 * waits 50 ms for quiet before each round.)
 */
export const promptTiming: ReconcileTiming = { settleMs: 0, latencyMaxMs: 1_000, resyncMs: 60_000 };

/**
 * The one shape of a control loop: reconcile now, then again after each burst of changes, and
 * from time to time regardless.
 *
 * `reconcile` is not told what changed. It reads the state and acts on that alone, so the run
 * after a restart and the run after a missed event are the same code as the common one.
 */
export async function runReconcileLoop(
  { clock, timing }: { readonly clock: Clock; readonly timing: ReconcileTiming },
  nextChange: (signal: AbortSignal) => Promise<void>,
  reconcile: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await reconcile(signal);
    await firstOf(signal, nextChange, async (inner) => clock.sleep(timing.resyncMs, inner));
    if (timing.settleMs > 0) await settle(clock, timing, nextChange, signal);
  }
}

/** Waits until nothing has changed for a while, or for as long as a burst may last. */
async function settle(
  clock: Clock,
  timing: ReconcileTiming,
  nextChange: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.monotonic() + timing.latencyMaxMs;
  let quiet = false;
  while (!quiet && clock.monotonic() < deadline) {
    const wait = Math.min(timing.settleMs, deadline - clock.monotonic());
    quiet = await firstOf(
      signal,
      async (inner) => nextChange(inner).then(() => false),
      async (inner) => clock.sleep(wait, inner).then(() => true),
    );
  }
}
