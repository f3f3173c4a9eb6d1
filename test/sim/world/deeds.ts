import {
  codecOf,
  type Node,
  type RpcClient,
  type Service,
  versionOf,
} from '../../../src/api/index.ts';
import { isSwarmError } from '../../../src/runtime/index.ts';
import type {
  ClusterSpecInput,
  KeyRotationInput,
  ServiceSpecInput,
} from '../../../src/api/gen/types.ts';
import type { ReadView } from '../../../src/manager/store/view.ts';
import type { Mark } from '../kernel/marks.ts';
import type { Deed } from './plan/plan.ts';

/** What a person has at hand: the control API, and what the manager they ask knows. */
export interface Desk {
  readonly client: RpcClient;
  readonly view: <T>(read: (view: ReadView) => T) => T;
  readonly mark: (mark: Mark) => void;
  /** Two tasks may run in a slot of this service from now on: they start first, then stop. */
  readonly overlaps: (serviceId: string) => void;
  /** This task is removed by hand, though it may be wanted. */
  readonly givesUp: (taskId: string) => void;
  /** The nodes of the hosts that there are: those that run tasks, by number, and those of managers. */
  readonly workers: readonly string[];
  readonly managers: readonly string[];
  /** A node is demoted or removed, as they were told; they had asked for it at a time. */
  readonly accepted: (what: 'demote' | 'remove', nodeId: string, askedAt: number) => void;
  readonly now: () => number;
}

/** The index of the log that an answer names, if it names one. */
type Told = Promise<number | undefined>;

type Doing = {
  readonly [K in Exclude<Deed['kind'], 'leave' | 'rebuild'>]: (
    desk: Desk,
    deed: Extract<Deed, { kind: K }>,
  ) => Told;
};

const options = () => ({ deadlineMs: 10_000, signal: new AbortController().signal });

/** How each deed is done. One that makes no sense at the time is left alone. */
export const doing: Doing = {
  create: async (desk, deed) => {
    const secret = deed.withSecret ? await createSecret(desk, `secret${deed.number}`) : undefined;
    const spec = aSpec(deed, secret);
    const { service } = await desk.client.unary('Control', 'CreateService', { spec }, options());
    return service === null ? undefined : versionOf(service);
  },
  scale: async (desk, { number, replicas }) => {
    const service = serviceOf(desk, number);
    if (!service?.spec?.replicated) return undefined;
    return update(desk, service, {
      ...service.spec,
      replicated: { replicas: String(replicas) },
    });
  },
  update: async (desk, { number, image, isStartFirst, parallelism }) => {
    const service = serviceOf(desk, number);
    if (!service?.spec?.task?.container) return undefined;
    const { task } = service.spec;
    if (isStartFirst) desk.overlaps(service.id);
    return update(desk, service, {
      ...service.spec,
      task: { ...task, container: { ...task.container, image: `image:${image}` } },
      update: {
        parallelism: String(atLeast(parallelism, service)),
        order: isStartFirst ? 'START_FIRST' : 'STOP_FIRST',
        failureAction: 'CONTINUE',
        monitor: { seconds: '2', nanos: 0 },
      },
    });
  },
  'roll-back': async (desk, { number }) => {
    const service = serviceOf(desk, number);
    if (service === undefined || service.previousSpec === null) return undefined;
    const told = await update(desk, service, service.spec ?? {}, 'PREVIOUS');
    desk.mark('an update was rolled back');
    return told;
  },
  remove: async (desk, { number }) => {
    const service = serviceOf(desk, number);
    if (service === undefined) return undefined;
    const { id: serviceId } = service;
    const tasks = desk.view((all) => all.find('task', { by: 'service', serviceId }));
    const isComing = tasks.some(({ status }) => comingStates.has(status?.state ?? 'NEW'));
    await desk.client.unary('Control', 'RemoveService', { serviceId }, options());
    if (isComing) desk.mark('a service was removed while its tasks came up');
    return undefined;
  },
  'remove-task': async (desk, { number }) => {
    const task = nth(
      desk.view((all) => all.find('task')),
      number * 7,
    );
    if (task === undefined) return undefined;
    desk.givesUp(task.id);
    await desk.client.unary('Control', 'RemoveTask', { taskId: task.id }, options());
    return undefined;
  },
  drain: async (desk, { number }) => setAvailability(desk, number, 'DRAIN'),
  pause: async (desk, { number }) => setAvailability(desk, number, 'PAUSE'),
  activate: async (desk, { number }) => setAvailability(desk, number, 'ACTIVE'),
  promote: async (desk, { number }) => setRole(desk, number, 'MANAGER'),
  demote: async (desk, { number }) => setRole(desk, number, 'WORKER'),
  'remove-node': removeOne,
  'rotate-tokens': async (desk) => updateCluster(desk, { rotation: { workerJoinToken: true } }),
  heartbeat: async (desk, { ms }) => {
    desk.mark('the heartbeat period was changed');
    const heartbeatPeriod = { seconds: String(ms / 1_000), nanos: 0 };
    return updateCluster(desk, { spec: { dispatcher: { heartbeatPeriod } } });
  },
};

