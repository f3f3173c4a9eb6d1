import { count, type Node, type Service, type Task } from '../../../api/index.ts';
import { globalService, isServed } from '../plan-global.ts';
import {
  byPlace,
  endedByItself,
  isInvalidNode,
  isLeaving,
  isWanted,
  newestOf,
  numbered,
  onNode,
  type Place,
  placeKey,
  stateOf,
} from '../slots.ts';

const isReplicatedJob = ({ spec }: Service): boolean =>
  spec?.replicatedJob !== undefined && spec.replicatedJob !== null;

/** Whether a service runs one task to its end on every node. */
export const isGlobalJob = ({ spec }: Service): boolean =>
  spec?.globalJob !== undefined && spec.globalJob !== null;

/** Whether a service runs its tasks to their end, so many of them or one on each node. */
export const isJob = (service: Service): boolean =>
  isReplicatedJob(service) || isGlobalJob(service);

/** What brings a job on. */
export interface JobPlan {
  /** Places that get a new task. */
  readonly create: readonly Place[];
  /** Tasks of earlier runs of the job. */
  readonly remove: readonly Task[];
  /** Tasks on nodes that a global job does not run on any more. */
  readonly stop: readonly Task[];
}

/**
 * Brings a job on: each place has one task until that completes, or has failed as often as its
 * restart policy allows. A new run of the job, told by its iteration, starts over.
 * swarmkit manager/orchestrator/jobs (Places are numbered from 1 here, from 0 there.)
 *
 * @param tasks every task of the service
 * @param nodes every node
 */
export function planJob(service: Service, tasks: readonly Task[], nodes: readonly Node[]): JobPlan {
  const iteration = service.jobStatus?.jobIteration?.index ?? '0';
  const isCurrent = (task: Task): boolean => (task.jobIteration?.index ?? '0') === iteration;
  const remove = tasks.filter((task) => !isCurrent(task) && !isLeaving(task));
  const places = byPlace(tasks.filter((task) => isCurrent(task) && !isLeaving(task)));
  if (isReplicatedJob(service)) {
    return { create: replicatedPlaces(service, places), remove, stop: [] };
  }
  return { ...globalPlaces(service, places, nodes), remove };
}

type Places = ReadonlyMap<string, readonly Task[]>;

/** Whether a place needs no further task: one is at work or done, or has failed for good. */
function isTaken(tasks: readonly Task[] | undefined): boolean {
  if (tasks === undefined) return false;
  const newest = newestOf(tasks);
  return (
    tasks.some((task) => isWanted(task) || stateOf(task) === 'COMPLETE') ||
    (newest !== undefined && endedByItself(newest))
  );
}

/** As many more places as may be at work at once, and as are left to complete. */
function replicatedPlaces(service: Service, places: Places): readonly Place[] {
  const { maxConcurrent, totalCompletions } = service.spec?.replicatedJob ?? {};
  const taken = [...places.values()].filter(isTaken);
  const atWork = taken.filter((tasks) =>
    tasks.some((task) => isWanted(task) && stateOf(task) !== 'COMPLETE'),
  );
  const wanted = Math.min(
    count(maxConcurrent) - atWork.length,
    count(totalCompletions) - taken.length,
  );
  const create: Place[] = [];
  for (let slot = 1; create.length < wanted; slot += 1) {
    const place = numbered(slot);
    if (!isTaken(places.get(placeKey(service.id, place)))) create.push(place);
  }
  return create;
}

/** Every node that can take tasks and meets the constraints. */
function globalPlaces(
  service: Service,
  places: Places,
  nodes: readonly Node[],
): Pick<JobPlan, 'create' | 'stop'> {
  const read = globalService(service);
  const create = nodes
    .filter((node) => node.status?.state === 'READY' && isServed(read, node))
    .map(({ id }) => onNode(id))
    .filter((place) => !isTaken(places.get(placeKey(service.id, place))));
  const kept = new Set(
    nodes.filter((node) => !isInvalidNode(node) && read.allows(node)).map(({ id }) => id),
  );
  const stop = [...places.values()]
    .flat()
    .filter((task) => isWanted(task) && stateOf(task) !== 'COMPLETE' && !kept.has(task.nodeId));
  return { create, stop };
}
