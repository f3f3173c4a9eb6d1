import { connectRpc } from '../../api/index.ts';
import type { SecurityConfig } from '../../ca/index.ts';
import type { Clock, Log } from '../../runtime/index.ts';
import type { ManagerNetwork } from '../ports.ts';
import { serveCluster, serveSocket } from './server.ts';

interface GrpcNetworkDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly security: SecurityConfig;
  /** Where the cluster's door is. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The Unix socket for this node's own agent. */
  readonly controlSocket: string;
}

/** gRPC: with mutual TLS among nodes, on a Unix socket within this one. */
export const grpcNetwork = (deps: GrpcNetworkDeps): ManagerNetwork => ({
  serveCluster: async (door, signal) => serveCluster({ ...deps, ...door }, deps.listen, signal),
  serveSelf: async (handlers, self, signal) =>
    serveSocket({ ...deps, handlers, self }, deps.controlSocket, signal),
  connect: (address) => {
    const { rootCaPem: ca, certPem: cert, keyPem: key } = deps.security.current;
    const identity = { cert, key };
    return connectRpc({ kind: 'tls', address, serverName: 'swarm-manager', ca, identity });
  },
});
