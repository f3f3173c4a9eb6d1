import type { Handlers, Node, Service, Task } from '../../api/index.ts';
import type { RaftMemberStatusReachability } from '../../api/gen/types.ts';
import type { Clock, Random } from '../../runtime/index.ts';
import type { Store } from '../store/store.ts';

/** Some methods of the control API. */
export type Methods<M extends keyof Handlers<'Control'>> = Pick<Handlers<'Control'>, M>;

/** A manager as this manager's Raft sees it. */
export interface RaftMember {
  /** An unsigned 64-bit integer, as a decimal string. */
  readonly raftId: string;
  readonly nodeId: string;
  /** `host:port` */
  readonly addr: string;
  readonly isLeader: boolean;
  /** It has no vote yet: it counts in no majority. */
  readonly isLearner: boolean;
  /** Whether it has answered lately. This manager always has. */
  readonly isReachable: boolean;
}

export interface ControlDeps {
  readonly store: Pick<Store, 'view' | 'update' | 'batch'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly raft: { members(): readonly RaftMember[] };
  /** Whether a task is no longer what its service asks for, on its node. */
  readonly isDirty: (service: Service, task: Task, node: Node | undefined) => boolean;
}

export const reachabilityOf = ({ isReachable }: RaftMember): RaftMemberStatusReachability =>
  isReachable ? 'REACHABLE' : 'UNREACHABLE';
