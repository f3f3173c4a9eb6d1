import type { Node, Task } from '../../src/api/index.ts';
import type { NodeDescriptionInput } from '../../src/api/gen/types.ts';
import { type Clock, SwarmError, Watch } from '../../src/runtime/index.ts';
import {
  type Controller,
  type Executor,
  type LogChunk,
  type LogOptions,
  type TaskDependencies,
  TaskExit,
  TemporaryFailure,
} from '../../src/worker/index.ts';

/** How the containers of an image behave. */
export interface Behaviour {
  readonly prepareMs?: number;
  readonly startMs?: number;
  /** How long it runs before it ends by itself. For ever without it. */
  readonly runMs?: number;
  readonly exitCode?: number;
  readonly stopMs?: number;
  readonly prepareError?: Error;
  readonly startError?: Error;
  readonly lines?: readonly string[];
}

interface FakeContainer {
  readonly task: Task;
  readonly dependencies: TaskDependencies;
  startedAtMs: number | undefined;
  /** Stopped, or removed. */
  endedWith: number | undefined;
}

/** An Engine whose containers are timers and exit codes. It outlives the agents that use it. */
export class FakeExecutor implements Executor {
  readonly #clock: Clock;
  readonly #behaviours: Readonly<Record<string, Behaviour>>;
  readonly containers = new Map<string, FakeContainer>();
  /** Every call of a controller: `<task id> <operation>`. */
  readonly calls: string[] = [];
  readonly configured: Node[] = [];
  readonly #deaths = new Watch<string>();
  description: NodeDescriptionInput = {
    hostname: 'node-01',
    platform: { architecture: 'x86_64', os: 'linux' },
    resources: { nanoCpus: '4000000000', memoryBytes: '8000000000' },
  };
  /** An Engine that is away answers nothing. */
  isAway = false;
  /** The most tasks that were prepared or started at the same time. */
  busyMax = 0;
  /** How many lines of logs were read so far. */
  linesRead = 0;
  #busy = 0;

  constructor(clock: Clock, behaviours: Readonly<Record<string, Behaviour>> = {}) {
    this.#clock = clock;
    this.#behaviours = behaviours;
  }

  async describe(): Promise<NodeDescriptionInput> {
    await this.#answer('describe');
    return this.description;
  }

  configure(node: Node): void {
    this.configured.push(node);
  }

  async taskIds(nodeId: string): Promise<readonly string[]> {
    await this.#answer('taskIds');
    return [...this.containers].filter(([, { task }]) => task.nodeId === nodeId).map(([id]) => id);
  }

  async removeStray(taskId: string, signal: AbortSignal): Promise<void> {
    const container = this.containers.get(taskId);
    if (container === undefined) return;
    await this.#shutdown(taskId, this.#behaviourOf(container.task), signal);
    await this.#remove(taskId);
  }

  controllerOf(task: Task, dependencies: TaskDependencies): Controller {
    if (task.spec?.container === undefined || task.spec.container === null) {
      throw new SwarmError('invalid-argument', 'unsupported runtime');
    }
    const { id } = task;
    const behaviour = this.#behaviours[task.spec.container.image] ?? {};
    return {
      prepare: async (signal) => this.#prepare({ task, dependencies, behaviour }, signal),
      start: async (signal) => this.#start(id, behaviour, signal),
      wait: async (signal) => this.#wait(id, behaviour, signal),
      shutdown: async (signal) => this.#shutdown(id, behaviour, signal),
      remove: async () => this.#remove(id),
      containerStatus: async () => {
        const container = this.containers.get(id);
        if (this.isAway) throw new TemporaryFailure('Cannot connect to the Docker daemon');
        if (container === undefined) return Promise.resolve(undefined);
        const exitCode = this.#exitCode(id, behaviour) ?? 0;
        return Promise.resolve({ containerId: `container-${id}`, pid: 42, exitCode });
      },
      portStatus: async () => Promise.resolve(undefined),
      logs: (options, signal) => this.#logs(id, behaviour, { options, signal }),
    };
  }

  /** Ends a running container from outside. */
  kill(taskId: string, exitCode: number): void {
    const container = this.containers.get(taskId);
    if (container !== undefined) container.endedWith = exitCode;
    this.#deaths.publish(taskId);
  }

