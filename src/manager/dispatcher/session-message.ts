import { type Frozen, isEqual, type Node } from '../../api/index.ts';
import type { SessionMessageInput } from '../../api/gen/types.ts';
import type { ReadView } from '../store/view.ts';
import { followable } from './task-check.ts';

/** A manager, and where nodes reach it. */
export interface ManagerPeer {
  readonly nodeId: string;
  readonly addr: string;
}

/** What an agent is told of the swarm and of itself. */
export type SessionMessage = Frozen<SessionMessageInput>;

/** Every manager is as good as another. swarmkit remotes.DefaultObservationWeight */
const weight = 10;

/**
 * What the agent of a node is to know now. Every message is whole: an agent forgets the managers
 * that a message does not name, so it names all of them.
 */
export function sessionMessage(
  view: ReadView,
  session: {
    readonly sessionId: string;
    readonly node: Node;
    readonly managers: readonly ManagerPeer[];
  },
): SessionMessage {
  const { sessionId, node, managers } = session;
  const [cluster] = view.find('cluster');
  return {
    sessionId,
    node: { ...node, attachments: followable(node.attachments) },
    managers: managers.map((peer) => ({ peer, weight })),
    networkBootstrapKeys: cluster?.networkBootstrapKeys ?? [],
    RootCA: cluster?.rootCa?.caCert ?? Buffer.alloc(0),
  };
}

/** Whether a message says nothing to an agent that the one before did not say. */
export const saysTheSame = (a: SessionMessage, b: SessionMessage): boolean =>
  isEqual(forAgent(a), forAgent(b));

/** A message without what its agent reported itself, and without the store's own. */
const forAgent = ({ node, ...rest }: SessionMessage): unknown => ({
  ...rest,
  node: { ...node, meta: null, status: null, description: null },
});
