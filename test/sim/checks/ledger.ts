import {
  isEqual,
  type Node,
  objectKinds,
  type ObjectKind,
  type StoreObject,
  type Task,
  versionOf,
} from '../../../src/api/index.ts';
import type { ObjectEvent, StoreEvent } from '../../../src/manager/store/events.ts';
import type { Change } from '../../../src/manager/store/overlay.ts';
import type { ReadView } from '../../../src/manager/store/view.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** What is published of one entry, in short. */
const summaryOf = ({ action, kind, object }: ObjectEvent): string =>
  `${action} ${kind} ${object.id} ${action === 'removed' ? '' : versionOf(object)}`;

type State = Map<ObjectKind, Map<string, StoreObject>>;

const emptyState = (): State => new Map(objectKinds.map((kind) => [kind, new Map()]));

/** What one entry of the log did. */
export interface Entry {
  readonly index: number;
  readonly events: readonly ObjectEvent[];
}

/**
 * All that was ever committed: what each manager's store must agree with, whenever it has come as
 * far. It is told of an entry by whoever applies it first.
 */
export class Ledger {
  readonly #kernel: Kernel;
  readonly #objects: State = emptyState();
  /** By index: what the entry did. */
  readonly #entries: (string | undefined)[] = [];
  /** When each task was given to the node that has it. */
  readonly #givenAt = new Map<string, number>();
  /** What was there before the first entry, and all since, where somebody may ask for it. */
  #past: { readonly first: State; readonly entries: Entry[] } | undefined;
  /** The last entry that anybody has applied. */
  index = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  tasks(): Iterable<Task> {
    return this.#of('task').values() as Iterable<Task>; // By its kind.
  }

  task(id: string): Task | undefined {
    return this.#of('task').get(id) as Task | undefined; // By its kind.
  }

  /** When a task was given to the node that has it: before all time, if it was so from the beginning. */
  givenAt(taskId: string): number {
    return this.#givenAt.get(taskId) ?? -Infinity;
  }

  /**
   * Takes in what a store has published of one entry.
   *
   * @returns whether nobody had applied it before
   */
  take(index: number, events: readonly ObjectEvent[], who: string): boolean {
    const summary = events.map(summaryOf).join('\n');
    if (index <= this.index) {
      const known = this.#entries[index];
      if (known !== undefined && known !== summary) {
        this.#kernel.violate(
          'committed-entries-stay',
          `${who} applies at ${index}:\n${summary}\nwhere another applied:\n${known}`,
        );
      }
      return false;
    }
    this.#entries[index] = summary;
    this.#past?.entries.push({ index, events });
    this.index = index;
    for (const event of events) this.#apply(index, event);
    return true;
  }

  /** An entry after one and before another that has changed something, if there is one. */
  entryBetween(after: number, before: number): number | undefined {
    for (let index = after + 1; index < before; index += 1) {
      if ((this.#entries[index] ?? '') !== '') return index;
    }
    return undefined;
  }

  nodes(): Iterable<Node> {
    return this.#of('node').values() as Iterable<Node>; // By its kind.
  }

  node(id: string): Node | undefined {
    return this.#of('node').get(id) as Node | undefined; // By its kind.
  }

  /** It begins with what a store holds at an index. */
  begin(view: ReadView, index: number): void {
    for (const kind of objectKinds) {
      for (const object of view.find(kind)) this.#of(kind).set(object.id, object);
    }
    this.index = index;
    this.remember();
  }

  /** From now on it can be asked for the past. */
  remember(): void {
    const first = emptyState();
    for (const [kind, objects] of this.#objects) {
      for (const [id, object] of objects) first.get(kind)?.set(id, object);
    }
    this.#past = { first, entries: [] };
  }

  /** Everything as it was once an entry was applied. A copy. */
  stateAt(index: number): State {
    const state = emptyState();
    if (this.#past === undefined) return state;
    for (const [kind, objects] of this.#past.first) {
      for (const [id, object] of objects) state.get(kind)?.set(id, object);
    }
    for (const entry of this.#past.entries) {
      if (entry.index > index) break;
      for (const { action, kind, object } of entry.events) {
        if (action === 'removed') state.get(kind)?.delete(object.id);
        else state.get(kind)?.set(object.id, object);
      }
    }
    return state;
  }

  /** What a store would publish of changes, were they the next. */
  eventsOf(changes: readonly Change[]): readonly ObjectEvent[] {
    return changes.map(({ action, kind, object }) => {
      const old = this.#of(kind).get(object.id);
      if (action === 'update') return { action: 'updated', kind, object, old } as ObjectEvent;
      const done = action === 'create' ? 'created' : 'removed';
      return { action: done, kind, object } as ObjectEvent; // The kind is the object's own.
    });
  }

  /** A store that has applied everything must hold exactly this. */
  compare(view: ReadView, who: string): void {
    for (const kind of objectKinds) {
      const expected = this.#of(kind);
      const found = view.find(kind);
      for (const object of found) {
        if (isEqual(expected.get(object.id), object)) continue;
        this.#kernel.violate(
          'acknowledged-writes-stay',
          `${who} came back with a ${kind} ${object.id} of version ${versionOf(object)} that differs`,
        );
      }
      if (found.length === expected.size) continue;
      this.#kernel.violate(
        'acknowledged-writes-stay',
        `${who} came back with ${found.length} objects of kind ${kind} instead of ${expected.size}`,
      );
    }
  }

  #apply(index: number, { action, kind, object }: ObjectEvent): void {
    const objects = this.#of(kind);
    const known = objects.get(object.id);
    if (action === 'removed') {
      objects.delete(object.id);
      this.#givenAt.delete(object.id);
      return;
    }
    const version = versionOf(object);
    // One entry may change an object twice.
    const isNext = version === index && (known === undefined || versionOf(known) <= version);
    if (!isNext) {
      this.#kernel.violate(
        'versions-grow',
        `${kind} ${object.id} has version ${version} at index ${index}, after ${known === undefined ? 'none' : versionOf(known)}`,
      );
    }
    objects.set(object.id, object);
    if (kind !== 'task') return;
    const before = known as Task | undefined; // By the kind.
    if (object.nodeId !== before?.nodeId) this.#givenAt.set(object.id, this.#kernel.now);
  }

  #of(kind: ObjectKind): Map<string, StoreObject> {
    const objects = this.#objects.get(kind);
    if (objects === undefined) throw new Error(`no kind ${kind}`);
    return objects;
  }
}

/** What a store publishes, entry by entry. */
export function* byEntry(events: readonly StoreEvent[]): Generator<Entry> {
  let collected: ObjectEvent[] = [];
  for (const event of events) {
    if (event.action !== 'committed') collected.push(event);
    else {
      yield { index: event.index, events: collected };
      collected = [];
    }
  }
}
