import { codecOf } from '../api/index.ts';
import {
  childOf,
  type Clock,
  type Log,
  messageOf,
  type Random,
  runTogether,
} from '../runtime/index.ts';
import { NodeDescriber, type NodeFacts } from './description.ts';
import type { Executor } from './execution.ts';
import { LogPublisher } from './log-publisher.ts';
import {
  type ManagerConnection,
  type Managers,
  type NodeObserver,
  Session,
  type SessionDeps,
  type SessionMemory,
  withWayOn,
} from './session.ts';
import { StatusReporter } from './status-reporter.ts';
import { openTaskStore, type TaskStore } from './task-store.ts';
import { Worker } from './worker.ts';

export interface AgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly managers: Managers;
  readonly executor: Executor;
  readonly observer: NodeObserver;
  readonly facts: NodeFacts;
  /** Asked when the agent ends: whether its node leaves the swarm. Otherwise it only stops. */
  readonly isLeaving?: () => boolean;
  /** In place of the one in the state directory. The agent closes it when it ends. */
  readonly store?: TaskStore;
}

export interface AgentConfig {
  readonly nodeId: string;
  /** The node's state directory. The agent's part of it is `worker`. */
  readonly statePath: string;
}

/**
 * After a session that broke another manager is tried at once. After a failure without another one
 * to try, the next try is within this; twice that and more after each further failure.
 */
const backoffMs = { first: 100, max: 8_000 };

/** However often managers want to hear of a node, it may pause as long as this between two tries. */
const pauseMsMin = 1_000;

/** A session that lasted this long was a good one: the next failure counts as the first. */
const goodSessionMs = 1_000;

/**
 * How long to wait at most after one more failure: as in swarmkit agent/session.go, but no longer
 * than the managers want to wait for a heartbeat. A manager that comes back gives its nodes some
 * periods to be heard of; an agent that sleeps through them would lose its tasks for nothing.
 */
function nextBackoffMs(previousMs: number, beatMs: number = backoffMs.max): number {
  // A period may have fractions of a millisecond: managers spread theirs by chance.
  const longestMs = Math.min(Math.max(Math.floor(beatMs), pauseMsMin), backoffMs.max);
  return Math.min(backoffMs.first + 2 * previousMs, longestMs);
}

/**
 * Runs the tasks of this node, and keeps a session with some manager to hear of them. Without a
 * manager the tasks go on; aborted, it leaves the containers as they are.
 *
 * @throws SwarmError failed-precondition, if another process uses the state directory
 */
export async function runAgent(
  deps: AgentDeps,
  config: AgentConfig,
  signal: AbortSignal,
): Promise<void> {
  await using store = deps.store ?? (await openTaskStore(deps, config.statePath));
  const reporter = new StatusReporter();
  const worker = new Worker({ ...deps, store, reporter }, config);
  const session: SessionDeps = {
    ...deps,
    reporter,
    worker,
    describer: new NodeDescriber(deps),
    logs: new LogPublisher({ log: deps.log, worker }, config),
  };
  await runTogether(signal, [
    async (inner) => worker.run(inner),
    async (inner) => keepSession(deps, session, inner),
  ]);
}

/**
 * Stops and removes every container of this node, as it must before it leaves the swarm. The
 * agent must not run. It takes as long as the containers take to stop, and waits for the Engine.
 *
 * @throws the signal's reason, if `signal` aborts first; what {@link runAgent} throws
 */
export async function removeAllTasks(
  deps: Pick<AgentDeps, 'clock' | 'log' | 'executor' | 'store'>,
  config: AgentConfig,
  signal: AbortSignal,
): Promise<void> {
  await using store = deps.store ?? (await openTaskStore(deps, config.statePath));
  const worker = new Worker({ ...deps, store, reporter: new StatusReporter() }, config);
  using life = childOf(signal);
  await runTogether(life.signal, [
    async (inner) => worker.run(inner),
    async (inner) => {
      await worker.apply(codecOf('AssignmentsMessage').create({ type: 'COMPLETE' }));
      await worker.emptied(inner);
      life.abort();
    },
  ]);
  signal.throwIfAborted();
}

/** Session after session, for as long as the agent runs. */
async function keepSession(
  { clock, random, log, observer }: AgentDeps,
  deps: SessionDeps,
  signal: AbortSignal,
): Promise<void> {
  const memory: SessionMemory = {
    sessionId: '',
    node: undefined,
    rootCa: '',
    beatMs: undefined,
  };
  let waitMs = 0;
  let failed: string | undefined;
  for (;;) {
    const startedAtMs = clock.monotonic();
    let address: string | undefined;
    try {
      using manager = deps.managers.connect(failed);
      ({ address } = manager);
      await holdSession(deps, manager, memory, signal);
      failed = undefined;
      log.info('node has changed: its description is told anew');
      observer.sessionClosed(undefined);
      waitMs = 0;
    } catch (thrown) {
      const error = withWayOn(thrown);
      observer.sessionClosed(signal.aborted ? undefined : error);
      signal.throwIfAborted();
      log.warn({ err: messageOf(error) }, 'session failed');
      const wasGood = clock.monotonic() - startedAtMs >= goodSessionMs;
      waitMs = nextBackoffMs(wasGood ? 0 : waitMs, memory.beatMs);
      failed = address;
      const isUrgent = wasGood && address !== undefined && deps.managers.hasOther?.(address);
      if (isUrgent !== true) await clock.sleep(random.integer(waitMs), signal);
    }
  }
}

/** One session with some manager, which is chosen less likely again if it fails. */
async function holdSession(
  deps: SessionDeps,
  manager: ManagerConnection,
  memory: SessionMemory,
  signal: AbortSignal,
): Promise<void> {
  try {
    await new Session(deps, manager, memory).run(signal);
  } catch (error) {
    if (!signal.aborted) manager.observe('bad');
    throw error;
  }
}
