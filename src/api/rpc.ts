import type { WireServices } from './gen/types.ts';
import { SwarmError } from '../runtime/index.ts';
import type { ServiceName } from './schema.ts';

/** The role a node's certificate gives it: its OU. */
export type CertificateRole = 'swarm-worker' | 'swarm-manager';

/** Who calls: as the certificate says, or the manager that passes the call on. */
export type Caller =
  | { readonly kind: 'anyone'; readonly remoteIp: string }
  | {
      readonly kind: 'node';
      readonly nodeId: string;
      readonly role: CertificateRole;
      readonly clusterId: string;
      /** The IP the node calls from, as the manager it reached saw it. */
      readonly remoteIp: string;
    };

/** What a method is told beside its request. */
export interface CallContext {
  readonly caller: Caller;
  /** Aborts when the caller has gone, its deadline has passed, or the server ends. */
  readonly signal: AbortSignal;
  /** What the caller says under {@link agentWordName}: an {@link AgentWord}, if it can be believed. */
  readonly agentWord?: string;
  /** Where a manager that calls says that it is found: `host:port`. */
  readonly managerAddress?: string;
  /** The caller takes what the manager it asks knows, though that may be old. */
  readonly isStale?: boolean;
}

/** The metadata by which a manager says where it is found, whatever the log says. */
export const managerAddressName = 'swarmd-manager-address';

/** The metadata by which a reader says, with `true`, that it takes an old answer over none. */
export const staleName = 'swarmd-stale';

/**
 * The metadata by which an agent of swarmd says what SwarmKit's protocol has no words for. Stock
 * managers pass over it.
 */
export const agentWordName = 'swarmd-agent';

/**
 * With a session: `returns`, that after a break the agent is back at once, if it lives. With a
 * heartbeat: that it `stops`, or `leaves` the swarm; and what a manager says of it, that its
 * connection has `closed`.
 */
export type AgentWord = 'returns' | 'closed' | 'stops' | 'leaves';

/** Why a call's signal aborts if the caller's connection has closed, as when its process dies. */
export class ConnectionClosed extends SwarmError {
  constructor() {
    super('cancelled', 'the connection of the caller has closed');
  }
}

type Rpc = {
  kind: string;
  requestInput: unknown;
  request: unknown;
  responseInput: unknown;
  response: unknown;
};
export type MethodName<S extends ServiceName, K extends string = string> = {
  [M in keyof WireServices[S]]: WireServices[S][M] extends Rpc & { kind: K } ? M : never;
}[keyof WireServices[S]] &
  string;
type Of<S extends ServiceName, M extends keyof WireServices[S]> = WireServices[S][M] extends Rpc
  ? WireServices[S][M]
  : never;
export type RequestInput<S extends ServiceName, M extends keyof WireServices[S]> = Of<
  S,
  M
>['requestInput'];
export type Response<S extends ServiceName, M extends keyof WireServices[S]> = Of<S, M>['response'];

type Handler<R> = R extends { kind: 'unary' } & Rpc
  ? (request: R['request'], context: CallContext) => Promise<R['responseInput']>
  : R extends { kind: 'server' } & Rpc
    ? (request: R['request'], context: CallContext) => AsyncIterable<R['responseInput']>
    : R extends { kind: 'client' } & Rpc
      ? (requests: AsyncIterable<R['request']>, context: CallContext) => Promise<R['responseInput']>
      : never;

/**
 * What a component implements to answer a service: a function per method, its name in lower camel
 * case. A server stream is an async iterable (a generator): it ends the call by returning, fails it
 * by throwing, and is returned early when the caller has gone.
 */
export type Handlers<S extends ServiceName> = {
  readonly [M in keyof WireServices[S] & string as Uncapitalize<M>]: Handler<WireServices[S][M]>;
};

export interface CallOptions {
  readonly signal: AbortSignal;
  /** Milliseconds until the call fails with `deadline-exceeded`. A stream may have none. */
  readonly deadlineMs?: number;
  /** What else the server is told, by name: on whose behalf a manager calls. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * A way to call a manager: over gRPC, or in process. Every failure is a `SwarmError`; a call whose
 * signal aborts throws the signal's reason.
 */
export interface RpcClient {
  unary<S extends ServiceName, M extends MethodName<S, 'unary'>>(
    service: S,
    method: M,
    request: RequestInput<S, M>,
    options: CallOptions & { readonly deadlineMs: number },
  ): Promise<Response<S, M>>;

  /** Leaving the iteration early cancels the call. */
  serverStream<S extends ServiceName, M extends MethodName<S, 'server'>>(
    service: S,
    method: M,
    request: RequestInput<S, M>,
    options: CallOptions,
  ): AsyncIterable<Response<S, M>>;

  clientStream<S extends ServiceName, M extends MethodName<S, 'client'>>(
    service: S,
    method: M,
    requests: AsyncIterable<RequestInput<S, M>>,
    options: CallOptions,
  ): Promise<Response<S, M>>;
}

/** A client with a connection of its own. */
export interface RpcConnection extends RpcClient, Disposable {
  /**
   * Resolves once it is not connected: at once, if it never was. Absent, where that cannot be told.
   *
   * @throws the signal's reason, if it aborts first
   */
  readonly closed?: (signal: AbortSignal) => Promise<void>;
}
