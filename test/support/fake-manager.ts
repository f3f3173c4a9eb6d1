import { localClient, type CallContext, type Handlers } from '../../src/api/index.ts';
import type {
  AssignmentChangeInput,
  AssignmentsMessageInput,
  LogMessage,
  NodeDescription,
  SessionMessageInput,
  SubscriptionMessageInput,
  TaskInput,
  TaskStatus,
} from '../../src/api/gen/types.ts';
import { orAborted, SwarmError, Watch } from '../../src/runtime/index.ts';
import type { ManagerConnection, Managers } from '../../src/worker/index.ts';

/** A task as a change of an assignment. */
export const assigned = (task: TaskInput): AssignmentChangeInput => ({
  action: 'UPDATE',
  assignment: { task },
});

/** The end of a task's assignment. */
export const unassigned = (id: string): AssignmentChangeInput => ({
  action: 'REMOVE',
  assignment: { task: { id } },
});

/** One manager in this process: it says what a test tells it to, and writes down what it hears. */
export class FakeManager {
  readonly address: string;
  /** What agents offered when they registered. */
  readonly registrations: { sessionId: string; description: NodeDescription | null }[] = [];
  /** Every status that was accepted, in order. */
  readonly updates: { taskId: string; status: TaskStatus }[] = [];
  /** How many statuses came in each call. */
  readonly batches: number[] = [];
  readonly outcomes: ('good' | 'bad')[] = [];
  readonly published: { subscriptionId: string; messages: LogMessage[]; isClosed: boolean }[] = [];
  heartbeats = 0;
  /** How long each heartbeat was to take at most. */
  readonly heartbeatDeadlines: (number | undefined)[] = [];
  /** What agents said as they ended. */
  readonly goodbyes: string[] = [];
  assignmentStreams = 0;
  heartbeatPeriod: { seconds: string; nanos: number } | null = { seconds: '5', nanos: 0 };
  /** What a first message of a session says beside its ID. */
  greeting: SessionMessageInput = {
    managers: [{ peer: { nodeId: 'manager-1', addr: '10.0.0.1:2377' }, weight: '10' }],
  };
  /** All that is assigned: the changes of a complete assignment. */
  assignment: AssignmentChangeInput[] = [];
  /** Refuses status reports. */
  refuse: (taskIds: readonly string[]) => SwarmError | undefined = () => undefined;
  isDown = false;
  isSilent = false;
  hasLogBroker = true;
  /** Takes no logs for now. */
  isStalled = false;
  #results = 0;
  readonly #sessionMessages = new Watch<SessionMessageInput | SwarmError>();
  readonly #assignments = new Watch<AssignmentsMessageInput>();
  readonly #subscriptions = new Watch<SubscriptionMessageInput>();

  constructor(address = '10.0.0.1:2377') {
    this.address = address;
  }

  connect(): ManagerConnection {
    const client = localClient(
      {
        Dispatcher: this.#dispatcher(),
        ...(this.hasLogBroker ? { LogBroker: this.#logBroker() } : {}),
      },
      {
        kind: 'node',
        nodeId: 'node',
        role: 'swarm-worker',
        clusterId: 'c',
        remoteIp: '10.0.0.2',
      },
    );
    return {
      ...client,
      unary: async (service, method, request, options) => {
        if (method === 'Heartbeat') this.heartbeatDeadlines.push(options.deadlineMs);
        return client.unary(service, method, request, options);
      },
      address: this.address,
      observe: (outcome) => this.outcomes.push(outcome),
      [Symbol.dispose]: () => undefined,
    };
  }

  /** The states that were reported of a task, each once for each time it was told. */
  statesOf(taskId: string): string[] {
    return this.updates.filter((update) => update.taskId === taskId).map((u) => u.status.state);
  }

  lastOf(taskId: string): TaskStatus | undefined {
    return this.updates.findLast((update) => update.taskId === taskId)?.status;
  }

  /** Sends changes to whoever is listening. */
  send(...changes: AssignmentChangeInput[]): void {
    this.#results += 1;
    this.#assignments.publish({
      type: 'INCREMENTAL',
      appliesTo: String(this.#results - 1),
      resultsIn: String(this.#results),
      changes,
    });
  }

  /** The next message of an assignment stream does not follow the one before it. */
  loseMessage(): void {
    this.#results += 1;
  }

  tell(message: SessionMessageInput): void {
    this.#sessionMessages.publish(message);
  }

  subscribe(message: SubscriptionMessageInput): void {
    this.#subscriptions.publish(message);
  }

  /** Ends every session. */
  cut(error: SwarmError = new SwarmError('aborted', 'node must disconnect')): void {
    this.#sessionMessages.publish(error);
  }

  #check(): void {
    if (this.isDown) throw new SwarmError('unavailable', 'connection refused');
  }

  #dispatcher(): Partial<Handlers<'Dispatcher'>> {
    return {
      session: (request, context) => this.#session(request, context),
      assignments: (_, context) => this.#assign(context),
      heartbeat: async (_, { agentWord }) => {
        await Promise.resolve();
        this.#check();
        if (agentWord !== undefined) this.goodbyes.push(agentWord);
        this.heartbeats += 1;
        return { period: this.heartbeatPeriod };
      },
      updateTaskStatus: async ({ updates }) => {
        await Promise.resolve();
        this.#check();
        const refusal = this.refuse(updates.map(({ taskId }) => taskId));
        if (refusal !== undefined) throw refusal;
        this.batches.push(updates.length);
        for (const { taskId, status } of updates) {
          if (status !== null) this.updates.push({ taskId, status });
        }
        return {};
      },
    };
  }

