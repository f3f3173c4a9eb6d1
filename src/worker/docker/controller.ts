import type { Frozen, Task, TemplateNode } from '../../api/index.ts';
import type { ContainerStatus, PortStatus } from '../../api/gen/types.ts';
import {
  isSwarmError,
  type Log,
  messageOf,
  SwarmError,
  type Subscription,
} from '../../runtime/index.ts';
import {
  type Controller,
  type LogChunk,
  type LogOptions,
  type TaskDependencies,
  TaskExit,
} from '../execution.ts';
import { boundPorts } from './config/networking.ts';
import type { ContainerConfig } from './container-config.ts';
import type { ContainerEvents } from './container-events.ts';
import { type ContainerView, containerView, unhealthyContainer } from './container-view.ts';
import type { ContainerEvent, ContainerInfo, Engine } from './engine-port.ts';
import type { TaskFiles } from './files.ts';
import type { Images } from './images.ts';
import { messagesOf } from './logs.ts';

export interface ControllerDeps {
  readonly engine: Engine;
  readonly events: ContainerEvents;
  readonly images: Images;
  readonly files: TaskFiles;
  readonly log: Log;
}

/** The task a controller is for. */
export interface ControlledTask {
  readonly task: Task;
  readonly config: ContainerConfig;
  readonly node: TemplateNode | undefined;
  readonly dependencies: TaskDependencies;
}

/**
 * One task as a container of a Docker Engine. The container is found by its name, and what state
 * it is in is asked of the Engine. So a controller goes on where another one of the same task,
 * perhaps in a process before this one, has stopped.
 */
export class DockerController implements Controller {
  readonly #deps: ControllerDeps;
  readonly #of: ControlledTask;
  readonly #name: string;
  /** A step that is repeated does not pull again. */
  #isImageObtained = false;

