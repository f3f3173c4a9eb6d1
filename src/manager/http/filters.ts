import type {
  ListNodesRequestFiltersInput,
  ListServicesRequestFiltersInput,
  ListTasksRequestFiltersInput,
  NodeRole,
  TaskState,
} from '../../api/gen/types.ts';
import { SwarmError } from '../../runtime/index.ts';
import { parseJson } from './json.ts';

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);

const roles = ['WORKER', 'MANAGER'] as const satisfies readonly NodeRole[];
const memberships = ['ACCEPTED', 'PENDING'] as const;
const taskStates = [
  'NEW',
  'PENDING',
  'ASSIGNED',
  'ACCEPTED',
  'PREPARING',
  'READY',
  'STARTING',
  'RUNNING',
  'COMPLETE',
  'SHUTDOWN',
  'FAILED',
  'REJECTED',
  'REMOVE',
  'ORPHANED',
] as const satisfies readonly TaskState[];

/**
 * The `filters` of a list: per key the values of which one must match. Engine API 1.47: written as
 * `{"key":{"value":true}}`, or `{"key":["value"]}` by old clients.
 */
export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /**
   * @param accepted the keys the list understands
   * @throws SwarmError invalid-argument
   */
  static parse(written: string | null, accepted: readonly string[]): Filters {
    const values = new Map<string, readonly string[]>();
    if (written === null || written === '') return new Filters(values);
    for (const [key, value] of entriesOf(written)) {
      if (!accepted.includes(key)) throw invalid(`invalid filter '${key}'`);
      values.set(key, valuesOf(value));
    }
    return new Filters(values);
  }

  get(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  has(key: string): boolean {
    return this.get(key).length > 0;
  }

  /** The values of a key as labels: `k=v`, or `k` for any value. */
  labels(key: string = 'label'): Record<string, string> {
    return Object.fromEntries(
      this.get(key).map((pair) => {
        const at = pair.indexOf('=');
        return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
      }),
    );
  }

  /** Each value as one of a kind; `Invalid role filter: 'x'` if it is none. */
  enumerated<T extends string>(key: string, known: readonly T[]): T[] {
    return this.get(key).map((written) => {
      const value = known.find((name) => name.toLowerCase() === written.toLowerCase());
      if (value === undefined) throw invalid(`Invalid ${key} filter: '${written}'`);
      return value;
    });
  }
}

function entriesOf(written: string): [string, unknown][] {
  let parsed: unknown;
  try {
    parsed = parseJson(written);
  } catch {
    throw invalid('invalid filter');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw invalid('invalid filter');
  }
  return Object.entries(parsed);
}

function valuesOf(value: unknown): string[] {
  const values: unknown = Array.isArray(value) ? value : undefined;
  if (Array.isArray(values)) {
    return values.map((member: unknown) => {
      if (typeof member !== 'string') throw invalid('invalid filter');
      return member;
    });
  }
  if (typeof value !== 'object' || value === null) throw invalid('invalid filter');
  return Object.entries(value)
    .filter(([, isOn]) => isOn === true)
    .map(([name]) => name);
}

/** `GET /nodes`. Labels are the Engine's; those of the node's spec are `node.label`. */
export function nodeFilters(written: string | null): ListNodesRequestFiltersInput {
  const filters = Filters.parse(written, [
    'name',
    'id',
    'label',
    'node.label',
    'role',
    'membership',
  ]);
  return {
    namePrefixes: [...filters.get('name')],
    idPrefixes: [...filters.get('id')],
    labels: filters.labels(),
    nodeLabels: filters.labels('node.label'),
    roles: filters.enumerated('role', roles),
    memberships: filters.enumerated('membership', memberships),
  };
}

/** What a list of services asks of the managers, and the modes that are picked afterwards. */
export interface ServiceQuery {
  readonly filters: ListServicesRequestFiltersInput;
  /** `replicated`, `global`, `replicated-job`, `global-job`; none: any. */
  readonly modes: readonly string[];
}

/** `GET /services`. Without a filter of its own a list shows containers only. */
export function serviceQuery(written: string | null): ServiceQuery {
  const filters = Filters.parse(written, ['name', 'id', 'label', 'mode', 'runtime']);
  return {
    filters: {
      namePrefixes: [...filters.get('name')],
      idPrefixes: [...filters.get('id')],
      labels: filters.labels(),
      runtimes: filters.has('runtime') ? [...filters.get('runtime')] : ['container'],
    },
    modes: filters.get('mode'),
  };
}

/** What a list of tasks asks of the managers, with services and nodes as the client names them. */
export interface TaskQuery {
  readonly filters: ListTasksRequestFiltersInput;
  readonly services: readonly string[];
  readonly nodes: readonly string[];
}

/** `GET /tasks`. Without a filter of its own a list shows containers only. */
export function taskQuery(written: string | null): TaskQuery {
  const filters = Filters.parse(written, [
    'name',
    'id',
    'label',
    'service',
    'node',
    'desired-state',
    'runtime',
    '_up-to-date',
  ]);
  return {
    filters: {
      namePrefixes: [...filters.get('name')],
      idPrefixes: [...filters.get('id')],
      labels: filters.labels(),
      desiredStates: filters.enumerated('desired-state', taskStates),
      runtimes: filters.has('runtime') ? [...filters.get('runtime')] : ['container', ''],
      upToDate: filters.has('_up-to-date'),
    },
    services: filters.get('service'),
    nodes: filters.get('node'),
  };
}

/** What lists of secrets, configs and networks have in common. */
export interface NamedFilters {
  readonly names: string[];
  readonly namePrefixes: string[];
  readonly idPrefixes: string[];
  readonly labels: Record<string, string>;
}

/** `GET /secrets` and `GET /configs`; only secrets have `names`, which match exactly. */
export function namedFilters(
  written: string | null,
  accepted: readonly string[] = ['name', 'id', 'label'],
): NamedFilters {
  const filters = Filters.parse(written, accepted);
  return {
    names: [...filters.get('names')],
    namePrefixes: [...filters.get('name')],
    idPrefixes: [...filters.get('id')],
    labels: filters.labels(),
  };
}