  async *#session(
    { sessionId, description }: { sessionId: string; description: NodeDescription | null },
    { signal }: CallContext,
  ): AsyncGenerator<SessionMessageInput> {
    this.#check();
    using messages = this.#sessionMessages.subscribe();
    if (this.isSilent) await messages.changed(signal);
    this.registrations.push({ sessionId, description });
    const id = `${this.address} session ${this.registrations.length}`;
    yield { ...this.greeting, sessionId: id };
    for (;;) {
      await messages.changed(signal);
      for (const message of messages.drain() as readonly (SessionMessageInput | SwarmError)[]) {
        if (message instanceof SwarmError) throw message;
        yield { ...message, sessionId: id };
      }
    }
  }

  async *#assign({ signal }: CallContext): AsyncGenerator<AssignmentsMessageInput> {
    this.#check();
    this.assignmentStreams += 1;
    using messages = this.#assignments.subscribe();
    this.#results += 1;
    yield { type: 'COMPLETE', resultsIn: String(this.#results), changes: this.assignment };
    for (;;) {
      await messages.changed(signal);
      yield* messages.drain() as readonly AssignmentsMessageInput[];
    }
  }

  #logBroker(): Partial<Handlers<'LogBroker'>> {
    const { published } = this;
    const isStalled = (): boolean => this.isStalled;
    const subscriptions = this.#subscriptions;
    return {
      async *listenSubscriptions(_, { signal }) {
        using messages = subscriptions.subscribe();
        for (;;) {
          await messages.changed(signal);
          yield* messages.drain() as readonly SubscriptionMessageInput[];
        }
      },
      publishLogs: async (messages, { signal }) => {
        if (isStalled()) await orAborted(new Promise<never>(() => undefined), signal);
        for await (const { subscriptionId, messages: lines, close } of messages) {
          published.push({ subscriptionId, messages: lines, isClosed: close });
          if (close) break;
        }
        return {};
      },
    };
  }
}

/** Managers that are asked in turn. */
export class FakeManagers implements Managers {
  readonly #managers: readonly FakeManager[];
  readonly learned: string[][] = [];
  #turn = 0;

  constructor(...managers: FakeManager[]) {
    this.#managers = managers;
  }

  connect(failed?: string): ManagerConnection {
    const left = this.#managers.filter(({ address }) => address !== failed);
    const choices = left.length > 0 ? left : this.#managers;
    const manager = choices[this.#turn % choices.length];
    this.#turn += 1;
    if (manager === undefined) throw new SwarmError('unavailable', 'no remote hosts provided');
    return manager.connect();
  }

  hasOther(address: string): boolean {
    return this.#managers.some((manager) => manager.address !== address);
  }

  learn(peers: ReadonlyArray<{ readonly addr: string }>): void {
    this.learned.push(peers.map(({ addr }) => addr));
  }
}
