import { codecOf, isEqual } from '../../../api/index.ts';
import type { Cluster, ClusterSpecInput, Node } from '../../../api/gen/types.ts';
import { formatUnlockKey, parseUnlockKey } from '../../../ca/index.ts';
import { isSwarmError, SwarmError } from '../../../runtime/index.ts';
import {
  type Api,
  type ApiCall,
  type Control,
  controlOf,
  controlTimeoutMs,
  empty,
  inGoWords,
  json,
  type Reply,
} from '../api-call.ts';
import type { Fields } from '../convert/fields.ts';
import { availabilityFromEngine } from '../convert/node.ts';
import { clusterSpecFromEngine, clusterToEngine } from '../convert/swarm.ts';
import type { JoinRequest, NodeControl } from '../node-control.ts';

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);
const unavailable = (message: string): SwarmError => new SwarmError('unavailable', message);

const defaultListenAddr = '0.0.0.0:2377';

/** What an update begins with: it replaces every section. */
const zeroSpec: ClusterSpecInput = {
  annotations: { name: 'default' },
  orchestration: {},
  raft: {},
  dispatcher: {},
  caConfig: {},
  taskDefaults: {},
  encryptionConfig: {},
};

/** How often a swarm just founded is asked for its settings until it answers. */
const foundingTriesMax = 10;
const foundingPauseMs = 200;

/** The one cluster object. */
export async function theCluster(control: Control): Promise<Cluster> {
  const { clusters } = await control('ListClusters', { filters: { names: ['default'] } });
  const [cluster] = clusters;
  if (cluster === undefined) throw new SwarmError('not-found', 'swarm not found');
  return cluster;
}

/** `GET /swarm` */
export async function inspectSwarm(call: ApiCall, { node }: Api): Promise<Reply> {
  return json(clusterToEngine(await theCluster(controlOf(node, call.signal))));
}

/** `POST /swarm/init`: founds a swarm, then lays the request's settings over the default ones. */
export async function initSwarm(call: ApiCall, api: Api): Promise<Reply> {
  const body = await call.body();
  const spec = body.object('Spec');
  checkName(spec);
  checkOverlay(body);
  const listenAddr = body.text('ListenAddr');
  if (listenAddr === '') throw invalid('invalid ListenAddr "": invalid empty address');
  const nodeId = await api.node.init({
    listenAddr,
    advertiseAddr: body.text('AdvertiseAddr'),
    forceNewCluster: body.flag('ForceNewCluster'),
    availability: availabilityOf(body),
  });
  if (spec !== undefined || body.flag('AutoLockManagers')) {
    await layOver(call, api, body);
  }
  return json(nodeId);
}

const availabilityOf = (body: Fields): JoinRequest['availability'] =>
  body.has('Availability') && body.text('Availability') !== ''
    ? availabilityFromEngine(body.text('Availability'))
    : 'ACTIVE';

function checkName(spec: Fields | undefined): void {
  const name = spec?.text('Name') ?? '';
  if (name !== '' && name !== 'default') throw invalid('swarm spec must be named "default"');
}

/**
 * Settings of the overlay network: checked as moby checks them. Others than the default ones are
 * refused rather than forgotten, as a node founds its swarm without them.
 */
function checkOverlay(body: Fields): void {
  const port = body.count('DataPathPort');
  if (port !== '0' && (Number(port) < 1_024 || Number(port) > 49_151)) {
    throw invalid(`Datapath port number is not in valid range (1024-49151) : ${port}`);
  }
  const size = body.count('SubnetSize');
  if (Number(size) > 29) throw invalid(`subnet size is out of range: ${size}`);
  const isDefault =
    (port === '0' || port === '4789') &&
    (size === '0' || size === '24') &&
    body.texts('DefaultAddrPool').length === 0;
  if (isDefault) return;
  throw new SwarmError(
    'unimplemented',
    'a default address pool, subnet size or data path port of its own is not supported',
  );
}

/** A new swarm may need a moment before it answers. */
async function layOver(call: ApiCall, { node, clock }: Api, body: Fields): Promise<void> {
  const { signal } = call;
  for (let tries = 1; ; tries += 1) {
    try {
      const control = controlOf(node, signal);
      const cluster = await theCluster(control);
      await updateSpec(control, cluster, body);
      return;
    } catch (error) {
      const isEarly = isSwarmError(error, 'not-found') || isSwarmError(error, 'unavailable');
      if (!isEarly || tries >= foundingTriesMax) throw error;
      await clock.sleep(foundingPauseMs, signal);
    }
  }
}

