import {
  compareStates,
  isEqual,
  type Network,
  type Service,
  type Task,
  timestampFromMs,
} from '../../api/index.ts';

type Endpoint = NonNullable<Service['endpoint']>;
type Attachment = Task['networks'][number];
type AttachmentConfig = NonNullable<Task['spec']>['networks'][number];

/** Drivers whose networks live on one node: the cluster gives them nothing, neither subnet nor ID. */
const nodeLocalDrivers: ReadonlySet<string> = new Set([
  'bridge',
  'host',
  'ipvlan',
  'macvlan',
  'none',
  'null',
]);

const driverOf = ({ spec }: Network): string => spec?.driverConfig?.name ?? '';

/** Whether a network is each node's own affair. */
const isNodeLocal = (network: Network): boolean => nodeLocalDrivers.has(driverOf(network));

/**
 * A network as it is once it has been given what it needs, or `undefined` if there is nothing to
 * give. A network of a node's own needs its driver's name and nothing else.
 */
export function allocatedNetwork(network: Network): Network | undefined {
  if (!isNodeLocal(network) || network.driverState !== null) return undefined;
  return {
    ...network,
    driverState: { name: driverOf(network), options: {} },
    ipam: { driver: { name: '', options: {} }, configs: [] },
  };
}

/**
 * Whether tasks can be attached to a network. One that is not a node's own, as a stock manager may
 * have made it, has addresses to give, and this allocator gives none: two tasks could get the same.
 */
const isAllocated = (network: Network): boolean =>
  isNodeLocal(network) && network.driverState !== null;

/** The networks a spec attaches its tasks to: the task's own list, or the older one of services. */
function wantedAttachments(service: Service | undefined, task: Task): readonly AttachmentConfig[] {
  const own = task.spec?.networks ?? [];
  return own.length > 0 ? own : (service?.spec?.networks ?? []);
}

/** Finds a network by its ID. */
type NetworkOf = (id: string) => Network | undefined;

/**
 * The endpoint a service is to have; `undefined` if it cannot have one yet, because it publishes in
 * ingress mode. Ports published on the hosts are only copied: it is the engines that open them.
 * swarmkit manager/allocator/portallocator.go
 */
export function endpointFor(service: Service, networkOf: NetworkOf): Endpoint | undefined {
  const spec = service.spec?.endpoint ?? null;
  const ports = spec?.ports ?? [];
  if (ports.some((port) => port.publishMode === 'INGRESS')) return undefined;
  const own = service.spec?.task?.networks ?? [];
  const configs = own.length > 0 ? own : (service.spec?.networks ?? []);
  const networks = configs.flatMap(({ target }) => networkOf(target) ?? []);
  if (!networks.every(isAllocated)) return undefined;
  const hasAddress = spec?.mode !== 'DNSRR';
  const virtualIps = networks.map(({ id }) => ({ networkId: id, addr: '' }));
  return { spec, ports, virtualIps: hasAddress ? virtualIps : [] };
}

const nothing: Endpoint = { spec: null, ports: [], virtualIps: [] };

/** Whether a service has the endpoint its spec asks for. A service that asks for none has it. */
export function isServiceAllocated(service: Service, networkOf: NetworkOf): boolean {
  const endpoint = endpointFor(service, networkOf);
  return endpoint !== undefined && isEqual(service.endpoint ?? nothing, endpoint);
}

/** Whether a task waits for what it is to be given. */
export const isUnallocated = (task: Task): boolean =>
  (task.status?.state ?? 'NEW') === 'NEW' && compareStates(task.desiredState, 'COMPLETE') <= 0;

/**
 * A task with all that it needs, in state PENDING; `undefined` if something of it is not there
 * yet. swarmkit manager/allocator/network.go
 *
 * @param service the task's service; `undefined` for a network attachment
 */
export function allocatedTask(
  task: Task,
  service: Service | undefined,
  { networkOf, nowMs }: { readonly networkOf: NetworkOf; readonly nowMs: number },
): Task | undefined {
  if (service !== undefined && !isServiceAllocated(service, networkOf)) return undefined;
  const networks = wantedAttachments(service, task).flatMap((config) => {
    const network = networkOf(config.target);
    return network === undefined ? [] : [attachment(config, network)];
  });
  if (networks.some(({ network }) => network === null || !isAllocated(network))) return undefined;
  return {
    ...task,
    networks,
    endpoint: service?.endpoint ?? task.endpoint,
    status: {
      timestamp: timestampFromMs(nowMs),
      state: 'PENDING',
      message: 'pending task scheduling',
      err: '',
      portStatus: null,
      appliedBy: '',
      appliedAt: null,
    },
  };
}

const attachment = (config: AttachmentConfig, network: Network): Attachment => ({
  network,
  addresses: [],
  aliases: config.aliases,
  driverAttachmentOpts: config.driverAttachmentOpts,
});
