import type { NetworkAttachmentConfigInput, ServiceSpecInput } from '../../../api/gen/types.ts';
import { isSwarmError, SwarmError } from '../../../runtime/index.ts';
import {
  type Api,
  type ApiCall,
  type Control,
  controlOf,
  empty,
  json,
  type Reply,
} from '../api-call.ts';
import { isPredefined, networkSpecFromEngine, networkToEngine } from '../convert/network.ts';
import type { Network } from '../../../api/gen/types.ts';
import { Filters } from '../filters.ts';
import { type JsonObject } from '../json.ts';
import { findNetwork } from '../lookup.ts';

/** Networks every Engine has: in the swarm each is mirrored by one of the same name. */
const predefinedNames: readonly string[] = ['bridge', 'host', 'none', 'nat', 'null', 'default'];

const byEngine: Reply = { kind: 'engine', body: undefined };

/** The control API, or `undefined` where this node is no manager: it then shows its own networks. */
function controlIfManager({ node }: Api, signal: AbortSignal): Control | undefined {
  if (!node.info().isManager) return undefined;
  try {
    return controlOf(node, signal);
  } catch {
    return undefined;
  }
}

/** `GET /networks`: the swarm's, then the local Engine's that are not among them. */
export async function listNetworks(call: ApiCall, api: Api): Promise<Reply> {
  const control = controlIfManager(api, call.signal);
  if (control === undefined) return byEngine;
  const written = call.query.get('filters');
  const filters = Filters.parse(written, [
    'dangling',
    'driver',
    'id',
    'label',
    'name',
    'scope',
    'type',
  ]);
  const { networks } = await control('ListNetworks', {}).catch(() => ({ networks: [] }));
  const ofSwarm = networks
    .filter((network) => !isPredefined(network))
    .map(networkToEngine)
    .filter((network) => matches(network, filters));
  if (ofSwarm.length === 0) return byEngine;
  const path = `/networks${written === null ? '' : `?filters=${encodeURIComponent(written)}`}`;
  const local = await api.engine.get({ version: call.version, path }, call.signal);
  const ids = new Set(ofSwarm.map(({ Id }) => Id));
  const others = (local as JsonObject[]).filter(({ Id }) => !ids.has(Id)); // An array, by the API.
  return json([...ofSwarm, ...others]);
}

/** Whether a swarm network is wanted, as the Engine judges its own. */
function matches(network: JsonObject, filters: Filters): boolean {
  const { Name, Id, Driver } = network as { Name: string; Id: string; Driver: string }; // Ours.
  const labels = network['Labels'] as Readonly<Record<string, string>>; // As networkToEngine made.
  const any = (key: string, test: (value: string) => boolean): boolean =>
    !filters.has(key) || filters.get(key).some(test);
  return (
    any('name', (value) => Name.includes(value)) &&
    any('id', (value) => Id.startsWith(value)) &&
    any('driver', (value) => Driver === value) &&
    any('scope', (value) => value === 'swarm') &&
    any('type', (value) => value === 'custom') &&
    any('dangling', (value) => ['0', 'false', 'f'].includes(value.toLowerCase())) &&
    Object.entries(filters.labels()).every(
      ([key, value]) => labels[key] !== undefined && (value === '' || labels[key] === value),
    )
  );
}

/**
 * `GET /networks/{id}`: a network of the swarm by the beginning of its ID, by its name where the
 * client asks for the swarm's, or where the Engine has none of that name.
 */
export async function inspectNetwork(call: ApiCall, api: Api): Promise<Reply> {
  const control = controlIfManager(api, call.signal);
  const scope = call.query.get('scope') ?? '';
  if (control === undefined || scope === 'local') return byEngine;
  const term = call.param('id');
  const network = await findOrNone(control, term);
  if (network === undefined) return byEngine;
  const isByName = !network.id.startsWith(term);
  if (isByName && scope !== 'swarm' && (await isLocal(term, call, api))) return byEngine;
  return json(networkToEngine(network));
}

