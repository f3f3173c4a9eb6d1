import { type Node, type Task, expandContainerSpec, type TemplateNode } from '../../api/index.ts';
import type { GenericResourceInput, NodeDescriptionInput } from '../../api/gen/types.ts';
import { type Clock, isSwarmError, type Log, SwarmError } from '../../runtime/index.ts';
import type { Controller, Executor, TaskDependencies } from '../execution.ts';
import { systemLabel } from './config/labels.ts';
import { containerConfig } from './container-config.ts';
import { ContainerEvents } from './container-events.ts';
import { DockerController } from './controller.ts';
import type { Engine, EngineGenericResource, EngineInfo } from './engine-port.ts';
import { TaskFiles } from './files.ts';
import { imageDefaults, Images, type ImageSettings } from './images.ts';

export interface DockerExecutorDeps {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Where the secrets and configs of running tasks are: an absolute path on a tmpfs, which the
   * Engine sees under the same path.
   */
  readonly filesDirectory: string;
}

/**
 * Runs tasks as containers of a Docker Engine. {@link run} must be running for tasks to be told
 * that their containers have ended.
 */
export class DockerExecutor implements Executor {
  readonly #engine: Engine;
  readonly #events: ContainerEvents;
  readonly #images: Images;
  readonly #files: TaskFiles;
  readonly #log: Log;
  #node: TemplateNode | undefined;

  constructor(
    { engine, clock, log, filesDirectory }: DockerExecutorDeps,
    settings: ImageSettings = imageDefaults,
  ) {
    this.#engine = engine;
    this.#log = log;
    this.#events = new ContainerEvents({ engine, clock, log });
    this.#images = new Images({ engine, clock, log }, settings);
    this.#files = new TaskFiles(filesDirectory);
  }

  /** Listens to the Engine until aborted. An Engine that is away is waited for. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#events.run(signal);
  }

  async describe(signal: AbortSignal): Promise<NodeDescriptionInput> {
    return describeEngine(await this.#engine.info(signal));
  }

  configure(node: Node): void {
    this.#node = node.description ?? undefined;
  }

  controllerOf(task: Task, dependencies: TaskDependencies): Controller {
    const container = task.spec?.container ?? null;
    if (container === null) throw new SwarmError('invalid-argument', 'unsupported runtime');
    const node = this.#node;
    const config = containerConfig(task, expandContainerSpec(task, container, node));
    const deps = {
      engine: this.#engine,
      events: this.#events,
      images: this.#images,
      files: this.#files,
      log: this.#log,
    };
    return new DockerController(deps, { task, config, node, dependencies });
  }

  async taskIds(nodeId: string, signal: AbortSignal): Promise<readonly string[]> {
    const containers = await this.#engine.listContainers({ [systemLabel.nodeId]: nodeId }, signal);
    return containers.flatMap((labels) => labels[systemLabel.taskId] ?? []);
  }

  async removeStray(taskId: string, signal: AbortSignal): Promise<void> {
    const containers = await this.#engine.listContainers({ [systemLabel.taskId]: taskId }, signal);
    for (const labels of containers) {
      const name = labels[systemLabel.taskName] ?? ''; // A container is named for its task.
      if (name === '') continue;
      await this.#engine.stopContainer(name, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!isSwarmError(error, 'not-found')) throw error;
      });
      await this.#engine.removeContainer(name, signal);
    }
    await this.#files.discard(taskId);
  }
}

/** An Engine as managers know a node. moby daemon/cluster/executor/container/executor.go */
export function describeEngine(info: EngineInfo): NodeDescriptionInput {
  const plugins = Object.entries(info.Plugins ?? {}).flatMap(([type, names]) =>
    (names ?? []).map((name) => ({ type, name })),
  );
  return {
    hostname: info.Name,
    platform: { architecture: info.Architecture, os: info.OSType },
    resources: {
      nanoCpus: String(BigInt(info.NCPU) * 1_000_000_000n),
      memoryBytes: String(info.MemTotal),
      generic: (info.GenericResources ?? []).map(genericResource),
    },
    engine: {
      engineVersion: info.ServerVersion,
      labels: labelsOf(info.Labels ?? []),
      plugins: plugins.toSorted((a, b) => compare(a.type, b.type) || compare(a.name, b.name)),
    },
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** Labels of the form `key=value`; others are left out. */
const labelsOf = (labels: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    labels
      .filter((label) => label.includes('='))
      .map((label) => [label.slice(0, label.indexOf('=')), label.slice(label.indexOf('=') + 1)]),
  );

function genericResource({
  NamedResourceSpec: named,
  DiscreteResourceSpec: discrete,
}: EngineGenericResource): GenericResourceInput {
  if (named !== undefined) {
    return { namedResourceSpec: { kind: named.Kind, value: named.Value } };
  }
  return {
    discreteResourceSpec: { kind: discrete?.Kind ?? '', value: String(discrete?.Value ?? 0) },
  };
}
