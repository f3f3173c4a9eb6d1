import {
  type AgentWord,
  agentWordName,
  type Frozen,
  isEqual,
  type Node,
  type RpcConnection,
} from '../api/index.ts';
import type {
  NodeDescriptionInput,
  SessionMessage,
  TaskStatusInput,
  UpdateTaskStatusRequestTaskStatusUpdateInput,
} from '../api/gen/types.ts';
import {
  childOf,
  type Clock,
  firstOf,
  isSwarmError,
  type Log,
  orAborted,
  runTogether,
  SwarmError,
} from '../runtime/index.ts';
import type { NodeDescriber } from './description.ts';
import type { LogPublisher } from './log-publisher.ts';
import type { StatusReporter, TaskReport } from './status-reporter.ts';
import type { Worker } from './worker.ts';

/** A connection to one manager, which learns how well it went. */
export interface ManagerConnection extends RpcConnection {
  /** `host:port`, or the path of a socket. */
  readonly address: string;
  /** The manager served this node, or failed to: it is chosen more often, or less. */
  observe(outcome: 'good' | 'bad'): void;
}

/** The managers this node knows. The daemon implements it. */
export interface Managers {
  /**
   * Opens a connection to one of them, chosen by chance and by how well they served.
   *
   * @param failed the address of one that is called only if there is no other
   * @throws SwarmError unavailable, if none is known
   */
  connect(failed?: string): ManagerConnection;

  /** Whether there is another one to call than that at this address. */
  hasOther?(address: string): boolean;

  /** The full list, as a manager gives it. Never empty: a list that is empty is not passed on. */
  learn(peers: ReadonlyArray<{ readonly nodeId: string; readonly addr: string }>): void;
}

/** What the agent tells its node. The daemon implements it. */
export interface NodeObserver {
  /** This node's object has changed: its role, its certificate's state, its labels, … */
  nodeChanged(node: Node): void;
  /** The managers trust another root, PEM. */
  rootCaChanged(pem: string): void;
  sessionOpened(session: { readonly address: string; readonly sessionId: string }): void;
  /** @param error why; `undefined` if the agent itself ended it */
  sessionClosed(error: unknown): void;
}

export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly managers: Managers;
  readonly observer: NodeObserver;
  readonly describer: NodeDescriber;
  readonly worker: Worker;
  readonly reporter: StatusReporter;
  readonly logs: LogPublisher;
  /** Whether this node ends for good: it says so, and is not waited for. */
  readonly isLeaving?: () => boolean;
}

/** What the agent keeps from one session to the next. */
export interface SessionMemory {
  /** The last session's, offered to the next manager. */
  sessionId: string;
  /** This node as the managers last described it. */
  node: Node | undefined;
  /** The root of trust as the managers last gave it, PEM. */
  rootCa: string;
  /** How often the managers last wanted to hear that this node lives. */
  beatMs: number | undefined;
}

/** A manager that has not opened the session by then will not. */
const openingMs = 5_000;
const callDeadlineMs = 5_000;
/** An agent that ends takes no longer than this to say so. */
const goodbyeMs = 500;

/** What happens to a task within so short a time is told in one call. */
const reportSettleMs = 10;
/** A busy agent tells what has happened this often, and no more often, however much it is. */
const reportGapMs = 50;
/** A manager that cannot take a report now, as when it has no leader, is asked again after this. */
const reportRetryMs = 200;

/** An assignment stream with a gap is opened anew, but not faster than this. */
const reopenMs = 100;

/** Heartbeats come at least this far apart, whatever a manager says, and at most. */
const heartbeatMs = { min: 100, max: 60 * 60_000, fallback: 5_000 };

/**
 * How long to wait for the next heartbeat. A manager that gives no period, or none that is
 * positive, gets SwarmKit's default: taken at its word it would be asked without a pause.
 */
function heartbeatDelayMs(
  period: { readonly seconds: string; readonly nanos: number } | null,
): number {
  const ms = Number(period?.seconds ?? 0) * 1_000 + (period?.nanos ?? 0) / 1_000_000;
  if (!(ms > 0)) return heartbeatMs.fallback;
  return Math.min(Math.max(ms, heartbeatMs.min), heartbeatMs.max);
}

/**
 * How long a heartbeat may take. A node is down after three periods of silence: where they are
 * short, one that waits as long as for anything else has no time left to ask another manager.
 */
const beatDeadlineMs = (periodMs: number): number =>
  Math.min(callDeadlineMs, Math.max(beatDeadlineMsMin, periodMs));
