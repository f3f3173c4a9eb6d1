import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Flag, Flags } from '../../command.ts';
import { messageOf } from '../../../runtime/index.ts';
import { CommandFailure, type Shell } from '../../shell.ts';
import type { Mount, Port, ServiceSpec } from '../spec.ts';
import { applyCapabilities } from './capabilities.ts';
import { mount } from './mount.ts';
import { ports, portsRemoved } from './port.ts';
import { invalid, pair, ulimit } from './values.ts';

/**
 * A list of a spec. When a service is created, one flag gives its items; when it is updated, one
 * flag adds some and one removes some. An item with the key of an older one replaces it.
 */
interface List<T> {
  readonly flag: Flag;
  readonly read: (flag: string, text: string, shell: Shell) => readonly T[];
  readonly keyOf: (item: T) => string;
  /** The key that a text after `--…-rm` means; usually the text. */
  readonly removes?: (flag: string, text: string) => (item: T) => boolean;
  readonly get: (spec: ServiceSpec) => readonly T[] | undefined;
  readonly set: (spec: ServiceSpec, items: T[]) => void;
  /** The order that an update leaves the items in, where it means nothing. */
  readonly order?: (a: T, b: T) => number;
}

const flag = (describe: string, alias?: string): Flag => ({
  kind: 'text',
  describe,
  ...(alias === undefined ? {} : { alias }),
});

const container = (spec: ServiceSpec) => spec.TaskTemplate.ContainerSpec;
const dns = (spec: ServiceSpec) => (container(spec).DNSConfig ??= {});

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const bySource = (a: Mount, b: Mount): number =>
  compare(a.Source ?? '', b.Source ?? '') || compare(a.Target, b.Target);

const portText = ({ PublishedPort = 0, TargetPort, Protocol, PublishMode }: Port): string =>
  `${PublishedPort}:${TargetPort}/${Protocol}/${PublishMode}`;

/** A list of texts that are their own keys. */
const texts = (
  describe: string,
  get: List<string>['get'],
  set: List<string>['set'],
): List<string> => ({
  flag: flag(describe),
  read: (_, text) => [text],
  keyOf: (text) => text,
  get,
  set,
  order: compare,
});

/** A map, as a list of its entries. */
const map = (
  describe: string,
  of: (spec: ServiceSpec) => Record<string, string> | undefined,
  set: (spec: ServiceSpec, entries: Record<string, string>) => void,
  alias?: string,
): List<readonly [string, string]> => ({
  flag: flag(describe, alias),
  read: (name, text) => [pair(name, text)],
  keyOf: ([key]) => key,
  get: (spec) => Object.entries(of(spec) ?? {}),
  set: (spec, entries) => {
    set(spec, Object.fromEntries(entries));
  },
});

/** An environment variable without a value takes the one it has here. */
function variable(name: string, text: string, { env }: Shell): readonly string[] {
  if (text.startsWith('=') || text === '') {
    throw invalid(name, text, `invalid environment variable: ${text}`);
  }
  if (text.includes('=')) return [text];
  const value = env[text];
  return value === undefined ? [] : [`${text}=${value}`];
}

const env: List<string> = {
  flag: flag('Set environment variables', 'e'),
  read: variable,
  keyOf: (text) => text.split('=')[0] ?? '',
  get: (spec) => container(spec).Env,
  set: (spec, items) => (container(spec).Env = items),
};

/** The lines of a file of variables, without comments. */
function envFile(name: string, path: string, shell: Shell): readonly string[] {
  let content;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandFailure(`--${name} ${path}: ${messageOf(error)}`);
  }
  const lines = content.split(/\r?\n/u).map((line) => line.trimStart());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => variable(name, line, shell));
}

const erased = <T>(list: List<T>): List<unknown> => list as unknown as List<unknown>; // One table holds lists of all kinds of item.

