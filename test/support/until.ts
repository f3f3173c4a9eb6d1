import { SystemClock } from '../../src/runtime/index.ts';

const clock = new SystemClock();
const { signal: never } = new AbortController();

/** Who is waited for. */
export interface Awaited {
  readonly name: string;
  /** Whether it never will: it has ended. */
  readonly hasEnded?: () => boolean;
  /** The last lines of its log, for whoever reads of the failure. */
  readonly lastWords: () => string;
}

/** Waits until something is true of somebody. What fails with an error is not true yet. */
export async function until(
  { name, hasEnded = () => false, lastWords }: Awaited,
  what: string,
  isSo: () => Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = clock.monotonic() + timeoutMs;
  for (;;) {
    if (await isSo().catch(() => false)) return;
    const reason = hasEnded()
      ? 'has ended'
      : clock.monotonic() > deadline
        ? `took longer than ${timeoutMs} ms`
        : undefined;
    if (reason !== undefined) {
      throw new Error(`${name} was to ${what} and ${reason}:\n${lastWords()}`);
    }
    await clock.sleep(50, never);
  }
}
