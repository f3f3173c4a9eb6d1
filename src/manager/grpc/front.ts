import { constants } from 'node:crypto';
import {
  createServer as createSocketServer,
  type Server as SocketServer,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { TlsMaterial } from '../../ca/index.ts';
import { type Log, messageOf, SwarmError } from '../../runtime/index.ts';

/** A handshake takes at most so long: who connects and says nothing is sent away. */
const handshakeMsMax = 10_000;

/** What TLS needs to know; a new one serves new connections. swarmkit ca/config.go NewServerTLSConfig */
const contextOf = ({ rootCaPem, certPem, keyPem }: TlsMaterial) => ({
  ca: rootCaPem,
  cert: certPem,
  key: keyPem,
  minVersion: 'TLSv1.2' as const,
  ciphers: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_AES_128_GCM_SHA256',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  // A resumed session without a certificate would count as authorized.
  secureOptions: constants.SSL_OP_NO_TICKET,
});

/** A server that takes connections and leaves what is said on them to others. */
export interface Front {
  readonly server: SocketServer;
  /** Shows and trusts something else to whoever connects from now on. */
  rotate(material: TlsMaterial): void;
}

/**
 * The cluster's door: callers with a certificate and callers without one on the same port.
 *
 * A certificate is asked for, not demanded: a node that joins has none. One that is shown and not
 * trusted closes the connection. A caller need not negotiate HTTP/2 by ALPN: Go agents no longer do
 * once they have renewed their certificate.
 */
export function tlsFront(
  { log }: { readonly log: Log },
  material: TlsMaterial,
  take: (socket: TLSSocket) => void,
): Front {
  const server = createTlsServer({
    ...contextOf(material),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    handshakeTimeout: handshakeMsMax,
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', (error) => {
      log.debug({ err: error, from: socket.remoteAddress }, 'connection broke');
    });
    const hasCertificate = socket.getPeerX509Certificate() !== undefined;
    if (hasCertificate && !socket.authorized) {
      log.warn(
        { from: socket.remoteAddress, reason: messageOf(socket.authorizationError) },
        'certificate not trusted: connection closed',
      );
      socket.destroy();
      return;
    }
    // grpc-js asks for it with every call, and it does not change.
    const certificate = socket.getPeerCertificate(true);
    socket.getPeerCertificate = (): typeof certificate => certificate;
    // What grpc-js's HTTP/2 server insists on, and Go agents leave out after a renewal.
    if (socket.alpnProtocol === false) socket.alpnProtocol = 'h2';
    take(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error, from: socket.remoteAddress }, 'handshake failed');
  });
  return {
    server,
    rotate: (next) => {
      server.setSecureContext(contextOf(next));
    },
  };
}

/** This node's own door: a Unix socket, guarded by the modes of its file and its folder. */
export function socketFront(take: (socket: Socket) => void): Front {
  return { server: createSocketServer(take), rotate: () => undefined };
}

/** Where a server listens. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

/**
 * Starts to listen.
 *
 * @throws SwarmError failed-precondition, naming the address, if somebody else listens there;
 *   unavailable, if it cannot be listened on
 */
export async function listenOn(server: SocketServer, address: ListenAddress): Promise<void> {
  const text = 'path' in address ? address.path : `${address.host}:${address.port}`;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error & { readonly code?: string }): void => {
      reject(
        error.code === 'EADDRINUSE'
          ? new SwarmError('failed-precondition', `listen ${text}: address already in use`, {
              cause: error,
            })
          : new SwarmError('unavailable', `listen ${text}: ${error.message}`, { cause: error }),
      );
    };
    server.once('error', fail);
    server.listen(address, () => {
      server.off('error', fail);
      resolve();
    });
  });
}