  isRunning(taskId: string): boolean {
    const container = this.containers.get(taskId);
    if (container?.startedAtMs === undefined) return false;
    return this.#exitCode(taskId, this.#behaviourOf(container.task)) === undefined;
  }

  readonly #behaviourOf = (task: Task): Behaviour =>
    this.#behaviours[task.spec?.container?.image ?? ''] ?? {};

  async #answer(call: string): Promise<void> {
    await Promise.resolve();
    this.calls.push(call);
    if (this.isAway) throw new TemporaryFailure('Cannot connect to the Docker daemon');
  }

  async #load(ms: number, signal: AbortSignal): Promise<void> {
    this.#busy += 1;
    this.busyMax = Math.max(this.busyMax, this.#busy);
    try {
      await this.#clock.sleep(ms, signal);
    } finally {
      this.#busy -= 1;
    }
  }

  async #prepare(
    what: { task: Task; dependencies: TaskDependencies; behaviour: Behaviour },
    signal: AbortSignal,
  ): Promise<void> {
    const { task, dependencies, behaviour } = what;
    await this.#answer(`${task.id} prepare`);
    await this.#load(behaviour.prepareMs ?? 0, signal);
    if (behaviour.prepareError !== undefined) throw behaviour.prepareError;
    for (const { secretId } of task.spec?.container?.secrets ?? []) dependencies.secret(secretId);
    if (this.containers.has(task.id)) return;
    this.containers.set(task.id, {
      task,
      dependencies,
      startedAtMs: undefined,
      endedWith: undefined,
    });
  }

  async #start(id: string, behaviour: Behaviour, signal: AbortSignal): Promise<void> {
    await this.#answer(`${id} start`);
    await this.#load(behaviour.startMs ?? 0, signal);
    if (behaviour.startError !== undefined) throw behaviour.startError;
    const container = this.containers.get(id);
    if (container === undefined) throw new Error(`No such container: ${id}`);
    container.startedAtMs ??= this.#clock.monotonic();
  }

  async #wait(id: string, behaviour: Behaviour, signal: AbortSignal): Promise<void> {
    await this.#answer(`${id} wait`);
    using deaths = this.#deaths.subscribe((death) => death === id);
    for (;;) {
      const container = this.containers.get(id);
      if (container === undefined) throw new Error(`No such container: ${id}`);
      const exitCode = this.#exitCode(id, behaviour);
      if (exitCode === 0) return;
      if (exitCode !== undefined) throw new TaskExit(exitCode);
      const { startedAtMs = 0 } = container;
      const { runMs } = behaviour;
      if (runMs === undefined) await deaths.changed(signal);
      else await this.#clock.sleep(startedAtMs + runMs - this.#clock.monotonic(), signal);
    }
  }

  async #shutdown(id: string, behaviour: Behaviour, signal: AbortSignal): Promise<void> {
    await this.#answer(`${id} shutdown`);
    const container = this.containers.get(id);
    if (container === undefined || this.#exitCode(id, behaviour) !== undefined) return;
    await this.#clock.sleep(behaviour.stopMs ?? 0, signal);
    this.kill(id, 137);
  }

  async #remove(id: string): Promise<void> {
    await this.#answer(`${id} remove`);
    this.kill(id, 137);
    this.containers.delete(id);
  }

  #exitCode(id: string, { runMs, exitCode = 0 }: Behaviour): number | undefined {
    const container = this.containers.get(id);
    if (container?.endedWith !== undefined) return container.endedWith;
    if (container?.startedAtMs === undefined || runMs === undefined) return undefined;
    return this.#clock.monotonic() >= container.startedAtMs + runMs ? exitCode : undefined;
  }

  async *#logs(
    id: string,
    { lines = [] }: Behaviour,
    { options, signal }: { options: LogOptions; signal: AbortSignal },
  ): AsyncGenerator<LogChunk> {
    const wanted = options.tail === 'all' ? lines : lines.slice(lines.length - options.tail);
    for (const line of wanted) {
      this.linesRead += 1;
      yield {
        stream: 'STDOUT',
        timestamp: { seconds: '1', nanos: 0 },
        attributes: { task: id },
        data: Buffer.from(line),
      };
    }
    if (options.follow) await this.#clock.sleep(Number.MAX_SAFE_INTEGER, signal);
  }
}
