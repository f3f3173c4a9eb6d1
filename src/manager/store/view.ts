import type { ObjectKind, ObjectOfKind } from '../../api/index.ts';

/**
 * Which objects of a kind; each is answered from an index. Names are compared without regard to
 * case, as SwarmKit's store does.
 */
export type Query =
  | { readonly by: 'all' }
  | { readonly by: 'id-prefix'; readonly prefix: string }
  | { readonly by: 'name'; readonly name: string }
  | { readonly by: 'name-prefix'; readonly prefix: string }
  /** Tasks of a service. */
  | { readonly by: 'service'; readonly serviceId: string }
  /** Tasks of one slot of a replicated service. */
  | { readonly by: 'slot'; readonly serviceId: string; readonly slot: string }
  /** Tasks on a node. */
  | { readonly by: 'node'; readonly nodeId: string }
  /** Services that name a secret, a config or a network in their task spec. */
  | { readonly by: 'reference'; readonly id: string };

/** A consistent snapshot, for as long as its reader does not await. */
export interface ReadView {
  get<K extends ObjectKind>(kind: K, id: string): ObjectOfKind[K] | undefined;

  /** The objects of a kind that a query names; all of them without one. */
  find<K extends ObjectKind>(kind: K, query?: Query): readonly ObjectOfKind[K][];
}

/**
 * A change in the making. It reads committed state plus everything proposed before it, and sees
 * its own writes. Its writes reach nobody else before they are committed.
 */
export interface Transaction extends ReadView {
  /**
   * Adds an object. Its `meta` is stamped: version, created and updated time.
   *
   * @throws SwarmError already-exists, if the ID or the name is taken
   */
  create<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): void;

  /**
   * Replaces an object that was read in this transaction, or whose version the caller vouches for.
   * Its `meta` is stamped: version and updated time.
   *
   * @throws SwarmError unknown `update out of sequence`, if its version is not the current one;
   *   not-found, if it is gone; already-exists, if its new name is taken
   */
  update<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): void;

  /** @throws SwarmError not-found, if there is no such object */
  remove(kind: ObjectKind, id: string): void;
}