/** Every list, by the name of its flag. */
const lists: Readonly<Record<string, List<unknown>>> = {
  env: erased(env),
  label: erased(
    map(
      'Service labels',
      (spec) => spec.Labels,
      (spec, labels) => (spec.Labels = labels),
      'l',
    ),
  ),
  'container-label': erased(
    map(
      'Container labels',
      (spec) => container(spec).Labels,
      (spec, labels) => (container(spec).Labels = labels),
    ),
  ),
  sysctl: erased(
    map(
      'Sysctl options',
      (spec) => container(spec).Sysctls,
      (spec, options) => (container(spec).Sysctls = options),
    ),
  ),
  mount: erased<Mount>({
    flag: flag('Attach a filesystem mount to the service'),
    read: (name, text) => [mount(name, text)],
    keyOf: ({ Target }) => Target,
    order: bySource,
    get: (spec) => container(spec).Mounts,
    set: (spec, mounts) => (container(spec).Mounts = mounts),
  }),
  publish: erased<Port>({
    flag: flag('Publish a port as a node port', 'p'),
    read: ports,
    keyOf: portText,
    removes: portsRemoved,
    order: (a, b) => compare(portText(a), portText(b)),
    get: (spec) => spec.EndpointSpec?.Ports,
    set: (spec, items) => ((spec.EndpointSpec ??= {}).Ports = items),
  }),
  constraint: erased(
    texts(
      'Placement constraints',
      (spec) => spec.TaskTemplate.Placement?.Constraints,
      (spec, items) => ((spec.TaskTemplate.Placement ??= {}).Constraints = items),
    ),
  ),
  'placement-pref': erased<{ Spread: { SpreadDescriptor: string } }>({
    flag: flag('Add a placement preference: spread=node.labels.zone'),
    read: (name, text) => {
      const [strategy, SpreadDescriptor] = pair(name, text);
      if (SpreadDescriptor === '') {
        throw invalid(name, text, 'placement preference must be of the format "<strategy>=<arg>"');
      }
      if (strategy !== 'spread') {
        throw invalid(
          name,
          text,
          `unsupported placement preference ${strategy} (only spread is supported)`,
        );
      }
      return [{ Spread: { SpreadDescriptor } }];
    },
    keyOf: ({ Spread }) => `spread=${Spread.SpreadDescriptor}`,
    get: (spec) => spec.TaskTemplate.Placement?.Preferences,
    set: (spec, items) => ((spec.TaskTemplate.Placement ??= {}).Preferences = items),
  }),
  group: erased(
    texts(
      'Set one or more supplementary user groups for the container',
      (spec) => container(spec).Groups,
      (spec, items) => (container(spec).Groups = items),
    ),
  ),
  dns: erased({
    ...texts(
      'Set custom DNS servers',
      (spec) => dns(spec).Nameservers,
      (spec, items) => (dns(spec).Nameservers = items),
    ),
    read: (name, text) => {
      if (isIP(text) !== 0) return [text];
      throw invalid(name, text, `IP address is not correctly formatted: ${text}`);
    },
  }),
  'dns-option': erased(
    texts(
      'Set DNS options',
      (spec) => dns(spec).Options,
      (spec, items) => (dns(spec).Options = items),
    ),
  ),
  'dns-search': erased(
    texts(
      'Set custom DNS search domains',
      (spec) => dns(spec).Search,
      (spec, items) => (dns(spec).Search = items),
    ),
  ),
  host: erased<string>({
    flag: flag('Set one or more custom host-to-IP mappings (host:ip)'),
    read: (name, text) => [hostEntry(name, text)],
    keyOf: (entry) => entry,
    removes: (name, text) => {
      const [host = '', ...ip] = text.split(':');
      const entry = ip.length > 0 ? hostEntry(name, text) : undefined;
      return (item) => (entry === undefined ? item.split(' ').includes(host) : item === entry);
    },
    get: (spec) => container(spec).Hosts,
    set: (spec, items) => (container(spec).Hosts = items),
  }),
  ulimit: erased<ReturnType<typeof ulimit>>({
    flag: flag('Ulimit options (name=soft[:hard])'),
    read: (name, text) => [ulimit(name, text)],
    keyOf: ({ Name }) => Name,
    get: (spec) => container(spec).Ulimits,
    order: (a, b) => compare(a.Name, b.Name),
    set: (spec, items) => (container(spec).Ulimits = items),
  }),
  'generic-resource': erased<{ DiscreteResourceSpec?: { Kind: string; Value: number } }>({
    flag: flag('User defined resources (name=value)'),
    read: (name, text) => {
      const [Kind, value] = pair(name, text);
      if (!/^\d+$/u.test(value)) {
        throw invalid(
          name,
          text,
          `invalid generic-resource format \`${text}\` expected \`name=value\``,
        );
      }
      return [{ DiscreteResourceSpec: { Kind, Value: Number(value) } }];
    },
    keyOf: ({ DiscreteResourceSpec }) => DiscreteResourceSpec?.Kind ?? '',
    get: (spec) => spec.TaskTemplate.Resources?.Reservations?.GenericResources,
    set: (spec, items) =>
      (((spec.TaskTemplate.Resources ??= {}).Reservations ??= {}).GenericResources = items),
  }),
  'log-opt': erased(
    map(
      'Logging driver options',
      (spec) => spec.TaskTemplate.LogDriver?.Options,
      (spec, Options) =>
        (spec.TaskTemplate.LogDriver = { Name: spec.TaskTemplate.LogDriver?.Name ?? '', Options }),
    ),
  ),
};

