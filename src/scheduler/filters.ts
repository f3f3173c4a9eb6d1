import {
  type Node,
  fits,
  lackOf,
  type ResourceAmounts,
  type Task,
  type TaskSpec,
  count,
} from '../api/index.ts';
import { isSwarmError } from '../runtime/index.ts';
import { type Constraint, firstUnmet, parseConstraints } from './constraint.ts';
import { availableOn, hostPortsOf, type NodeView, reservationsOf } from './node-view.ts';

/** One question whether a node may run a task. */
export interface Filter {
  passes(view: NodeView): boolean;

  /** Why a node does not pass, in words for a person. */
  reason(view: NodeView): string;

  /** That so many nodes do not pass, in SwarmKit's words: clients and people know them. */
  explain(nodes: number): string;
}

/**
 * The filters that apply to a task, in SwarmKit's order: the first that a node does not pass is
 * the one that counts. swarmkit manager/scheduler/filter.go
 */
export function filtersFor(task: Task): readonly Filter[] {
  const filters = [
    ready,
    enoughResources(task),
    hasPlugins(task),
    meetsItsConstraints(task),
    onPlatform(task),
    freePorts(task),
    underMaxReplicas(task),
  ];
  return filters.filter((filter) => filter !== undefined);
}

const onNodes = (what: string, nodes: number): string =>
  nodes === 1 ? `${what} on 1 node` : `${what} on ${nodes} nodes`;

const ready: Filter = {
  passes: ({ node }) =>
    node.status?.state === 'READY' && (node.spec?.availability ?? 'ACTIVE') === 'ACTIVE',
  reason: ({ node }) => {
    const state = node.status?.state ?? 'UNKNOWN';
    if (state !== 'READY') return `node is ${state.toLowerCase()}`;
    return `availability is ${(node.spec?.availability ?? 'ACTIVE').toLowerCase()}`;
  },
  explain: (nodes) =>
    nodes === 1
      ? '1 node not available for new tasks'
      : `${nodes} nodes not available for new tasks`,
};

function enoughResources(task: Task): Filter | undefined {
  const request: ResourceAmounts = reservationsOf(task);
  const { nanoCpus, memoryBytes, discrete, named } = request;
  if (nanoCpus === 0 && memoryBytes === 0 && discrete.size === 0 && named.size === 0) {
    return undefined;
  }
  return {
    passes: (view) => fits(request, availableOn(view)),
    reason: (view) => `insufficient ${lackOf(request, availableOn(view)) ?? 'resources'}`,
    explain: (nodes) => onNodes('insufficient resources', nodes),
  };
}

interface Plugin {
  readonly type: 'Volume' | 'Network' | 'Log';
  readonly name: string;
}

function hasPlugins(task: Task): Filter | undefined {
  const wanted = pluginsOf(task);
  if (wanted.length === 0) return undefined;
  const missing = ({ node }: NodeView): Plugin | undefined =>
    wanted.find((plugin) => !hasPlugin(node, plugin));
  return {
    passes: (view) => missing(view) === undefined,
    reason: (view) => {
      const plugin = missing(view);
      return `missing ${plugin?.type.toLowerCase() ?? ''} plugin ${plugin?.name ?? ''}`;
    },
    explain: (nodes) => onNodes('missing plugin', nodes),
  };
}

function pluginsOf(task: Task): readonly Plugin[] {
  const plugin = (type: Plugin['type'], name: string | undefined): readonly Plugin[] =>
    name === undefined || name === '' ? [] : [{ type, name }];
  const volumes = (task.spec?.container?.mounts ?? [])
    .filter(({ type }) => type === 'VOLUME')
    .map(({ volumeOptions }) => volumeOptions?.driverConfig?.name)
    .filter((name) => name !== 'local')
    .flatMap((name) => plugin('Volume', name));
  const networks = task.networks.flatMap(({ network }) =>
    plugin('Network', network?.driverState?.name),
  );
  const log = task.spec?.logDriver?.name;
  return [...volumes, ...networks, ...plugin('Log', log === 'none' ? '' : log)];
}

function hasPlugin(node: Node, { type, name }: Plugin): boolean {
  const engine = node.description?.engine;
  if (!engine) return true; // A node that runs no Engine says nothing about plugins.
  const ofType = engine.plugins.filter((plugin) => plugin.type === type);
  if (type === 'Log' && ofType.length === 0) return true; // An Engine too old to report them.
  return ofType.some((plugin) => plugin.name === name || plugin.name === `${name}:latest`);
}

function meetsItsConstraints(task: Task): Filter | undefined {
  const constraints = constraintsOf(task.spec);
  if (constraints.length === 0) return undefined;
  return {
    passes: ({ node }) => firstUnmet(constraints, node) === undefined,
    reason: ({ node }) => {
      const unmet = firstUnmet(constraints, node);
      return `constraint ${unmet?.key ?? ''} ${unmet?.operator ?? ''} ${unmet?.value ?? ''} not met`;
    },
    explain: (nodes) => onNodes('scheduling constraints not satisfied', nodes),
  };
}

/** Constraints that cannot be read were refused with their service, so they count for nothing. */
function constraintsOf(spec: TaskSpec | null): readonly Constraint[] {
  try {
    return parseConstraints(spec?.placement?.constraints ?? []);
  } catch (error) {
    if (isSwarmError(error, 'invalid-argument')) return [];
    throw error;
  }
}

const architectureAliases = new Map([
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
]);
const architectureOf = (name: string): string => architectureAliases.get(name) ?? name;

function onPlatform(task: Task): Filter | undefined {
  const wanted = task.spec?.placement?.platforms ?? [];
  if (wanted.length === 0) return undefined;
  return {
    passes: ({ node }) => {
      const own = node.description?.platform;
      if (!own) return false;
      return wanted.some(
        ({ architecture, os }) =>
          (architecture === '' ||
            architectureOf(architecture) === architectureOf(own.architecture)) &&
          (os === '' || os === own.os),
      );
    },
    reason: ({ node }) => {
      const own = node.description?.platform;
      return own ? `unsupported platform ${own.os}/${own.architecture}` : 'platform unknown';
    },
    explain: (nodes) => onNodes('unsupported platform', nodes),
  };
}

function freePorts(task: Task): Filter | undefined {
  const ports = hostPortsOf(task);
  if (ports.length === 0) return undefined;
  return {
    passes: ({ load }) => !ports.some((port) => load.hasPort(port)),
    reason: ({ load }) =>
      `host-mode port ${ports.find((port) => load.hasPort(port)) ?? ''} already in use`,
    explain: (nodes) => onNodes('host-mode port already in use', nodes),
  };
}

function underMaxReplicas(task: Task): Filter | undefined {
  const limit = count(task.spec?.placement?.maxReplicas);
  if (limit === 0) return undefined;
  return {
    passes: ({ load }) => load.activeOf(task.serviceId) < limit,
    reason: () => `max replicas per node (${limit}) reached`,
    explain: () => 'max replicas per node limit exceed',
  };
}
