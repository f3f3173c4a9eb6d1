import type { NodeSpecAvailability } from '../api/gen/types.ts';
import type { RpcConnection } from '../api/index.ts';
import type { RootCa, SecurityConfig } from '../ca/index.ts';
import type { RaftDriver, RaftDriverConfig, RaftMember } from '../raft/index.ts';
import type { Clock, Log, Random } from '../runtime/index.ts';
import type { DiskSeal, LogStores, ManagerNetwork } from './ports.ts';
import type { Store } from './store/store.ts';

/** What the founder of a swarm brings, until it is in the log. */
interface FoundingRoot {
  readonly rootCa: RootCa;
  /** Whether the founder takes tasks itself. */
  readonly availability: NodeSpecAvailability;
  /** Called once the log has the root: the copy beside it can go. */
  readonly isWritten: () => Promise<void>;
}

/** What a manager is made of, and told. */
export interface ManagerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly security: SecurityConfig;
  /** `undefined` for a manager that comes back. */
  readonly founding: FoundingRoot | undefined;
  /**
   * For a manager that has no log and founds none: a way to call any manager of the swarm, by which
   * it becomes a member. A connection is made for each attempt.
   */
  readonly join: { readonly connect: () => RpcConnection } | undefined;
  readonly logs: LogStores;
  /** What is sealed of this manager's disk. One that has no disk needs none. */
  readonly seal?: DiskSeal;
  readonly network: ManagerNetwork;
  /** `host:port`, as others find this manager. */
  readonly advertise: string;
  /** Where other managers may be found if they are not where the log says: `host:port`. */
  readonly hints?: readonly string[];
  /** Managers of the group that this one was rebuilt without: should they come back, they are told. */
  readonly leftBehind?: readonly RaftMember[];
  /** Raft's pace, where it is not to be the usual one. */
  readonly pace?: Partial<RaftDriverConfig>;
  /** Is shown what this manager stands on, once it is open: a simulation holds it to its word. */
  readonly witness?: (parts: { readonly store: Store; readonly raft: RaftDriver }) => void;
}