/** Changes the swarm as it is. */
async function updateCluster(
  desk: Desk,
  { spec, rotation }: { readonly spec?: ClusterSpecInput; readonly rotation?: KeyRotationInput },
): Told {
  const [cluster] = desk.view((all) => all.find('cluster'));
  if (!cluster?.spec) return undefined;
  const request = {
    clusterId: cluster.id,
    clusterVersion: cluster.meta?.version ?? null,
    // Encoding does not write to it.
    spec: { ...codecOf('ClusterSpec').create(cluster.spec as never), ...spec },
    rotation: rotation ?? null,
  };
  const updated = await desk.client.unary('Control', 'UpdateCluster', request, options());
  return updated.cluster === null ? undefined : versionOf(updated.cluster);
}

/** An update is to end in its time, however many tasks there are: it takes no more than a few steps. */
const updateStepsMax = 4;

/** @param parallelism 0 for all at once */
const atLeast = (parallelism: number, { spec }: Service): number =>
  parallelism === 0
    ? 0
    : Math.max(
        parallelism,
        Math.ceil(Number(spec?.replicated?.replicas ?? updateStepsMax) / updateStepsMax),
      );

const comingStates: ReadonlySet<string> = new Set(['PREPARING', 'READY', 'STARTING']);

async function createSecret(
  { client }: Desk,
  name: string,
): Promise<{ readonly id: string; readonly name: string }> {
  const spec = { annotations: { name }, data: Buffer.from('secret') };
  const { secret } = await client.unary('Control', 'CreateSecret', { spec }, options());
  return { id: secret?.id ?? '', name };
}

async function setAvailability(
  { client, view, workers }: Desk,
  number: number,
  availability: 'ACTIVE' | 'PAUSE' | 'DRAIN',
): Told {
  const nodeId = workers[number % workers.length] ?? '';
  const node = view((all) => all.get('node', nodeId));
  return updateNode(client, node, { availability });
}

/** One of the hosts of managers is to be what it is not. */
async function setRole(desk: Desk, number: number, desiredRole: 'MANAGER' | 'WORKER'): Told {
  const others = nodesOf(desk, desk.managers).filter(
    ({ spec }) => spec?.desiredRole !== desiredRole,
  );
  return giveRole(desk, nth(others, number), desiredRole);
}

const nodesOf = ({ view }: Desk, ids: readonly string[]): readonly Node[] =>
  view((all) => ids.flatMap((id) => all.get('node', id) ?? []));

async function giveRole(
  { client, accepted, now }: Desk,
  node: Node | undefined,
  desiredRole: 'MANAGER' | 'WORKER',
): Told {
  const askedAt = now();
  const told = await updateNode(client, node, { desiredRole });
  if (node !== undefined && desiredRole === 'WORKER') accepted('demote', node.id, askedAt);
  return told;
}

