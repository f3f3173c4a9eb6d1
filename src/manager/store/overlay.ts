import type { ObjectKind, ObjectOfKind } from '../../api/index.ts';
import { Tables } from './tables.ts';
import type { Query, ReadView } from './view.ts';

/** One object written or removed. */
export type Change = {
  readonly [K in ObjectKind]:
    | { readonly action: 'create' | 'update'; readonly kind: K; readonly object: ObjectOfKind[K] }
    | { readonly action: 'remove'; readonly kind: K; readonly object: ObjectOfKind[K] };
}[ObjectKind];

/** Changes laid over a view: reads see them as if they had been made. */
export class Overlay implements ReadView {
  readonly #below: ReadView;
  readonly #written = new Tables();
  readonly #removed = new Set<string>();

  constructor(below: ReadView) {
    this.#below = below;
  }

  get<K extends ObjectKind>(kind: K, id: string): ObjectOfKind[K] | undefined {
    const written = this.#written.get(kind, id);
    if (written !== undefined) return written;
    return this.#removed.has(keyOf(kind, id)) ? undefined : this.#below.get(kind, id);
  }

  find<K extends ObjectKind>(kind: K, query?: Query): readonly ObjectOfKind[K][] {
    const below = this.#below.find(kind, query).filter(({ id }) => !this.#hides(kind, id));
    return [...below, ...this.#written.find(kind, query)];
  }

  lay(change: Change): void {
    const { kind, object } = change;
    if (change.action === 'remove') {
      this.#written.remove(kind, object.id);
      this.#removed.add(keyOf(kind, object.id));
    } else {
      this.#removed.delete(keyOf(kind, object.id));
      this.#written.put(kind, object);
    }
  }

  /** Takes away what was laid over one object: the view below shows through again. */
  lift(kind: ObjectKind, id: string): void {
    this.#written.remove(kind, id);
    this.#removed.delete(keyOf(kind, id));
  }

  #hides(kind: ObjectKind, id: string): boolean {
    return this.#written.get(kind, id) !== undefined || this.#removed.has(keyOf(kind, id));
  }
}

export const keyOf = (kind: ObjectKind, id: string): string => `${kind} ${id}`;
