import type { ObjectEvent } from '../../../src/manager/store/events.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Marks } from '../kernel/marks.ts';
import type { Call } from '../ports/call.ts';

/** A node that was removed is refused for ever: nobody who knows of its removal answers it. */
export class NodeRules {
  readonly #kernel: Kernel;
  readonly #marks: Marks;
  /** The entry that removed a node. */
  readonly #goneAt = new Map<string, number>();
  /** Calls that came where their caller's removal was known. */
  readonly #refused = new WeakSet<Call>();
  /** Called with a node that was removed. */
  onRemoved: (nodeId: string) => void = () => undefined;

  constructor(kernel: Kernel, marks: Marks) {
    this.#kernel = kernel;
    this.#marks = marks;
  }

  /** Everything that one entry did. */
  take(index: number, events: readonly ObjectEvent[]): void {
    for (const { kind, action, object } of events) {
      if (kind !== 'node') continue;
      if (action === 'created' && this.#goneAt.has(object.id)) {
        this.#kernel.violate('removed-nodes-are-refused', `node ${object.id} is let in again`);
      }
      if (action !== 'removed') continue;
      this.#goneAt.set(object.id, index);
      this.onRemoved(object.id);
    }
  }

  /** A call comes to a manager that has applied so much. */
  served(call: Call, lastApplied: number): void {
    // What is open to anybody is so to those who were removed.
    if (call.method.access?.kind !== 'roles') return;
    if (!callersOf(call).some((id) => (this.#goneAt.get(id) ?? Infinity) <= lastApplied)) return;
    this.#refused.add(call);
    this.#marks.hit('a node that was removed called, and was refused');
  }

  /** A manager answers. */
  answered(call: Call): void {
    if (!this.#refused.has(call)) return;
    const { service, name } = call.method;
    this.#kernel.violate(
      'removed-nodes-are-refused',
      `${callersOf(call).join(', for ')} was removed, and ${service}.${name} is answered`,
    );
  }
}

/** Who calls, and for whom: a manager passes on what it is asked. */
const callersOf = ({ transport, metadata }: Call): readonly string[] => {
  const forwarded = metadata['forwarded_cert_cn'];
  const { nodeId } = transport.identity;
  return forwarded === undefined ? [nodeId] : [nodeId, forwarded];
};
