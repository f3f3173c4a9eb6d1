import {
  agentWordName,
  type CallContext,
  type Caller,
  type CallOptions,
  type RpcClient,
  serviceDefinition,
  type ServiceHandlers,
  type ServiceName,
} from '../../api/index.ts';
import type { HealthCheckResponse } from '../../api/gen/types.ts';
import { metadataOfCaller } from '../../ca/index.ts';
import { childOfBoth, type Clock, SwarmError } from '../../runtime/index.ts';
import type { ServedContext } from './calls.ts';
import { tellingHangUps } from './hang-ups.ts';

/** Where the leader is, as this manager knows. */
export type Leader =
  | { readonly kind: 'self' }
  | {
      readonly kind: 'other';
      readonly connection: RpcClient;
      /** Aborts once another leads: the one before may be frozen, and would never answer. */
      readonly until: AbortSignal;
    }
  /** Nobody leads. `since` is by the monotonic clock, in milliseconds. */
  | { readonly kind: 'none'; readonly since: number };

interface Deps {
  readonly leader: () => Leader;
  readonly clock: Clock;
  /** As whom the leader is called: as the caller, or as this manager itself. */
  readonly onBehalfOf: 'caller' | 'self';
  /**
   * Without a leader for longer than this, in milliseconds, a call fails at once: an election takes
   * less. By default 3,000.
   */
  readonly patienceMs?: number;
}

/** How often a call that waits for a leader looks for one. */
const lookMs = 50;
/** A new leader says within this time whether it is well. */
const healthMsMax = 1_000;
/** How long a call that is passed on may take, where its caller's own deadline is not known. */
const forwardedMsMax = 120_000;

const noLeader =
  "The swarm does not have a leader. It's possible that too few managers are online. " +
  'Make sure more than half of the managers are online.';

type AnyHandler = (request: unknown, context: CallContext) => unknown;

type Other = { readonly connection: AnyClient; readonly until: AbortSignal };

/** A client whose requests are those that came in for the same method: their types fit. */
interface AnyClient {
  unary(service: string, method: string, request: unknown, options: CallOptions): Promise<unknown>;
  serverStream(
    service: string,
    method: string,
    request: unknown,
    options: CallOptions,
  ): AsyncIterable<unknown>;
  clientStream(
    service: string,
    method: string,
    requests: AsyncIterable<unknown>,
    options: CallOptions,
  ): Promise<unknown>;
}

/**
 * The same services, answered by the leader: here if this manager leads, else by one hop to
 * whoever does. swarmkit protobuf/plugin/raftproxy. What is read of the control API by who takes an
 * old answer is answered here.
 *
 * A unary call that the leader's end cut before it was answered is tried once more with the next
 * leader; a stream is not. The leader before may have done a change before its end: then the next
 * one refuses it (the name is taken, the version is older, the object is gone), and whoever asked is
 * told of the cut, for that refusal is no answer to what was asked. A call that has come by one hop
 * already is not passed on again.
 */
export function onLeader(deps: Deps, handlers: ServiceHandlers): ServiceHandlers {
  const services = Object.fromEntries(
    Object.entries(handlers).map(([key, component]) => {
      const service = key as ServiceName; // By the type of ServiceHandlers.
      const known = component as Readonly<Record<string, AnyHandler>>;
      const proxied = Object.entries(serviceDefinition(service)).map(([method, definition]) => {
        const name = `${method.charAt(0).toLowerCase()}${method.slice(1)}`;
        const local: AnyHandler | undefined = known[name]?.bind(component);
        const { requestStream, responseStream } = definition;
        if (local === undefined) return [name, undefined];
        const hop = new Hop(deps, { service, method, local });
        if (responseStream) return [name, hop.serverStream];
        return [name, requestStream ? hop.clientStream : hop.unary];
      });
      return [service, Object.fromEntries(proxied)];
    }),
  ) as ServiceHandlers; // Method by method of the same kind as before.
  return tellingHangUps(services);
}

/** One method's way to the leader. */
class Hop {
  readonly #deps: Deps;
  readonly #service: ServiceName;
  readonly #method: string;
  readonly #local: AnyHandler;

  constructor(
    deps: Deps,
    target: { readonly service: ServiceName; readonly method: string; readonly local: AnyHandler },
  ) {
    this.#deps = deps;
    this.#service = target.service;
    this.#method = target.method;
    this.#local = target.local;
  }

  readonly unary = async (request: unknown, context: ServedContext): Promise<unknown> => {
    const isRead = this.#service === 'Control' && /^(?:Get|List)/u.test(this.#method);
    if (isRead && context.isStale === true) return this.#local(request, context);
    const leader = await this.#leader(context);
    try {
      return await this.#answer(leader, request, context);
    } catch (error) {
      if (!isCut(error)) throw error;
      const next = await this.#nextLeader(context, error);
      const mayBeDone = this.#service === 'Control' && !isRead && !wasNotBegun(error);
      try {
        return await this.#answer(next, request, context);
      } catch (refusal) {
        throw mayBeDone ? error : refusal;
      }
    }
  };

