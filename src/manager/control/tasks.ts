import { type Task, taskName, type TaskSpec } from '../../api/index.ts';
import type * as wire from '../../api/gen/types.ts';
import type { ReadView } from '../store/view.ts';
import type { ControlDeps, Methods } from './deps.ts';
import { required } from './common/errors.ts';
import { isAmong, passes } from './common/filters.ts';
import { found } from './common/lookup.ts';
import { forWire } from './common/response.ts';

type Filters = wire.ListTasksRequestFilters | null;

/** Tasks as a person sees them. Nobody creates one here: the orchestrators do. */
export function taskMethods({
  store,
  isDirty,
}: Pick<ControlDeps, 'store' | 'isDirty'>): Methods<'getTask' | 'listTasks' | 'removeTask'> {
  const isUpToDate = (view: ReadView, task: Task): boolean => {
    const service = view.get('service', task.serviceId);
    return service !== undefined && !isDirty(service, task, view.get('node', task.nodeId));
  };
  return {
    getTask: async ({ taskId }) => {
      const id = required(taskId);
      const task = store.view((view) => found(view, 'task', id));
      return { task: forWire<wire.Task>(task) };
    },

    listTasks: async ({ filters }) => {
      const tasks = store.view((view) =>
        candidates(view, filters)
          .filter((task) => passesAll(filters, task))
          .filter((task) => filters?.upToDate !== true || isUpToDate(view, task)),
      );
      return { tasks: tasks.map((task) => forWire<wire.Task>(task)) };
    },

    /** Whatever the task does. Its orchestrator makes another in its place. */
    removeTask: async ({ taskId }) => {
      const id = required(taskId);
      await store.update((tx) => {
        tx.remove('task', id);
      });
      return {};
    },
  };
}

const passesAll = (filters: Filters, task: Task): boolean =>
  filters === null ||
  (passes(filters, {
    id: task.id,
    name: taskName(task),
    labels: task.serviceAnnotations?.labels,
  }) &&
    isAmong(filters.serviceIds, task.serviceId) &&
    isAmong(filters.nodeIds, task.nodeId) &&
    isAmong(filters.desiredStates, task.desiredState) &&
    isAmong(filters.runtimes, runtimeName(task.spec)));

/** The tasks to look through: those of the narrowest index a filter names, else all. */
function candidates(view: ReadView, filters: Filters): readonly Task[] {
  const { names = [], serviceIds = [], nodeIds = [] } = filters ?? {};
  if (names.length > 0) return union(names, (name) => view.find('task', { by: 'name', name }));
  if (serviceIds.length > 0) {
    return union(serviceIds, (serviceId) => view.find('task', { by: 'service', serviceId }));
  }
  if (nodeIds.length > 0) {
    return union(nodeIds, (nodeId) => view.find('task', { by: 'node', nodeId }));
  }
  return view.find('task');
}

const union = (
  values: readonly string[],
  find: (value: string) => readonly Task[],
): readonly Task[] => [...new Set(values.flatMap(find))];

/** What runs a task: `container`, `attachment`, or the lower-cased kind of a generic runtime. */
export const runtimeName = (spec: TaskSpec | null): string =>
  spec?.runtime === 'generic' ? (spec.generic?.kind.toLowerCase() ?? '') : (spec?.runtime ?? '');
