import { hostnameOf } from '../api/index.ts';
import type { Filter } from './filters.ts';
import type { NodeView } from './node-view.ts';

/** How many different reasons are told, and how many nodes are named with each. */
const reasonsMax = 6;
const namesMax = 4;

/** Why no node may run a task. */
export interface Explanation {
  /** SwarmKit's sentence: `insufficient resources on 2 nodes`. Empty if there is no node. */
  readonly summary: string;
  /** Node by node: `node-01, node-02: insufficient memory; node-03: node is down`. */
  readonly detail: string;
}

/** Explains why a task can be placed on none of some nodes, none of which passes its filters. */
export function explain(filters: readonly Filter[], views: readonly NodeView[]): Explanation {
  const failures = new Map<Filter, number>();
  const nodesOf = new Map<string, string[]>();
  for (const view of views) {
    const filter = filters.find((candidate) => !candidate.passes(view));
    if (filter === undefined) continue;
    failures.set(filter, (failures.get(filter) ?? 0) + 1);
    const reason = filter.reason(view);
    const name = hostnameOf(view.node);
    const nodes = nodesOf.get(reason) ?? [];
    nodesOf.set(reason, nodes);
    nodes.push(name === '' ? view.node.id : name);
  }
  return { summary: summaryOf(filters, failures), detail: detailOf(nodesOf) };
}

/** The filters most nodes fail at come first; of equals, those that are asked first. */
const summaryOf = (filters: readonly Filter[], failures: ReadonlyMap<Filter, number>): string =>
  filters
    .map((filter) => ({ filter, nodes: failures.get(filter) ?? 0 }))
    .filter(({ nodes }) => nodes > 0)
    .toSorted((a, b) => b.nodes - a.nodes)
    .map(({ filter, nodes }) => filter.explain(nodes))
    .join('; ');

function detailOf(nodesOf: ReadonlyMap<string, readonly string[]>): string {
  const reasons = [...nodesOf].toSorted(([, a], [, b]) => b.length - a.length);
  const told = reasons.slice(0, reasonsMax).map(([reason, names]) => {
    const named = names.toSorted().slice(0, namesMax).join(', ');
    const others = names.length - namesMax;
    return `${named}${others > 0 ? ` and ${others} more` : ''}: ${reason}`;
  });
  const untold = reasons.slice(reasonsMax).reduce((sum, [, names]) => sum + names.length, 0);
  return [...told, ...(untold > 0 ? [`${untold} more nodes`] : [])].join('; ');
}
