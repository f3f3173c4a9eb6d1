import type { ContainerSpecInput, Service, ServiceSpecInput } from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import {
  type Api,
  type ApiCall,
  type Control,
  controlOf,
  empty,
  json,
  jsonList,
  type Reply,
} from '../api-call.ts';
import {
  serviceSpecFromEngine,
  serviceStatusToEngine,
  serviceToEngine,
} from '../convert/service.ts';
import { withoutNewer } from '../service-version.ts';
import { serviceQuery } from '../filters.ts';
import { findService } from '../lookup.ts';
import { randomServiceName } from './service-names.ts';
import { resolveNetworks } from './networks.ts';

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/** The mode of a service, as the `mode` filter names it. */
const modeNames = {
  replicated: 'replicated',
  global: 'global',
  replicatedJob: 'replicated-job',
  globalJob: 'global-job',
} as const;

/** `GET /services`; with `status` each tells how many of its tasks run. */
export async function listServices(
  call: ApiCall,
  { node, services: rendered }: Api,
): Promise<Reply> {
  const withStatus = call.strict('status');
  const { filters, modes } = serviceQuery(call.query.get('filters'));
  const control = controlOf(node, call.signal);
  const { services } = await control('ListServices', { filters });
  const wanted = services.filter(
    ({ spec }) =>
      modes.length === 0 || (spec?.mode !== undefined && modes.includes(modeNames[spec.mode])),
  );
  if (!withStatus || wanted.length === 0) {
    return jsonList(wanted.map((service) => rendered.of(service)));
  }
  const { statuses } = await control('ListServiceStatuses', {
    services: wanted.map(({ id }) => id),
  });
  const byService = new Map(statuses.map((status) => [status.serviceId, status]));
  return jsonList(
    wanted.map((service) => {
      const status = byService.get(service.id);
      return status === undefined
        ? rendered.of(service)
        : rendered.with(service, 'ServiceStatus', serviceStatusToEngine(status));
    }),
  );
}

/** `GET /services/{id}` */
export async function inspectService(call: ApiCall, { node }: Api): Promise<Reply> {
  const insertDefaults = call.strict('insertDefaults');
  const control = controlOf(node, call.signal);
  return json(serviceToEngine(await findService(control, call.param('id'), insertDefaults)));
}

/** `POST /services/create` */
export async function createService(call: ApiCall, api: Api): Promise<Reply> {
  const body = await call.body();
  const control = controlOf(api.node, call.signal);
  const written = withoutNewer(serviceSpecFromEngine(body), call.version);
  const spec = await resolveNetworks(call, api, written);
  if (body.text('Name') === '') {
    spec.annotations = { ...spec.annotations, name: randomServiceName(api.random) };
  }
  const auth = registryAuthOf(call);
  const { service } = await control('CreateService', {
    spec: auth === '' ? spec : withPullOptions(spec, { registryAuth: auth }),
  });
  return json({ ID: service?.id }, 201);
}

/** `POST /services/{id}/update` */
export async function updateService(call: ApiCall, api: Api): Promise<Reply> {
  const body = await call.body();
  const serviceVersion = call.objectVersion('service');
  const rollback = rollbackOf(call.query.get('rollback') ?? '');
  const control = controlOf(api.node, call.signal);
  const written = withoutNewer(serviceSpecFromEngine(body), call.version);
  const spec = await resolveNetworks(call, api, written);
  const current = await findService(control, call.param('id'));
  await control('UpdateService', {
    serviceId: current.id,
    serviceVersion,
    spec: withPullOptions(spec, pullOptionsOf(call, current)),
    rollback,
  });
  return json({ Warnings: null });
}

/** `DELETE /services/{id}` */
export async function removeService(call: ApiCall, { node }: Api): Promise<Reply> {
  const control: Control = controlOf(node, call.signal);
  const { id } = await findService(control, call.param('id'));
  await control('RemoveService', { serviceId: id });
  return empty(200);
}

function rollbackOf(written: string): 'NONE' | 'PREVIOUS' {
  if (written === '' || written === 'none') return 'NONE';
  if (written === 'previous') return 'PREVIOUS';
  throw invalid(`unrecognized rollback option ${written}`);
}

/** What authorizes the agents to pull: the client's words, kept as they are. */
function registryAuthOf({ headers }: ApiCall): string {
  const given = headers['x-registry-auth'];
  return (Array.isArray(given) ? given[0] : given) ?? '';
}

type PullOptions = NonNullable<ContainerSpecInput['pullOptions']>;

/** Without new words an update keeps those of the service's spec, or of its previous one. */
function pullOptionsOf(call: ApiCall, current: Service): PullOptions | null {
  const auth = registryAuthOf(call);
  if (auth !== '') return { registryAuth: auth };
  const from = call.query.get('registryAuthFrom') ?? '';
  if (from !== '' && from !== 'spec' && from !== 'previous-spec') {
    throw invalid('unsupported registryAuthFrom value');
  }
  const source = from === 'previous-spec' ? current.previousSpec : current.spec;
  if (source === null) throw invalid('service does not have a previous spec');
  const container = source.task?.container ?? null;
  if (container === null) throw invalid('service does not use container tasks');
  return container.pullOptions;
}

const withPullOptions = (
  spec: ServiceSpecInput,
  pullOptions: PullOptions | null,
): ServiceSpecInput => ({
  ...spec,
  task: { ...spec.task, container: { ...spec.task?.container, pullOptions } },
});