const beatDeadlineMsMin = 1_000;

/**
 * One session with one manager: this node registers, then says that it lives, hears what it is to
 * run and tells what became of it.
 */
export class Session {
  readonly #deps: SessionDeps;
  readonly #manager: ManagerConnection;
  readonly #memory: SessionMemory;

  constructor(deps: SessionDeps, manager: ManagerConnection, memory: SessionMemory) {
    this.#deps = deps;
    this.#manager = manager;
    this.#memory = memory;
  }

  /**
   * Runs until this node's description is out of date: it is then to be told in a new session.
   *
   * @throws SwarmError, once the session is lost; the signal's reason, if `signal` aborts
   */
  async run(signal: AbortSignal): Promise<void> {
    using life = childOf(signal);
    const { describer, logs } = this.#deps;
    const described = await describer.current(life.signal);
    const request = {
      description: described as NodeDescriptionInput, // Encoding does not write to it.
      sessionId: this.#memory.sessionId,
    };
    const stream = this.#manager.serverStream('Dispatcher', 'Session', request, {
      signal: life.signal,
      metadata: saying('returns'),
    });
    const messages = stream[Symbol.asyncIterator]();
    let isOpen = false;
    try {
      await this.#hear(await this.#opening(messages, life.signal));
      isOpen = true;
      this.#opened();
      await runTogether(life.signal, [
        async (inner) => this.#beat(inner),
        async (inner) => this.#listen(messages, inner),
        async (inner) => this.#receiveAssignments(inner),
        async (inner) => this.#sendStatuses(inner),
        async (inner) => logs.run(this.#manager, inner),
        async (inner) => {
          await describer.changedFrom(described, inner);
          life.abort();
        },
      ]);
    } finally {
      life.abort();
      if (isOpen && signal.aborted) await this.#sayGoodbye();
    }
    signal.throwIfAborted();
  }

  /** Says that this agent ends, so that its node is not waited for as if it were only silent. */
  async #sayGoodbye(): Promise<void> {
    const { isLeaving, log } = this.#deps;
    const { sessionId } = this.#memory;
    const metadata = saying(isLeaving?.() === true ? 'leaves' : 'stops');
    const { signal } = new AbortController(); // The agent's own has aborted.
    const options = { signal, deadlineMs: goodbyeMs, metadata };
    try {
      await this.#manager.unary('Dispatcher', 'Heartbeat', { sessionId }, options);
    } catch (error) {
      log.debug({ err: error }, 'nobody heard the goodbye');
    }
  }

  /** @throws SwarmError deadline-exceeded, if the manager does not open the session in time */
  async #opening(
    messages: AsyncIterator<SessionMessage>,
    signal: AbortSignal,
  ): Promise<SessionMessage> {
    const first = await firstOf(
      signal,
      async (inner) => orAborted(messages.next(), inner),
      async (inner) => {
        await this.#deps.clock.sleep(openingMs, inner);
        throw new SwarmError('deadline-exceeded', 'session initiation timed out');
      },
    );
    if (first.done !== true) return first.value;
    throw new SwarmError('unavailable', 'the manager ended the session before it began');
  }

  #opened(): void {
    const { log, observer } = this.#deps;
    const { address } = this.#manager;
    const { sessionId } = this.#memory;
    this.#manager.observe('good');
    log.info({ 'session.id': sessionId, address }, 'session opened');
    observer.sessionOpened({ address, sessionId });
  }

  /** Says that this node lives: at once, then each time the manager wants it. */
  async #beat(signal: AbortSignal): Promise<void> {
    let deadlineMs = callDeadlineMs;
    for (;;) {
      const { period } = await this.#manager.unary(
        'Dispatcher',
        'Heartbeat',
        { sessionId: this.#memory.sessionId },
        { signal, deadlineMs },
      );
      const delayMs = heartbeatDelayMs(period);
      deadlineMs = beatDeadlineMs(delayMs);
      this.#memory.beatMs = delayMs;
      await this.#deps.clock.sleep(delayMs, signal);
    }
  }

  async #listen(messages: AsyncIterator<SessionMessage>, signal: AbortSignal): Promise<void> {
    for (;;) {
      const next = await orAborted(messages.next(), signal);
      if (next.done === true) {
        throw new SwarmError('unavailable', 'the manager ended the session');
      }
      await this.#hear(next.value);
    }
  }

  /** Takes over what a manager tells of the cluster and of this node. */
  async #hear({ sessionId, managers, node, RootCA }: Frozen<SessionMessage>): Promise<void> {
    const memory = this.#memory;
    memory.sessionId = sessionId;
    const peers = managers.flatMap(({ peer }) => (peer === null || peer.addr === '' ? [] : [peer]));
    if (peers.length > 0) this.#deps.managers.learn(peers);
    if (node !== null && !isSameNode(memory.node, node)) {
      memory.node = node;
      await this.#deps.worker.configure(node);
      this.#deps.observer.nodeChanged(node);
    }
    const pem = RootCA.toString();
    if (pem !== '' && pem !== memory.rootCa) {
      memory.rootCa = pem;
      this.#deps.observer.rootCaChanged(pem);
    }
  }

  /** Hears what this node is to run. A stream that has lost a message is opened anew. */
  async #receiveAssignments(signal: AbortSignal): Promise<void> {
    const { worker, clock, log } = this.#deps;
    for (;;) {
      const { sessionId } = this.#memory;
      const stream = this.#manager.serverStream(
        'Dispatcher',
        'Assignments',
        { sessionId },
        { signal },
      );
      let last: string | undefined;
      let hasGap = false;
      for await (const message of stream) {
        hasGap = last !== undefined && message.appliesTo !== last;
        await worker.apply(message);
        if (hasGap) break;
        last = message.resultsIn;
      }
      if (!hasGap) throw new SwarmError('unavailable', 'the manager ended the assignments');
      log.warn({ 'session.id': sessionId }, 'an assignment was lost: all are asked for again');
      await clock.sleep(reopenMs, signal);
    }
  }

  /** Tells what became of the tasks: all that is known, then what is new. */
  async #sendStatuses(signal: AbortSignal): Promise<void> {
    const { reporter, clock } = this.#deps;
    reporter.reportAll();
    for (let sentAtMs = -Infinity; ; sentAtMs = clock.monotonic()) {
      await reporter.changed(signal);
      const gapMs = sentAtMs + reportGapMs - clock.monotonic();
      await clock.sleep(Math.max(reportSettleMs, gapMs), signal);
      await this.#send(reporter.pending(), signal);
    }
  }

  /** @throws SwarmError, if the manager does not know this session */
  async #send(reports: readonly TaskReport[], signal: AbortSignal): Promise<void> {
    const { reporter, clock, log } = this.#deps;
    try {
      await this.#manager.unary(
        'Dispatcher',
        'UpdateTaskStatus',
        { sessionId: this.#memory.sessionId, updates: reports.map(updateOf) },
        { signal, deadlineMs: callDeadlineMs },
      );
      reporter.accepted(reports);
    } catch (error) {
      signal.throwIfAborted();
      if (isSwarmError(error, 'invalid-argument') || isSwarmError(error, 'not-found')) throw error;
      log.warn({ err: error }, 'statuses were not accepted');
      const isRefused = ['permission-denied', 'resource-exhausted'].includes(codeOf(error));
      if (!isRefused) await clock.sleep(reportRetryMs, signal);
      // One that a manager refuses must not hold up the others: each is told by itself.
      else if (reports.length > 1) for (const report of reports) await this.#send([report], signal);
      else reporter.accepted(reports);
    }
  }
}

const saying = (word: AgentWord): Readonly<Record<string, string>> => ({ [agentWordName]: word });

const codeOf = (error: unknown): string => (isSwarmError(error) ? error.code : '');

const updateOf = ({
  taskId,
  status,
}: TaskReport): UpdateTaskStatusRequestTaskStatusUpdateInput => ({
  taskId,
  status: status as TaskStatusInput, // Encoding does not write to it.
});

/** Whether a node is to be run as before: its status and version say nothing about that. */
const isSameNode = (known: Node | undefined, node: Node): boolean =>
  known !== undefined &&
  isEqual({ ...known, status: null, meta: null }, { ...node, status: null, meta: null });

/**
 * Adds the way on to what managers answer a node that was removed: it can only leave, and join as
 * another node. Other errors stay as they are. swarmkit ca/auth.go `isBlacklisted`
 */
export function withWayOn(error: unknown): unknown {
  if (!isSwarmError(error, 'permission-denied')) return error;
  if (!error.message.includes('was removed from swarm')) return error;
  const way = 'to be in it again, this node has to leave ("swarm leave --force") and join anew';
  return new SwarmError(error.code, `${error.message}; ${way}`, { cause: error });
}
