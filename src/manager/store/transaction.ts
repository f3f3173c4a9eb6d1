import { type ObjectKind, type ObjectOfKind, timestampFromMs, versionOf } from '../../api/index.ts';
import { SwarmError } from '../../runtime/index.ts';
import { type Change, Overlay } from './overlay.ts';
import { hasUniqueName, nameOf } from './tables.ts';
import type { Query, ReadView, Transaction } from './view.ts';

/** What every object written by one transaction is stamped with. */
export interface Stamp {
  /** The log index the transaction's entry will have. */
  readonly index: number;
  /** Milliseconds since the epoch, by the leader's clock. */
  readonly nowMs: number;
}

/** A transaction over a view; its changes are collected, in order, until somebody proposes them. */
export class PendingTransaction implements Transaction {
  readonly changes: Change[] = [];
  readonly #view: Overlay;
  readonly #stamp: Stamp;

  constructor(below: ReadView, stamp: Stamp) {
    this.#view = new Overlay(below);
    this.#stamp = stamp;
  }

  get<K extends ObjectKind>(kind: K, id: string): ObjectOfKind[K] | undefined {
    return this.#view.get(kind, id);
  }

  find<K extends ObjectKind>(kind: K, query?: Query): readonly ObjectOfKind[K][] {
    return this.#view.find(kind, query);
  }

  create<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): void {
    if (this.get(kind, object.id) !== undefined) {
      throw new SwarmError('already-exists', `object already exists: ${kind} ${object.id}`);
    }
    this.#checkName(kind, object);
    this.#lay('create', kind, object, timestampFromMs(this.#stamp.nowMs));
  }

  update<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): void {
    const current = this.get(kind, object.id);
    if (current === undefined) throw notFound(kind, object.id);
    if (versionOf(current) !== versionOf(object)) {
      throw new SwarmError('unknown', 'update out of sequence');
    }
    this.#checkName(kind, object);
    this.#lay('update', kind, object, current.meta?.createdAt ?? null);
  }

  remove(kind: ObjectKind, id: string): void {
    const object = this.get(kind, id);
    if (object === undefined) throw notFound(kind, id);
    this.#record({ action: 'remove', kind, object } as Change); // The kind is the object's own.
  }

  #lay<K extends ObjectKind>(
    action: 'create' | 'update',
    kind: K,
    object: ObjectOfKind[K],
    createdAt: NonNullable<ObjectOfKind[K]['meta']>['createdAt'],
  ): void {
    const meta = {
      version: { index: String(this.#stamp.index) },
      createdAt,
      updatedAt: timestampFromMs(this.#stamp.nowMs),
    };
    this.#record({ action, kind, object: { ...object, meta } } as Change); // As above.
  }

  #record(change: Change): void {
    this.#view.lay(change);
    this.changes.push(change);
  }

  #checkName<K extends ObjectKind>(kind: K, object: ObjectOfKind[K]): void {
    if (!hasUniqueName(kind)) return;
    const name = nameOf(kind, object);
    const isTaken = this.find(kind, { by: 'name', name }).some(({ id }) => id !== object.id);
    if (isTaken) {
      throw new SwarmError(
        'already-exists',
        `name conflicts with an existing object: ${kind} ${name} already exists`,
      );
    }
  }
}

const notFound = (kind: ObjectKind, id: string): SwarmError =>
  new SwarmError('not-found', `${kind} ${id} not found`);
