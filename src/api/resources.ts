import type {
  GenericResource as WireGenericResource,
  Resources as WireResources,
} from './gen/types.ts';
import type { Frozen } from './objects.ts';

/** One entry of a list of generic resources: so many of a kind, or one by its name. */
export type GenericResource = Frozen<WireGenericResource>;
type Resources = Frozen<WireResources>;

/**
 * An amount of everything a node shares out: what it has, what a task takes, or what is left.
 * A value: calculating with one makes another.
 */
export interface ResourceAmounts {
  /** Billionths of a CPU. */
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  /** Generic resources that are counted, by kind. */
  readonly discrete: ReadonlyMap<string, number>;
  /** Generic resources that have names of their own, by kind, in the order of the node's list. */
  readonly named: ReadonlyMap<string, readonly string[]>;
}

/** Nothing of anything. */
export const noResources: ResourceAmounts = {
  nanoCpus: 0,
  memoryBytes: 0,
  discrete: new Map(),
  named: new Map(),
};

/** A node may claim any number: what a double cannot hold exactly is as good as its largest. */
const bounded = (field: string): number =>
  Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(field)));

/** The amounts of a list of generic resources. */
export function genericAmounts(list: readonly GenericResource[]): ResourceAmounts {
  if (list.length === 0) return noResources;
  const discrete = new Map<string, number>();
  const named = new Map<string, string[]>();
  for (const { discreteResourceSpec: counted, namedResourceSpec: one } of list) {
    if (counted) {
      discrete.set(counted.kind, (discrete.get(counted.kind) ?? 0) + bounded(counted.value));
    } else if (one) {
      named.set(one.kind, [...(named.get(one.kind) ?? []), one.value]);
    }
  }
  return { nanoCpus: 0, memoryBytes: 0, discrete, named };
}

/** The amounts of a wire message; nothing, if it is absent. */
export function amountsOf(resources: Resources | null | undefined): ResourceAmounts {
  if (!resources) return noResources;
  return {
    ...genericAmounts(resources.generic),
    nanoCpus: bounded(resources.nanoCpus),
    memoryBytes: bounded(resources.memoryBytes),
  };
}

/** Both amounts together. */
export function addResources(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  return {
    nanoCpus: a.nanoCpus + b.nanoCpus,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    discrete: merged(a.discrete, b.discrete, (left = 0, right) => left + right),
    named: merged(a.named, b.named, (left = [], right) => [...left, ...right]),
  };
}

/**
 * What is left of `a` without `b`. An amount may become negative; a name that `a` does not have is
 * passed over.
 */
export function subtractResources(a: ResourceAmounts, b: ResourceAmounts): ResourceAmounts {
  return {
    nanoCpus: a.nanoCpus - b.nanoCpus,
    memoryBytes: a.memoryBytes - b.memoryBytes,
    discrete: merged(a.discrete, b.discrete, (left = 0, right) => left - right),
    named: merged(a.named, b.named, (left = [], right) => without(left, right)),
  };
}

/**
 * What a request lacks: `CPU`, `memory`, or a kind of generic resource; `undefined` if everything
 * is there. So many of a kind may be met by as many names.
 */
export function lackOf(request: ResourceAmounts, available: ResourceAmounts): string | undefined {
  if (request.nanoCpus > available.nanoCpus) return 'CPU';
  if (request.memoryBytes > available.memoryBytes) return 'memory';
  for (const [kind, amount] of request.discrete) {
    const there = available.discrete.get(kind) ?? available.named.get(kind)?.length ?? 0;
    if (amount > there) return kind;
  }
  for (const [kind, names] of request.named) {
    if (without(names, available.named.get(kind) ?? []).length > 0) return kind;
  }
  return undefined;
}

/** Whether nothing of a request is lacking. */
export const fits = (request: ResourceAmounts, available: ResourceAmounts): boolean =>
  lackOf(request, available) === undefined;

/**
 * The generic resources a request that fits is given: names, the first ones first, where the node
 * has names; else a count. swarmkit api/genericresource
 */
export function claimGeneric(
  request: ResourceAmounts,
  available: ResourceAmounts,
): readonly GenericResource[] {
  const claimed: GenericResource[] = [];
  for (const [kind, amount] of request.discrete) {
    const names = available.discrete.has(kind) ? undefined : available.named.get(kind);
    if (names === undefined) claimed.push(counted(kind, amount));
    else claimed.push(...names.slice(0, amount).map((value) => oneOf(kind, value)));
  }
  for (const [kind, names] of request.named) {
    claimed.push(...names.map((value) => oneOf(kind, value)));
  }
  return claimed;
}

const counted = (kind: string, amount: number): GenericResource => ({
  discreteResourceSpec: { kind, value: String(amount) },
  resource: 'discreteResourceSpec',
});

const oneOf = (kind: string, value: string): GenericResource => ({
  namedResourceSpec: { kind, value },
  resource: 'namedResourceSpec',
});

function merged<T>(
  a: ReadonlyMap<string, T>,
  b: ReadonlyMap<string, T>,
  combine: (left: T | undefined, right: T) => T,
): ReadonlyMap<string, T> {
  if (b.size === 0) return a;
  const result = new Map(a);
  for (const [kind, right] of b) result.set(kind, combine(result.get(kind), right));
  return result;
}

/** A list without the first occurrence of each of some names. */
function without(list: readonly string[], names: readonly string[]): readonly string[] {
  if (names.length === 0) return list;
  const rest = [...list];
  for (const name of names) {
    const index = rest.indexOf(name);
    if (index >= 0) rest.splice(index, 1);
  }
  return rest;
}
