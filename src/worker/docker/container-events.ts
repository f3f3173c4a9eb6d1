import { type Clock, type Log, type Subscription, Watch } from '../../runtime/index.ts';
import type { ContainerEvent, Engine } from './engine-port.ts';

/** How long to wait before the Engine is asked again for its events: more each time it fails. */
const retryMinMs = 100;
const retryMaxMs = 5_000;

export interface ContainerEventsDeps {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * What happens to all containers of this Engine, over one connection, however many tasks there
 * are. Whoever waits for a container subscribes first, looks at it, and looks again whenever the
 * subscription has changed. A gap in the events makes every subscription change: nothing is missed.
 */
export class ContainerEvents {
  readonly #deps: ContainerEventsDeps;
  readonly #watch = new Watch<ContainerEvent>();

  constructor(deps: ContainerEventsDeps) {
    this.#deps = deps;
  }

  /** The events of one container. */
  subscribe(name: string): Subscription<ContainerEvent> {
    return this.#watch.subscribe((event) => event.name === name, 100);
  }

  /** Receives the events, from one Engine after another if it is restarted, until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    let waitMs = retryMinMs;
    for (;;) {
      try {
        for await (const event of this.#deps.engine.events(signal)) {
          if (event === 'connected') {
            waitMs = retryMinMs;
            this.#watch.resync();
          } else {
            this.#watch.publish(event);
          }
        }
        log.warn('the docker engine ended its events');
      } catch (error) {
        if (signal.aborted) break;
        log.warn({ err: error }, 'no events from the docker engine');
      }
      await clock.sleep(waitMs, signal).catch(() => undefined);
      if (signal.aborted) break;
      waitMs = Math.min(waitMs * 2, retryMaxMs);
    }
  }
}
