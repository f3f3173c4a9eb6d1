import { codecOf, type Node } from '../../api/index.ts';
import {
  type LogIdentity,
  type LoneGroup,
  newRaftId,
  type RaftMember,
  Replay,
  type StoredLog,
} from '../../raft/index.ts';
import { assert, type Clock, type Random, SwarmError } from '../../runtime/index.ts';
import { awaitedMessage } from '../dispatcher/node-states.ts';
import { Store } from '../store/store.ts';

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
}

/** A swarm that goes on with one of its managers. */
export interface Rebuilt extends LoneGroup {
  /** The other managers, where the group of old found them. */
  readonly leftBehind: readonly RaftMember[];
}

/**
 * Makes of one manager's log that of a swarm with this manager alone. Everything of the swarm is
 * kept: its root, its tokens, its nodes with their IDs, its services and their tasks.
 *
 * The manager gets another Raft ID, and all IDs of old are removed for ever. The other managers'
 * nodes are workers from now on, and down: they can be promoted again, or removed. The original
 * leaves them managers that are members of nothing, and cannot be demoted. All other nodes are given
 * time to find this manager, as their containers run on. swarmkit
 * manager/state/raft/storage.go loadAndStart
 *
 * @returns `undefined`, if there is no other manager to go on without
 * @throws SwarmError failed-precondition, if the log holds no swarm
 */
export async function rebuild(
  { clock, random }: Deps,
  { identity, log }: { readonly identity: LogIdentity; readonly log: StoredLog },
): Promise<Rebuilt | undefined> {
  const { nodeId, clusterId, raftId } = identity;
  const store = new Store({ clock });
  const replay = new Replay(log, store);
  if (store.view((view) => view.find('cluster').length === 0)) {
    throw new SwarmError('failed-precondition', 'the raft log holds no swarm that could go on');
  }
  const others = replay.members.filter((member) => member.raftId !== raftId);
  if (others.length === 0) return undefined;
  const own = replay.members.find((member) => member.raftId === raftId);
  store.attach({
    nextIndex: () => replay.nextIndex(),
    propose: async (data) => {
      await Promise.resolve(); // A store lays down what is in flight before it is applied.
      replay.append(data);
    },
  });
  const nodes = store.view((view) => view.find('node'));
  await store.batch(
    nodes.map(({ id }) => (tx) => {
      const node = tx.get('node', id);
      assert(node !== undefined, 'nobody else writes');
      if (id === nodeId) tx.update('node', withRole(node, 'MANAGER'));
      else if (wasManager(node)) tx.update('node', down(withRole(node, 'WORKER')));
      else if (node.status?.state !== 'DOWN') tx.update('node', awaited(node));
    }),
  );
  const newId = newRaftId(random, (id) => replay.isTaken(id));
  const member = { raftId: newId, nodeId, addr: own?.addr ?? '' };
  return { ...replay.alone(member, clusterId), leftBehind: others };
}

const wasManager = ({ role, spec }: Node): boolean =>
  role === 'MANAGER' || spec?.desiredRole === 'MANAGER';

function withRole(node: Node, role: Node['role']): Node {
  const spec = node.spec ?? codecOf('NodeSpec').create({ membership: 'ACCEPTED' });
  return { ...node, role, spec: { ...spec, desiredRole: role } };
}

const down = (node: Node): Node => ({
  ...node,
  status: { state: 'DOWN', message: 'the swarm goes on without it', addr: node.status?.addr ?? '' },
});

const awaited = (node: Node): Node => ({
  ...node,
  status: { state: 'UNKNOWN', message: awaitedMessage, addr: node.status?.addr ?? '' },
});