async function updateSpec(control: Control, cluster: Cluster, body: Fields): Promise<void> {
  const current = cluster.spec ?? {};
  const spec = body.object('Spec');
  const merged = spec === undefined ? current : clusterSpecFromEngine(spec, current);
  const wanted: ClusterSpecInput = body.flag('AutoLockManagers')
    ? { ...merged, encryptionConfig: { autoLockManagers: true } }
    : merged;
  if (isEqual(codecOf('ClusterSpec').create(wanted), cluster.spec)) return;
  await control('UpdateCluster', {
    clusterId: cluster.id,
    clusterVersion: cluster.meta?.version ?? {},
    spec: wanted,
  });
}

/** `POST /swarm/join` */
export async function joinSwarm(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  const remoteAddrs = body.texts('RemoteAddrs');
  if (remoteAddrs.length === 0) throw invalid('at least 1 RemoteAddr is required to join');
  await node.join({
    listenAddr: body.text('ListenAddr') || defaultListenAddr,
    advertiseAddr: body.text('AdvertiseAddr'),
    remoteAddrs,
    joinToken: body.text('JoinToken'),
    availability: availabilityOf(body),
  });
  return empty(200);
}

/** `POST /swarm/leave`. A manager leaves only by force. */
export async function leaveSwarm(call: ApiCall, { node }: Api): Promise<Reply> {
  const isForced = call.lax('force');
  const { state, isManager, nodeId } = node.info();
  if (!isForced && state === 'locked') {
    throw unavailable(
      'Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.',
    );
  }
  if (!isForced && isManager) {
    throw unavailable(
      `You are attempting to leave the swarm on a node that is participating as a manager. ${await consequenceOf(call, node, nodeId)}`,
    );
  }
  await node.leave({ isForced });
  return empty(200);
}

const forceText = 'Use `--force` to';
const restoreText = `The only way to restore a swarm that has lost consensus is to reinitialize it with \`--force-new-cluster\`. ${forceText} suppress this message.`;

/** What it means for the swarm that this manager leaves. moby daemon/cluster `Leave` */
async function consequenceOf(call: ApiCall, node: NodeControl, nodeId: string): Promise<string> {
  let managers: readonly Node[];
  try {
    const { nodes } = await controlOf(node, call.signal)('ListNodes', {});
    managers = nodes.filter(({ managerStatus }) => managerStatus !== null);
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    return `Doing so may lose the consensus of your cluster. ${restoreText}`;
  }
  const reachable = managers.filter(
    ({ managerStatus }) => managerStatus?.reachability === 'REACHABLE',
  );
  const unreachableCount = managers.length - reachable.length;
  const isCounted = reachable.some(({ id }) => id === nodeId);
  if (!isCounted || reachable.length - 2 > unreachableCount) return restoreText;
  if (managers.length === 1) {
    return `Removing the last manager erases all current state of the swarm. ${forceText} ignore this message. `;
  }
  return `Removing this node leaves ${reachable.length - 1} managers out of ${managers.length}. Without a Raft quorum your swarm will be inaccessible. ${restoreText}`;
}

/** `POST /swarm/update`: the body is a whole spec, and what it leaves out becomes zero. */
export async function updateSwarm(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  const clusterVersion = call.objectVersion('swarm');
  const rotation = {
    workerJoinToken: call.strict('rotateWorkerToken'),
    managerJoinToken: call.strict('rotateManagerToken'),
    managerUnlockKey: call.strict('rotateManagerUnlockKey'),
  };
  checkName(body);
  const control = controlOf(node, call.signal);
  const { id } = await theCluster(control);
  const spec = clusterSpecFromEngine(body, zeroSpec);
  await control('UpdateCluster', { clusterId: id, clusterVersion, spec, rotation });
  return empty(200);
}

/** `GET /swarm/unlockkey`: empty while managers are not locked. */
export async function unlockKey(call: ApiCall, { node }: Api): Promise<Reply> {
  const { unlockKey: key } = await inGoWords(
    node.managers().unary(
      'CA',
      'GetUnlockKey',
      {},
      {
        signal: call.signal,
        deadlineMs: controlTimeoutMs,
      },
    ),
  );
  return json({ UnlockKey: key.length === 0 ? '' : formatUnlockKey(key) });
}

/** `POST /swarm/unlock`: answers once the node serves again. */
export async function unlockSwarm(call: ApiCall, { node }: Api): Promise<Reply> {
  const body = await call.body();
  await node.unlock(parseUnlockKey(body.text('UnlockKey')));
  return empty(200);
}
