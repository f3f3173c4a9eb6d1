import type { CallContext } from '../../../src/api/index.ts';
import { SwarmError } from '../../../src/runtime/index.ts';
import type { Door } from './door.ts';
import type { Method } from './methods.ts';
import type { Transport } from './transport.ts';

/** What a caller learns of its call. */
export interface Outcome {
  /** A response, or the next of several. */
  answer(message: unknown): void;
  /** No more answers come; with an error, the call has failed. */
  end(error?: unknown): void;
}

/**
 * One call, with an end at either side. Whatever one side does reaches the other as something the
 * wires carry, and only in the other's own time.
 */
export class Call {
  readonly method: Method;
  readonly isStream: boolean;
  readonly transport: Transport;
  readonly metadata: Readonly<Record<string, string>>;
  readonly outcome: Outcome;
  isOver = false;
  /** What the server does when the call is cancelled. */
  cancelServed: ((reason: SwarmError) => void) | undefined;
  /** Messages of a client's stream, as the server takes them. */
  incoming: Incoming | undefined;

  constructor(
    transport: Transport,
    method: Method,
    as: {
      readonly isStream: boolean;
      readonly metadata?: Readonly<Record<string, string>> | undefined;
      readonly outcome: Outcome;
    },
  ) {
    this.transport = transport;
    this.method = method;
    this.isStream = as.isStream;
    this.metadata = as.metadata ?? {};
    this.outcome = as.outcome;
    transport.calls.add(this);
  }

  /** The caller's side: it has its answer. */
  close(): void {
    this.isOver = true;
    this.transport.calls.delete(this);
  }

  /** The caller's side: it is over. */
  finish(error?: unknown): void {
    if (this.isOver) return;
    this.close();
    this.outcome.end(error);
  }

  /** The caller gives up: the server is told, if it can be. */
  cancel(): void {
    if (this.isOver) return;
    this.close();
    this.transport.up(() => this.cancelServed?.(gone()));
  }

  /** The server's side: what it answers on its way back. */
  respond(door: Door, message: unknown): void {
    const asResponse = this.transport.network.codes(this.method)
      ? this.method.asResponse(message)
      : message;
    if (this.isStream && this.transport.network.isLost(this)) return;
    this.transport.network.onResponse(this, door, asResponse);
    if (this.transport.network.breaks(this, true)) {
      this.transport.break();
      return;
    }
    this.transport.down(() => {
      if (this.isOver) return;
      this.transport.network.onDelivered(this, asResponse);
      this.outcome.answer(asResponse);
    });
  }

  /** The server's side: it has ended. */
  conclude(error?: SwarmError): void {
    this.cancelServed = undefined;
    this.transport.down(() => {
      this.finish(error);
    });
  }
}

/** What a client streams to a server, at the server's end. */
export class Incoming implements AsyncIterable<unknown> {
  readonly #messages: unknown[] = [];
  #isEnded = false;
  #wake: (() => void) | undefined;

  push(message: unknown): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator {
    for (;;) {
      while (this.#messages.length > 0) yield this.#messages.shift();
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

const gone = (): SwarmError => new SwarmError('cancelled', 'the caller has gone');

/** A {@link CallContext} with what `leader-proxy.ts` reads beside it. */
export type Served = CallContext & { readonly redirectedFrom?: string };
