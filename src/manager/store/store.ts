import { codecOf, type ObjectKind, objectKinds, type StoreObject } from '../../api/index.ts';
import { assert, type Clock, type Subscription, SwarmError, Watch } from '../../runtime/index.ts';
import type { ObjectEvent, StoreEvent } from './events.ts';
import { changeOverheadBytes, decodeRequest, encodeChange, encodeRequest } from './log-entry.ts';
import { type Change, keyOf, Overlay } from './overlay.ts';
import type { Proposer } from './proposer.ts';
import { NodeWatches } from './node-watches.ts';
import { Tables } from './tables.ts';
import { PendingTransaction } from './transaction.ts';
import type { ReadView, Transaction } from './view.ts';

/** A transaction holds at most so many changes. swarmkit manager/state/store */
const changesMax = 200;
/** A transaction is at most so long when encoded, in bytes (1.5 MiB). */
const transactionBytesMax = 1_572_864;

const snapshotCodec = codecOf('StoreSnapshot');

/** The name of each kind's list in a snapshot. */
const listOf = {
  node: 'nodes',
  service: 'services',
  task: 'tasks',
  cluster: 'clusters',
  network: 'networks',
  secret: 'secrets',
  config: 'configs',
  resource: 'resources',
  extension: 'extensions',
  volume: 'volumes',
} as const satisfies Record<ObjectKind, string>;

/**
 * The state of the swarm, and the one road to change it.
 *
 * It is Raft's state machine: `apply` is the only place where committed state changes, on the
 * leader as on every other manager. A transaction runs at once over committed state and everything
 * proposed before it, and is proposed before it returns; many transactions are in flight together
 * and share a synced batch of the log. What others see (views, subscriptions) is committed.
 */
export class Store {
  readonly #clock: Clock;
  readonly #seal: (object: StoreObject) => void;
  #committed = new Tables();
  /** Proposed and not yet applied; and the entry that wrote each object there last. */
  #inFlight = new Overlay(this.#committed);
  readonly #writers = new Map<string, number>();
  /** Settles with what is in flight. */
  #lastProposed: Promise<void> = Promise.resolve();
  readonly #watch = new Watch<StoreEvent>();
  readonly #nodeWatches = new NodeWatches();
  #proposer: Proposer | undefined;
  #requestId = 0;

  /** @param seal is given each object before anybody reads it; tests freeze it */
  constructor({
    clock,
    seal = () => undefined,
  }: {
    readonly clock: Clock;
    readonly seal?: (object: StoreObject) => void;
  }) {
    this.#clock = clock;
    this.#seal = seal;
  }

  /** Gives the store its log. Until then it can be read and applied to, and not changed. */
  attach(proposer: Proposer): void {
    this.#proposer = proposer;
  }

