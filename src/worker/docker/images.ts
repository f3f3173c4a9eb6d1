import {
  type ChildAbort,
  childOf,
  type Clock,
  firstOf,
  type Log,
  messageOf,
  orAborted,
  SwarmError,
} from '../../runtime/index.ts';
import { isDigest, isImageId } from './config/image.ts';
import type { Engine } from './engine-port.ts';

export interface ImagesDeps {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ImageSettings {
  /** How long a registry may take to answer at all, where the image is here already. */
  readonly patienceMs: number;
  /** How long a failed pull of an image that is here already is not tried again. */
  readonly retryMs: number;
  /** Never asks a registry for an image that is here. */
  readonly prefersLocal: boolean;
}

export const imageDefaults: ImageSettings = {
  patienceMs: 3_000,
  retryMs: 60_000,
  prefersLocal: false,
};

interface Pull {
  readonly done: Promise<void>;
  readonly abort: ChildAbort;
  waiting: number;
}

/**
 * Gets the images of tasks. As in the original, an image is pulled even if it is here, for its tag
 * may have moved on; and if that fails, the one that is here will do.
 *
 * Unlike there, the tasks of one image share a pull, and a registry that is silent costs a task
 * whose image is here {@link ImageSettings.patienceMs} at most, and the next ones nothing.
 */
export class Images {
  readonly #deps: ImagesDeps;
  readonly #settings: ImageSettings;
  readonly #pulls = new Map<string, Pull>();
  /** When a failed pull may be tried again, by image. As many entries as images: few. */
  readonly #retryAt = new Map<string, number>();

  constructor(deps: ImagesDeps, settings: ImageSettings = imageDefaults) {
    this.#deps = deps;
    this.#settings = settings;
  }

  /**
   * Returns once the image is as new as can be had. It may still be missing: to create a container
   * of it then fails.
   */
  async obtain(image: string, auth: string | undefined, signal: AbortSignal): Promise<void> {
    if (isImageId(image)) return;
    const { engine, clock, log } = this.#deps;
    const isHere = await engine.hasImage(image, signal);
    if (isHere && (isDigest(image) || this.#settings.prefersLocal)) return;
    const key = `${image} ${auth ?? ''}`;
    if (isHere && (this.#retryAt.get(key) ?? -Infinity) > clock.monotonic()) return;
    try {
      await this.#shared(key, signal, async (inner) => this.#pull({ image, auth, isHere }, inner));
      this.#retryAt.delete(key);
    } catch (error) {
      signal.throwIfAborted();
      this.#retryAt.set(key, clock.monotonic() + this.#settings.retryMs);
      log.warn({ image, err: messageOf(error) }, 'pulling image failed');
    }
  }

  async #pull(
    { image, auth, isHere }: { image: string; auth: string | undefined; isHere: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { engine, clock } = this.#deps;
    const registry = { mayTakeLong: !isHere };
    await firstOf(
      signal,
      async (inner) => {
        for await (const _ of engine.pullImage(image, auth, inner)) registry.mayTakeLong = true;
      },
      async (inner) => {
        do await clock.sleep(this.#settings.patienceMs, inner);
        while (registry.mayTakeLong);
        throw new SwarmError('deadline-exceeded', 'the registry does not answer');
      },
    );
  }

  /** Joins the pull that is under way, or starts it. The last to lose interest ends it. */
  async #shared(
    key: string,
    signal: AbortSignal,
    start: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    let pull = this.#pulls.get(key);
    if (pull === undefined) {
      const abort = childOf(new AbortController().signal);
      pull = { abort, waiting: 0, done: start(abort.signal) };
      this.#pulls.set(key, pull);
      // Whoever still waits is told; nobody may.
      void pull.done.catch(() => undefined);
    }
    pull.waiting += 1;
    try {
      await orAborted(pull.done, signal);
    } finally {
      pull.waiting -= 1;
      if (pull.waiting === 0) {
        pull.abort.abort();
        this.#pulls.delete(key);
      }
    }
  }
}
