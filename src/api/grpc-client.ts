import {
  type CallOptions as GrpcCallOptions,
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  type ClientWritableStream,
  connectivityState,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';
import { assert, childOf, deadlineIn, onAbort, orAborted } from '../runtime/index.ts';
import type { CallOptions, RpcConnection } from './rpc.ts';
import { type ServiceName, serviceDefinition } from './schema.ts';
import { fromStatus } from './status.ts';

/** Where a manager is, and what proves who is who. */
export type RpcTarget =
  | {
      readonly kind: 'tls';
      /** `host:port` */
      readonly address: string;
      /** The name the server's certificate must carry: `swarm-manager`, or `swarm-ca`. */
      readonly serverName: string;
      /** Trusted roots, PEM. Without it the server is not verified: only to fetch the root. */
      readonly ca?: string;
      /** This node's certificate chain and key, PEM. Without them the caller is anyone. */
      readonly identity?: { readonly cert: string; readonly key: string };
    }
  | { readonly kind: 'socket'; readonly path: string };

// The service's own types say what a message is; here it is only passed through.
type AnyMethod = Pick<MethodDefinition<object, object>, 'path' | 'requestSerialize'> & {
  readonly responseDeserialize: (bytes: Buffer) => object;
};
type Untyped = object;

/** As Go agents do: no limit on what a manager may send. */
const receiveBytesMax = -1;

function credentialsOf(target: RpcTarget): ChannelCredentials {
  if (target.kind === 'socket') return credentials.createInsecure();
  const { ca, identity } = target;
  return credentials.createSsl(
    ca === undefined ? null : Buffer.from(ca),
    identity === undefined ? null : Buffer.from(identity.key),
    identity === undefined ? null : Buffer.from(identity.cert),
    ca === undefined
      ? { rejectUnauthorized: false, checkServerIdentity: () => undefined }
      : { rejectUnauthorized: true },
  );
}

/** Opens a connection to a manager. It connects with the first call, and again when it breaks. */
export function connectRpc(target: RpcTarget): RpcConnection {
  const client = new Client(
    target.kind === 'tls' ? target.address : `unix:${target.path}`,
    credentialsOf(target),
    {
      'grpc.max_receive_message_length': receiveBytesMax,
      'grpc.max_send_message_length': receiveBytesMax,
      // One connection per client: two clients of one process never share what proves who they are.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      // The way to a manager never leads through a proxy meant for the web.
      'grpc.enable_http_proxy': 0,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
      'grpc.service_config_disable_resolution': 1,
      ...(target.kind === 'tls' ? { 'grpc.ssl_target_name_override': target.serverName } : {}),
    },
  );
  return {
    unary: async (service, method, request, options) =>
      unary(client, methodOf(service, method), request, options),
    serverStream: (service, method, request, options) =>
      serverStream(client, methodOf(service, method), request, options),
    clientStream: async (service, method, requests, options) =>
      clientStream(client, methodOf(service, method), requests, options),
    closed: async (signal) => orAborted(closed(client), signal),
    [Symbol.dispose]: () => {
      client.close();
    },
  };
}

async function closed(client: Client): Promise<void> {
  const channel = client.getChannel();
  if (channel.getConnectivityState(false) !== connectivityState.READY) return;
  await new Promise<void>((resolve) => {
    channel.watchConnectivityState(connectivityState.READY, Infinity, () => {
      resolve();
    });
  });
}

function methodOf(service: ServiceName, method: string): AnyMethod {
  const definition = serviceDefinition(service)[method];
  assert(definition !== undefined, `${service} has a method ${method}`);
  return definition;
}

const deadlineOf = ({ deadlineMs }: CallOptions): GrpcCallOptions =>
  deadlineMs === undefined ? {} : { deadline: deadlineIn(deadlineMs) };

function metadataOf({ metadata = {} }: CallOptions): Metadata {
  const sent = new Metadata();
  for (const [name, value] of Object.entries(metadata)) sent.set(name, value);
  return sent;
}

async function unary(
  client: Client,
  { path, requestSerialize, responseDeserialize }: AnyMethod,
  request: unknown,
  options: CallOptions,
): Promise<never> {
  options.signal.throwIfAborted();
  return new Promise<never>((resolve, reject) => {
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request as Untyped,
      metadataOf(options),
      deadlineOf(options),
      (error, response) => {
        waiting[Symbol.dispose]();
        if (error === null) resolve(response as never);
        else reject(fromStatus(error));
      },
    );
    const waiting = onAbort(options.signal, () => {
      call.cancel();
      reject(options.signal.reason as Error);
    });
  });
}

async function* serverStream(
  client: Client,
  { path, requestSerialize, responseDeserialize }: AnyMethod,
  request: unknown,
  options: CallOptions,
): AsyncGenerator<never> {
  options.signal.throwIfAborted();
  const call: ClientReadableStream<unknown> = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request as Untyped,
    metadataOf(options),
    deadlineOf(options),
  );
  const waiting = onAbort(options.signal, () => {
    call.cancel();
  });
  try {
    for await (const message of call as AsyncIterable<never>) yield message;
  } catch (error) {
    options.signal.throwIfAborted();
    throw fromStatus(error);
  } finally {
    waiting[Symbol.dispose]();
    call.on('error', () => undefined); // A call cancelled here still reports that it was.
    call.cancel();
  }
}

async function clientStream(
  client: Client,
  { path, requestSerialize, responseDeserialize }: AnyMethod,
  requests: AsyncIterable<unknown>,
  options: CallOptions,
): Promise<never> {
  options.signal.throwIfAborted();
  using sending = childOf(options.signal);
  let call: ClientWritableStream<Untyped> | undefined;
  const response = new Promise<never>((resolve, reject) => {
    call = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadataOf(options),
      deadlineOf(options),
      (error, message) => {
        if (error === null) resolve(message as never);
        else reject(fromStatus(error));
      },
    );
  });
  const waiting = onAbort(options.signal, () => {
    call?.cancel();
  });
  try {
    const sent = sendAll(call, requests, sending.signal).then(async () => response);
    return await Promise.race([response, sent]);
  } catch (error) {
    options.signal.throwIfAborted();
    throw error;
  } finally {
    waiting[Symbol.dispose]();
    response.catch(() => undefined); // A source that fails ends the call, whose error is not news.
    sending.abort();
    call?.cancel();
  }
}

/** Sends everything, no faster than the other side reads; no more once the call is over. */
async function sendAll(
  call: ClientWritableStream<Untyped> | undefined,
  requests: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> {
  for await (const request of requests) {
    if (signal.aborted) return;
    if (call?.write(request as Untyped) === false) await drained(call, signal);
  }
  if (!signal.aborted) call?.end();
}

/** Resolves once a call takes more, or is over. */
async function drained(call: ClientWritableStream<Untyped>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const wake = (): void => {
      call.off('drain', wake);
      waiting[Symbol.dispose]();
      resolve();
    };
    call.once('drain', wake);
    const waiting = onAbort(signal, wake);
  });
}
