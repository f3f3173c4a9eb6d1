import {
  fromStatus,
  managerAddressName,
  type ServiceHandlers,
  toStatus,
} from '../../../src/api/index.ts';
import { forwardedCall } from '../../../src/ca/index.ts';
import { authorize } from '../../../src/manager/grpc/authorize.ts';
import type { ClusterDoor } from '../../../src/manager/ports.ts';
import { isSwarmError, SwarmError } from '../../../src/runtime/index.ts';
import type { Call, Served } from './call.ts';
import type { Party } from './host.ts';
import { Incoming } from './call.ts';

type Handler = (request: unknown, context: Served) => unknown;

/** Where a manager answers: its handlers, for as long as they are served. */
export class Door {
  readonly party: Party;
  readonly #door: ClusterDoor;
  readonly #cancels = new Set<(reason: SwarmError) => void>();
  readonly #broke: (error: unknown, call: Call) => void;
  /** Whether whoever calls is this node itself. */
  readonly #self: Served['caller'] | undefined;
  isOpen = true;

  constructor(
    party: Party,
    door: ClusterDoor,
    also: {
      /** A handler threw what is no error of operation. */
      readonly broke: (error: unknown, call: Call) => void;
      readonly self?: Served['caller'];
    },
  ) {
    this.party = party;
    this.#door = door;
    this.#broke = also.broke;
    this.#self = also.self;
  }

  /** Ends every call. */
  close(): void {
    this.isOpen = false;
    for (const cancel of this.#cancels) cancel(shuttingDown());
  }

  /** Answers a call that has arrived; what a repeated one is answered, nobody hears. */
  async serve(call: Call, request: unknown, isRepeat: boolean): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    const cancel = (reason: SwarmError): void => {
      controller.abort(reason);
    };
    this.#cancels.add(cancel);
    if (!isRepeat) {
      call.cancelServed = cancel;
      call.transport.network.onServe(call, this);
    }
    try {
      await this.#answer(call, { request, signal, isRepeat });
    } catch (error) {
      if (!(error instanceof SwarmError) && !signal.aborted) this.#broke(error, call);
      if (isSwarmError(error, 'invalid-argument') && error.message === 'session invalid') {
        call.transport.network.mark('a session was no longer valid');
      }
      const hasGone = signal.aborted && this.isOpen;
      if (!isRepeat && !hasGone) call.conclude(overWire(this.isOpen ? error : shuttingDown()));
    } finally {
      this.#cancels.delete(cancel);
    }
  }

  async #answer(
    call: Call,
    as: { readonly request: unknown; readonly signal: AbortSignal; readonly isRepeat: boolean },
  ): Promise<void> {
    const { request, signal, isRepeat } = as;
    const answered = this.#handler(call)(request, this.#identify(call, signal));
    if (call.isStream) {
      const messages = answered as AsyncIterable<unknown>; // By its kind.
      await this.#pump(call, messages, signal);
      call.conclude();
      return;
    }
    const message = await answered;
    if (isRepeat) return;
    call.cancelServed = undefined;
    call.respond(this, message);
  }

  async #pump(call: Call, messages: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
    const source = messages[Symbol.asyncIterator]();
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    });
    stopped.catch(() => undefined);
    try {
      for (;;) {
        const next = await Promise.race([source.next(), stopped]);
        if (next.done === true) return;
        call.respond(this, next.value);
      }
    } finally {
      source.return?.().catch(() => undefined);
    }
  }

  #handler({ method, transport }: Call): Handler {
    const handlers: ServiceHandlers = this.#door.handlers;
    const component = handlers[method.service] as Record<string, Handler | undefined> | undefined;
    const isKnown = transport.network.knows(this.party, method.service);
    if (!isKnown || component?.[method.handler] === undefined) {
      throw new SwarmError('unimplemented', `${method.service}.${method.name} is not implemented`);
    }
    return (request, context) => component[method.handler]?.(request, context);
  }

  #identify({ transport, method, metadata }: Call, signal: AbortSignal): Served {
    if (this.#self !== undefined) return { caller: this.#self, signal };
    const { access } = method;
    if (access === undefined) throw new SwarmError('unimplemented', `${method.name} is not served`);
    const { nodeId, role } = transport.identity;
    const { ip } = transport.client.host;
    const identity = { nodeId, organization: this.#door.clusterId, roles: [role] };
    const forwarded = forwardedCall((name) => {
      const value = metadata[name];
      return value === undefined ? [] : [value];
    });
    const caller = authorize({ identity, forwarded, remoteIp: ip }, access, this.#door);
    const redirectedFrom = metadata['redirect'] ?? (forwarded === undefined ? undefined : ip);
    const managerAddress = metadata[managerAddressName];
    return {
      caller,
      signal,
      ...(redirectedFrom === undefined ? {} : { redirectedFrom }),
      ...(managerAddress === undefined ? {} : { managerAddress }),
    };
  }

  /** A server takes what a client streams. */
  receive(call: Call): Incoming {
    call.incoming = new Incoming();
    return call.incoming;
  }
}

/** An error as it comes out at the other end. */
const overWire = (error: unknown): SwarmError => {
  const { code, details } = toStatus(error);
  return fromStatus(Object.assign(new Error(details), { code, details }));
};

const shuttingDown = (): SwarmError =>
  new SwarmError('unavailable', 'the manager is shutting down');
