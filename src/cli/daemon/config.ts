import type { NodeSpecAvailability } from '../../api/gen/types.ts';

/** How a daemon was started. */
export type DaemonMode = 'manager' | 'worker' | 'daemon';

/** What a daemon is told: by its flags, or by the environment (`SWARMD_…`). */
export interface DaemonConfig {
  readonly mode: DaemonMode;
  /** Everything this node must not lose. Mode 0700. */
  readonly stateDir: string;
  /** The Unix socket of the Engine API, as a path. */
  readonly socketPath: string;
  /** The local Docker Engine: `unix://…` or `tcp://…`. */
  readonly dockerHost: string;
  readonly listenAddr: string;
  /** Empty: chosen, if there is only one choice. */
  readonly advertiseAddr: string;
  /** The name this node goes by. */
  readonly hostname: string;
  /**
   * Managers to join, `host:port`. Empty: found a swarm (a manager), or wait (a daemon). A node that
   * is in a swarm asks there, too, for its managers.
   */
  readonly join: readonly string[];
  readonly token: string;
  /** Of a manager: to go on without all other managers, which are lost. */
  readonly forceNewCluster: boolean;
  readonly availability: NodeSpecAvailability;
  /** A tick of Raft, where this node is a manager: a heartbeat, in milliseconds. */
  readonly raftTickMs: number;
  readonly logLevel: string;
}

export const defaults = {
  stateDir: '/var/lib/swarmd',
  host: 'unix:///run/swarmd/swarmd.sock',
  dockerHost: 'unix:///var/run/docker.sock',
  listenAddr: '0.0.0.0:2377',
  raftTickMs: 100,
} as const;
