import { chmod, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Caller, ServiceHandlers } from '../../api/index.ts';
import { forwardedCall, identityOfSubject, ipOf, type SecurityConfig } from '../../ca/index.ts';
import { type Clock, firstOf, type Log, orAborted, runTogether } from '../../runtime/index.ts';
import { authorize, type Membership, type Peer } from './authorize.ts';
import { addHandlers, type IncomingCall } from './calls.ts';
import { type Front, type ListenAddress, listenOn, socketFront, tlsFront } from './front.ts';

/** A message from a caller is at most so long, in bytes. swarmkit manager/manager.go */
const receiveBytesMax = 4 * 1024 * 1024;

const options = {
  'grpc.max_receive_message_length': receiveBytesMax,
  'grpc.max_send_message_length': -1,
  // A follower passes on the streams of all its workers over one connection.
  'grpc.max_concurrent_streams': 16_384,
  'grpc.max_connection_idle_ms': 10 * 60_000,
  // Nobody asks for it, and it is paid for with every call.
  'grpc.enable_channelz': 0,
} as const;

/** How long a server that ends waits for its last answers to be taken. */
const farewellMs = 500;

interface ServeDeps {
  readonly handlers: ServiceHandlers;
  readonly clock: Clock;
  readonly log: Log;
  /** Called once the server takes connections, with the port it has. */
  readonly onListening?: (port: number) => void;
}

/**
 * Serves the cluster's door until the signal aborts: gRPC over mutual TLS, for nodes with a
 * certificate and for those that come to get one.
 *
 * A new certificate or root serves new connections; live ones go on, and whether their node was
 * removed is asked with every call.
 *
 * @throws SwarmError failed-precondition `listen <address>: address already in use`
 */
export async function serveCluster(
  deps: ServeDeps & Membership & { readonly security: Pick<SecurityConfig, 'current' | 'watch'> },
  address: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  const { security, log } = deps;
  const server = new Server(options);
  const known = new WeakMap<object, KnownPeer>();
  const identify = (call: IncomingCall, access: Parameters<typeof authorize>[1]) => {
    const peer = peerOf(call, known);
    const redirectedFrom = call.metadata.get('redirect')[0]?.toString();
    return {
      caller: authorize(peer, access, deps),
      ...(redirectedFrom === undefined && peer.forwarded === undefined
        ? {}
        : { redirectedFrom: redirectedFrom ?? call.getPeer() }),
    };
  };
  const peers = new Peers(deps, signal);
  const { handlers } = deps;
  addHandlers(server, { handlers, identify, hasHungUp: peers.haveHungUp, log }, signal);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  using changes = security.watch();
  const front = tlsFront({ log }, security.current, (socket) => {
    peers.add(socket);
    injector.injectConnection(socket);
  });
  const rotate = async (inner: AbortSignal): Promise<void> => {
    while (!inner.aborted) {
      await changes.changed(inner);
      changes.drain();
      front.rotate(security.current);
    }
  };
  await runTogether(signal, [
    rotate,
    async (inner) => serve({ ...deps, front, server }, address, inner),
  ]);
}

/**
 * Serves this node's own agent on a Unix socket until the signal aborts. Its file is for this
 * user alone, and who calls is this node.
 *
 * @throws SwarmError as {@link serveCluster}
 */
export async function serveSocket(
  deps: ServeDeps & { readonly self: Caller },
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const { self: caller, handlers, log } = deps;
  const server = new Server(options);
  const identify = (): { readonly caller: Caller } => ({ caller });
  addHandlers(server, { handlers, identify, hasHungUp: isNever, log }, signal);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const front = socketFront((socket) => {
    injector.injectConnection(socket);
  });
  await rm(path, { force: true }); // What an earlier process left: the state directory is locked.
  await runTogether(signal, [async (inner) => serve({ ...deps, front, server }, { path }, inner)]);
}

async function serve(
  deps: ServeDeps & { readonly front: Front; readonly server: Server },
  address: ListenAddress,
  signal: AbortSignal,
): Promise<void> {
  const { front, server, clock, onListening } = deps;
  const sockets = new Set<Socket>();
  front.server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await listenOn(front.server, address);
  const closed = new Promise<void>((resolve) => front.server.once('close', resolve));
  const broken = new Promise<never>((_, reject) => front.server.once('error', reject));
  try {
    if ('path' in address) await chmod(address.path, 0o600);
    const bound = front.server.address();
    onListening?.(typeof bound === 'object' && bound !== null ? bound.port : 0);
    await orAborted(broken, signal);
  } finally {
    front.server.close();
    await farewell(server, clock);
    for (const socket of sockets) socket.destroy();
    await closed;
  }
}

/** An agent on the socket is of this very process: it cannot die alone. */
const isNever = (): boolean => false;

/** The calls of a connection learn of its end a little later than the connection does. */
const keepClosedMs = 1_000;

/** The connections, by how gRPC names who is at their other end. */
class Peers {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #sockets = new Map<string, Socket>();

  constructor({ clock }: { readonly clock: Clock }, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  add(socket: Socket): void {
    const peer = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`;
    this.#sockets.set(peer, socket);
    socket.once('close', () => {
      const forget = (): void => {
        if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
      };
      // Cannot reject: the end of the server is handled.
      void this.#clock.sleep(keepClosedMs, this.#signal).then(forget, forget);
    });
  }

  /**
   * Whether a connection was closed from its other end. One that was given up because nothing came
   * through any more says nothing about that end.
   */
  readonly haveHungUp = (peer: string): boolean => {
    const socket = this.#sockets.get(peer);
    if (socket?.destroyed !== true) return false;
    const code = socket.errored !== null && 'code' in socket.errored ? socket.errored.code : '';
    return socket.errored === null || code === 'ECONNRESET' || code === 'EPIPE';
  };
}

/** Lets the calls that have just been ended reach their callers. */
async function farewell(server: Server, clock: Clock): Promise<void> {
  const hasShutDown = new Promise<void>((resolve) => {
    server.tryShutdown(() => {
      resolve();
    });
  });
  const { signal } = new AbortController();
  await firstOf(
    signal,
    async (inner) => orAborted(hasShutDown, inner),
    async (inner) => clock.sleep(farewellMs, inner),
  );
  server.forceShutdown();
}

/** What is the same for all calls of a connection. */
type KnownPeer = Pick<Peer, 'identity' | 'remoteIp'>;

/** @param known by certificate: each connection has one of its own */
function peerOf(call: IncomingCall, known: WeakMap<object, KnownPeer>): Peer {
  const { sslPeerCertificate: certificate } = call.getAuthContext();
  let peer = certificate && known.get(certificate);
  if (peer === undefined) {
    const identity = certificate && identityOfSubject(certificate.subject);
    peer = { identity, remoteIp: ipOf(call.getPeer()) ?? '' };
    if (certificate !== undefined) known.set(certificate, peer);
  }
  return { ...peer, forwarded: forwardedCall((name) => call.metadata.get(name).map(String)) };
}
