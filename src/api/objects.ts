import { assert } from '../runtime/index.ts';
import type * as wire from './gen/types.ts';

/** An object as the store hands it out: a change is a new object. */
export type Frozen<T> = T extends Buffer | Uint8Array | string | number | boolean | null | undefined
  ? T
  : { readonly [K in keyof T]: Frozen<T[K]> };

export type Node = Frozen<wire.Node>;
export type Service = Frozen<wire.Service>;
export type Task = Frozen<wire.Task>;
export type Cluster = Frozen<wire.Cluster>;
export type Network = Frozen<wire.Network>;
export type Secret = Frozen<wire.Secret>;
export type Config = Frozen<wire.Config>;
export type Resource = Frozen<wire.Resource>;
export type Extension = Frozen<wire.Extension>;
export type Volume = Frozen<wire.Volume>;

export type NodeSpec = Frozen<wire.NodeSpec>;
export type ServiceSpec = Frozen<wire.ServiceSpec>;
export type TaskSpec = Frozen<wire.TaskSpec>;
export type ContainerSpec = Frozen<wire.ContainerSpec>;
export type ClusterSpec = Frozen<wire.ClusterSpec>;
export type TaskStatus = Frozen<wire.TaskStatus>;
export type NodeDescription = Frozen<wire.NodeDescription>;

/** The kinds of object the store holds, and what each is. */
export interface ObjectOfKind {
  readonly node: Node;
  readonly service: Service;
  readonly task: Task;
  readonly cluster: Cluster;
  readonly network: Network;
  readonly secret: Secret;
  readonly config: Config;
  readonly resource: Resource;
  readonly extension: Extension;
  readonly volume: Volume;
}

export type ObjectKind = keyof ObjectOfKind;
export type StoreObject = ObjectOfKind[ObjectKind];

/** Every kind, in the order in which a snapshot restores them. */
export const objectKinds: readonly ObjectKind[] = [
  'cluster',
  'node',
  'network',
  'secret',
  'config',
  'service',
  'task',
  'extension',
  'resource',
  'volume',
];

/**
 * A 64-bit field that is calculated with, as a number.
 *
 * @throws AssertionError if it does not fit a double exactly
 */
export function count(field: string | number | undefined): number {
  const value = Number(field ?? 0);
  assert(Number.isSafeInteger(value), `the 64-bit field ${String(field)} is a safe integer`);
  return value;
}

/** The version of an object: the log index of its last change. 0 before it was stored. */
export const versionOf = (object: StoreObject): number => count(object.meta?.version?.index);

/** The name of a service, or an empty string. */
export const serviceName = (service: Service): string => service.spec?.annotations?.name ?? '';

/** The name a node goes by: its host's. */
export const hostnameOf = (node: Node): string => node.description?.hostname ?? '';

/**
 * The name of a task, which is its container's too: `<service>.<slot>.<task id>`, with the node's
 * ID in place of the slot for a task that has none. swarmkit api/naming
 */
export function taskName(task: Task): string {
  const own = task.annotations?.name ?? '';
  if (own !== '') return own;
  const slot = task.slot === '0' ? task.nodeId : task.slot;
  return `${task.serviceAnnotations?.name ?? ''}.${slot}.${task.id}`;
}

/** Whether two values are equal in depth. Maps and lists by content; buffers by their bytes. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  return hasSameFields(a as Record<string, unknown>, b as Record<string, unknown>);
}

function hasSameFields(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const key of keys) {
    const [left, right] = [a[key], b[key]];
    if (right === undefined && !Object.hasOwn(b, key)) return false;
    // What both share, as they do most, takes no call.
    if (left !== right && !isEqual(left, right)) return false;
  }
  return true;
}
