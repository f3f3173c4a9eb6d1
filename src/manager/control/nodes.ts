import {
  compareStates,
  hostnameOf,
  type Node,
  type Task,
  timestampFromMs,
} from '../../api/index.ts';
import type * as wire from '../../api/gen/types.ts';
import type { ReadView, Transaction } from '../store/view.ts';
import { withRemovedNode } from './blacklist.ts';
import { type ControlDeps, type Methods, type RaftMember, reachabilityOf } from './deps.ts';
import { required } from './common/errors.ts';
import { hasLabels, isAmong, passes } from './common/filters.ts';
import { checkVersion, found, listed, theCluster } from './common/lookup.ts';
import { forWire } from './common/response.ts';
import { checkRemoval, checkRoleChange } from './node-roles.ts';

/** The last transaction of a node's removal orphans at most so many of its tasks. */
const orphansPerTransactionMax = 100;

/** Nodes. Their standing as managers is added from this manager's Raft; it is not stored. */
export function nodeMethods({
  store,
  clock,
  raft,
}: Pick<ControlDeps, 'store' | 'clock' | 'raft'>): Methods<
  'getNode' | 'listNodes' | 'updateNode' | 'removeNode'
> {
  return {
    getNode: async ({ nodeId }) => {
      const id = required(nodeId);
      return {
        node: shown(
          raft.members(),
          store.view((view) => found(view, 'node', id)),
        ),
      };
    },

    listNodes: async ({ filters }) => {
      const members = raft.members();
      const nodes = store.view((view) =>
        listed(view, 'node', filters).filter((node) => passesAll(filters, node)),
      );
      return { nodes: nodes.map((node) => shown(members, node)) };
    },

    updateNode: async ({ nodeId, nodeVersion, spec: given }) => {
      const id = required(nodeId);
      const version = required(nodeVersion);
      const spec = required(given);
      const updated = await store.update((tx) => {
        const node = found(tx, 'node', id);
        checkRoleChange({ view: tx, node, spec, members: raft.members() });
        checkVersion(node, version);
        tx.update('node', { ...node, spec });
        return found(tx, 'node', id);
      });
      return { node: shown(raft.members(), updated) };
    },

    /** Its certificate is worthless from then on, and what it ran is lost. */
    removeNode: async ({ nodeId, force }) => {
      const id = required(nodeId);
      const surplus = store.view((view) => {
        const node = found(view, 'node', id);
        checkRemoval({ view, node, isForced: force, members: raft.members() });
        return liveTasks(view, id).slice(orphansPerTransactionMax);
      });
      await store.batch(surplus.map((task) => (tx) => orphan(tx, task.id, clock.now())));
      await store.update((tx) => {
        const node = found(tx, 'node', id);
        checkRemoval({ view: tx, node, isForced: force, members: raft.members() });
        tx.update('cluster', withRemovedNode(theCluster(tx), node, clock.now()));
        for (const task of liveTasks(tx, id)) orphan(tx, task.id, clock.now());
        tx.remove('node', id);
      });
      return {};
    },
  };
}

function shown(members: readonly RaftMember[], node: Node): wire.Node {
  const member = members.find((candidate) => candidate.nodeId === node.id);
  return forWire<wire.Node>({
    ...node,
    managerStatus: member
      ? {
          raftId: member.raftId,
          addr: member.addr,
          leader: member.isLeader,
          reachability: reachabilityOf(member),
        }
      : null,
  });
}

/** Labels are the engine's, and node labels those a person gave. Names are host names. */
const passesAll = (filters: wire.ListNodesRequestFilters | null, node: Node): boolean =>
  filters === null ||
  (passes(filters, {
    id: node.id,
    name: hostnameOf(node),
    labels: node.description?.engine?.labels,
  }) &&
    hasLabels(filters.nodeLabels, node.spec?.annotations?.labels) &&
    isAmong(filters.memberships, node.spec?.membership) &&
    isAmong(filters.roles, node.role));

const isLive = ({ status }: Task): boolean => compareStates(status?.state ?? 'NEW', 'COMPLETE') < 0;

const liveTasks = (view: ReadView, nodeId: string): readonly Task[] =>
  view.find('task', { by: 'node', nodeId }).filter(isLive);

function orphan(tx: Transaction, taskId: string, nowMs: number): void {
  const task = tx.get('task', taskId);
  if (task === undefined || !isLive(task)) return;
  tx.update('task', {
    ...task,
    status: {
      timestamp: timestampFromMs(nowMs),
      state: 'ORPHANED',
      message: 'Task belonged to a node that has been deleted',
      err: '',
      portStatus: null,
      appliedBy: '',
      appliedAt: null,
    },
  });
}
