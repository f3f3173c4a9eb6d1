import type { TaskObject } from '../commands/tasks.ts';
import type { NodeObject } from '../engine-types.ts';
import { compareNaturally } from '../output/table.ts';
import { isJob, type ServiceObject } from './spec.ts';

/** More places than this are not shown one by one. */
const placesMax = 20;
/** A bar shows so much of an error: a line that wraps could not be drawn over. */
const errorWidth = 75;

/** The states on the way to running, each one step of a bar. */
const steps = [
  'new',
  'allocated',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
  'running',
];
const stateWidth = 9;

/** A service, its tasks of the newest spec, and the nodes they stand on. */
export interface Snapshot {
  readonly service: ServiceObject;
  readonly tasks: readonly TaskObject[];
  readonly nodes: readonly NodeObject[];
}

/** What a look at a service says of its way to what is wanted. */
export interface View {
  /** How far it is. */
  readonly head: string;
  /** A line for each place, if there are not too many. */
  readonly bars: readonly string[];
  /** A line for each place that has not come up, and why: `1/3: task: non-zero exit (1)`. */
  readonly failures: readonly string[];
  readonly wanted: number;
  /** Whether all that is wanted is there. */
  readonly isThere: boolean;
}

/** A slot, or a node of a global service: where one task after the other stands. */
interface Place {
  readonly label: string;
  readonly current: TaskObject | undefined;
  /** Why nothing runs there, in one line; empty, if something does or nothing is known. */
  readonly error: string;
}

/** What a snapshot shows of a service that is to run, or of a job that is to end. */
export function viewOf(snapshot: Snapshot): View {
  return isJob(snapshot.service.Spec) ? jobView(snapshot) : runningView(snapshot);
}

function runningView(snapshot: Snapshot): View {
  const { Mode = {} } = snapshot.service.Spec;
  const state = snapshot.service.UpdateStatus?.State ?? '';
  const places = placesOf(
    snapshot,
    Mode.Global === undefined ? Mode.Replicated?.Replicas : undefined,
  );
  const wanted = Mode.Global === undefined ? (Mode.Replicated?.Replicas ?? 0) : places.length;
  const running = places.filter(({ current }) => current?.Status.State === 'running').length;
  const what = state.startsWith('rollback') ? 'rolling back update: ' : '';
  const isUpdating = state === 'updating' || state === 'rollback_started';
  return {
    head: `overall progress: ${what}${running} out of ${wanted} tasks`,
    ...linesOf(places, wanted),
    wanted,
    isThere: running === wanted && !isUpdating,
  };
}

function jobView(snapshot: Snapshot): View {
  const { Spec, JobStatus } = snapshot.service;
  const iteration = JobStatus?.JobIteration?.Index ?? 0;
  const isNumbered = Spec.Mode?.ReplicatedJob !== undefined; // From 0, unlike those of a service.
  const tasks = snapshot.tasks
    .filter((task) => (task.JobIteration?.Index ?? 0) === iteration)
    .map((task) => (isNumbered ? { ...task, Slot: (task.Slot ?? 0) + 1 } : task));
  const places = placesOf({ ...snapshot, tasks }, undefined);
  const done = places.filter(({ current }) => current?.Status.State === 'complete').length;
  const wanted = Spec.Mode?.ReplicatedJob?.TotalCompletions ?? places.length;
  return {
    head: `job progress: ${done} out of ${wanted} complete`,
    ...linesOf(places, wanted),
    wanted,
    isThere: done >= wanted && (wanted > 0 || Spec.Mode?.GlobalJob === undefined),
  };
}

/** The places of a service on nodes that are up: `slots` of them at least, or those that tasks have. */
function placesOf({ tasks, nodes }: Snapshot, slots = 0): readonly Place[] {
  const up = new Set(nodes.filter(({ Status }) => Status?.State !== 'down').map(({ ID }) => ID));
  const byPlace = new Map<string, TaskObject[]>();
  for (const task of tasks) {
    const { NodeID = '', Slot = 0 } = task;
    if (NodeID !== '' && !up.has(NodeID)) continue;
    const place = Slot === 0 ? NodeID.slice(0, 12) : String(Slot);
    byPlace.set(place, [...(byPlace.get(place) ?? []), task]);
  }
  // The slots of a service that was scaled down and up need not be the first ones.
  for (let slot = 1; byPlace.size < slots; slot += 1) {
    if (!byPlace.has(String(slot))) byPlace.set(String(slot), []);
  }
  return [...byPlace]
    .toSorted(([a], [b]) => compareNaturally(a, b))
    .map(([label, held]) => placeOf(label, held));
}

const stepOf = ({ Status }: TaskObject): number =>
  Math.max(steps.indexOf(Status.State ?? ''), 0) + 1;

const isOver = ({ Status }: TaskObject): boolean =>
  Status.State === 'failed' || Status.State === 'rejected';

/**
 * Of two live tasks the one that is further behind stands for its place. A task that waits for its
 * start says nothing of why: the one before it does.
 */
function placeOf(label: string, tasks: readonly TaskObject[]): Place {
  const [current] = tasks
    .filter(
      ({ DesiredState, Status }) =>
        DesiredState !== 'shutdown' && DesiredState !== 'remove' && Status.State !== 'orphaned',
    )
    .toSorted((a, b) => stepOf(a) - stepOf(b));
  const state = current?.Status.State;
  if (state === 'running' || state === 'complete') return { label, current, error: '' };
  const [failed] = tasks
    .filter(isOver)
    .toSorted((a, b) => Date.parse(b.CreatedAt ?? '') - Date.parse(a.CreatedAt ?? ''));
  const own = current?.Status.Err ?? '';
  const error = own === '' ? (failed?.Status.Err ?? '') : own;
  return { label, current, error: error.replaceAll(/\s+/gu, ' ').trim() };
}

function linesOf(places: readonly Place[], wanted: number): Pick<View, 'bars' | 'failures'> {
  const head = ({ label }: Place): string => `${label.padStart(String(wanted).length)}/${wanted}: `;
  const failing = places.filter(({ error }) => error !== '');
  return {
    bars: places.length > placesMax ? [] : places.map((place) => head(place) + contentOf(place)),
    failures: failing.slice(0, placesMax).map((place) => head(place) + place.error),
  };
}

function contentOf({ current, error }: Place): string {
  if (error !== '') return error.slice(0, errorWidth);
  if (current === undefined) return '';
  const filled = `${'='.repeat(stepOf(current) * 4)}>`;
  return `${(current.Status.State ?? '').padEnd(stateWidth)} [${filled.padEnd(steps.length * 4 + 1)}]`;
}
