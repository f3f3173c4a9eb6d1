import type { Register, Versions } from './register.ts';

/** A way in which things may have gone so far. */
export interface World {
  readonly register: Register;
  /** Numbers of operations that will be answered and have not been carried out yet. */
  readonly owed: readonly number[];
  /** What may yet be carried out, or never: effects, and how many operations have each. */
  readonly loose: Counts;
}

/** Names, and how often there is each. */
export type Counts = ReadonlyMap<string, number>;

/** One more of a name, or one less. */
export function changed(counts: Counts, name: string, by: 1 | -1): Counts {
  const next = new Map(counts);
  const count = (counts.get(name) ?? 0) + by;
  if (count === 0) next.delete(name);
  else next.set(name, count);
  return next;
}

const includes = (more: Counts, fewer: Counts): boolean =>
  fewer.size <= more.size && [...fewer].every(([name, count]) => (more.get(name) ?? 0) >= count);

/**
 * Worlds with different futures.
 *
 * Of two worlds that differ in their loose operations alone, one that has all of the other's can go
 * wherever the other can: nothing demands that a loose operation is ever carried out. So the other
 * is left out.
 */
export class Worlds {
  readonly #versions: Versions;
  readonly #groups = new Map<string, readonly World[]>();

  constructor(versions: Versions) {
    this.#versions = versions;
  }

  /** @returns false, if there is one already that can go wherever this one can */
  add(world: World): boolean {
    const { value, floor } = world.register;
    // Values that nobody read are all alike.
    const there = value === undefined || this.#versions.has(value) ? value : '?';
    const key = `${there ?? ''}|${floor}|${world.owed.join()}`;
    const group = this.#groups.get(key) ?? [];
    if (group.some(({ loose }) => includes(loose, world.loose))) return false;
    this.#groups.set(key, [...group.filter(({ loose }) => !includes(world.loose, loose)), world]);
    return true;
  }

  get all(): readonly World[] {
    return [...this.#groups.values()].flat();
  }
}
