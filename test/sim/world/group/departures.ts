import type { Store } from '../../../../src/manager/store/store.ts';
import { isSwarmError } from '../../../../src/runtime/index.ts';
import { Stream } from '../../kernel/streams.ts';
import type { AgentHost } from '../agent-host.ts';
import { clearNode } from '../deeds.ts';
import type { Desks } from '../desks.ts';
import type { ManagerHost } from '../manager-host.ts';
import type { Parts } from '../parts.ts';
import type { HostName } from '../plan/plan.ts';
import { aNode } from './node-object.ts';

type AnyHost = ManagerHost | AgentHost;

interface Hosts {
  readonly managers: readonly ManagerHost[];
  readonly agents: readonly AgentHost[];
}

/** How long it takes on average, and at most, until somebody sees to a host or a node. */
const seenToMs = { mean: 8_000, max: 25_000 } as const;
/** What could not be done is tried again after so long. */
const againMs = 2_000;
const leaveLookMs = 250;
/** How often a host whose node was removed is left as it is, and how often one that leaves is not. */
const leftAloneChance = 0.2;
const joinsAtOnceChance = 0.3;

/**
 * What people do for nodes that go, beside the control API. One that has left is taken out of the
 * swarm later, as far as the managers let it; a host whose node was removed joins anew, as another
 * node. A few are left as they are, and go on calling.
 */
export class Departures {
  readonly #parts: Parts;
  readonly #desks: Desks;
  readonly #hosts: Hosts;
  readonly #addresses: () => readonly string[];
  /** Hosts that go on as nodes that were removed. */
  readonly #outlaws = new Set<AnyHost>();
  readonly #joining = new Set<AnyHost>();
  /** Nodes that are to be taken out, and hosts that somebody will see to, as which nodes. */
  readonly #clearing = new Set<string>();
  readonly #waiting = new Map<AnyHost, string>();
  /** Managers that have left. */
  readonly #left = new Set<string>();
  /** How many nodes were removed. */
  removals = 0;

  constructor(parts: Parts, desks: Desks, hosts: Hosts, addresses: () => readonly string[]) {
    this.#parts = parts;
    this.#desks = desks;
    this.#hosts = hosts;
    this.#addresses = addresses;
  }