  readonly clientStream = async (
    requests: AsyncIterable<unknown>,
    context: ServedContext,
  ): Promise<unknown> => {
    const leader = await this.#leader(context);
    if (leader === 'self') return this.#local(requests, context);
    using call = childOfBoth(context.signal, leader.until);
    const options = { ...this.#options(context), signal: call.signal };
    return await leader.connection.clientStream(this.#service, this.#method, requests, options);
  };

  readonly serverStream = (request: unknown, context: ServedContext): AsyncIterable<unknown> =>
    this.#stream(request, context);

  async *#stream(request: unknown, context: ServedContext): AsyncGenerator {
    const leader = await this.#leader(context);
    if (leader === 'self') {
      yield* this.#local(request, context) as AsyncIterable<unknown>; // By the method's kind.
      return;
    }
    using call = childOfBoth(context.signal, leader.until);
    const options = { ...this.#options(context), signal: call.signal };
    yield* leader.connection.serverStream(this.#service, this.#method, request, options);
  }

  async #answer(
    leader: 'self' | Other,
    request: unknown,
    context: ServedContext,
  ): Promise<unknown> {
    if (leader === 'self') return this.#local(request, context);
    using call = childOfBoth(context.signal, leader.until);
    const options = { ...this.#options(context), signal: call.signal, deadlineMs: forwardedMsMax };
    return await leader.connection.unary(this.#service, this.#method, request, options);
  }

  get #patienceMs(): number {
    return this.#deps.patienceMs ?? 3_000;
  }

  /** Who leads after a leader that cut a call, once that one is well. */
  async #nextLeader(context: ServedContext, cut: unknown): Promise<'self' | Other> {
    const { clock } = this.#deps;
    const since = clock.monotonic();
    while (clock.monotonic() - since <= this.#patienceMs) {
      await clock.sleep(lookMs, context.signal);
      const leader = await this.#leader(context);
      if (leader === 'self' || (await isWell(leader, context.signal))) return leader;
    }
    throw cut;
  }

  #options({ caller, signal, agentWord }: CallContext): CallOptions {
    const word = agentWord === undefined ? {} : { [agentWordName]: agentWord };
    return { signal, metadata: { ...this.#metadata(caller), ...word } };
  }

  #metadata(caller: Caller): Readonly<Record<string, string>> {
    const redirect = { redirect: caller.remoteIp };
    return this.#deps.onBehalfOf === 'self'
      ? redirect
      : { ...redirect, ...metadataOfCaller(caller) };
  }

  /** @throws SwarmError, if there is no leader, or the call has come from one hop already */
  async #leader(context: ServedContext): Promise<'self' | Other> {
    const { clock } = this.#deps;
    for (;;) {
      const leader = this.#deps.leader();
      if (leader.kind === 'self') return 'self';
      const { signal, redirectedFrom } = context;
      signal.throwIfAborted();
      if (leader.kind === 'other') {
        if (redirectedFrom === undefined) return leader;
        throw new SwarmError(
          'resource-exhausted',
          `more than one redirect to leader from: [${redirectedFrom}]`,
        );
      }
      if (clock.monotonic() - leader.since > this.#patienceMs) {
        throw new SwarmError('unknown', noLeader);
      }
      await clock.sleep(lookMs, signal);
    }
  }
}

async function isWell({ connection }: Other, signal: AbortSignal): Promise<boolean> {
  try {
    const options = { signal, deadlineMs: healthMsMax };
    const health = await connection.unary('Health', 'Check', { service: 'Raft' }, options);
    return (health as HealthCheckResponse).status === 'SERVING'; // By the method's type.
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/**
 * Whether a call may be made again: its leader's end cut it, or whoever was taken for the leader did
 * not lead, and did nothing. swarmkit protobuf/plugin/raftproxy, which tries again in the first case
 * alone
 */
function isCut(error: unknown): boolean {
  if (!(error instanceof SwarmError)) return false;
  const { code, message } = error;
  if (code === 'resource-exhausted') return message.startsWith('more than one redirect');
  return code === 'unavailable' && cutTexts.test(message);
}

/** Whether a call that was cut never reached a leader. */
const wasNotBegun = (error: unknown): boolean =>
  error instanceof SwarmError &&
  (error.code === 'resource-exhausted' || notBegunTexts.test(error.message));

const notBegunTexts =
  /connection is unavailable|no connection established|econnrefused|stream refused|no elected cluster leader/iu;

const cutTexts =
  /is closing|connection (?:is unavailable|error|dropped)|no connection established|econn|stream refused|channel closed|no elected cluster leader|shutting down/iu;
