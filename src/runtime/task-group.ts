import { childOf } from './abort.ts';

/**
 * Runs several loops as one: they start together, and none outlives the group.
 *
 * The first loop to fail aborts the others; the group then waits for every one of them and
 * rejects with that first failure. Aborting `signal` ends the group without a failure.
 */
export async function runTogether(
  signal: AbortSignal,
  loops: ReadonlyArray<(signal: AbortSignal) => Promise<void>>,
): Promise<void> {
  using group = childOf(signal);
  let failure: { readonly error: unknown } | undefined;

  await Promise.all(
    loops.map(async (loop) => {
      using own = childOf(group.signal);
      try {
        await loop(own.signal);
      } catch (error) {
        if (!group.signal.aborted) failure ??= { error };
        group.abort(error);
      }
    }),
  );

  if (failure !== undefined) throw failure.error;
}
