import { type Clock, firstOf, isSwarmError, messageOf } from '../../../runtime/index.ts';
import { type Api, type ApiCall, controlOf, json, type Reply } from '../api-call.ts';
import { advertisedVersion, apiVersionMin } from '../api-version.ts';
import { clusterInfoToEngine } from '../convert/swarm.ts';
import type { Json, JsonObject } from '../json.ts';
import type { NodeInfo } from '../node-control.ts';
import { theCluster } from './swarm.ts';

/** How long the local Engine may take to say that it is there. */
const pingTimeoutMs = 2_000;

/** `/info` shows what it can: it does not wait long for a swarm without a leader. */
const infoTimeoutMs = 5_000;

const twoManagersWarning = `WARNING: Running Swarm in a two-manager configuration. This configuration provides
         no fault tolerance, and poses a high risk to lose control over the cluster.
         Refer to https://docs.docker.com/engine/swarm/admin_guide/ to configure the
         Swarm for fault-tolerance.`;

/**
 * `GET` and `HEAD /_ping`: what clients negotiate by. It answers while the Engine is away, for the
 * swarm is there all the same.
 */
export async function ping(call: ApiCall, { node, engine, clock }: Api): Promise<Reply> {
  const engineHeaders = await within(clock, pingTimeoutMs, call.signal, async (signal) =>
    engine.ping(signal),
  );
  return {
    kind: 'text',
    text: 'OK',
    headers: {
      'Api-Version': advertisedVersion(engine.knownApiVersion),
      'Builder-Version': engineHeaders?.['builder-version'] ?? '',
      'Cache-Control': 'no-cache, no-store, must-revalidate',
      Pragma: 'no-cache',
      Swarm: standing(node.info()),
    },
  };
}

/** As the `Swarm` header of a ping says it. */
function standing({ state, isManager }: NodeInfo): string {
  if (state !== 'active') return state;
  return isManager ? 'active/manager' : 'active/worker';
}

/** `GET /version`: the local Engine's, with this program among its components. */
export async function version(call: ApiCall, { engine, program, clock }: Api): Promise<Reply> {
  const target = { version: undefined, path: '/version' };
  const found = await within(clock, pingTimeoutMs, call.signal, async (signal) =>
    engine.get(target, signal),
  );
  const ofEngine = (found ?? {}) as JsonObject; // A document of the Engine API.
  const self = {
    Name: 'swarmd',
    Version: program.version,
    Details: {
      ApiVersion: advertisedVersion(engine.knownApiVersion),
      MinAPIVersion: apiVersionMin,
    },
  };
  return json({
    Platform: { Name: 'swarmd' },
    Version: program.version,
    Os: program.os,
    Arch: program.arch,
    ...ofEngine,
    Components: [...listOf(ofEngine['Components']), self],
    ApiVersion: advertisedVersion(engine.knownApiVersion),
    MinAPIVersion: apiVersionMin,
  });
}

/**
 * `GET /info`: the local Engine's, with the node's name and the swarm's part our own. While the
 * Engine is away our own is all there is, and a warning says why.
 */
export async function info(call: ApiCall, api: Api): Promise<Reply> {
  const [ofEngine, swarm] = await Promise.all([engineInfo(call, api), swarmInfo(call, api)]);
  const warnings = [...listOf(ofEngine['Warnings']), ...listOf(swarm['Warnings'])];
  return json({
    ...ofEngine,
    Name: api.node.info().hostname,
    Swarm: swarm,
    Warnings: warnings.length === 0 ? null : warnings,
  });
}

const listOf = (value: Json): readonly Json[] =>
  Array.isArray(value) ? (value as readonly Json[]) : []; // Lists of Json hold Json.

async function engineInfo(call: ApiCall, { engine, program }: Api): Promise<JsonObject> {
  try {
    const found = await engine.get({ version: call.version, path: '/info' }, call.signal);
    return found as JsonObject; // A document of the Engine API.
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    return {
      ID: '',
      ServerVersion: program.version,
      OSType: program.os,
      Architecture: program.arch,
      Warnings: [`WARNING: ${messageOf(error)}`],
    };
  }
}

/** Engine API 1.47 `SwarmInfo`; counts and settings only where this node is a manager. */
async function swarmInfo(call: ApiCall, api: Api): Promise<JsonObject> {
  const own = api.node.info();
  const managers = own.remoteManagers.map(({ nodeId, addr }) => ({ NodeID: nodeId, Addr: addr }));
  const shown = {
    NodeID: own.nodeId,
    NodeAddr: own.nodeAddr,
    LocalNodeState: own.state,
    ControlAvailable: own.isManager,
    Error: own.error,
    RemoteManagers: managers.length === 0 ? null : managers,
    ...(own.leaderlessForMs === undefined
      ? {}
      : { LeaderlessSince: new Date(api.clock.now() - own.leaderlessForMs).toISOString() }),
  };
  if (!own.isManager || own.state !== 'active') return shown;
  try {
    const control = controlOf(api.node, call.signal, infoTimeoutMs);
    const [cluster, { nodes }] = await Promise.all([theCluster(control), control('ListNodes', {})]);
    const managerCount = nodes.filter(({ managerStatus }) => managerStatus !== null).length;
    return {
      ...shown,
      Nodes: nodes.length,
      Managers: managerCount,
      Cluster: clusterInfoToEngine(cluster),
      Warnings: managerCount === 2 ? [twoManagersWarning] : undefined,
    };
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    return { ...shown, Error: error.message };
  }
}

/** What a question to the Engine yields, or `undefined` if it is away or slow. */
async function within<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  return firstOf<T | undefined>(
    signal,
    async (inner) => ask(inner).catch(() => undefined),
    async (inner) => clock.sleep(ms, inner).then(() => undefined),
  );
}
