import {
  type CallContext,
  durationFromMs,
  type Frozen,
  type Handlers,
  isEqual,
} from '../../api/index.ts';
import type {
  AssignmentsMessageInput,
  AssignmentsRequest,
  HeartbeatRequest,
  HeartbeatResponseInput,
  SessionMessageInput,
  SessionRequest,
  TasksMessageInput,
  TasksRequest,
  UpdateTaskStatusRequest,
  UpdateTaskStatusResponseInput,
  UpdateVolumeStatusRequest,
  UpdateVolumeStatusResponseInput,
} from '../../api/gen/types.ts';
import {
  type ChildAbort,
  childOf,
  childOfBoth,
  type Clock,
  firstOf,
  type Log,
  type Random,
  runTogether,
  SwarmError,
  Watch,
} from '../../runtime/index.ts';
import type { ObjectEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/view.ts';
import { AssignmentSet } from './assignment-set.ts';
import { NodeSessions } from './node-sessions.ts';
import { markAbsent, markReady } from './node-states.ts';
import { giveUpOrphans, watchNodes } from './node-watch.ts';
import { graceMs, heartbeatPeriodMs, jitteredPeriodMs, restartMs, returnMs } from './period.ts';
import {
  type ManagerPeer,
  saysTheSame,
  type SessionMessage,
  sessionMessage,
} from './session-message.ts';
import { isReportable, rejectTask, StatusWriter } from './status-writer.ts';
import { checkTask } from './task-check.ts';

export interface DispatcherDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly self: { readonly nodeId: string };
  /** The managers, as Raft's membership has them. This one is always among them. */
  readonly managers: () => readonly ManagerPeer[];
}

/**
 * Where agents register, are told what to run, and report what they run. It runs on the leader.
 *
 * An agent that is not heard of for three heartbeat periods is down. What it must have is told
 * whole at first and then change by change, as soon as it is committed.
 * swarmkit manager/dispatcher
 */
