import type { Caller, RpcConnection, ServiceHandlers } from '../api/index.ts';
import type { Kek, LogSecrets, Resealing } from '../ca/index.ts';
import type { LogIdentity, LogKeys, LogStore } from '../raft/index.ts';

/** Where a manager keeps its log. */
export interface LogStores {
  /** Whether there is a log, whatever its state. */
  exists(): Promise<boolean>;
  /** Makes a new, empty log. It must not exist. */
  create(identity: LogIdentity): Promise<LogStore>;
  /** @throws SwarmError data-loss, if the log does not hold all that was acknowledged */
  open(): Promise<LogStore>;
}

/** The seal on a manager's disk: the keys of its log, and the KEK that seals those. */
export interface DiskSeal {
  /** Seals the keys with another KEK, if it is newer. */
  reseal(kek: Kek): Promise<Resealing>;
  /** Replaces the secrets of the log's keys, as one change on the disk. */
  updateLogSecrets(change: (secrets: LogSecrets) => LogSecrets): Promise<LogSecrets>;
  /** From now on the log is written with `keys.current`. */
  rekey(keys: LogKeys): void;
  /** The names of the keys that are needed to read what is on the disk at present. */
  keysInUse(): Promise<ReadonlySet<string>>;
}

/** What a manager answers at its door, and who is not let in. */
export interface ClusterDoor {
  readonly handlers: ServiceHandlers;
  /** Nodes of another swarm are refused. */
  readonly clusterId: string;
  /** Whether a node was removed from the swarm: its certificate may still be valid. */
  readonly isRemoved: (nodeId: string) => boolean;
}

/** A manager's doors, and its way to the doors of others. */
export interface ManagerNetwork {
  /**
   * Answers other nodes, at the address this manager advertises, until the signal aborts.
   *
   * @throws SwarmError failed-precondition, if the address cannot be listened at
   */
  serveCluster(door: ClusterDoor, signal: AbortSignal): Promise<void>;
  /** Answers this node's own agent until the signal aborts: whoever calls there is `self`. */
  serveSelf(handlers: ServiceHandlers, self: Caller, signal: AbortSignal): Promise<void>;
  /** A way to call the manager at `host:port`, as this manager. It connects with the first call. */
  connect(address: string): RpcConnection;
}
