import type { ObjectKind, ObjectOfKind } from '../../api/index.ts';

/** An object came to be, changed, or went, in a committed transaction. */
export type ObjectEvent = {
  readonly [K in ObjectKind]:
    | {
        readonly action: 'created';
        readonly kind: K;
        readonly object: ObjectOfKind[K];
        readonly old?: undefined;
      }
    | {
        readonly action: 'updated';
        readonly kind: K;
        readonly object: ObjectOfKind[K];
        readonly old: ObjectOfKind[K];
      }
    | {
        readonly action: 'removed';
        readonly kind: K;
        /** The object as it was last. */
        readonly object: ObjectOfKind[K];
        readonly old?: undefined;
      };
}[ObjectKind];

/** All events of one transaction have been published. */
export interface CommittedEvent {
  readonly action: 'committed';
  /** The log index of the transaction. */
  readonly index: number;
}

/** What the store publishes: each transaction's changes in order, then its end. */
export type StoreEvent = ObjectEvent | CommittedEvent;

/** The changes of some kinds of object: what most subscribers want. */
export const changesOf =
  (...kinds: readonly ObjectKind[]): ((event: StoreEvent) => boolean) =>
  (event) =>
    event.action !== 'committed' && kinds.includes(event.kind);
