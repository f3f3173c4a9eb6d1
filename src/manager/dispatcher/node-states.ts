import { compareStates, isEqual, type Node, type NodeDescription, toMs } from '../../api/index.ts';
import type { NodeStatusState } from '../../api/gen/types.ts';
import { SwarmError } from '../../runtime/index.ts';
import type { ReadView, Transaction } from '../store/view.ts';

/** What is written of a node whose swarm goes on with one manager, which it has yet to find. */
export const awaitedMessage =
  'the swarm was rebuilt from one manager, which this node has yet to find';

/** What a node says of itself when it registers, and where it calls from. */
export interface Registration {
  readonly nodeId: string;
  readonly description: NodeDescription | null;
  readonly addr: string;
}

/**
 * Writes that a node is there.
 *
 * @throws SwarmError unknown `node not found`, if the swarm has no such node
 */
export function markReady(tx: Transaction, { nodeId, description, addr }: Registration): void {
  const node = tx.get('node', nodeId);
  if (node === undefined) throw new SwarmError('unknown', 'node not found');
  const ready: Node = {
    ...node,
    description: description ?? node.description,
    status: { state: 'READY', message: '', addr },
  };
  if (!isEqual(ready, node)) tx.update('node', ready);
}

/** Writes that a node is not there, and why, if there is such a node. */
export function markAbsent(
  tx: Transaction,
  nodeId: string,
  state: Exclude<NodeStatusState, 'READY'>,
  message: string,
): void {
  const node = tx.get('node', nodeId);
  if (node === undefined || node.status?.state === 'DOWN') return;
  const status = { state, message, addr: node.status?.addr ?? '' };
  if (!isEqual(status, node.status)) tx.update('node', { ...node, status });
}

/**
 * Nodes that have been away for `forMs` or longer, whose tasks are to be given up. Since when is
 * the time of the last change of the node, so it outlives a change of leader.
 */
export function longAbsent(
  view: ReadView,
  { now, forMs }: { readonly now: number; readonly forMs: number },
): readonly string[] {
  return view
    .find('node')
    .filter(({ status }) => status?.state === 'DOWN' || status?.state === 'DISCONNECTED')
    .filter(({ meta }) => now - (toMs(meta?.updatedAt) ?? now) >= forMs)
    .map(({ id }) => id);
}

/** The tasks on a node that may still run there, for all anybody knows. */
export const tasksInDoubt = (view: ReadView, nodeId: string): readonly string[] =>
  view
    .find('task', { by: 'node', nodeId })
    .filter(({ status }) => {
      const state = status?.state ?? 'NEW';
      return compareStates(state, 'ASSIGNED') >= 0 && compareStates(state, 'RUNNING') <= 0;
    })
    .map(({ id }) => id);
