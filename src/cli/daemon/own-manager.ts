import type { Renewal, SecurityConfig } from '../../ca/index.ts';
import {
  childOf,
  type Clock,
  firstOf,
  isSwarmError,
  type Log,
  messageOf,
  runTogether,
} from '../../runtime/index.ts';
import { withWayOn } from '../../worker/index.ts';

/** A manager that is opened and not run yet. */
interface OpenManager extends AsyncDisposable {
  serving(signal: AbortSignal): Promise<void>;
  run(signal: AbortSignal): Promise<'removed' | 'ended'>;
}

/** The log of this node's manager, as far as it comes and goes with the role. */
interface ManagerLog {
  readonly exists: boolean;
  /** Forgets it: this node's manager is no member any more, and never will be by this log. */
  drop(): void;
}

interface OwnManagerDeps<M extends OpenManager> {
  readonly clock: Clock;
  readonly log: Log;
  readonly security: Pick<SecurityConfig, 'current' | 'watch'>;
  readonly renewal: Pick<Renewal, 'renewNow'>;
  readonly managerLog: ManagerLog;
  /** Comes back by its log; without one it founds or joins. */
  readonly open: () => Promise<M>;
  /** It answers from now on; or, without one, this node has none for now, as worker or as manager. */
  readonly changed: (manager: M | undefined) => void;
}

/**
 * How long a manager that was removed waits to become a worker, before it asks, and again before it
 * joins anew. swarmkit node/node.go
 */
const roleWaitMs = 16_000;
/** The pauses between attempts to join, each twice the one before. moby daemon/cluster/noderunner.go */
const retryPauseMs = 100;
const retryPauseMsMax = 30_000;

/**
 * This node's manager: there while the node's certificate says that it is one. It comes with a
 * promotion and goes with a demotion, and nothing else of the node notices.
 *
 * A step that a crash cut short is made again: a manager without a log joins, a worker's log is
 * dropped.
 */
export class OwnManager<M extends OpenManager> {
  readonly #deps: OwnManagerDeps<M>;
  #error = '';

  constructor(deps: OwnManagerDeps<M>) {
    this.#deps = deps;
  }

  /** Why it could not join so far; empty otherwise. */
  get error(): string {
    return this.#error;
  }

  /**
   * Runs until the signal aborts.
   *
   * @param entry `first`, if whoever started this node waits for it to join: it is told at once of
   *   what will not go better later
   * @throws what broke a manager that is a member
   */
  async run(entry: 'first' | 'later', signal: AbortSignal): Promise<void> {
    const { security, managerLog } = this.#deps;
    using changes = security.watch();
    let isFirst = entry === 'first';
    while (!signal.aborted) {
      if (!this.#isManager) {
        managerLog.drop();
        this.#deps.changed(undefined);
        await changes.changed(signal);
        changes.drain();
        continue;
      }
      const ending = await firstOf(
        signal,
        async (inner) => this.#manage(isFirst, inner),
        async (inner) => this.#whileManager(inner),
      );
      isFirst = false;
      if (ending === 'removed') await this.#afterRemoval(signal);
    }
  }

  get #isManager(): boolean {
    return this.#deps.security.current.role === 'swarm-manager';
  }

  /** Resolves once the certificate says that this node is a worker. */
  async #whileManager(signal: AbortSignal): Promise<'demoted'> {
    using changes = this.#deps.security.watch();
    while (this.#isManager) {
      await changes.changed(signal);
      changes.drain();
    }
    return 'demoted';
  }

  /** Runs the manager. One that is no member yet tries to become one until it is. */
  async #manage(isFirst: boolean, signal: AbortSignal): Promise<'removed' | 'ended'> {
    const { clock, log, managerLog } = this.#deps;
    for (let pauseMs = retryPauseMs; ; pauseMs = Math.min(2 * pauseMs, retryPauseMsMax)) {
      try {
        return await this.#runOnce(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (managerLog.exists || (isFirst && !mayPass(error))) throw error;
        const told = withWayOn(error);
        this.#error = messageOf(told);
        log.warn({ err: told, pauseMs }, 'this node could not join the managers yet');
        await clock.sleep(pauseMs, signal);
      }
    }
  }

  async #runOnce(signal: AbortSignal): Promise<'removed' | 'ended'> {
    const { open, changed } = this.#deps;
    await using manager = await open();
    using life = childOf(signal);
    let ending: 'removed' | 'ended' = 'ended';
    try {
      await runTogether(life.signal, [
        async (inner) => {
          ending = await manager.run(inner);
          life.abort();
        },
        async (inner) => {
          await manager.serving(inner);
          this.#error = '';
          changed(manager);
        },
      ]);
      return ending;
    } finally {
      changed(undefined);
    }
  }

  /**
   * The others have taken this manager out of their group: its node is to be a worker, as it will
   * hear; or to be a manager again, and then it joins as a new member.
   */
  async #afterRemoval(signal: AbortSignal): Promise<void> {
    const { log, managerLog, renewal, clock } = this.#deps;
    log.info({}, 'this manager was removed from the raft group');
    managerLog.drop();
    for (const isLast of [false, true]) {
      const isWorker = await firstOf(
        signal,
        async (inner) => this.#whileManager(inner).then(() => true),
        async (inner) => clock.sleep(roleWaitMs, inner).then(() => false),
      );
      if (isWorker) return;
      if (!isLast) renewal.renewNow();
    }
  }
}

/** Whether an attempt to join may go better a moment later. */
const mayPass = (error: unknown): boolean =>
  (['unavailable', 'deadline-exceeded', 'aborted', 'unknown'] as const).some((code) =>
    isSwarmError(error, code),
  );
