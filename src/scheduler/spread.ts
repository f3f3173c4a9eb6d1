import type { Node, TaskSpec } from '../api/index.ts';
import { labelOf } from './constraint.ts';

/** So many failures of a service in a short time make a node its last choice. */
const failuresTolerated = 5;

/** What is compared to tell which of two nodes is better for a task. */
export interface Standing {
  /** Its place among all nodes by ID. */
  readonly order: number;
  /** Recent failures of the task's service there. */
  readonly failures: number;
  /** Active tasks of the task's service there. */
  readonly own: number;
  /** All active tasks there. */
  readonly total: number;
}

/**
 * Negative if `a` is the better node: a service that keeps failing there counts first, then fewer
 * tasks of the same service, then fewer tasks. Ties go by ID, so that a decision made twice is the
 * same. swarmkit manager/scheduler nodeLess
 */
export function compareStandings(a: Standing, b: Standing): number {
  return faultiness(a) - faultiness(b) || a.own - b.own || a.total - b.total || a.order - b.order;
}

const faultiness = ({ failures }: Standing): number =>
  failures >= failuresTolerated ? failures : 0;

/** The labels a task is to be spread over, outermost first. What is no label is passed over. */
export const spreadKeysOf = (spec: TaskSpec | null): readonly string[] =>
  (spec?.placement?.preferences ?? [])
    .map(({ spread }) => spread?.spreadDescriptor ?? '')
    .filter((key) => /^(?:node|engine)\.labels\../iu.test(key));

/** Nodes by their value of a label, in the order of the values. Those without it are together. */
export function branchesBy<T extends { readonly node: Node }>(
  key: string,
  views: readonly T[],
): readonly (readonly T[])[] {
  const branches = new Map<string, T[]>();
  for (const view of views) {
    const value = labelOf(key, view.node) ?? '';
    const branch = branches.get(value);
    if (branch === undefined) branches.set(value, [view]);
    else branch.push(view);
  }
  return [...branches].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, branch]) => branch);
}

/**
 * Shares `amount` among branches that already have `counts`, so that they end as even as can be:
 * the emptiest are filled first. Of equals the first get the remainder.
 *
 * @returns what each branch gets; together exactly `amount`
 */
export function shareEvenly(amount: number, counts: readonly number[]): readonly number[] {
  const order = counts.map((_, index) => index).toSorted((a, b) => at(counts, a) - at(counts, b));
  // Level the emptiest k branches, for as many branches as the amount can lift to the next one.
  let [lifted, rest] = [1, amount];
  while (lifted < order.length) {
    const step = at(counts, at(order, lifted)) - at(counts, at(order, lifted - 1));
    if (step * lifted > rest) break;
    rest -= step * lifted;
    lifted += 1;
  }
  const level = at(counts, at(order, lifted - 1)) + Math.floor(rest / lifted);
  let remainder = rest % lifted;
  const shares = counts.map(() => 0);
  for (const index of order.slice(0, lifted).toSorted((a, b) => a - b)) {
    shares[index] = level - at(counts, index) + (remainder > 0 ? 1 : 0);
    remainder -= remainder > 0 ? 1 : 0;
  }
  return shares;
}

/** An element that is in range by construction. */
const at = (list: readonly number[], index: number): number => list[index] ?? 0;