async function findOrNone(control: Control, term: string): Promise<Network | undefined> {
  try {
    return await findNetwork(control, term);
  } catch (error) {
    if (isSwarmError(error, 'not-found')) return undefined;
    throw error;
  }
}

async function isLocal(term: string, call: ApiCall, api: Api): Promise<boolean> {
  return (await localNetwork(term, call, api)) !== undefined;
}

/** The local network of that name or ID, if the Engine is there and has one. */
async function localNetwork(
  term: string,
  call: ApiCall,
  { engine }: Api,
): Promise<string | undefined> {
  try {
    const path = `/networks/${encodeURIComponent(term)}`;
    const found = await engine.get({ version: call.version, path }, call.signal);
    return String((found as { readonly Name?: unknown }).Name); // An object, by the API.
  } catch (error) {
    if (isSwarmError(error)) return undefined;
    throw error;
  }
}

/** `POST /networks/create`: overlay networks and those of swarm scope are the swarm's. */
export async function createNetwork(call: ApiCall, api: Api): Promise<Reply> {
  const bytes = await call.bytes();
  const body = call.parse(bytes);
  const isOfSwarm =
    body.text('Driver') === 'overlay' || body.text('Scope') === 'swarm' || body.flag('Ingress');
  if (!isOfSwarm) return { kind: 'engine', body: bytes };
  const name = body.text('Name');
  if (predefinedNames.includes(name)) {
    throw new SwarmError(
      'permission-denied',
      `${name} is a pre-defined network and cannot be created`,
    );
  }
  const control = controlOf(api.node, call.signal);
  const { networks } = await control('ListNetworks', { filters: { names: [name] } });
  if (networks.length > 0) {
    throw new SwarmError('already-exists', `network with name ${name} already exists`);
  }
  const { network } = await control('CreateNetwork', { spec: networkSpecFromEngine(body) });
  return json({ Id: network?.id, Warning: '' }, 201);
}

/** `DELETE /networks/{id}` */
export async function removeNetwork(call: ApiCall, api: Api): Promise<Reply> {
  const control = controlIfManager(api, call.signal);
  if (control === undefined) return byEngine;
  const term = call.param('id');
  const network = await findOrNone(control, term);
  if (network === undefined) return byEngine;
  if (isPredefined(network) && (await isLocal(term, call, api))) return byEngine;
  await control('RemoveNetwork', { networkId: network.id });
  return empty(204);
}

/**
 * A service spec whose networks are named by their IDs. A network that every Engine has is
 * replaced by its mirror in the swarm. moby daemon/cluster `populateNetworkID`
 *
 * @throws SwarmError not-found; permission-denied, for a network of this Engine alone
 */
export async function resolveNetworks(
  call: ApiCall,
  api: Api,
  spec: ServiceSpecInput,
): Promise<ServiceSpecInput> {
  const networks = spec.task?.networks ?? [];
  if (networks.length === 0) return spec;
  const control = controlOf(api.node, call.signal);
  const resolved = networks.map(async (network): Promise<NetworkAttachmentConfigInput> => ({
    ...network,
    target: (await swarmNetwork(network.target ?? '', { call, api, control })).id,
  }));
  return { ...spec, task: { ...spec.task, networks: await Promise.all(resolved) } };
}

async function swarmNetwork(
  term: string,
  { call, api, control }: { call: ApiCall; api: Api; control: Control },
): Promise<Network> {
  const found = await findOrNone(control, term);
  if (found !== undefined) return found;
  const name = await localNetwork(term, call, api);
  if (name === undefined) throw new SwarmError('not-found', `network ${term} not found`);
  if (!predefinedNames.includes(name)) {
    throw new SwarmError(
      'permission-denied',
      `The network ${name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
    );
  }
  const mirror = await findOrNone(control, name);
  if (mirror !== undefined) return mirror;
  throw new SwarmError('not-found', 'could not find the corresponding predefined swarm network');
}
