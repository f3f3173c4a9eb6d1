import type { Node, Task } from '../../../src/api/index.ts';
import type { NodeDescriptionInput } from '../../../src/api/gen/types.ts';
import { orAborted, SwarmError } from '../../../src/runtime/index.ts';
import {
  type Controller,
  type Executor,
  type LogChunk,
  type TaskDependencies,
  TaskExit,
  TemporaryFailure,
} from '../../../src/worker/index.ts';
import type { Kernel, Life } from '../kernel/kernel.ts';
import type { Mark } from '../kernel/marks.ts';
import type { Stream } from '../kernel/streams.ts';

/** How long an Engine takes, in milliseconds on average. */
export interface EnginePace {
  readonly pullMs: number;
  readonly startMs: number;
  readonly stopMs: number;
}

interface Container {
  readonly task: Task;
  state: 'created' | 'running' | 'exited';
  exitCode: number;
  /** Who waits for its end. */
  readonly waiting: Set<() => void>;
}

/** Sees what an Engine does. */
export interface EngineWatch {
  /** A container is about to run. */
  starting(engine: SimEngine, task: Task): void;
  /** A container that runs is stopped, as its agent wants. */
  stopping(engine: SimEngine, task: Task): void;
  /** Something worth a mark happened. */
  mark(mark: Mark): void;
}

/** The Engine of a node. It outlives the agents that use it; its containers outlive both. */
export class SimEngine {
  /** Whose Engine it is: another node's, once its host has joined anew. */
  nodeId: string;
  /** Its node leaves the swarm: nothing is to run on it any more. */
  isLeaving = false;
  readonly containers = new Map<string, Container>();
  /** Called when the next container is about to be started. */
  onceStarting: (() => void) | undefined;
  #strays = 0;
  /** The containers that ever ran. */
  readonly #started = new Set<string>();
  readonly #kernel: Kernel;
  readonly #chance: Stream;
  pace: EnginePace;
  readonly #watch: EngineWatch;
  readonly #description: NodeDescriptionInput;
  /** An Engine that is away refuses; one that hangs says nothing. */
  state: 'well' | 'away' | 'hanging' = 'well';
  /** Who waits for it to answer again. */
  readonly #waiting = new Set<() => void>();

