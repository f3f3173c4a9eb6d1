import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { MethodName, RequestInput, Response } from '../../api/index.ts';
import type { Service } from '../../api/gen/types.ts';
import { goErrorText } from '../../api/index.ts';
import {
  type Clock,
  isSwarmError,
  type Log,
  type Random,
  SwarmError,
} from '../../runtime/index.ts';
import { Fields } from './convert/fields.ts';
import type { LocalEngine } from './local-engine.ts';
import { type Json, parseJson, stringifyJson } from './json.ts';
import type { NodeControl } from './node-control.ts';
import type { Rendered } from './rendered.ts';

/** What this program calls itself in `/version`, `/info` and the `Server` header. */
export interface ProgramInfo {
  readonly version: string;
  /** As Go names it: `linux`. */
  readonly os: string;
  /** As Go names it: `amd64`. */
  readonly arch: string;
}

/** What the handlers of the API have in common. */
export interface Api {
  readonly node: NodeControl;
  readonly engine: LocalEngine;
  readonly services: Rendered<Service>;
  readonly program: ProgramInfo;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What a handler answers. */
export type Reply =
  | { readonly kind: 'empty'; readonly status: number }
  | { readonly kind: 'json'; readonly status: number; readonly text: string }
  | { readonly kind: 'text'; readonly headers: OutgoingHttpHeaders; readonly text: string }
  | {
      readonly kind: 'stream';
      readonly contentType: string;
      readonly chunks: AsyncIterable<Buffer>;
    }
  /** The local Engine answers the request; `body` is what was already read of it. */
  | { readonly kind: 'engine'; readonly body: Buffer | undefined };

export const empty = (status: number): Reply => ({ kind: 'empty', status });
export const json = (value: Json, status: number = 200): Reply => ({
  kind: 'json',
  status,
  text: stringifyJson(value),
});

/** @param members each as JSON */
export const jsonList = (members: readonly string[]): Reply => ({
  kind: 'json',
  status: 200,
  text: `[${members.join(',')}]\n`,
});

/** A larger body of a call about the swarm is refused: a config has at most 1,000 KiB. */
const bodyBytesMax = 8 * 1_024 * 1_024;

/** How long a call about the swarm may take. moby daemon/cluster `swarmRequestTimeout` */
export const controlTimeoutMs = 20_000;

/** One request of the Engine API. */
export class ApiCall {
  /** The version the client speaks. */
  readonly version: string;
  readonly query: URLSearchParams;
  /** Aborts when the client has gone, or the server ends. */
  readonly signal: AbortSignal;
  readonly #message: IncomingMessage;
  readonly #params: Readonly<Record<string, string>>;

  constructor(
    message: IncomingMessage,
    signal: AbortSignal,
    route: {
      readonly version: string;
      readonly query: URLSearchParams;
      readonly params: Readonly<Record<string, string>>;
    },
  ) {
    this.#message = message;
    this.#params = route.params;
    this.signal = signal;
    this.version = route.version;
    this.query = route.query;
  }

  get headers(): IncomingHttpHeaders {
    return this.#message.headers;
  }

  /** A variable part of the path. */
  param(name: string): string {
    return this.#params[name] ?? '';
  }

  /**
   * Reads the whole body.
   *
   * @throws SwarmError invalid-argument, if it is too large
   */
  async bytes(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of this.#message as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > bodyBytesMax) {
        throw new SwarmError('invalid-argument', `request body exceeds ${bodyBytesMax} bytes`);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /**
   * The body, as a JSON object. An empty one means zero values.
   *
   * @throws SwarmError invalid-argument
   */
  async body(): Promise<Fields> {
    return this.parse(await this.bytes());
  }

  /** @throws SwarmError invalid-argument */
  parse(bytes: Buffer): Fields {
    if (bytes.length === 0) return Fields.of(undefined);
    this.#checkContentType();
    return Fields.of(parseJson(bytes.toString('utf8')));
  }

  /**
   * A switch that reads "", 0, no, false and none, in any case, as off and anything else as on.
   * moby httputils.BoolValue
   */
  lax(name: string): boolean {
    const value = (this.query.get(name) ?? '').trim().toLowerCase();
    return !['', '0', 'no', 'false', 'none'].includes(value);
  }

  /**
   * A switch as Go's strconv reads it, off if absent.
   *
   * @throws SwarmError invalid-argument
   */
  strict(name: string): boolean {
    const value = this.query.get(name) ?? '';
    if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return true;
    if (['', '0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return false;
    throw new SwarmError(
      'invalid-argument',
      `invalid value for ${name}: strconv.ParseBool: parsing "${value}": invalid syntax`,
    );
  }

  /**
   * The `version` an update names.
   *
   * @param kind as the error calls it: `invalid service version '…'`
   * @throws SwarmError invalid-argument
   */
  objectVersion(kind: string): { readonly index: string } {
    const value = this.query.get('version') ?? '';
    const problem = !/^\d+$/u.test(value)
      ? 'invalid syntax'
      : BigInt(value) >= 2n ** 64n
        ? 'value out of range'
        : undefined;
    if (problem === undefined) return { index: String(BigInt(value)) };
    throw new SwarmError(
      'invalid-argument',
      `invalid ${kind} version '${value}': strconv.ParseUint: parsing "${value}": ${problem}`,
    );
  }

  #checkContentType(): void {
    const given = this.headers['content-type'] ?? '';
    const type = given.split(';', 1)[0]?.trim().toLowerCase();
    if (type === 'application/json') return;
    throw new SwarmError(
      'invalid-argument',
      `unsupported Content-Type header (${given}): must be 'application/json'`,
    );
  }
}

/** Calls a method of `Control`. */
export type Control = <M extends MethodName<'Control', 'unary'>>(
  method: M,
  request: RequestInput<'Control', M>,
) => Promise<Response<'Control', M>>;

/**
 * The managers' control API. What it refuses is told in the words of a Go client, as stock clients
 * expect: `rpc error: code = NotFound desc = …`.
 *
 * @throws SwarmError unavailable, with Docker's sentence, where this node is no manager
 */
export function controlOf(
  node: NodeControl,
  signal: AbortSignal,
  deadlineMs: number = controlTimeoutMs,
): Control {
  const managers = node.managers();
  return async (method, request) =>
    inGoWords(managers.unary('Control', method, request, { signal, deadlineMs }));
}

/** Waits for a call of a manager; what it refuses is told in the words of a Go client. */
export async function inGoWords<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    throw new SwarmError(error.code, goErrorText(error), { cause: error });
  }
}