export class Dispatcher implements Handlers<'Dispatcher'> {
  readonly #deps: DispatcherDeps;
  /** New with every term: a leader knows of no session of another's. */
  #sessions: NodeSessions;
  #statuses: StatusWriter;
  /** Tells sessions of what is not in the store: the managers, and the end of a node's session. */
  readonly #news = new Watch<{ readonly nodeId?: string }>();
  /** Aborts when the dispatcher ends; absent while it does not run. */
  #running: AbortSignal | undefined;
  #knownManagers: readonly ManagerPeer[] = [];

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#sessions = new NodeSessions(deps);
    this.#statuses = new StatusWriter(deps);
  }

  /**
   * Serves agents until the signal aborts; then every stream ends, and the agents look for another
   * manager. It is run once for each term in which this manager leads.
   */
  async run(signal: AbortSignal): Promise<void> {
    using life = childOf(signal);
    this.#sessions = new NodeSessions(this.#deps);
    this.#statuses = new StatusWriter(this.#deps);
    this.#running = life.signal;
    const watching = {
      ...this.#deps,
      sessions: this.#sessions,
      periodMs: () => this.#periodMs(),
      sessionEnded: (nodeId: string) => {
        this.#news.publish({ nodeId });
      },
    };
    try {
      await runTogether(life.signal, [
        async (inner) => this.#statuses.run(inner),
        async (inner) => watchNodes(watching, inner),
        async (inner) => giveUpOrphans(this.#deps, inner),
      ]);
    } finally {
      life.abort();
      this.#running = undefined;
    }
  }

  /** Tells every agent at once that the managers have changed; a heartbeat notices it, too. */
  managersChanged(): void {
    this.#news.publish({});
  }

  /** Registers a node and tells it of the swarm, now and whenever that changes. */
  async *session(
    request: SessionRequest,
    context: CallContext,
  ): AsyncGenerator<SessionMessageInput> {
    const { store } = this.#deps;
    const nodeId = nodeIdOf(context);
    using call = this.#callOf(context);
    using changes = store.subscribeToNode(nodeId, ({ kind }) => kind !== 'task');
    using news = this.#news.subscribe((about) => (about.nodeId ?? nodeId) === nodeId, 16);
    const sessionId = await this.#register(nodeId, request, context);

    let last: SessionMessage | undefined;
    for (;;) {
      changes.drain();
      news.drain();
      this.#sessions.check(nodeId, sessionId);
      const message = this.#sessionMessage(nodeId, sessionId);
      if (last === undefined || !saysTheSame(last, message))
        yield forWire<SessionMessageInput>(message);
      last = message;
      try {
        await firstOf(
          call.signal,
          async (inner) => changes.changed(inner),
          async (inner) => news.changed(inner),
        );
      } catch (error) {
        if (context.signal.aborted) throw error;
        yield forWire<SessionMessageInput>(this.#sessionMessage(nodeId, sessionId));
        throw new SwarmError('aborted', 'node must disconnect');
      }
    }
  }

  async heartbeat(
    request: HeartbeatRequest,
    context: CallContext,
  ): Promise<HeartbeatResponseInput> {
    this.#assertRunning();
    const nodeId = nodeIdOf(context);
    const periodMs = jitteredPeriodMs(this.#periodMs(), this.#deps.random);
    if (!(await this.#takesLeave(nodeId, request.sessionId, context))) {
      this.#sessions.beat(nodeId, request.sessionId, graceMs(periodMs));
    }
    const known = this.#knownManagers;
    if (!isEqual(known, this.#managers())) this.managersChanged();
    return { period: durationFromMs(periodMs) };
  }

  /**
   * Whether a heartbeat is a goodbye: a node leaves, its agent stops, or a manager has seen its
   * connection close. A manager takes longer than a worker to come back: it has its grace.
   */
  async #takesLeave(
    nodeId: string,
    sessionId: string,
    { caller, agentWord }: CallContext,
  ): Promise<boolean> {
    const isWorker = caller.kind === 'node' && caller.role === 'swarm-worker';
    const periodMs = this.#periodMs();
    switch (agentWord) {
      case 'leaves':
        this.#sessions.check(nodeId, sessionId);
        await this.#letGo(nodeId);
        return true;
      case 'stops':
        if (isWorker) this.#sessions.awaitReturn(nodeId, sessionId, restartMs(periodMs));
        return isWorker;
      case 'closed':
        if (isWorker) this.#sessions.awaitReturn(nodeId, sessionId, returnMs(periodMs));
        return isWorker;
      case undefined:
      default:
        return false;
    }
  }

  async #letGo(nodeId: string): Promise<void> {
    const { store, log } = this.#deps;
    this.#sessions.close(nodeId);
    this.#news.publish({ nodeId });
    log.info({ 'node.id': nodeId }, 'node leaves');
    await store.update((tx) => {
      if (!this.#sessions.has(nodeId)) markAbsent(tx, nodeId, 'DOWN', 'node has left the swarm');
    });
  }

  /** Takes what a node says of its tasks. It is written soon; the caller does not wait for that. */
  async updateTaskStatus(
    request: UpdateTaskStatusRequest,
    context: CallContext,
  ): Promise<UpdateTaskStatusResponseInput> {
    this.#assertRunning();
    const nodeId = nodeIdOf(context);
    this.#sessions.check(nodeId, request.sessionId);
    const { log, store } = this.#deps;
    const reports = request.updates.filter(({ taskId, status }) => {
      if (status === null || !isReportable(status)) {
        log.warn({ 'node.id': nodeId, 'task.id': taskId }, 'task status passed over');
        return false;
      }
      const task = store.view((view) => view.get('task', taskId));
      if (task !== undefined && task.nodeId !== nodeId) {
        throw new SwarmError('permission-denied', 'cannot update a task not assigned this node');
      }
      return task !== undefined;
    });
    await this.#statuses.room(context);
    for (const { taskId, status } of reports) {
      if (status !== null) this.#statuses.add(taskId, status);
    }
    return {};
  }

  /** Takes what a node says of its volumes: one that it no longer holds may be taken elsewhere. */
  async updateVolumeStatus(
    request: UpdateVolumeStatusRequest,
    context: CallContext,
  ): Promise<UpdateVolumeStatusResponseInput> {
    this.#assertRunning();
    const nodeId = nodeIdOf(context);
    this.#sessions.check(nodeId, request.sessionId);
    const released = request.updates.filter(({ unpublished }) => unpublished);
    await this.#deps.store.batch(
      released.map(({ id }) => (tx: Transaction) => {
        const volume = tx.get('volume', id);
        if (volume === undefined) return;
        const publishStatus = volume.publishStatus.map((status) =>
          status.nodeId === nodeId ? { ...status, state: 'PENDING_UNPUBLISH' as const } : status,
        );
        tx.update('volume', { ...volume, publishStatus });
      }),
    );
    return {};
  }

  /** Tells a node what it must have: everything, and then change by change. */
  async *assignments(
    request: AssignmentsRequest,
    context: CallContext,
  ): AsyncGenerator<AssignmentsMessageInput> {
    const { store } = this.#deps;
    const nodeId = nodeIdOf(context);
    using call = this.#callOf(context);
    this.#sessions.check(nodeId, request.sessionId);
    using changes = store.subscribeToNode(nodeId, isTask);
    const set = new AssignmentSet(nodeId);
    store.view((view) => {
      set.reset(view);
    });
    for (;;) {
      await this.#rejectUnfit(set);
      const message = set.nextMessage();
      if (message !== undefined) {
        this.#sessions.check(nodeId, request.sessionId);
        yield forWire<AssignmentsMessageInput>(message);
      }
      await this.#untilStopped(call.signal, context, async (inner) => changes.changed(inner));
      takeIn(set, changes.drain(), store);
    }
  }

  /** The same for agents of an old protocol: all tasks, each time anew. */
  async *tasks(request: TasksRequest, context: CallContext): AsyncGenerator<TasksMessageInput> {
    const { store } = this.#deps;
    const nodeId = nodeIdOf(context);
    using call = this.#callOf(context);
    using changes = store.subscribeToNode(nodeId, isTask);
    for (;;) {
      changes.drain();
      this.#sessions.check(nodeId, request.sessionId);
      const tasks = store
        .view((view) => view.find('task', { by: 'node', nodeId }))
        .map(checkTask)
        .flatMap((checked) => (checked.kind === 'fit' ? [checked.task] : []))
        .filter(({ status }) => status?.state !== 'NEW' && status?.state !== 'PENDING');
      yield forWire<TasksMessageInput>({ tasks });
      await this.#untilStopped(call.signal, context, async (inner) => changes.changed(inner));
    }
  }

  async #register(
    nodeId: string,
    { sessionId, description }: SessionRequest,
    { caller }: CallContext,
  ): Promise<string> {
    const { store, log } = this.#deps;
    const isKnown = this.#sessions.isOpen(nodeId, sessionId);
    const grace = graceMs(this.#periodMs());
    if (!isKnown) this.#sessions.admit(nodeId, grace);
    const id = isKnown ? sessionId : this.#sessions.open(nodeId, grace);
    this.#sessions.beat(nodeId, id, grace);
    try {
      await store.update((tx) => {
        markReady(tx, { nodeId, description, addr: caller.remoteIp });
      });
    } catch (error) {
      if (this.#sessions.isOpen(nodeId, id)) this.#sessions.close(nodeId);
      this.#sessions.expect(nodeId, grace);
      throw error;
    }
    if (!isKnown) {
      this.#news.publish({ nodeId }); // An older session of the node learns that it has ended.
      log.info({ 'node.id': nodeId, 'session.id': id }, 'session opened');
    }
    return id;
  }

  #sessionMessage(nodeId: string, sessionId: string): SessionMessage {
    const managers = this.#managers();
    return this.#deps.store.view((view) => {
      const node = view.get('node', nodeId);
      if (node === undefined) throw new SwarmError('not-found', 'node not registered');
      return sessionMessage(view, { sessionId, node, managers });
    });
  }

  /**
   * The managers to tell agents of, never none: an agent that is told of none has nowhere to go.
   *
   * @throws SwarmError unavailable, if none is known
   */
  #managers(): readonly ManagerPeer[] {
    const managers = this.#deps
      .managers()
      .filter(({ addr }) => addr !== '')
      .map(({ nodeId, addr }) => ({ nodeId, addr }));
    if (managers.length > 0) this.#knownManagers = managers;
    if (this.#knownManagers.length === 0) {
      throw new SwarmError('unavailable', 'no manager is known yet');
    }
    return this.#knownManagers;
  }

  async #rejectUnfit(set: AssignmentSet): Promise<void> {
    const { store, clock, log } = this.#deps;
    const unfit = set.takeUnfit();
    for (const { task, reason } of unfit) {
      log.error({ 'task.id': task.id, reason }, 'task cannot be sent to its node');
    }
    await store.batch(
      unfit.map(({ task: { id: taskId }, reason }) => (tx: Transaction) => {
        rejectTask(tx, { taskId, reason, now: clock.now() });
      }),
    );
  }

  #periodMs(): number {
    const [cluster] = this.#deps.store.view((view) => view.find('cluster'));
    return heartbeatPeriodMs(cluster);
  }

  #assertRunning(): AbortSignal {
    if (this.#running === undefined) throw new SwarmError('aborted', 'dispatcher is stopped');
    return this.#running;
  }

  /** A signal that aborts when the caller has gone or the dispatcher ends. */
  #callOf(context: CallContext): ChildAbort {
    return childOfBoth(context.signal, this.#assertRunning());
  }

  /** Waits; if the dispatcher ends meanwhile, the stream fails so that its agent looks elsewhere. */
  async #untilStopped(
    signal: AbortSignal,
    context: CallContext,
    wait: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    try {
      await wait(signal);
    } catch (error) {
      if (context.signal.aborted || !signal.aborted) throw error;
      throw new SwarmError('aborted', 'dispatcher is stopped', { cause: error });
    }
  }
}

/** A message as the encoder takes it: it only reads, though its type does not say so. */
const forWire = <T>(message: Frozen<T>): T => message as T;

/** @throws SwarmError permission-denied, if the caller is no node */
function nodeIdOf({ caller }: CallContext): string {
  if (caller.kind === 'node') return caller.nodeId;
  throw new SwarmError('permission-denied', 'Permission denied: unauthorized peer role');
}

const isTask = ({ kind }: ObjectEvent): boolean => kind === 'task';

function takeIn(set: AssignmentSet, events: readonly ObjectEvent[] | 'resync', store: Store): void {
  store.view((view) => {
    if (events === 'resync') {
      set.reset(view);
      return;
    }
    for (const event of events) {
      if (event.kind !== 'task') continue;
      if (event.action === 'removed') set.remove(event.object.id);
      else set.put(event.object, view);
    }
  });
}
