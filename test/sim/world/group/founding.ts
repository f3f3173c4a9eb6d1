import type { Node } from '../../../../src/api/index.ts';
import type { AgentHost } from '../agent-host.ts';
import type { ManagerHost, Running } from '../manager-host.ts';
import type { Parts } from '../parts.ts';
import { aNode } from './node-object.ts';

/** How often somebody looks whether the nodes can be added, in milliseconds. */
const lookMs = 50;

/**
 * The nodes of a new swarm, as if they had joined one by one: looked after until they are there. On
 * a slow disk the founder takes its time to make a log, to lead, to write down the swarm; and it may
 * die before this is written, too.
 */
export class Founding {
  readonly #parts: Parts;
  readonly #managers: readonly ManagerHost[];
  readonly #nodes: readonly Node[];
  /** The life of the manager that was asked. */
  #asked: Running | undefined;

  constructor(parts: Parts, managers: readonly ManagerHost[], agents: readonly AgentHost[]) {
    this.#parts = parts;
    this.#managers = managers;
    this.#nodes = [
      ...managers.slice(1).map(({ host, name }) => {
        const role = host.role === 'swarm-manager' ? 'MANAGER' : 'WORKER';
        return aNode(host.nodeId, name, role);
      }),
      ...agents.map(({ host, name }) => aNode(host.nodeId, name, 'WORKER')),
    ];
  }

  /** Now, and again until all is done. */
  look(): void {
    const running = this.#leading;
    const last = this.#nodes.at(-1)?.id ?? '';
    if (running?.store.view((view) => view.get('node', last)) !== undefined) return;
    const isFounded = running?.store.view((view) => view.find('cluster').length > 0) === true;
    if (isFounded && running !== this.#asked) void this.#add(running); // Never rejects.
    this.#parts.kernel.after(lookMs, undefined, () => {
      this.look();
    });
  }

  get #leading(): Running | undefined {
    return this.#managers.find(({ manager }) => manager?.isLeader === true)?.running;
  }

  async #add(running: Running): Promise<void> {
    this.#asked = running;
    const { heartbeatMs } = this.#parts.setting;
    const heartbeatPeriod = { seconds: String(heartbeatMs / 1_000), nanos: 0 };
    try {
      await running.store.update((tx) => {
        for (const node of this.#nodes) tx.create('node', node);
        const [cluster] = tx.find('cluster');
        if (cluster?.spec === undefined || cluster.spec === null) return;
        const dispatcher = { ...cluster.spec.dispatcher, heartbeatPeriod };
        tx.update('cluster', { ...cluster, spec: { ...cluster.spec, dispatcher } });
      });
    } catch (error) {
      // One that ends meanwhile says so; the next is asked.
      if (this.#leading === running) this.#parts.checks.broke('the world', error);
    }
  }
}
