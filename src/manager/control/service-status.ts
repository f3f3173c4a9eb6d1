import { count, type Service, type Task } from '../../api/index.ts';
import type { ListServiceStatusesResponseServiceStatus } from '../../api/gen/types.ts';

/**
 * How far a service is: tasks wanted, running and completed. Of a job only the tasks of its present
 * run count. swarmkit manager/controlapi/service.go ListServiceStatuses
 *
 * @param service `undefined` if there is none of that ID (any more): its tasks count all the same
 */
export function serviceStatus(
  serviceId: string,
  service: Service | undefined,
  tasks: readonly Task[],
): ListServiceStatusesResponseServiceStatus {
  const counted = tasks.filter((task) => isOfPresentRun(service, task));
  const inState = (state: Task['desiredState']): number =>
    counted.filter(({ status }) => status?.state === state).length;
  return {
    serviceId,
    desiredTasks: String(service === undefined ? 0 : desiredTasks(service, counted)),
    runningTasks: String(inState('RUNNING')),
    completedTasks: String(inState('COMPLETE')),
  };
}

function isOfPresentRun(service: Service | undefined, { jobIteration }: Task): boolean {
  if (!service?.jobStatus) return true;
  return jobIteration?.index === service.jobStatus.jobIteration?.index;
}

/** A service that runs everywhere wants as many tasks as its orchestrator has made for it. */
function desiredTasks({ spec }: Service, tasks: readonly Task[]): number {
  switch (spec?.mode) {
    case 'replicated':
      return count(spec.replicated?.replicas);
    case 'replicatedJob':
      return count(spec.replicatedJob?.maxConcurrent);
    case 'global':
      return tasks.filter(({ desiredState }) => desiredState === 'RUNNING').length;
    case 'globalJob':
      return tasks.filter(
        ({ desiredState, status }) => desiredState === 'COMPLETE' && status?.state !== 'COMPLETE',
      ).length;
    case undefined:
      return 0;
  }
}