  /** From now on. */
  watch(): void {
    this.#parts.checks.nodes.onRemoved = (nodeId) => {
      this.#removed(nodeId);
    };
  }

  /** After a rebuild: what only others knew of is forgotten, and what only they had forgotten is back. */
  reconcile(): void {
    const { ledger } = this.#parts.checks;
    for (const host of this.#all) {
      const { nodeId } = host.host;
      const isKnown = ledger.node(nodeId) !== undefined;
      if (isKnown) {
        this.#outlaws.delete(host);
        this.#waiting.delete(host); // Its node is there again.
      }
      // One that has left may have been removed by what nobody had applied yet.
      if (!isKnown && !this.#outlaws.has(host)) this.#seeTo(host, nodeId);
    }
    for (const { id } of ledger.nodes()) {
      if (this.#isSettled(id) || this.#clearing.has(id)) continue;
      this.#clearing.add(id);
      this.#after(againMs, () => {
        // Who was just joining anew under it has done so.
        if (this.#isSettled(id)) this.#clearing.delete(id);
        else this.#clear(id);
      });
    }
  }

  /** Whether nobody wants a host in the swarm. */
  isOut(host: AnyHost): boolean {
    return this.#outlaws.has(host);
  }

  /** Whether somebody is still to come, or to go. */
  get isBusy(): boolean {
    return this.#clearing.size + this.#waiting.size + this.#joining.size > 0;
  }

  /** A host leaves, unless the managers would have no quorum any more; its node is seen to later. */
  leave(name: HostName): void {
    const host = this.#all.find((each) => each.name === name);
    if (host === undefined || !host.isMember || this.#joining.has(host) || host.host.isLost) return;
    if (!this.#isAgent(host) && host.isBeingRebuilt) return;
    const { checks, marks, seed } = this.#parts;
    const { nodeId } = host.host;
    const isMember = [...checks.raft.configurations.newest.nodes.values()].includes(nodeId);
    if (isMember && !checks.quorum.maySpare(nodeId)) return;
    if (isMember) {
      marks.hit('a manager left the swarm, and others served on');
      this.#left.add(nodeId);
    } else if (this.#isAgent(host)) marks.hit('a worker left the swarm');
    host.leave();
    this.#clearing.add(nodeId);
    const chance = new Stream(seed, `end of ${nodeId}`);
    this.#after(delay(chance), () => {
      this.#clear(nodeId);
    });
    if (chance.chance(joinsAtOnceChance)) this.#joinAnew(host);
  }

  get #all(): readonly AnyHost[] {
    return [...this.#hosts.managers, ...this.#hosts.agents];
  }

  /** Whether a node is a host's, which is not about to become another. */
  #isSettled(nodeId: string): boolean {
    const owner = this.#all.find((each) => each.isMember && each.host.nodeId === nodeId);
    return owner !== undefined && !this.#waiting.has(owner) && !this.#joining.has(owner);
  }

  #isAgent(host: AnyHost): host is AgentHost {
    return this.#hosts.agents.some((agent) => agent === host);
  }

  /** A node is not in the swarm any more. */
  #removed(nodeId: string): void {
    const { marks, seed } = this.#parts;
    this.removals += 1;
    if (this.#left.delete(nodeId)) marks.hit('the place of a manager that had left was cleared');
    for (const joining of this.#joining) {
      if (joining.host.nextNodeId === nodeId) joining.host.isTooLate();
    }
    const host = this.#all.find((each) => each.host.nodeId === nodeId);
    if (host === undefined || this.#joining.has(host)) return;
    const chance = new Stream(seed, `return of ${nodeId}`);
    if (chance.chance(leftAloneChance) && host.isMember && this.#maySpare(host)) {
      this.#outlaws.add(host);
      return;
    }
    this.#seeTo(host, nodeId, delay(chance));
  }

  #seeTo(host: AnyHost, nodeId: string, ms: number = seenToMs.mean): void {
    if (this.#joining.has(host) || host.host.isLost) return;
    if (this.#waiting.get(host) === nodeId) return;
    this.#waiting.set(host, nodeId);
    this.#after(ms, () => {
      if (this.#waiting.get(host) !== nodeId) return;
      this.#waiting.delete(host);
      // It may have done so by itself meanwhile.
      if (host.host.nodeId === nodeId) this.#joinAnew(host);
    });
  }

  /** One host of managers, and a third of the others: not the last, which always takes tasks. */
  #maySpare(host: AnyHost): boolean {
    const { agents } = this.#hosts;
    const isAgent = this.#isAgent(host);
    const out = [...this.#outlaws].filter((each) => this.#isAgent(each) === isAgent).length;
    if (!isAgent) return out === 0;
    return host !== agents.at(-1) && out < Math.floor(agents.length / 3);
  }

  /** The node of a host that has left is demoted, if need be, and removed: until it is done. */
  #clear(nodeId: string): void {
    const { checks, kernel } = this.#parts;
    if (checks.ledger.node(nodeId) === undefined) {
      this.#clearing.delete(nodeId);
      return;
    }
    const at = this.#desks.leader;
    const desk = at && this.#desks.at(at);
    if (at !== undefined && desk !== undefined) {
      kernel.within(at.life, () => {
        clearNode(desk, nodeId).catch((error: unknown) => {
          if (!isSwarmError(error)) checks.broke(`to clear ${nodeId}`, error);
        });
      });
    }
    this.#after(againMs, () => {
      this.#clear(nodeId);
    });
  }

  /** It forgets who it was; then it is another node, once the managers have written that down. */
  #joinAnew(host: AnyHost): void {
    this.#joining.add(host);
    host.leave();
    if (host.isMember) {
      this.#after(leaveLookMs, () => {
        this.#joinAnew(host);
      });
      return;
    }
    this.#enroll(host);
  }

  #enroll(host: AnyHost): void {
    const { checks, kernel } = this.#parts;
    if (host.host.isLost) this.#joining.delete(host);
    if (!this.#joining.has(host)) return;
    // What a rebuild has kept of an earlier try is on its way out: every try has an ID of its own.
    if (this.#clearing.has(host.host.nextNodeId)) host.host.isTooLate();
    const { nextNodeId: nodeId } = host.host;
    const { leader } = this.#desks;
    const store = leader?.running?.store;
    if (leader !== undefined && store !== undefined) {
      kernel.within(leader.life, () => {
        this.#write(host, nodeId, store).catch((error: unknown) => {
          if (!isSwarmError(error)) checks.broke(`to join as ${nodeId}`, error);
        });
      });
    }
    this.#after(againMs, () => {
      this.#enroll(host);
    });
  }

  async #write(host: AnyHost, nodeId: string, store: Store): Promise<void> {
    const { rebuilds } = this.#parts.checks;
    await store.update((tx) => {
      if (tx.get('node', nodeId) !== undefined) return;
      tx.create('node', aNode(nodeId, host.name, 'WORKER'));
    });
    // Those that a rebuild has left behind have let in nobody.
    if (this.#parts.checks.rebuilds !== rebuilds) return;
    if (host.host.nextNodeId !== nodeId || !this.#joining.delete(host)) return;
    this.#outlaws.delete(host);
    this.#parts.marks.hit('a host whose node was removed joined anew');
    host.joinAnew(this.#addresses());
  }

  #after(ms: number, run: () => void): void {
    this.#parts.kernel.after(ms, undefined, run);
  }
}

const delay = (chance: Stream): number => Math.min(seenToMs.max, chance.exponential(seenToMs.mean));
