import { type Subscription, Watch } from '../../runtime/index.ts';
import type { ObjectEvent } from './events.ts';

/**
 * What is news for single nodes: a change of the node itself, of a task that is on it or was, or of
 * the cluster.
 *
 * A swarm has hundreds of nodes, each with subscribers of its own. A change is brought to those it
 * is about: to ask each of all whether it wants it would cost more than the change.
 */
export class NodeWatches {
  readonly #watches = new Map<string, Watch<ObjectEvent>>();

  publish(event: ObjectEvent): void {
    if (event.kind === 'cluster') {
      for (const watch of this.#watches.values()) watch.publish(event);
    } else if (event.kind === 'node') {
      this.#watches.get(event.object.id)?.publish(event);
    } else if (event.kind === 'task') {
      const { object, old } = event;
      this.#watches.get(object.nodeId)?.publish(event);
      if (old !== undefined && old.nodeId !== object.nodeId) {
        this.#watches.get(old.nodeId)?.publish(event);
      }
    }
  }

  /** Tells every subscriber to read the whole state anew. */
  resync(): void {
    for (const watch of this.#watches.values()) watch.resync();
  }

  subscribe(nodeId: string, wants: (event: ObjectEvent) => boolean): Subscription<ObjectEvent> {
    const watch = this.#watches.get(nodeId) ?? new Watch<ObjectEvent>();
    this.#watches.set(nodeId, watch);
    const subscription = watch.subscribe(wants);
    return {
      drain: () => subscription.drain(),
      changed: async (signal) => subscription.changed(signal),
      [Symbol.dispose]: () => {
        subscription[Symbol.dispose]();
        if (watch.isIdle && this.#watches.get(nodeId) === watch) this.#watches.delete(nodeId);
      },
    };
  }
}
