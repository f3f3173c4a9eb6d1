import { claimGeneric, type GenericResource, genericAmounts, type Task } from '../api/index.ts';
import { Heap } from '../runtime/index.ts';
import type { ClusterView } from './cluster-view.ts';
import { explain, type Explanation } from './explanation.ts';
import { type Filter, filtersFor } from './filters.ts';
import {
  availableOn,
  failureKeyOf,
  hostPortsOf,
  type NodeLoad,
  type NodeView,
  reservationsOf,
} from './node-view.ts';
import {
  branchesBy,
  compareStandings,
  shareEvenly,
  spreadKeysOf,
  type Standing,
} from './spread.ts';

/** A node for a task. */
export interface Placement {
  readonly task: Task;
  /** The node as it was when it was chosen. */
  readonly node: NodeView['node'];
  readonly genericResources: readonly GenericResource[];
}

/** A task that no node may run at this time. */
export interface Refusal {
  readonly task: Task;
  /** Whether its node was given, rather than to be chosen. */
  readonly isPreassigned: boolean;
  readonly explanation: Explanation;
}

/** What is to become of every task that waits. */
export interface Schedule {
  readonly placements: readonly Placement[];
  readonly refusals: readonly Refusal[];
}

/**
 * Decides on every task that waits: those with a node of their own first, then group by group.
 *
 * Pure: the view is read, not changed, and the same view gives the same schedule. Placing n tasks
 * on m nodes takes O((n + m) log m) per level of placement preferences.
 *
 * @param now milliseconds since the epoch, to tell which failures are recent
 */
export function schedule(view: ClusterView, now: number): Schedule {
  if (view.preassigned.size + view.groups.size === 0) return nothing;
  const draft = new Draft(view.nodes.values(), now);
  for (const task of view.preassigned.values()) draft.confirm(task);
  for (const { tasks } of view.groups.values()) draft.place([...tasks.values()]);
  return draft;
}

const nothing: Schedule = { placements: [], refusals: [] };

/** A node as it will be with what has been placed so far, and how it stands for the group in hand. */
interface DraftNode extends Standing {
  readonly node: NodeView['node'];
  readonly capacity: NodeView['capacity'];
  load: NodeLoad;
  /** Whether `load` is the draft's own copy. */
  isCopied: boolean;
  failures: number;
  own: number;
  total: number;
}

/** A schedule in the making. */
class Draft implements Schedule {
  readonly placements: Placement[] = [];
  readonly refusals: Refusal[] = [];
  readonly #nodes = new Map<string, DraftNode>();
  readonly #now: number;

  constructor(views: Iterable<NodeView>, now: number) {
    this.#now = now;
    const ordered = [...views].toSorted((a, b) => (a.node.id < b.node.id ? -1 : 1));
    for (const [order, { node, capacity, load }] of ordered.entries()) {
      const standing = { order, failures: 0, own: 0, total: load.active };
      this.#nodes.set(node.id, { node, capacity, load, isCopied: false, ...standing });
    }
  }

  /** Lets a task run on the node it was created for, if it may. */
  confirm(task: Task): void {
    const node = this.#nodes.get(task.nodeId);
    if (node === undefined) return; // It goes with its node.
    const filters = filtersFor(task);
    if (passes(filters, node)) this.#put(task, node);
    else {
      this.refusals.push({ task, isPreassigned: true, explanation: explain(filters, [node]) });
    }
  }

