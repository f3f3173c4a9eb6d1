import { hostname, machine } from 'node:os';
import { codecOf, isEqual, type NodeDescription } from '../api/index.ts';
import type { NodeDescriptionInput, NodeTLSInfoInput } from '../api/gen/types.ts';
import { type Clock, firstOf, type Log, SwarmError } from '../runtime/index.ts';
import type { Executor } from './execution.ts';

/** What a node says of itself beside what its Engine says. The daemon implements it. */
export interface NodeFacts {
  /** In place of the host name that the Engine tells. */
  readonly hostname?: string;
  /** The root this node trusts and who issued its certificate, as they are now. */
  tlsInfo(): NodeTLSInfoInput;
  /**
   * Resolves when {@link tlsInfo} may have changed.
   *
   * @throws the signal's reason, if `signal` aborts first
   */
  tlsChanged(signal: AbortSignal): Promise<void>;
}

/** The description is read again this often; sooner while the Engine is away. */
const refreshMs = 20_000;
const refreshAwayMs = 2_000;

/** An Engine that has not answered by then is away. */
const answerMs = 5_000;

export interface NodeDescriberDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly executor: Executor;
  readonly facts: NodeFacts;
}

/** This node's description. An Engine that is away is described as it was last known. */
export class NodeDescriber {
  readonly #deps: NodeDescriberDeps;
  #engine: NodeDescriptionInput | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #isAway = false;
  /** The last description, and what it is made of: most are like the one before. */
  #composed: { readonly parts: readonly unknown[]; readonly whole: NodeDescription } | undefined;

  constructor(deps: NodeDescriberDeps) {
    this.#deps = deps;
  }

  /** The description as it is now; of the Engine it may be {@link refreshMs} old. */
  async current(signal: AbortSignal): Promise<NodeDescription> {
    const ageMs = this.#deps.clock.monotonic() - this.#readAtMs;
    if (this.#isAway || ageMs >= refreshMs) await this.#read(signal);
    return this.#compose();
  }

  /** Resolves once the description is no longer the one given. */
  async changedFrom(told: NodeDescription, signal: AbortSignal): Promise<void> {
    const { clock, facts } = this.#deps;
    do {
      const waitMs = this.#isAway ? refreshAwayMs : refreshMs;
      await firstOf(
        signal,
        async (inner) => clock.sleep(waitMs, inner),
        async (inner) => facts.tlsChanged(inner),
      );
      await this.#read(signal);
    } while (isEqual(this.#compose(), told));
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { clock, log, executor } = this.#deps;
    try {
      const engine = await firstOf(
        signal,
        async (inner) => executor.describe(inner),
        async (inner) => {
          await clock.sleep(answerMs, inner);
          throw new SwarmError('unavailable', 'the engine does not answer in time');
        },
      );
      // The same object as long as it says the same.
      if (!isEqual(engine, this.#engine)) this.#engine = engine;
      this.#readAtMs = clock.monotonic();
      if (this.#isAway) log.info('engine is back');
      this.#isAway = false;
    } catch (error) {
      signal.throwIfAborted();
      if (!this.#isAway) log.warn({ err: error }, 'engine is away: its tasks wait for it');
      this.#isAway = true;
    }
  }

  #compose(): NodeDescription {
    const { facts } = this.#deps;
    const parts = [this.#engine, this.#isAway, facts.tlsInfo()] as const;
    const last = this.#composed;
    if (last !== undefined && last.parts.every((part, at) => part === parts[at])) return last.whole;
    const [engine = unknownEngine(), isAway, tlsInfo] = parts;
    const whole = codecOf('NodeDescription').create({
      ...engine,
      ...(isAway ? { engine: { ...engine.engine, engineVersion: awayVersion } } : {}),
      ...(facts.hostname === undefined ? {} : { hostname: facts.hostname }),
      tlsInfo,
    });
    this.#composed = { parts, whole };
    return whole;
  }
}

/** Stands where `node ls` shows the version of an Engine, while that does not answer. */
const awayVersion = 'unreachable';

/** What can be said of a host whose Engine has never answered. */
const unknownEngine = (): NodeDescriptionInput => ({
  hostname: hostname(),
  platform: { architecture: machine(), os: 'linux' },
});