/** Of workers one that is down, unless it is by force; of managers' hosts one that is a worker. */
async function removeOne(
  desk: Desk,
  { of, number, isForced }: Extract<Deed, { kind: 'remove-node' }>,
): Told {
  const all = nodesOf(desk, of === 'workers' ? desk.workers : desk.managers);
  const likely = all.filter(({ status, spec }) =>
    of === 'workers' ? isForced || status?.state === 'DOWN' : spec?.desiredRole === 'WORKER',
  );
  // One that is on its way there is the most likely to be in the way.
  const half = likely.filter(({ role, spec }) => role !== spec?.desiredRole);
  const node = nth([half, likely, all].find(({ length }) => length > 0) ?? [], number);
  if (node !== undefined) await removeNode(desk, node, isForced);
  return undefined;
}

async function removeNode({ client, accepted, now, mark }: Desk, node: Node, force: boolean): Told {
  const askedAt = now();
  await client.unary('Control', 'RemoveNode', { nodeId: node.id, force }, options());
  accepted('remove', node.id, askedAt);
  if (!isOfManager(node)) {
    if (node.status?.state === 'DOWN') mark('a worker that was down was removed');
    if (node.status?.state === 'READY') mark('a worker was removed while it ran');
  }
  return undefined;
}

/** By the name of its host. */
const isOfManager = ({ description }: Node): boolean =>
  description?.hostname.startsWith('m') === true;

/** The next step of taking out a node that has left: a manager is demoted first. */
export async function clearNode(desk: Desk, nodeId: string): Promise<void> {
  const [node] = nodesOf(desk, [nodeId]);
  if (node === undefined) return;
  try {
    if (node.spec?.desiredRole === 'MANAGER') await giveRole(desk, node, 'WORKER');
    else await removeNode(desk, node, false);
  } catch (error) {
    // One that was promoted and never came is a manager that is no member: it can only be removed.
    if (!isSwarmError(error, 'not-found')) throw error;
    await removeNode(desk, node, false);
  }
}

async function updateNode(client: RpcClient, node: Node | undefined, change: object): Told {
  if (!node?.spec) return undefined;
  const request = {
    nodeId: node.id,
    nodeVersion: node.meta?.version ?? null,
    spec: codecOf('NodeSpec').create({ ...node.spec, ...change } as never), // As above.
  };
  const updated = await client.unary('Control', 'UpdateNode', request, options());
  return updated.node === null ? undefined : versionOf(updated.node);
}

async function update(
  { client }: Desk,
  service: Service,
  spec: object,
  rollback: 'NONE' | 'PREVIOUS' = 'NONE',
): Told {
  const request = {
    serviceId: service.id,
    serviceVersion: service.meta?.version ?? null,
    spec: spec as ServiceSpecInput, // Encoding does not write to it.
    rollback,
  };
  const updated = await client.unary('Control', 'UpdateService', request, options());
  return updated.service === null ? undefined : versionOf(updated.service);
}

const serviceOf = ({ view }: Desk, number: number): Service | undefined =>
  nth(
    view((all) => all.find('service')),
    number,
  );

/** Something of a list, by its ID: the order in a store is nobody's business. */
const nth = <T extends { readonly id: string }>(
  list: readonly T[],
  number: number,
): T | undefined =>
  list.length === 0
    ? undefined
    : list.toSorted((a, b) => (a.id < b.id ? -1 : 1))[number % list.length];

function aSpec(
  { number, replicas, isGlobal }: Extract<Deed, { kind: 'create' }>,
  secret: { readonly id: string; readonly name: string } | undefined,
): ServiceSpecInput {
  const secrets =
    secret === undefined
      ? []
      : [{ secretId: secret.id, secretName: secret.name, file: { name: secret.name } }];
  return {
    annotations: { name: `service${number}` },
    task: {
      container: { image: 'image:0', secrets },
      restart: { condition: 'ANY', delay: { seconds: String(1 + (number % 3)), nanos: 0 } },
    },
    ...(isGlobal ? { global: {} } : { replicated: { replicas: String(replicas) } }),
    update: { parallelism: '2', failureAction: 'CONTINUE', monitor: { seconds: '2', nanos: 0 } },
    rollback: { parallelism: '0', failureAction: 'CONTINUE', monitor: { seconds: '2', nanos: 0 } },
  };
}
