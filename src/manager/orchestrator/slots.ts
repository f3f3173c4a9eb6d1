import {
  type Cluster,
  compareStates,
  isEqual,
  isTerminal,
  type Node,
  type Service,
  type Task,
  type TaskSpec,
  timestampFromMs,
  toMs,
} from '../../api/index.ts';
import { isSwarmError } from '../../runtime/index.ts';
import { type Constraint, meetsConstraints, parseConstraints } from '../../scheduler/index.ts';

/**
 * A place that one task at a time fills: a number of a replicated service, or a node of a global
 * one. Exactly one of the two is set; the other is `'0'` or empty, as in a task.
 */
export interface Place {
  readonly slot: string;
  readonly nodeId: string;
}

/** The place of a replicated service with this number, from 1. */
export const numbered = (slot: number): Place => ({ slot: String(slot), nodeId: '' });

/** The place of a global service on this node. */
export const onNode = (nodeId: string): Place => ({ slot: '0', nodeId });

/** The place a task fills: its node counts only if it has no number. */
export const placeOf = ({ slot, nodeId }: Task): Place =>
  slot === '0' ? onNode(nodeId) : { slot, nodeId: '' };

/** A place of a service, as one text. */
export const placeKey = (serviceId: string, { slot, nodeId }: Place): string =>
  `${serviceId} ${slot} ${nodeId}`;

/** Tasks by the place they fill. All of them are one service's. */
export function byPlace(tasks: readonly Task[]): Map<string, readonly Task[]> {
  const places = new Map<string, Task[]>();
  for (const task of tasks) {
    const key = placeKey(task.serviceId, placeOf(task));
    const others = places.get(key);
    if (others === undefined) places.set(key, [task]);
    else others.push(task);
  }
  return places;
}

/** Whether a task is wanted to run, now or after a delay; or to complete, as a job's is. */
export const isWanted = (task: Task): boolean => compareStates(task.desiredState, 'COMPLETE') <= 0;

/** Whether a task is on its way out of the store. */
export const isLeaving = (task: Task): boolean => compareStates(task.desiredState, 'REMOVE') >= 0;

/** The state a task was last seen in. */
export const stateOf = (task: Task | undefined): NonNullable<Task['status']>['state'] =>
  task?.status?.state ?? 'NEW';

/** Whether a task ended of its own accord, which a restart is then delayed for. */
export const endedByItself = (task: Task): boolean =>
  ['COMPLETE', 'FAILED', 'REJECTED'].includes(stateOf(task));

/** Whether a node can run nothing: it is gone, down or drained. A silent or paused one can. */
export const isInvalidNode = (node: Node | undefined): boolean =>
  node === undefined || node.status?.state === 'DOWN' || node.spec?.availability === 'DRAIN';

/** Whether nothing runs on behalf of this task any more, as far as anybody can tell. */
export const hasStopped = (task: Task, node: Node | undefined): boolean =>
  isTerminal(stateOf(task)) ||
  task.nodeId === '' ||
  node === undefined ||
  node.status?.state === 'DOWN';

/** When a task was created, in milliseconds since the epoch. */
export const createdMs = (task: Task): number =>
  toMs(task.meta?.createdAt) ?? toMs(task.status?.timestamp) ?? 0;

/** When a task's status was last written: by a manager if it says so, else by its agent. */
export const statusMs = (task: Task): number =>
  toMs(task.status?.appliedAt) ?? toMs(task.status?.timestamp) ?? 0;

/** The task of a place that was created last. */
export const newestOf = (tasks: readonly Task[]): Task | undefined =>
  tasks.toSorted((a, b) => createdMs(b) - createdMs(a) || statusMs(b) - statusMs(a))[0];

/** What a new task is given by whoever creates it. */
export interface NewTask {
  readonly id: string;
  /** Wall-clock time, in milliseconds since the epoch. */
  readonly nowMs: number;
  /** RUNNING unless said otherwise; READY for a task that waits for its start. */
  readonly desiredState?: Task['desiredState'];
  /** Supplies the log driver of tasks that name none. */
  readonly cluster: Cluster | undefined;
}

