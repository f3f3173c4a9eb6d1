import {
  addResources,
  amountsOf,
  compareStates,
  genericAmounts,
  type Node,
  type ResourceAmounts,
  noResources,
  subtractResources,
  type Task,
} from '../api/index.ts';

/** Failures this old no longer speak against a node. swarmkit manager/scheduler */
const failureWindowMs = 5 * 60_000;

/** How many failures of one service are remembered per node: more would change nothing. */
const failuresMax = 32;

/** What a task takes of the node it is on. */
export interface TaskShare {
  readonly serviceId: string;
  readonly isActive: boolean;
  readonly resources: ResourceAmounts;
  /** Host-mode ports, as `80/tcp`. */
  readonly ports: readonly string[];
}

/** Whether a task counts as running: it is not meant to stop. */
export const isActive = (task: Task): boolean => compareStates(task.desiredState, 'COMPLETE') <= 0;

/** What a task on a node takes of it, with the generic resources it was given. */
export const shareOf = (task: Task): TaskShare => ({
  serviceId: task.serviceId,
  isActive: isActive(task),
  resources: { ...reservationsOf(task), ...namesAndCounts(task) },
  ports: hostPortsOf(task),
});

/** What a task asks for. */
export const reservationsOf = (task: Task): ResourceAmounts =>
  amountsOf(task.spec?.resources?.reservations);

const namesAndCounts = (task: Task): Pick<ResourceAmounts, 'discrete' | 'named'> => {
  const { discrete, named } = genericAmounts(task.assignedGenericResources);
  return { discrete, named };
};

/** The host-mode ports a task needs for itself, as `80/tcp`. */
export const hostPortsOf = (task: Task): readonly string[] =>
  (task.endpoint?.ports ?? [])
    .filter(({ publishMode, publishedPort }) => publishMode === 'HOST' && publishedPort !== 0)
    .map(({ publishedPort, protocol }) => `${publishedPort}/${protocol.toLowerCase()}`);

/** Tasks of one service and one version of its spec fail alike. */
export const failureKeyOf = (task: Task): string =>
  `${task.serviceId}@${task.specVersion?.index ?? ''}`;

/** The sum of what the tasks on a node take of it, and which of them failed lately. */
export class NodeLoad {
  #tasks = 0;
  #active = 0;
  #used: ResourceAmounts = noResources;
  #activeOf = new Map<string, number>();
  #ports = new Map<string, number>();
  #failures = new Map<string, readonly number[]>();

  /** A load of its own that is the same now. */
  copy(): NodeLoad {
    const copy = new NodeLoad();
    copy.#tasks = this.#tasks;
    copy.#active = this.#active;
    copy.#used = this.#used;
    copy.#activeOf = new Map(this.#activeOf);
    copy.#ports = new Map(this.#ports);
    copy.#failures = new Map(this.#failures);
    return copy;
  }

  /** How many tasks take something of the node, active or about to stop. */
  get tasks(): number {
    return this.#tasks;
  }

  /** How many tasks are active. */
  get active(): number {
    return this.#active;
  }

  get used(): ResourceAmounts {
    return this.#used;
  }

  /** How many tasks of a service are active. */
  activeOf(serviceId: string): number {
    return this.#activeOf.get(serviceId) ?? 0;
  }

  /** Whether a host-mode port, as `80/tcp`, is taken. */
  hasPort(port: string): boolean {
    return this.#ports.has(port);
  }

  add(share: TaskShare): void {
    this.#tasks += 1;
    this.#used = addResources(this.#used, share.resources);
    for (const port of share.ports) change(this.#ports, port, 1);
    if (share.isActive) this.#count(share.serviceId, 1);
  }

  /** Takes back what the same share added. */
  remove(share: TaskShare): void {
    this.#tasks -= 1;
    this.#used = subtractResources(this.#used, share.resources);
    for (const port of share.ports) change(this.#ports, port, -1);
    if (share.isActive) this.#count(share.serviceId, -1);
  }

  #count(serviceId: string, by: 1 | -1): void {
    this.#active += by;
    change(this.#activeOf, serviceId, by);
  }

  /** Remembers that a task failed here at `at`, in milliseconds since the epoch. */
  addFailure(key: string, at: number): void {
    for (const [other, times] of this.#failures) {
      if (times.every((time) => at - time >= failureWindowMs)) this.#failures.delete(other);
    }
    const times = [...(this.#failures.get(key) ?? []), at].toSorted((a, b) => a - b);
    this.#failures.set(key, times.slice(-failuresMax));
  }

  /** How many tasks failed here within the window that ends at `now`. */
  recentFailures(key: string, now: number): number {
    const times = this.#failures.get(key);
    return times?.filter((time) => now - time < failureWindowMs).length ?? 0;
  }
}

/** A node as the scheduler sees it. */
export interface NodeView {
  readonly node: Node;
  /** What the node has, in use or not. */
  readonly capacity: ResourceAmounts;
  readonly load: NodeLoad;
}

/** What a node has left. */
export const availableOn = ({ capacity, load }: NodeView): ResourceAmounts =>
  subtractResources(capacity, load.used);

function change(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
