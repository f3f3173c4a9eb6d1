import { type Clock, firstOf, type Log } from '../../runtime/index.ts';
import type { StoreEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';

/** What every loop of the orchestrator is given. */
export interface LoopDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a loop does; it is handed every event and decides by itself which of them matter. */
export interface Loop {
  /** Which events to hand over. */
  wants(event: StoreEvent): boolean;

  /** Notes what an event calls for. Synchronous: it only marks. */
  note(event: StoreEvent): void;

  /** Notes that everything is to be looked at: at the start, and from time to time. */
  noteAll(): void;

  /** Does what was noted, and what has come due, from the state as it now is. */
  work(): Promise<void>;

  /** When {@link work} is due even if nothing happens, by the monotonic clock; or `Infinity`. */
  nextAt(): number;
}

/** Everything is looked at again this often, whatever was noted. */
const resyncMs = 60_000;

/**
 * The shape of the leader's loops that keep services running: note what changed, then act on the
 * state as it stands. What changes while a loop waits for its own writes is its next burst.
 *
 * An event only says what to look at; every decision is made inside a transaction, from what the
 * store holds, so a loop that starts late or is told to resync does the same work as one that saw
 * everything.
 */
export async function runLoop(
  { store, clock }: LoopDeps,
  loop: Loop,
  signal: AbortSignal,
): Promise<void> {
  using events = store.subscribe((event) => loop.wants(event));
  let resyncAt = -Infinity;
  while (!signal.aborted) {
    const noted = events.drain();
    if (noted !== 'resync') for (const event of noted) loop.note(event);
    if (noted === 'resync' || clock.monotonic() >= resyncAt) {
      loop.noteAll();
      resyncAt = clock.monotonic() + resyncMs;
    }
    await loop.work();
    const waitMs = Math.min(loop.nextAt(), resyncAt) - clock.monotonic();
    await untilChange(clock, events, { waitMs, signal });
  }
}

async function untilChange(
  clock: Clock,
  events: { changed(signal: AbortSignal): Promise<void> },
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  if (waitMs <= 0) return;
  try {
    await firstOf(
      signal,
      async (inner) => events.changed(inner),
      async (inner) => clock.sleep(waitMs, inner),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
