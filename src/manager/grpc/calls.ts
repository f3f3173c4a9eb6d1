import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Server,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  type Access,
  accessOf,
  agentWordName,
  type CallContext,
  type Caller,
  ConnectionClosed,
  managerAddressName,
  serviceDefinition,
  staleName,
  type ServiceHandlers,
  type ServiceName,
  toStatus,
} from '../../api/index.ts';
import { type ChildAbort, childOf, type Log, orAborted, SwarmError } from '../../runtime/index.ts';

/** What grpc-js hands over for a call, as far as its kind does not matter. */
export interface IncomingCall {
  readonly metadata: { get(name: string): ReadonlyArray<string | Buffer> };
  getPeer(): string;
  getAuthContext(): { readonly sslPeerCertificate?: { readonly subject: object } };
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Who makes a call. */
interface Identified {
  readonly caller: Caller;
  /** The manager that passed the call on; a call is passed on once. */
  readonly redirectedFrom?: string;
}

/** A {@link CallContext} as the server makes it; `leader-proxy.ts` reads the rest. */
export type ServedContext = CallContext & Identified;

interface Deps {
  readonly handlers: ServiceHandlers;
  /** @throws SwarmError permission-denied, if the caller may not call such a method */
  readonly identify: (call: IncomingCall, access: Access) => Identified;
  /** Whether the connection of a peer was closed from its end. */
  readonly hasHungUp: (peer: string) => boolean;
  readonly log: Log;
}

type AnyHandler = (request: unknown, context: ServedContext) => unknown;

/** A method as it is served. */
interface Method {
  /** `Dispatcher.Session` */
  readonly name: string;
  readonly access: Access;
  readonly handler: AnyHandler;
}

/**
 * Puts handlers behind a gRPC server: each call is identified, given a signal that aborts when the
 * caller has gone, its deadline has passed or the server ends, and answered with the status of what
 * it throws.
 *
 * A method that declares nobody who may call it is not served.
 */
export function addHandlers(server: Server, deps: Deps, signal: AbortSignal): void {
  for (const [key, component] of Object.entries(deps.handlers)) {
    const service = key as ServiceName; // By the type of ServiceHandlers.
    const definition = serviceDefinition(service);
    const implementation: UntypedServiceImplementation = {};
    for (const [method, { requestStream, responseStream }] of Object.entries(definition)) {
      const access = accessOf(service, method);
      if (access === undefined) continue;
      const name = `${service}.${method}`;
      const handler = handlerOf(component as Record<string, AnyHandler>, method, name);
      const served = { name, access, handler };
      const calls = new Calls(deps, served, signal);
      if (responseStream) implementation[method] = calls.serverStream;
      else implementation[method] = requestStream ? calls.clientStream : calls.unary;
    }
    server.addService(definition, implementation);
  }
}

/** What answers a method. What nobody implements is refused only to those who might call it. */
function handlerOf(
  component: Readonly<Record<string, AnyHandler>>,
  method: string,
  name: string,
): AnyHandler {
  const handler = component[`${method.charAt(0).toLowerCase()}${method.slice(1)}`];
  return (
    handler?.bind(component) ??
    (() => {
      throw new SwarmError('unimplemented', `${name} is not implemented`);
    })
  );
}

/** The calls of one method, by its kind. */
class Calls {
  readonly #deps: Deps;
  readonly #method: Method;
  readonly #signal: AbortSignal;

  constructor(deps: Deps, method: Method, signal: AbortSignal) {
    this.#deps = deps;
    this.#method = method;
    this.#signal = signal;
  }

  readonly unary: handleUnaryCall<unknown, unknown> = (call, callback) => {
    const answer = async (context: ServedContext): Promise<void> => {
      callback(null, await this.#method.handler(call.request, context));
    };
    void this.#run(call, answer, callback); // Never rejects.
  };

  readonly clientStream: handleClientStreamingCall<unknown, unknown> = (call, callback) => {
    const answer = async (context: ServedContext): Promise<void> => {
      callback(null, await this.#method.handler(call, context));
    };
    void this.#run(call, answer, callback); // Never rejects.
  };

  readonly serverStream: handleServerStreamingCall<unknown, unknown> = (call) => {
    const answer = async (context: ServedContext): Promise<void> => {
      // A server stream's handler answers with an iterable: the contract's types say so.
      const messages = this.#method.handler(call.request, context) as AsyncIterable<unknown>;
      await sendAll(messages, call, context.signal);
      call.end();
    };
    void this.#run(call, answer, (status) => call.emit('error', status)); // Never rejects.
  };

  async #run(
    call: IncomingCall,
    answer: (context: ServedContext) => Promise<void>,
    fail: (status: Error & { readonly code: number; readonly details: string }) => void,
  ): Promise<void> {
    using lifetime = new Lifetime(this.#signal);
    const peer = call.getPeer(); // Once its connection is closed it has no name.
    let isOfPeer = false;
    let isOver = false;
    call.on('cancelled', () => {
      if (isOver) return; // grpc-js says so of every call in the end.
      const isClosed = isOfPeer && this.#deps.hasHungUp(peer);
      lifetime.end(
        isClosed ? new ConnectionClosed() : new SwarmError('cancelled', 'the caller has gone'),
      );
    });
    try {
      const identified = this.#deps.identify(call, this.#method.access);
      isOfPeer = identified.redirectedFrom === undefined;
      const agentWord = call.metadata.get(agentWordName)[0]?.toString();
      const managerAddress = call.metadata.get(managerAddressName)[0]?.toString();
      await answer({
        ...identified,
        ...(agentWord === undefined ? {} : { agentWord }),
        ...(managerAddress === undefined ? {} : { managerAddress }),
        isStale: call.metadata.get(staleName)[0] === 'true',
        get signal() {
          return lifetime.signal;
        },
      });
    } catch (error) {
      if (!(error instanceof SwarmError) && !lifetime.signal.aborted) {
        this.#deps.log.error({ err: error, method: this.#method.name }, 'call failed');
      }
      const status = toStatus(this.#signal.aborted ? shuttingDown() : error);
      fail(Object.assign(new Error(status.details), status));
    } finally {
      isOver = true;
    }
  }
}

/** How long a call lasts. Most are answered at once, and nobody asks: then there is no signal. */
class Lifetime implements Disposable {
  readonly #server: AbortSignal;
  #child: ChildAbort | undefined;
  #end: SwarmError | undefined;

  constructor(server: AbortSignal) {
    this.#server = server;
  }

  get signal(): AbortSignal {
    if (this.#child === undefined) {
      this.#child = childOf(this.#server);
      if (this.#end !== undefined) this.#child.abort(this.#end);
    }
    return this.#child.signal;
  }

  end(reason: SwarmError): void {
    this.#end = reason;
    this.#child?.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#child?.[Symbol.dispose]();
  }
}

const shuttingDown = (): SwarmError =>
  new SwarmError('unavailable', 'the manager is shutting down');

/**
 * Sends messages as fast as the caller takes them.
 *
 * @throws what the messages throw, or the signal's reason
 */
async function sendAll(
  messages: AsyncIterable<unknown>,
  call: ServerWritableStream<unknown, unknown>,
  signal: AbortSignal,
): Promise<void> {
  const source = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const message = await orAborted(source.next(), signal);
      if (message.done === true) return;
      if (!call.write(message.value)) {
        await orAborted(new Promise((resolve) => call.once('drain', resolve)), signal);
      }
    }
  } finally {
    // A source that is in the middle of something is told, and not waited for.
    source.return?.().catch(() => undefined);
  }
}
