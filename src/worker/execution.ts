import type { Config, Frozen, Node, Secret, Task } from '../api/index.ts';
import type { ContainerStatus, NodeDescriptionInput, PortStatus } from '../api/gen/types.ts';

/** What a task may read of what it depends on, and nothing else. */
export interface TaskDependencies {
  /** @throws SwarmError not-found, or permission-denied if the task's spec does not name it */
  secret(id: string): Secret;
  /** @throws SwarmError not-found, or permission-denied if the task's spec does not name it */
  config(id: string): Config;
}

/** One line, or part of one, that a task wrote. */
export interface LogChunk {
  readonly stream: 'STDOUT' | 'STDERR';
  /** Milliseconds since the epoch, with fractions down to nanoseconds kept apart. */
  readonly timestamp: { readonly seconds: string; readonly nanos: number };
  readonly attributes: Readonly<Record<string, string>>;
  readonly data: Buffer;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly follow: boolean;
  /** The last so many lines; `all` of them. */
  readonly tail: number | 'all';
  /** Milliseconds since the epoch; lines before it are left out. */
  readonly sinceMs: number | undefined;
}

/** What runs tasks on this node. The real one is a Docker Engine. */
export interface Executor {
  /**
   * This node as its Engine describes it, without host name override and TLS information.
   *
   * @throws SwarmError unavailable, if the Engine does not answer
   */
  describe(signal: AbortSignal): Promise<NodeDescriptionInput>;

  /** This node's object, as the manager has it, has changed. */
  configure(node: Node): void;

  /**
   * A controller for one task. It touches nothing yet.
   *
   * @throws SwarmError invalid-argument, if the task cannot run here: it is then REJECTED
   */
  controllerOf(task: Task, dependencies: TaskDependencies): Controller;

  /**
   * The tasks of a node that have a container on this Engine, by what its labels say. For the
   * adoption of containers whose task record was lost.
   */
  taskIds(nodeId: string, signal: AbortSignal): Promise<readonly string[]>;

  /**
   * Stops and removes the container of a task of which nothing but its ID is known any longer: it
   * is found by its labels. No container: no error.
   */
  removeStray(taskId: string, signal: AbortSignal): Promise<void>;
}

/**
 * One task on its way. Each step may be repeated after a crash and finds out by itself what was
 * done before.
 */
export interface Controller {
  /** Gets everything ready: volumes, image, container. Done already: no error. */
  prepare(signal: AbortSignal): Promise<void>;

  /** Starts the container and returns once it runs, and is healthy if it has a health check. */
  start(signal: AbortSignal): Promise<void>;

  /**
   * Returns once the container has ended with exit code 0.
   *
   * @throws TaskExit, if it ended otherwise
   */
  wait(signal: AbortSignal): Promise<void>;

  /** Stops the container, within its grace period. No container, or stopped already: no error. */
  shutdown(signal: AbortSignal): Promise<void>;

  /** Removes the container and its anonymous volumes. No container: no error. */
  remove(signal: AbortSignal): Promise<void>;

  /** ID, process and exit code of the container, once there is one. */
  containerStatus(signal: AbortSignal): Promise<Frozen<ContainerStatus> | undefined>;

  /** The ports the Engine has bound for the task, once it runs. */
  portStatus(signal: AbortSignal): Promise<Frozen<PortStatus> | undefined>;

  logs(options: LogOptions, signal: AbortSignal): AsyncIterable<LogChunk>;
}

/** A task's container ended, and not with 0; or for a cause that makes its 0 a failure. */
export class TaskExit extends Error {
  override readonly name = 'TaskExit';
  readonly exitCode: number;

  /** @param cause what made it end, such as a failed health check, in the original's words */
  constructor(exitCode: number, cause?: string) {
    super(`task: non-zero exit (${exitCode})${cause === undefined ? '' : `: ${cause}`}`);
    this.exitCode = exitCode;
  }
}

/** A step failed for a reason that may pass, such as an Engine that is away: it is tried again. */
export class TemporaryFailure extends Error {
  override readonly name = 'TemporaryFailure';
}
