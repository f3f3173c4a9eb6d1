import type { Network, Node, Secret, Service, Task, Config } from '../../api/gen/types.ts';
import { isSwarmError, SwarmError } from '../../runtime/index.ts';
import type { Control } from './api-call.ts';

type Match = { readonly names: string[] } | { readonly idPrefixes: string[] };

/**
 * Finds the one object that a person means: by its ID, else by its name, else by the beginning of
 * its ID. moby daemon/cluster/helpers.go
 *
 * @throws SwarmError not-found `<kind> <input> not found`, invalid-argument `<kind> <input> is
 *   ambiguous (<n> matches found)`
 */
async function findOne<T>(
  kind: string,
  input: string,
  get: (id: string) => Promise<T | null>,
  list: (filters: Match) => Promise<readonly T[]>,
): Promise<T> {
  const exact = await get(input).catch((error: unknown) => {
    if (isSwarmError(error, 'not-found') || isSwarmError(error, 'invalid-argument')) return null;
    throw error;
  });
  if (exact !== null) return exact;
  let found = await list({ names: [input] });
  if (found.length === 0) found = await list({ idPrefixes: [input] });
  const [only] = found;
  if (only === undefined) throw new SwarmError('not-found', `${kind} ${input} not found`);
  if (found.length > 1) {
    throw new SwarmError(
      'invalid-argument',
      `${kind} ${input} is ambiguous (${found.length} matches found)`,
    );
  }
  return only;
}

/** The node that `input` names. See {@link findOne} for this and the ones below. */
export const findNode = async (control: Control, input: string): Promise<Node> =>
  findOne(
    'node',
    input,
    async (nodeId) => (await control('GetNode', { nodeId })).node,
    async (filters) => (await control('ListNodes', { filters })).nodes,
  );

/** @param insertDefaults fills what the spec leaves out with what it means */
export async function findService(
  control: Control,
  input: string,
  insertDefaults: boolean = false,
): Promise<Service> {
  const get = async (serviceId: string): Promise<Service | null> =>
    (await control('GetService', { serviceId, insertDefaults })).service;
  const found = await findOne(
    'service',
    input,
    get,
    async (filters) => (await control('ListServices', { filters })).services,
  );
  if (!insertDefaults || found.id === input) return found;
  return (await get(found.id)) ?? found;
}

export const findTask = async (control: Control, input: string): Promise<Task> =>
  findOne(
    'task',
    input,
    async (taskId) => (await control('GetTask', { taskId })).task,
    async (filters) => (await control('ListTasks', { filters })).tasks,
  );

export const findSecret = async (control: Control, input: string): Promise<Secret> =>
  findOne(
    'secret',
    input,
    async (secretId) => (await control('GetSecret', { secretId })).secret,
    async (filters) => (await control('ListSecrets', { filters })).secrets,
  );

export const findConfig = async (control: Control, input: string): Promise<Config> =>
  findOne(
    'config',
    input,
    async (configId) => (await control('GetConfig', { configId })).config,
    async (filters) => (await control('ListConfigs', { filters })).configs,
  );

export const findNetwork = async (control: Control, input: string): Promise<Network> =>
  findOne(
    'network',
    input,
    async (networkId) => (await control('GetNetwork', { networkId })).network,
    async (filters) => (await control('ListNetworks', { filters })).networks,
  );
