import type { Node, Service, Task } from '../../api/index.ts';
import { fillingTasks } from './plan-replicated.ts';
import { allowedBy, isInvalidNode, isWanted } from './slots.ts';

/** Whether a service runs a task on every node. */
export const isGlobal = (service: Service): boolean =>
  service.spec?.global !== undefined && service.spec.global !== null;

/** What brings one node in line with a global service. */
export interface GlobalPlan {
  /** Whether the node gets a task. */
  readonly create: boolean;
  /** Tasks there that are not wanted any more. */
  readonly stop: readonly Task[];
  /** What becomes of those: what was on a node that is gone leaves no history. */
  readonly stopAs: 'SHUTDOWN' | 'REMOVE';
}

/** How a service stands to its nodes; it is read once for many of them. */
export interface GlobalService {
  readonly service: Service;
  readonly allows: (node: Node) => boolean;
}

export const globalService = (service: Service): GlobalService => ({
  service,
  allows: allowedBy(service),
});

/**
 * Brings one node in line with a global service: one task, if the node may have one. A paused node
 * keeps the task it has and gets none. swarmkit manager/orchestrator/global
 *
 * @param tasks the service's tasks on the node
 * @param node the node, if it still exists
 */
export function planGlobal(
  { service, allows }: GlobalService,
  tasks: readonly Task[],
  node: Node | undefined,
): GlobalPlan {
  if (node === undefined) return { create: false, stop: tasks, stopAs: 'REMOVE' };
  if (isInvalidNode(node) || !allows(node)) {
    return { create: false, stop: tasks.filter(isWanted), stopAs: 'SHUTDOWN' };
  }
  const isPaused = node.spec?.availability === 'PAUSE';
  const create = !isPaused && fillingTasks(service, tasks).length === 0;
  return { create, stop: [], stopAs: 'SHUTDOWN' };
}

/** Whether a node takes new tasks of a global service, and its old ones are kept up to date. */
export const isServed = ({ allows }: GlobalService, node: Node | undefined): boolean =>
  node !== undefined && !isInvalidNode(node) && node.spec?.availability !== 'PAUSE' && allows(node);
