import {
  hostnameOf,
  type ObjectKind,
  type ObjectOfKind,
  type Service,
  type Task,
  taskName,
} from '../../api/index.ts';
import type { Query, ReadView } from './view.ts';

/** Kinds whose names are taken once in the cluster, without regard to case. */
const uniquelyNamed: ReadonlySet<ObjectKind> = new Set([
  'service',
  'network',
  'secret',
  'config',
  'cluster',
  'volume',
  'resource',
  'extension',
]);

export const hasUniqueName = (kind: ObjectKind): boolean => uniquelyNamed.has(kind);

/** The name an object is found by. */
export function nameOf<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): string {
  if (kind === 'node') return hostnameOf(object as ObjectOfKind['node']);
  if (kind === 'task') return taskName(object as Task);
  const { spec, annotations } = object as {
    readonly spec?: { readonly annotations?: { readonly name: string } | null } | null;
    readonly annotations?: { readonly name: string } | null;
  };
  return spec?.annotations?.name ?? annotations?.name ?? '';
}

/** The secrets, configs and networks a service's task spec names. */
function referencesOf({ spec }: Service): readonly string[] {
  const container = spec?.task?.container;
  return [
    ...(container?.secrets ?? []).map((secret) => secret.secretId),
    ...(container?.configs ?? []).map((config) => config.configId),
    ...(spec?.task?.networks ?? []).map((network) => network.target),
    ...(spec?.networks ?? []).map((network) => network.target),
  ];
}

/** An index entry is written as one text: what it indexes, then its value. */
type IndexKey = `${'name' | 'service' | 'slot' | 'node' | 'reference'}:${string}`;

function indexKeysOf<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): IndexKey[] {
  const keys: IndexKey[] = [`name:${nameOf(kind, object).toLowerCase()}`];
  if (kind === 'task') {
    const task = object as Task;
    if (task.serviceId !== '') {
      keys.push(`service:${task.serviceId}`, `slot:${task.serviceId} ${task.slot}`);
    }
    if (task.nodeId !== '') keys.push(`node:${task.nodeId}`);
  }
  if (kind === 'service') {
    for (const id of new Set(referencesOf(object as Service))) keys.push(`reference:${id}`);
  }
  return keys;
}

/** An object where it is kept, and under which keys it is found. */
interface Place<K extends ObjectKind> {
  object: ObjectOfKind[K];
  readonly keys: readonly IndexKey[];
}

/**
 * The objects of one kind and their indexes. Most changes are of what no index knows of, as a task's
 * status: then an object takes the place of the one before.
 */
class Table<K extends ObjectKind> {
  readonly #kind: K;
  readonly #byId = new Map<string, Place<K>>();
  readonly #index = new Map<IndexKey, Map<string, Place<K>>>();

  constructor(kind: K) {
    this.#kind = kind;
  }

  get(id: string): ObjectOfKind[K] | undefined {
    return this.#byId.get(id)?.object;
  }

  put(object: ObjectOfKind[K]): void {
    const keys = indexKeysOf(this.#kind, object);
    const known = this.#byId.get(object.id);
    if (known !== undefined && isSameList(known.keys, keys)) {
      known.object = object;
      return;
    }
    this.remove(object.id);
    const place = { object, keys };
    this.#byId.set(object.id, place);
    for (const key of keys) {
      const held = this.#index.get(key);
      if (held === undefined) this.#index.set(key, new Map([[object.id, place]]));
      else held.set(object.id, place);
    }
  }

  remove(id: string): ObjectOfKind[K] | undefined {
    const place = this.#byId.get(id);
    if (place === undefined) return undefined;
    this.#byId.delete(id);
    for (const key of place.keys) {
      const held = this.#index.get(key);
      held?.delete(id);
      if (held?.size === 0) this.#index.delete(key);
    }
    return place.object;
  }

  find(query: Query): readonly ObjectOfKind[K][] {
    switch (query.by) {
      case 'all':
        return objectsOf(this.#byId);
      case 'id-prefix':
        return objectsOf(this.#byId).filter(({ id }) => id.startsWith(query.prefix));
      case 'name-prefix': {
        const prefix = `name:${query.prefix.toLowerCase()}`;
        return [...this.#index]
          .filter(([key]) => key.startsWith(prefix))
          .flatMap(([, held]) => objectsOf(held));
      }
      case 'name':
        return this.#at(`name:${query.name.toLowerCase()}`);
      case 'service':
        return this.#at(`service:${query.serviceId}`);
      case 'slot':
        return this.#at(`slot:${query.serviceId} ${query.slot}`);
      case 'node':
        return this.#at(`node:${query.nodeId}`);
      case 'reference':
        return this.#at(`reference:${query.id}`);
    }
  }

  #at(key: IndexKey): readonly ObjectOfKind[K][] {
    const held = this.#index.get(key);
    return held === undefined ? [] : objectsOf(held);
  }
}

const objectsOf = <K extends ObjectKind>(
  places: ReadonlyMap<string, Place<K>>,
): ObjectOfKind[K][] => Array.from(places.values(), ({ object }) => object);

const isSameList = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((key, at) => key === other[at]);

/**
 * Objects of every kind, by ID and by index. Queries by ID or name prefix scan the keys of one
 * kind; all others cost what they return.
 */
export class Tables implements ReadView {
  /** Made with the first object of each kind: most overlays hold one object of one kind. */
  readonly #tables = new Map<ObjectKind, unknown>();

  get<K extends ObjectKind>(kind: K, id: string): ObjectOfKind[K] | undefined {
    return this.#table(kind)?.get(id);
  }

  find<K extends ObjectKind>(kind: K, query: Query = { by: 'all' }): readonly ObjectOfKind[K][] {
    return this.#table(kind)?.find(query) ?? [];
  }

  put<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): void {
    const known = this.#table(kind);
    if (known !== undefined) {
      known.put(object);
      return;
    }
    const table = new Table(kind);
    table.put(object);
    this.#tables.set(kind, table);
  }

  /** @returns the object that was there */
  remove<K extends ObjectKind>(kind: K, id: string): ObjectOfKind[K] | undefined {
    return this.#table(kind)?.remove(id);
  }

  #table<K extends ObjectKind>(kind: K): Table<K> | undefined {
    return this.#tables.get(kind) as Table<K> | undefined; // Stored under its own kind above.
  }
}
