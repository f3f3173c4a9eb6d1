import {
  agentWordName,
  type CallContext,
  type CallOptions,
  type Caller,
  type Handlers,
  type RpcClient,
  staleName,
} from './rpc.ts';
import { codecOf, type MessageName, type ServiceName, serviceDefinition } from './schema.ts';
import { assert, childOf, SwarmError } from '../runtime/index.ts';

/** The services a process answers, by name. */
export type ServiceHandlers = { readonly [S in ServiceName]?: Partial<Handlers<S>> };

type AnyHandler = (request: unknown, context: CallContext) => unknown;

/**
 * What answers with objects of the store as they are, by the thousand. They are whole already, and
 * nobody writes to them: to encode and decode them all was half of what a list cost.
 */
const wholeAnswers: ReadonlySet<string> = new Set(['Control.ListServices', 'Control.ListTasks']);

/**
 * Calls handlers of this process as if over the wire, with the caller given: requests and
 * responses are completed as decoding would complete them, and nothing is shared but whole objects
 * of the store.
 */
export function localClient(handlers: ServiceHandlers, caller: Caller): RpcClient {
  const find = (service: ServiceName, method: string): AnyHandler => {
    const name = `${method.charAt(0).toLowerCase()}${method.slice(1)}`;
    const component = handlers[service] as Record<string, AnyHandler> | undefined;
    const handler = component?.[name];
    if (handler === undefined) {
      throw new SwarmError('unimplemented', `unknown service docker.swarmkit.v1.${service}`);
    }
    return handler.bind(component);
  };
  return {
    unary: async (service, method, request, options) => {
      options.signal.throwIfAborted();
      const { asRequest, asResponse } = messagesOf(service, method);
      const context = contextOf(caller, options);
      return asResponse(await find(service, method)(asRequest(request), context));
    },
    serverStream: (service, method, request, options) => {
      const { asRequest, asResponse } = messagesOf(service, method);
      const handler = find(service, method) as (
        ...args: Parameters<AnyHandler>
      ) => AsyncIterable<unknown>;
      const start = (signal: AbortSignal): AsyncIterable<unknown> =>
        handler(asRequest(request), contextOf(caller, { ...options, signal }));
      return stream(start, asResponse, options);
    },
    clientStream: async (service, method, requests, options) => {
      const { asRequest, asResponse } = messagesOf(service, method);
      const context = contextOf(caller, options);
      const response = await find(service, method)(mapped(requests, asRequest), context);
      return asResponse(response);
    },
  };
}

function contextOf(caller: Caller, { signal, metadata = {} }: CallOptions): CallContext {
  const agentWord = metadata[agentWordName];
  const isStale = metadata[staleName] === 'true';
  return { caller, signal, isStale, ...(agentWord === undefined ? {} : { agentWord }) };
}

async function* stream(
  start: (signal: AbortSignal) => AsyncIterable<unknown>,
  asResponse: Convert,
  options: CallOptions,
): AsyncGenerator<never> {
  using call = childOf(options.signal);
  try {
    yield* mapped(start(call.signal), asResponse);
  } finally {
    call.abort();
  }
}

async function* mapped<T>(
  messages: AsyncIterable<unknown>,
  convert: (message: unknown) => T,
): AsyncGenerator<T> {
  for await (const message of messages) yield convert(message);
}

// The service's own types say what a message is; here it is only passed through.
type Convert = (message: unknown) => never;

function messagesOf(
  service: ServiceName,
  method: string,
): { readonly asRequest: Convert; readonly asResponse: Convert } {
  const definition = serviceDefinition(service)[method];
  assert(definition !== undefined, `${service} has a method ${method}`);
  return {
    asRequest: convertTo(definition.requestType),
    asResponse: wholeAnswers.has(`${service}.${method}`)
      ? (message) => message as never
      : convertTo(definition.responseType),
  };
}

function convertTo({ type }: { readonly type: object }): Convert {
  const codec = codecOf((type as { readonly name: MessageName }).name);
  return (message) => codec.create(message as never) as never;
}
