import {
  count,
  isEqual,
  serviceName,
  type Service,
  type ServiceSpec,
  timestampFromMs,
  versionOf,
} from '../../api/index.ts';
import { refused, unimplemented } from './common/errors.ts';
import { isJob } from './spec/service.ts';

/** A service as it is when it is created. Its tasks carry the version of the spec they are of. */
export const newService = (id: string, spec: ServiceSpec, nowMs: number): Service => ({
  id,
  meta: null,
  spec,
  endpoint: null,
  updateStatus: null,
  previousSpec: null,
  pendingDelete: false,
  specVersion: { index: '0' },
  previousSpecVersion: null,
  jobStatus: isJob(spec)
    ? { jobIteration: { index: '0' }, lastExecution: timestampFromMs(nowMs) }
    : null,
});

/**
 * Some changes of a service are another service. swarmkit manager/controlapi/service.go
 *
 * @throws SwarmError unimplemented
 */
export function checkChange(service: Service, spec: ServiceSpec): void {
  const hasNetworksChanged = !isEqual(spec.networks, service.spec?.networks ?? []);
  if (hasNetworksChanged && isEqual(spec.task?.networks, service.spec?.task?.networks)) {
    throw unimplemented('networks must be migrated to TaskSpec before being changed');
  }
  if (service.spec?.mode !== spec.mode) throw unimplemented('service mode change is not allowed');
  if (serviceName(service) !== spec.annotations?.name) {
    throw unimplemented('renaming services is not supported');
  }
}

/**
 * A service with a new spec. The spec's version is the version the service had before: the two are
 * never equal afterwards, and are not meant to be compared.
 */
export const changedService = (service: Service, spec: ServiceSpec, nowMs: number): Service => ({
  ...service,
  previousSpec: service.spec,
  previousSpecVersion: service.specVersion,
  spec,
  specVersion: { index: String(versionOf(service)) },
  updateStatus: null,
  jobStatus: nextJobStatus(service, nowMs),
});

/**
 * A service with the spec it had before its last change; the present one becomes the previous one,
 * so that a second rollback undoes the first.
 *
 * @throws SwarmError failed-precondition, if it was never changed
 */
export function rolledBackService(service: Service, nowMs: number): Service {
  if (service.previousSpec === null) {
    throw refused(`service ${service.id} does not have a previous spec`);
  }
  return {
    ...service,
    previousSpec: service.spec,
    previousSpecVersion: service.specVersion,
    spec: service.previousSpec,
    specVersion: service.previousSpecVersion,
    updateStatus: {
      state: 'ROLLBACK_STARTED',
      startedAt: timestampFromMs(nowMs),
      completedAt: null,
      message: 'manually requested rollback',
    },
    jobStatus: nextJobStatus(service, nowMs),
  };
}

/** Every update of a job, even one that changes nothing, runs it again. */
const nextJobStatus = ({ jobStatus }: Service, nowMs: number): Service['jobStatus'] =>
  jobStatus && {
    jobIteration: { index: String(count(jobStatus.jobIteration?.index) + 1) },
    lastExecution: timestampFromMs(nowMs),
  };