  constructor(
    deps: { kernel: Kernel; chance: Stream; pace: EnginePace; watch: EngineWatch },
    nodeId: string,
    hostname: string,
  ) {
    this.#kernel = deps.kernel;
    this.#chance = deps.chance;
    this.pace = deps.pace;
    this.#watch = deps.watch;
    this.nodeId = nodeId;
    this.#description = {
      hostname,
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: '4000000000', memoryBytes: '8000000000', generic: [] },
      engine: { engineVersion: '20.10.24', labels: {}, plugins: [] },
    };
  }

  /** From now on it is so. */
  become(state: 'well' | 'away' | 'hanging'): void {
    this.state = state;
    if (state === 'hanging') return;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  isRunning(taskId: string): boolean {
    return this.containers.get(taskId)?.state === 'running';
  }

  /** Whether a container ever ran. */
  hasStarted(taskId: string): boolean {
    return this.#started.has(taskId);
  }

  get running(): readonly Container[] {
    return [...this.containers.values()].filter(({ state }) => state === 'running');
  }

  /** A container ends, of its own accord or by somebody's hand. */
  end(taskId: string, exitCode: number): void {
    const container = this.containers.get(taskId);
    if (container?.state !== 'running') return;
    container.state = 'exited';
    container.exitCode = exitCode;
    for (const wake of container.waiting) wake();
  }

  /** A container of an earlier life of this node turns up, of a task that nobody knows. */
  plantStray(): void {
    const [like] = this.containers.values();
    if (like === undefined) return;
    this.#strays += 1;
    const task = { ...like.task, id: `stray${this.#strays}of${this.nodeId}` };
    this.containers.set(task.id, { task, state: 'running', exitCode: 0, waiting: new Set() });
  }

  /** Somebody stops and removes all that is left of a node. */
  clear(): void {
    for (const id of this.containers.keys()) this.end(id, 137);
    this.containers.clear();
  }

  /** The host lost its power: nothing runs on it any more. */
  powerCut(): void {
    for (const id of this.containers.keys()) this.end(id, 137);
    this.become('well');
  }

  /** The Engine as the agent in a process has it. */
  of(life: Life): Executor {
    return {
      describe: async (signal) => {
        await this.#answer(life, signal);
        return this.#description;
      },
      configure: (_node: Node) => undefined,
      taskIds: async (nodeId, signal) => {
        await this.#answer(life, signal);
        // As its labels say.
        return [...this.containers]
          .filter(([, { task }]) => task.nodeId === nodeId)
          .map(([id]) => id);
      },
      removeStray: async (taskId, signal) => {
        await this.#stop(taskId, life, signal);
        if (this.containers.delete(taskId)) {
          this.#watch.mark('a container that nobody knew was removed');
        }
      },
      controllerOf: (task, dependencies) => this.#controllerOf(task, dependencies, life),
    };
  }

  #controllerOf(task: Task, dependencies: TaskDependencies, life: Life): Controller {
    const container = task.spec?.container;
    if (container === undefined || container === null) {
      throw new SwarmError('invalid-argument', 'unsupported runtime');
    }
    const { id } = task;
    return {
      prepare: async (signal) => {
        await this.#answer(life, signal);
        await this.#take(this.pace.pullMs, life, signal);
        if (container.image.startsWith('missing'))
          throw new Error(`No such image: ${container.image}`);
        for (const { secretId } of container.secrets) dependencies.secret(secretId);
        if (this.containers.has(id)) return;
        this.containers.set(id, { task, state: 'created', exitCode: 0, waiting: new Set() });
      },
      start: async (signal) => {
        await this.#answer(life, signal);
        this.onceStarting?.();
        this.onceStarting = undefined;
        await this.#take(this.pace.startMs, life, signal, () => {
          this.#watch.mark('an Engine hung while a container was being started');
        });
        this.#start(id);
      },
      wait: async (signal) => this.#wait(id, life, signal),
      shutdown: async (signal) => this.#stop(id, life, signal),
      remove: async (signal) => {
        await this.#answer(life, signal);
        this.end(id, 137);
        this.containers.delete(id);
      },
      containerStatus: async () => {
        const found = this.containers.get(id);
        if (found === undefined || this.state !== 'well') return Promise.resolve(undefined);
        return Promise.resolve({
          containerId: `container-${id}`,
          pid: 42,
          exitCode: found.exitCode,
        });
      },
      portStatus: async () => Promise.resolve(undefined),
      logs: () => noLogs(),
    };
  }

  #start(id: string): void {
    const container = this.containers.get(id);
    if (container === undefined) throw new Error(`No such container: ${id}`);
    if (container.state === 'running') return;
    if (container.state === 'exited') throw new TaskExit(container.exitCode);
    this.#watch.starting(this, container.task);
    container.state = 'running';
    this.#started.add(id);
  }

  async #wait(id: string, life: Life, signal: AbortSignal): Promise<void> {
    await this.#answer(life, signal);
    const container = this.containers.get(id);
    if (container === undefined) throw new Error(`No such container: ${id}`);
    if (container.state === 'running') await this.#ended(container, life, signal);
    if (container.exitCode !== 0) throw new TaskExit(container.exitCode);
  }

  async #ended({ waiting }: Container, life: Life, signal: AbortSignal): Promise<void> {
    let wake: (() => void) | undefined;
    const ended = new Promise<void>((resolve) => {
      wake = () => this.#kernel.after(1, life, resolve);
      waiting.add(wake);
    });
    try {
      await orAborted(ended, signal);
    } finally {
      if (wake !== undefined) waiting.delete(wake);
    }
  }

  async #stop(id: string, life: Life, signal: AbortSignal): Promise<void> {
    await this.#answer(life, signal);
    if (!this.isRunning(id)) {
      const container = this.containers.get(id);
      // One that was made and never started will not be started any more.
      if (container?.state === 'created') container.state = 'exited';
      return;
    }
    const container = this.containers.get(id);
    if (container !== undefined && !this.isLeaving) this.#watch.stopping(this, container.task);
    await this.#take(this.pace.stopMs, life, signal);
    this.end(id, 137);
  }

  /** @throws TemporaryFailure, if the Engine is away */
  async #answer(life: Life, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.state === 'hanging') {
      const released = new Promise<void>((resolve) => {
        this.#waiting.add(() => this.#kernel.after(0, life, resolve));
      });
      await orAborted(released, signal);
    }
    if (this.state === 'away') throw new TemporaryFailure('Cannot connect to the Docker daemon');
  }

  /** Some time passes, and the Engine may begin to hang meanwhile. */
  async #take(
    meanMs: number,
    life: Life,
    signal: AbortSignal,
    hangs: () => void = () => undefined,
  ): Promise<void> {
    const passed = new Promise<void>((resolve) => {
      this.#kernel.after(this.#chance.exponential(meanMs), life, resolve);
    });
    await orAborted(passed, signal);
    if (this.state === 'hanging') hangs();
    await this.#answer(life, signal);
  }
}

async function* noLogs(): AsyncGenerator<LogChunk> {
  // Nothing is written in a simulation.
}