  /** Places a group of tasks that are alike; slots of low number come first. */
  place(tasks: readonly Task[]): void {
    const [sample] = tasks;
    if (sample === undefined) return;
    const group: GroupInHand = {
      sample,
      queue: tasks.toSorted(bySlot).toReversed(),
      filters: filtersFor(sample),
    };
    const nodes = [...this.#nodes.values()];
    this.#spread({ group, amount: tasks.length, nodes }, spreadKeysOf(sample.spec));
    if (group.queue.length === 0) return;
    const explanation = explain(group.filters, nodes);
    for (const task of group.queue) this.refusals.push({ task, isPreassigned: false, explanation });
  }

  /**
   * Places up to `amount` tasks of a group on some nodes, spread over the labels of `keys`.
   *
   * @returns how many it placed: fewer only if no node passes any more
   */
  #spread({ group, amount, nodes }: Portion, keys: readonly string[]): number {
    const [key, ...inner] = keys;
    if (key === undefined) return this.#fill({ group, amount, nodes });
    const own = (branch: readonly DraftNode[]): number =>
      branch.reduce((sum, { load }) => sum + load.activeOf(group.sample.serviceId), 0);

    let open = branchesBy(key, nodes);
    let rest = amount;
    while (rest > 0 && open.length > 0) {
      const shares = shareEvenly(rest, open.map(own));
      const withRoom: (typeof open)[number][] = [];
      for (const [index, branch] of open.entries()) {
        const share = shares[index] ?? 0;
        const placed = this.#spread({ group, amount: share, nodes: branch }, inner);
        if (placed === share) withRoom.push(branch);
        rest -= placed;
      }
      open = withRoom;
    }
    return amount - rest;
  }

  /** Places tasks one by one, each on the node that is best at that moment. */
  #fill({ group, amount, nodes }: Portion): number {
    if (amount === 0) return 0;
    const heap = new Heap(compareStandings, this.#best({ group, amount, nodes }));
    let placed = 0;
    while (placed < amount) {
      const best = heap.peek();
      const task = best === undefined ? undefined : group.queue.pop();
      if (best === undefined || task === undefined) break;
      this.#put(task, best);
      placed += 1;
      best.own += 1;
      if (passes(group.filters, best)) heap.settle();
      else heap.pop();
    }
    return placed;
  }

  /**
   * The `amount` best nodes that pass. No other can get a task: placing one worsens no node but
   * its own.
   */
  #best({ group: { sample, filters }, amount, nodes }: Portion): Iterable<DraftNode> {
    const failureKey = failureKeyOf(sample);
    const worstFirst = new Heap<DraftNode>((a, b) => compareStandings(b, a));
    for (const node of nodes) {
      node.failures = node.load.recentFailures(failureKey, this.#now);
      node.own = node.load.activeOf(sample.serviceId);
      const worst = worstFirst.size < amount ? undefined : worstFirst.peek();
      if (worst !== undefined && compareStandings(node, worst) > 0) continue;
      if (!passes(filters, node)) continue;
      if (worst !== undefined) worstFirst.pop();
      worstFirst.push(node);
    }
    return worstFirst;
  }

  #put(task: Task, node: DraftNode): void {
    const request = reservationsOf(task);
    const genericResources = claimGeneric(request, availableOn(node));
    this.placements.push({ task, node: node.node, genericResources });
    if (!node.isCopied) node.load = node.load.copy();
    node.isCopied = true;
    node.total += 1;
    const { discrete, named } = genericAmounts(genericResources);
    node.load.add({
      serviceId: task.serviceId,
      isActive: true,
      resources: { ...request, discrete, named },
      ports: hostPortsOf(task),
    });
  }
}

const passes = (filters: readonly Filter[], node: NodeView): boolean =>
  filters.every((filter) => filter.passes(node));

interface GroupInHand {
  /** Any of its tasks: they are alike. */
  readonly sample: Task;
  /** Its tasks that are not placed yet, the next one last. */
  readonly queue: Task[];
  readonly filters: readonly Filter[];
}

/** So many tasks of a group, and the nodes they may go to. */
interface Portion {
  readonly group: GroupInHand;
  readonly amount: number;
  readonly nodes: readonly DraftNode[];
}

const bySlot = (a: Task, b: Task): number =>
  Number(a.slot) - Number(b.slot) || (a.id < b.id ? -1 : 1);