function hostEntry(name: string, text: string): string {
  const at = text.indexOf(':');
  if (at < 1) throw invalid(name, text, `bad format for add-host: "${text}"`);
  return `${text.slice(at + 1)} ${text.slice(0, at)}`;
}

/** Lists that have one flag for both: its items replace or join those there are. */
const unpaired = new Set(['log-opt']);

const capabilityFlags = {
  'cap-add': flag('Add Linux capabilities'),
  'cap-drop': flag('Drop Linux capabilities'),
} as const;

/** The flags of lists when a service is created. */
export const createListFlags: Readonly<Record<string, Flag>> = {
  ...capabilityFlags,
  'env-file': flag('Read in a file of environment variables'),
  ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.flag])),
};

/** The flags of lists when a service is updated: to add, and to remove. */
export const updateListFlags: Readonly<Record<string, Flag>> = {
  ...capabilityFlags,
  ...Object.fromEntries(
    Object.entries(lists).flatMap(([name, { flag: own }]): [string, Flag][] =>
      unpaired.has(name)
        ? [[name, flag(own.describe)]]
        : [
            [`${name}-add`, flag(`Add or update: ${own.describe}`)],
            [`${name}-rm`, flag(`Remove: ${own.describe}`)],
          ],
    ),
  ),
};

/** Adds and removes what the flags say. */
export function applyLists(spec: ServiceSpec, flags: Flags, shell: Shell): void {
  const fromFiles = flags.list('env-file').flatMap((path) => envFile('env-file', path, shell));
  for (const [name, list] of Object.entries(lists)) {
    const read = (flagName: string): readonly unknown[] =>
      flags.list(flagName).flatMap((text) => list.read(flagName, text, shell));
    const given = [...(name === 'env' ? fromFiles : []), ...read(name)];
    const added = read(`${name}-add`);
    const removed = flags.list(`${name}-rm`);
    if (given.length + added.length + removed.length === 0) continue;
    const items = new Map((list.get(spec) ?? []).map((item) => [list.keyOf(item), item]));
    for (const text of removed) {
      const matches = list.removes?.(`${name}-rm`, text) ?? ((item) => list.keyOf(item) === text);
      for (const [key, item] of items) if (matches(item)) items.delete(key);
    }
    const before = new Set(items.keys());
    for (const item of [...given, ...added]) items.set(list.keyOf(item), item);
    // Items that only take the place of older ones leave the order as it is.
    const isLonger = added.some((item) => !before.has(list.keyOf(item)));
    const all = [...items.values()];
    list.set(spec, isLonger && list.order !== undefined ? all.toSorted(list.order) : all);
  }
  applyCapabilities(spec, flags);
}
