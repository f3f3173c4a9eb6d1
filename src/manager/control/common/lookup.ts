import type { Cluster, Frozen, ObjectKind, ObjectOfKind, StoreObject } from '../../../api/index.ts';
import type { Version } from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { ReadView } from '../../store/view.ts';
import { notFound } from './errors.ts';
import type { CommonFilters } from './filters.ts';

/** @throws SwarmError not-found `<kind> <id> not found` */
export function found<K extends ObjectKind>(view: ReadView, kind: K, id: string): ObjectOfKind[K] {
  const object = view.get(kind, id);
  if (object === undefined) throw notFound(kind, id);
  return object;
}

/** The objects a list looks through: those of the names it asks for, else all of the kind. */
export function listed<K extends ObjectKind>(
  view: ReadView,
  kind: K,
  filters: Pick<CommonFilters, 'names'> | null,
): readonly ObjectOfKind[K][] {
  const names = filters?.names ?? [];
  if (names.length === 0) return view.find(kind);
  return [...new Set(names.flatMap((name) => view.find(kind, { by: 'name', name })))];
}

/**
 * An update names the version it was made from. Clients know the refusal by its text and its code,
 * though a precondition is what it is.
 *
 * @throws SwarmError unknown `update out of sequence`, if the object has changed since
 */
export function checkVersion(object: StoreObject, version: Frozen<Version>): void {
  if (object.meta?.version?.index !== version.index) {
    throw new SwarmError('unknown', 'update out of sequence');
  }
}

/** The name of the one cluster object. */
export const clusterName = 'default';

/** @throws SwarmError internal, if there is no cluster object */
export function theCluster(view: ReadView): Cluster {
  const [cluster] = view.find('cluster', { by: 'name', name: clusterName });
  if (cluster === undefined) throw new SwarmError('internal', 'could not fetch cluster object');
  return cluster;
}
