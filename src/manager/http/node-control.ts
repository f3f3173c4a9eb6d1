import { type RpcClient, staleName } from '../../api/index.ts';

/** Where this node stands, as `/info` and `/_ping` say it. Engine API 1.47 `LocalNodeState`. */
export type LocalNodeState = 'inactive' | 'pending' | 'active' | 'error' | 'locked';

export interface NodeInfo {
  readonly state: LocalNodeState;
  /** The name this node goes by. It need not be the name of its Engine. */
  readonly hostname: string;
  /** Empty while inactive. */
  readonly nodeId: string;
  /** The address other nodes reach this one at, without a port. */
  readonly nodeAddr: string;
  /** Whether this node is a manager whose control API answers. */
  readonly isManager: boolean;
  /** For how long this manager has known of no leader, in milliseconds; absent while there is one. */
  readonly leaderlessForMs?: number;
  /** Why the state is `error`. */
  readonly error: string;
  readonly remoteManagers: readonly { readonly nodeId: string; readonly addr: string }[];
}

export interface InitRequest {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly forceNewCluster: boolean;
  readonly availability: 'ACTIVE' | 'PAUSE' | 'DRAIN';
}

export interface JoinRequest {
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  readonly remoteAddrs: readonly string[];
  readonly joinToken: string;
  readonly availability: 'ACTIVE' | 'PAUSE' | 'DRAIN';
}

/** What the Engine API needs of the node it stands on. The daemon implements it. */
export interface NodeControl {
  info(): NodeInfo;

  /**
   * A client of this swarm's managers, for calls of `Control` and `Logs`.
   *
   * @throws SwarmError unavailable, with Docker's sentence for why this node cannot answer
   */
  managers(): RpcClient;

  /** @returns the ID of the new node */
  init(request: InitRequest): Promise<string>;
  join(request: JoinRequest): Promise<void>;
  /**
   * Opens a locked manager, and waits a while for it to serve.
   *
   * @throws SwarmError unauthenticated, if it is not its key; already-exists, if it is not locked;
   *   unavailable, if it is in no swarm; internal, if it opened and could not begin
   */
  unlock(key: Buffer): Promise<void>;
  leave(options: { readonly isForced: boolean }): Promise<void>;
}

/** A node whose manager answers what is read from what it knows itself, leader or not. */
export function staleNode(node: NodeControl): NodeControl {
  return {
    info: () => node.info(),
    managers: () => {
      const managers = node.managers();
      return {
        ...managers,
        unary: async (service, method, request, options) => {
          const metadata = { ...options.metadata, [staleName]: 'true' };
          return managers.unary(service, method, request, { ...options, metadata });
        },
      };
    },
    init: async (request) => node.init(request),
    join: async (request) => node.join(request),
    unlock: async (key) => node.unlock(key),
    leave: async (options) => node.leave(options),
  };
}
