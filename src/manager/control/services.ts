import {
  isEqual,
  type Service,
  type ServiceSpec,
  serviceName,
  withDefaults,
} from '../../api/index.ts';
import type * as wire from '../../api/gen/types.ts';
import { newId } from '../../runtime/index.ts';
import type { ReadView, Transaction } from '../store/view.ts';
import type { ControlDeps, Methods } from './deps.ts';
import { invalid, notFound, required } from './common/errors.ts';
import { isAmong, passes } from './common/filters.ts';
import { checkVersion, found, listed } from './common/lookup.ts';
import { forWire } from './common/response.ts';
import { changedService, checkChange, newService, rolledBackService } from './service-change.ts';
import { serviceStatus } from './service-status.ts';
import { checkPortConflicts } from './spec/ports.ts';
import { validateServiceSpec } from './spec/service.ts';
import { checkSupportedNetwork, checkSupportedService } from './spec/supported.ts';
import { runtimeName } from './tasks.ts';

/** What a person changes about services. swarmkit manager/controlapi/service.go */
export function serviceChanges({
  store,
  clock,
  random,
}: Pick<ControlDeps, 'store' | 'clock' | 'random'>): Methods<
  'createService' | 'updateService' | 'removeService'
> {
  return {
    createService: async ({ spec }) => {
      validateServiceSpec(spec);
      checkSupportedService(spec);
      const id = newId(random);
      const service = await store.update((tx) => {
        checkPortConflicts(spec, () => tx.find('service'));
        checkReferences(tx, spec);
        tx.create('service', newService(id, spec, clock.now()));
        return found(tx, 'service', id);
      });
      return { service: forWire<wire.Service>(service) };
    },

    updateService: async ({ serviceId, serviceVersion, spec, rollback }) => {
      const id = required(serviceId);
      const version = required(serviceVersion);
      validateServiceSpec(spec);
      checkSupportedService(spec);
      const updated = await store.update((tx) => {
        const service = found(tx, 'service', id);
        if (!isEqual(spec.endpoint, service.spec?.endpoint)) {
          checkPortConflicts(spec, () => tx.find('service').filter((other) => other.id !== id));
        }
        checkReferences(tx, spec);
        checkChange(service, spec);
        checkVersion(service, version);
        const nowMs = clock.now();
        const isRollback = rollback === 'PREVIOUS';
        tx.update(
          'service',
          isRollback ? rolledBackService(service, nowMs) : changedService(service, spec, nowMs),
        );
        return found(tx, 'service', id);
      });
      return { service: forWire<wire.Service>(updated) };
    },

    /** Its tasks outlive it: the orchestrator sees it gone and shuts them down. */
    removeService: async ({ serviceId }) => {
      const id = required(serviceId);
      await store.update((tx) => {
        tx.remove('service', id);
      });
      return {};
    },
  };
}

/** What a person asks about services. */
export function serviceQueries({
  store,
}: Pick<ControlDeps, 'store'>): Methods<'getService' | 'listServices' | 'listServiceStatuses'> {
  return {
    getService: async ({ serviceId, insertDefaults }) => {
      const id = required(serviceId);
      const service = store.view((view) => found(view, 'service', id));
      const shown =
        insertDefaults && service.spec ? { ...service, spec: withDefaults(service.spec) } : service;
      return { service: forWire<wire.Service>(shown) };
    },

    listServices: async ({ filters }) => {
      const services = store.view((view) =>
        listed(view, 'service', filters).filter((service) => passesAll(filters, service)),
      );
      return { services: services.map((service) => forWire<wire.Service>(service)) };
    },

    /** One answer for each ID asked for, known or not, in the same order. */
    listServiceStatuses: async ({ services }) => ({
      statuses: store.view((view) =>
        services.map((serviceId) =>
          serviceStatus(
            serviceId,
            view.get('service', serviceId),
            view.find('task', { by: 'service', serviceId }),
          ),
        ),
      ),
    }),
  };
}

const passesAll = (filters: wire.ListServicesRequestFilters | null, service: Service): boolean =>
  filters === null ||
  (passes(filters, {
    id: service.id,
    name: serviceName(service),
    labels: service.spec?.annotations?.labels,
  }) &&
    isAmong(filters.runtimes, runtimeName(service.spec?.task ?? null)));

/**
 * Whether what a spec names is there. A secret or config is named twice, by ID and by name: both
 * must be the object's.
 */
function checkReferences(tx: Transaction, spec: ServiceSpec): void {
  const { secrets = [], configs = [] } = spec.task?.container ?? {};
  checkExistence(
    'secret',
    secrets
      .filter(({ secretId, secretName }) => nameIn(tx, 'secret', secretId) !== secretName)
      .map(({ secretName }) => secretName),
  );
  checkExistence(
    'config',
    configs
      .filter(({ configId, configName }) => nameIn(tx, 'config', configId) !== configName)
      .map(({ configName }) => configName),
  );
  for (const { target } of [...(spec.task?.networks ?? []), ...spec.networks]) {
    const network = tx.get('network', target);
    if (network === undefined) throw notFound('network', target);
    checkSupportedNetwork(network);
  }
}

const nameIn = (view: ReadView, kind: 'secret' | 'config', id: string): string | undefined =>
  view.get(kind, id)?.spec?.annotations?.name;

function checkExistence(kind: 'secret' | 'config', missing: readonly string[]): void {
  if (missing.length === 0) return;
  throw invalid(`${kind}${missing.length > 1 ? 's' : ''} not found: ${missing.join(', ')}`);
}
