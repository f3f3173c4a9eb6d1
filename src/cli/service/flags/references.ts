import type { EngineClient } from '../../client.ts';
import type { Flag, Flags } from '../../command.ts';
import { CommandFailure } from '../../shell.ts';
import type { Reference, ServiceSpec } from '../spec.ts';
import { fields, invalid } from './values.ts';

/** The flags of references when a service is created. */
export const createReferenceFlags = {
  network: { kind: 'text', describe: 'Network attachments' },
  secret: { kind: 'text', describe: 'Specify secrets to expose to the service' },
  config: { kind: 'text', describe: 'Specify configurations to expose to the service' },
} as const satisfies Readonly<Record<string, Flag>>;

/** The flags of references when a service is updated: to add, and to remove. */
export const updateReferenceFlags: Readonly<Record<string, Flag>> = Object.fromEntries(
  Object.entries(createReferenceFlags).flatMap(([name, flag]): [string, Flag][] => [
    [`${name}-add`, { ...flag, describe: `Add or update: ${flag.describe}` }],
    [`${name}-rm`, { ...flag, describe: `Remove: ${flag.describe}` }],
  ]),
);

interface Named {
  readonly ID: string;
  readonly Spec: { readonly Name?: string };
}

/** Secrets and configs are named by people and known by ID. */
const kinds = {
  secret: { path: '/secrets', list: 'Secrets', id: 'SecretID', name: 'SecretName' },
  config: { path: '/configs', list: 'Configs', id: 'ConfigID', name: 'ConfigName' },
} as const;

/** Adds and removes the secrets, configs and networks that the flags name. */
export async function applyReferences(
  client: EngineClient,
  spec: ServiceSpec,
  flags: Flags,
): Promise<void> {
  for (const kind of ['secret', 'config'] as const) await applyFiles(client, spec, flags, kind);
  await applyNetworks(client, spec, flags);
}

async function applyFiles(
  client: EngineClient,
  spec: ServiceSpec,
  flags: Flags,
  kind: keyof typeof kinds,
): Promise<void> {
  const { path, list, id, name } = kinds[kind];
  const added = [kind, `${kind}-add`].flatMap((flag) =>
    flags.list(flag).map((text) => fileReference(kind, text)),
  );
  const removed = flags.list(`${kind}-rm`);
  if (added.length === 0 && removed.length === 0) return;
  const container = spec.TaskTemplate.ContainerSpec;
  const kept = (container[list] ?? []).filter((item) => !removed.includes(item[name] ?? ''));
  const found = added.length === 0 ? [] : await client.list<Named>(path);
  const references = added.map(({ source, File }): Reference => {
    const object = found.find(({ ID, Spec }) => Spec.Name === source || ID === source);
    if (object === undefined) throw new CommandFailure(`${kind} not found: ${source}`);
    return { File, [id]: object.ID, [name]: object.Spec.Name ?? '' };
  });
  const targets = new Set<string>();
  for (const { File } of references) {
    if (targets.has(File.Name)) {
      throw new CommandFailure(`duplicate ${kind} target for ${File.Name} not allowed`);
    }
    targets.add(File.Name);
  }
  container[list] = [...kept.filter(({ File }) => !targets.has(File.Name)), ...references];
}

interface NetworkObject {
  readonly Id: string;
  readonly Name: string;
}

async function networkId(client: EngineClient, name: string): Promise<string> {
  const found = await client.get<NetworkObject>(`/networks/${encodeURIComponent(name)}`, {
    scope: 'swarm',
  });
  return found.Id;
}

async function applyNetworks(client: EngineClient, spec: ServiceSpec, flags: Flags): Promise<void> {
  const added = ['network', 'network-add'].flatMap((flag) => flags.list(flag));
  const removed = flags.list('network-rm');
  if (added.length === 0 && removed.length === 0) return;
  const gone = await Promise.all(removed.map(async (name) => networkId(client, name)));
  const networks = (spec.TaskTemplate.Networks ?? []).filter(
    ({ Target }) => !gone.includes(Target) && !removed.includes(Target),
  );
  for (const text of added) {
    const options = new Map(
      text.includes('=')
        ? text.split(',').map((part) => part.split('=', 2) as [string, string]) // key=value
        : [['name', text]],
    );
    const name = options.get('name') ?? '';
    const Target = await networkId(client, name);
    if (networks.some((network) => network.Target === Target)) {
      throw new CommandFailure(`service is already attached to network ${name}`);
    }
    const alias = options.get('alias');
    networks.push({ Target, ...(alias === undefined ? {} : { Aliases: [alias] }) });
  }
  spec.TaskTemplate.Networks = networks.toSorted((a, b) => (a.Target < b.Target ? -1 : 1));
}

/** A secret or config as a service names it: `name`, or `source=…,target=…,uid=…,gid=…,mode=…`. */
function fileReference(
  flag: string,
  text: string,
): {
  readonly source: string;
  readonly File: { Name: string; UID: string; GID: string; Mode: number };
} {
  if (!/[=,]/u.test(text))
    return { source: text, File: { Name: text, UID: '0', GID: '0', Mode: 0o444 } };
  const given = fields(flag, text);
  for (const key of given.keys()) {
    if (!['source', 'src', 'target', 'uid', 'gid', 'mode'].includes(key)) {
      throw invalid(flag, text, `invalid field in ${flag} request: ${key}`);
    }
  }
  const source = given.get('source') ?? given.get('src') ?? '';
  if (source === '') throw invalid(flag, text, 'source is required');
  const mode = given.get('mode') ?? '0444';
  if (!/^0?[0-7]{1,4}$/u.test(mode)) throw invalid(flag, text, `invalid mode specified: ${mode}`);
  return {
    source,
    File: {
      Name: given.get('target') ?? source,
      UID: given.get('uid') ?? '0',
      GID: given.get('gid') ?? '0',
      Mode: Number.parseInt(mode, 8),
    },
  };
}