/** A task of a service for one of its places, in state NEW. swarmkit manager/orchestrator/task.go */
export function newTask(service: Service, place: Place, options: NewTask): Task {
  const { id, nowMs, desiredState = 'RUNNING', cluster } = options;
  const spec = service.spec?.task ?? null;
  return {
    id,
    meta: null,
    spec,
    serviceId: service.id,
    slot: place.slot,
    nodeId: place.nodeId,
    annotations: null,
    serviceAnnotations: service.spec?.annotations ?? null,
    status: statusOf('NEW', 'created', nowMs),
    desiredState,
    networks: [],
    endpoint: { spec: service.spec?.endpoint ?? null, ports: [], virtualIps: [] },
    logDriver: spec?.logDriver ?? defaultLogDriver(cluster),
    specVersion: service.specVersion,
    assignedGenericResources: [],
    jobIteration: service.jobStatus?.jobIteration ?? null,
    volumes: [],
  };
}

const defaultLogDriver = (cluster: Cluster | undefined): Task['logDriver'] =>
  cluster?.spec?.taskDefaults?.logDriver ?? null;

/** A status as a manager writes it. */
export const statusOf = (
  state: Task['desiredState'],
  message: string,
  nowMs: number,
): NonNullable<Task['status']> => ({
  timestamp: timestampFromMs(nowMs),
  state,
  message,
  err: '',
  portStatus: null,
  appliedBy: '',
  appliedAt: null,
});

/**
 * Which nodes a service's constraints allow. Constraints that cannot be read allow every node, as
 * in swarmkit; the control API refuses them.
 */
export function allowedBy(service: Service): (node: Node) => boolean {
  const constraints = readConstraints(service.spec?.task?.placement?.constraints ?? []);
  return (node) => meetsConstraints(constraints, node);
}

/** The constraints that these texts mean; none, if one of them means nothing. */
export function readConstraints(texts: readonly string[]): readonly Constraint[] {
  try {
    return parseConstraints(texts);
  } catch (error) {
    if (!isSwarmError(error, 'invalid-argument')) throw error;
    return [];
  }
}

/**
 * Whether a task is not what its service now asks for, so that an update replaces it.
 *
 * Equal spec versions settle it. Otherwise two differences are forgiven: a placement that the
 * task's node satisfies, and pull options of an image that has been pulled already.
 * swarmkit manager/orchestrator/task.go
 */
export function isTaskDirty(service: Service, task: Task, node: Node | undefined): boolean {
  const { specVersion } = service;
  if (specVersion !== null && specVersion.index === task.specVersion?.index) return false;
  const [wanted, actual] = [service.spec?.task ?? null, task.spec];
  if (task.endpoint !== null && !isEndpointEqual(service.spec?.endpoint, task.endpoint.spec)) {
    return true;
  }
  if (isEqual(wanted, actual)) return false;
  if (wanted === null || actual === null) return true;
  const isPlaced = node !== undefined && allowedBy(service)(node);
  const forgiven = isPlaced ? { ...wanted, placement: actual.placement } : wanted;
  return !isEqual(isPulled(task) ? withPullOptionsOf(forgiven, actual) : forgiven, actual);
}

type EndpointSpec = NonNullable<Service['spec']>['endpoint'];

/** No endpoint spec at all asks for the same as an empty one. */
const isEndpointEqual = (a: EndpointSpec | undefined, b: EndpointSpec): boolean =>
  isEqual(a ?? { mode: 'VIP', ports: [] }, b ?? { mode: 'VIP', ports: [] });

const isPulled = (task: Task): boolean =>
  isWanted(task) && compareStates(stateOf(task), 'READY') >= 0 && !isTerminal(stateOf(task));

const withPullOptionsOf = (wanted: TaskSpec, actual: TaskSpec): TaskSpec =>
  wanted.container && actual.container
    ? { ...wanted, container: { ...wanted.container, pullOptions: actual.container.pullOptions } }
    : wanted;