  /** Reads committed state. The view is a snapshot only until the reader awaits. */
  view<T>(read: (view: ReadView) => T): T {
    return read(this.#committed);
  }

  /**
   * What is published from now on. Subscribe before you read: what changes in between is then
   * seen twice, never missed.
   */
  subscribe(wants?: (event: StoreEvent) => boolean): Subscription<StoreEvent> {
    return this.#watch.subscribe(wants);
  }

  /**
   * The same of one node: of changes of the node itself, of tasks that are on it or were, and of
   * the cluster, those that are wanted.
   */
  subscribeToNode(
    nodeId: string,
    wants: (event: ObjectEvent) => boolean,
  ): Subscription<ObjectEvent> {
    return this.#nodeWatches.subscribe(nodeId, wants);
  }

  /**
   * Runs `change` at once, synchronously, and proposes what it wrote as one transaction.
   *
   * A transaction that writes nothing, or that `change` refuses by throwing, has seen what is in
   * flight all the same. So its outcome, too, is told only when that is committed: else a caller
   * would be told of a change that the next reader does not find, or that is lost.
   *
   * @returns what `change` returned, once the transaction is committed and applied here, with all
   *   that was proposed before it
   * @throws what `change` throws, in which case nothing is written; SwarmError unavailable, if this
   *   manager does not lead or loses the leadership (the transaction may then still be committed by
   *   the next leader); resource-exhausted, if the transaction is larger than one may be
   */
  async update<T>(change: (tx: Transaction) => T): Promise<T> {
    const index = this.#log().nextIndex();
    const tx = new PendingTransaction(this.#inFlight, { index, nowMs: this.#clock.now() });
    const before = this.#lastProposed;
    let result: T;
    try {
      result = change(tx);
    } catch (error) {
      await before;
      throw error;
    }
    await this.#propose(index, tx.changes, tx.changes.map(encodeChange));
    return result;
  }

  /**
   * Runs many small changes in as few transactions as their limits allow. Each change is whole:
   * never split over two transactions. A change that throws ends the batch; those before it stay.
   */
  async batch(changes: Iterable<(tx: Transaction) => void>): Promise<void> {
    const rest = changes[Symbol.iterator]();
    let next = rest.next();
    while (next.done !== true) {
      const index = this.#log().nextIndex();
      const stamp = { index, nowMs: this.#clock.now() };
      const together = new Overlay(this.#inFlight);
      const collected: Change[] = [];
      const encoded: Buffer[] = [];
      let bytes = 0;
      let failure: { readonly error: unknown } | undefined;
      while (next.done !== true) {
        const tx = new PendingTransaction(together, stamp);
        try {
          next.value(tx);
        } catch (error) {
          failure = { error };
          break;
        }
        const buffers = tx.changes.map(encodeChange);
        const more = buffers.reduce((sum, { length }) => sum + length + changeOverheadBytes, 0);
        const isFull =
          collected.length + tx.changes.length > changesMax || bytes + more > transactionBytesMax;
        if (isFull && collected.length > 0) break; // It is run again, as the next one's first.
        for (const change of tx.changes) together.lay(change);
        collected.push(...tx.changes);
        encoded.push(...buffers);
        bytes += more;
        next = rest.next();
      }
      await this.#propose(index, collected, encoded);
      if (failure !== undefined) throw failure.error;
    }
  }

  /** Applies a committed entry. Raft's driver calls it, once per entry, in order. */
  apply({ index, data }: { readonly index: number; readonly data: Buffer }): void {
    if (data.length === 0) return; // A new leader's first entry.
    const changes = decodeRequest(data);
    const events = changes.map((change) => this.#commit(change, index));
    for (const event of events) {
      this.#watch.publish(event);
      this.#nodeWatches.publish(event);
    }
    this.#watch.publish({ action: 'committed', index });
  }

  /** The whole committed state as it is now, encoded object by object as they are asked for. */
  snapshot(): Iterable<Buffer> {
    const captured = objectKinds.map((kind) => [kind, this.#committed.find(kind)] as const);
    return encodedOf(captured);
  }

  /** Replaces the whole state by a snapshot's. Every subscriber is told to read it anew. */
  restore(data: Buffer): void {
    const snapshot = snapshotCodec.decode(data);
    this.#committed = new Tables();
    this.#dropInFlight();
    for (const kind of objectKinds) {
      for (const object of snapshot[listOf[kind]]) {
        this.#seal(object);
        this.#committed.put(kind, object);
      }
    }
    this.#watch.resync();
    this.#nodeWatches.resync();
  }

  #log(): Proposer {
    if (this.#proposer === undefined) {
      throw new SwarmError('unavailable', 'raft: node is not yet part of a raft cluster');
    }
    return this.#proposer;
  }

  async #propose(
    index: number,
    changes: readonly Change[],
    encoded: readonly Buffer[],
  ): Promise<void> {
    if (changes.length === 0) return this.#lastProposed;
    this.#requestId += 1;
    const data = encodeRequest(this.#requestId, encoded);
    if (changes.length > changesMax || data.length > transactionBytesMax) {
      throw new SwarmError(
        'resource-exhausted',
        `raft: raft message is too large and can't be sent: ${changes.length} changes, ${data.length} bytes`,
      );
    }
    const settled = this.#log().propose(data);
    this.#lastProposed = settled;
    for (const change of changes) {
      this.#inFlight.lay(change);
      this.#writers.set(keyOf(change.kind, change.object.id), index);
    }
    try {
      await settled;
    } catch (error) {
      this.#dropInFlight(); // When one fails, all that are in flight fail together.
      throw error;
    }
  }

  #commit(change: Change, index: number): ObjectEvent {
    const { action, kind, object } = change;
    const key = keyOf(kind, object.id);
    if (this.#writers.get(key) === index) {
      this.#writers.delete(key);
      this.#inFlight.lift(kind, object.id);
    }
    const old = this.#committed.get(kind, object.id);
    assert((old === undefined) === (action === 'create'), `the log's ${action} of ${key} fits`);
    if (action === 'remove') {
      this.#committed.remove(kind, object.id);
      return { action: 'removed', kind, object: old } as ObjectEvent; // The kind is old's own.
    }
    this.#seal(object);
    this.#committed.put(kind, object);
    return (
      action === 'create'
        ? { action: 'created', kind, object }
        : { action: 'updated', kind, object, old }
    ) as ObjectEvent; // As above.
  }

  #dropInFlight(): void {
    this.#inFlight = new Overlay(this.#committed);
    this.#lastProposed = Promise.resolve();
    this.#writers.clear();
  }
}

function* encodedOf(
  captured: readonly (readonly [ObjectKind, readonly StoreObject[]])[],
): Generator<Buffer> {
  for (const [kind, objects] of captured) {
    for (const object of objects) {
      yield snapshotCodec.encode({ [listOf[kind]]: [object] });
    }
  }
}