  constructor(deps: ControllerDeps, of: ControlledTask) {
    this.#deps = deps;
    this.#of = of;
    this.#name = of.config.name;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const { engine, images, files } = this.#deps;
    const { task, config, node, dependencies } = this.#of;
    if ((await engine.inspectContainer(this.#name, signal)) !== undefined) return;
    if (!this.#isImageObtained) {
      await images.obtain(config.image, config.registryAuth, signal);
      this.#isImageObtained = true;
    }
    const mounts = await files.place({ task, spec: config.spec, node, dependencies });
    const { body } = config;
    const host = { ...body.HostConfig, Mounts: [...(body.HostConfig.Mounts ?? []), ...mounts] };
    try {
      await engine.createContainer(this.#name, { ...body, HostConfig: host }, signal);
    } catch (error) {
      if (!isSwarmError(error, 'already-exists')) throw error;
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    using changes = this.#deps.events.subscribe(this.#name);
    const before = await this.#look(changes, signal);
    if (before.kind === 'created') {
      await this.#startContainer(signal);
      if (!before.hasHealthcheck) return;
    }
    for (;;) {
      const container = await this.#look(changes, signal);
      switch (container.kind) {
        case 'running':
          return;
        case 'created':
        case 'starting':
          await changes.changed(signal);
          break;
        case 'unhealthy':
        case 'exited':
          await this.#end(container, signal);
          return;
      }
    }
  }

  async wait(signal: AbortSignal): Promise<void> {
    using changes = this.#deps.events.subscribe(this.#name);
    for (;;) {
      const container = await this.#look(changes, signal);
      switch (container.kind) {
        case 'created':
          throw new SwarmError('failed-precondition', `container ${this.#name} was never started`);
        case 'starting':
        case 'running':
          await changes.changed(signal);
          break;
        case 'unhealthy':
        case 'exited':
          await this.#end(container, signal);
          return;
      }
    }
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    await this.#stop(signal);
    await this.#deps.files.discard(this.#of.task.id);
  }

  async remove(signal: AbortSignal): Promise<void> {
    await this.#stop(signal).catch((error: unknown) => {
      signal.throwIfAborted();
      // It is removed by force.
      this.#deps.log.warn(
        { err: error, 'task.id': this.#of.task.id },
        'stop before removal failed',
      );
    });
    await this.#deps.engine.removeContainer(this.#name, signal);
    await this.#deps.files.discard(this.#of.task.id);
  }

  async containerStatus(signal: AbortSignal): Promise<Frozen<ContainerStatus> | undefined> {
    const container = await this.#inspect(signal);
    if (container === undefined) return undefined;
    const { Pid, ExitCode } = container.State;
    return { containerId: container.Id, pid: Pid, exitCode: ExitCode };
  }

  async portStatus(signal: AbortSignal): Promise<Frozen<PortStatus> | undefined> {
    const container = await this.#inspect(signal);
    return container?.State.Running === true ? { ports: boundPorts(container) } : undefined;
  }

  async *logs(options: LogOptions, signal: AbortSignal): AsyncIterable<LogChunk> {
    const { sinceMs, ...flags } = options;
    const container = options.follow
      ? await this.#onceStarted(signal)
      : await this.#inspect(signal);
    if (container === undefined) return;
    const since = sinceMs === undefined ? undefined : (sinceMs / 1_000).toFixed(9);
    const bytes = this.#deps.engine.logs(this.#name, { ...flags, since }, signal);
    yield* messagesOf(bytes, container.Config.Tty);
  }

  async #inspect(signal: AbortSignal): Promise<ContainerInfo | undefined> {
    return this.#deps.engine.inspectContainer(this.#name, signal);
  }

  /** The container as it is after all the changes so far. */
  async #look(changes: Subscription<ContainerEvent>, signal: AbortSignal): Promise<ContainerView> {
    const events = changes.drain();
    const container = await this.#inspect(signal);
    if (container !== undefined) return containerView(container);
    // One that was removed by force has died first, and its exit code is known by that alone.
    const later = changes.drain();
    const died = [events, later]
      .flatMap((drained) => (drained === 'resync' ? [] : drained))
      .find(({ action }) => action === 'die');
    if (died?.exitCode === undefined) {
      throw new SwarmError('not-found', 'dockerexec: container destroyed');
    }
    return { kind: 'exited', exitCode: died.exitCode, cause: undefined };
  }

  async #startContainer(signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.engine.startContainer(this.#name, signal);
    } catch (error) {
      if (isSwarmError(error, 'unavailable') || signal.aborted) throw error;
      throw new SwarmError('internal', `starting container failed: ${messageOf(error)}`);
    }
  }

  /**
   * The end of the task: its container has ended, or is stopped now for being unhealthy. That makes
   * a failure of it even if it then exits with 0.
   *
   * @throws TaskExit unless it has ended well
   */
  async #end(
    container: ContainerView & { kind: 'unhealthy' | 'exited' },
    signal: AbortSignal,
  ): Promise<void> {
    const { files, log } = this.#deps;
    if (container.kind === 'unhealthy') {
      log.info({ 'task.id': this.#of.task.id }, 'stopping unhealthy container');
      await this.#stop(signal);
      await files.discard(this.#of.task.id);
      const ended = await this.#inspect(signal);
      throw new TaskExit(ended?.State.ExitCode ?? 0, unhealthyContainer);
    }
    await files.discard(this.#of.task.id);
    const { exitCode, cause } = container;
    if (exitCode !== 0 || cause !== undefined) throw new TaskExit(exitCode, cause);
  }

  async #stop(signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.engine.stopContainer(this.#name, signal);
    } catch (error) {
      if (!isSwarmError(error, 'not-found')) throw error;
    }
  }

  /** The container once it has been started: there is nothing to follow before that. */
  async #onceStarted(signal: AbortSignal): Promise<ContainerInfo> {
    using changes = this.#deps.events.subscribe(this.#name);
    for (;;) {
      changes.drain();
      const container = await this.#inspect(signal);
      if (container !== undefined && container.State.Status !== 'created') return container;
      await changes.changed(signal);
    }
  }
}
