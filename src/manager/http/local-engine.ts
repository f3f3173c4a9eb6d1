import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as startRequest,
  type ServerResponse,
} from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf, SwarmError } from '../../runtime/index.ts';
import { enginePath, type VersionedPath } from './api-version.ts';
import { parseJson } from './json.ts';

/** Where the local Docker Engine listens. */
export type EngineEndpoint =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** A larger answer to one of our own questions is refused. */
const answerBytesMax = 64 * 1_024 * 1_024;

/** The body of a request that asks for an upgrade is held until the Engine agrees. */
const upgradeBodyBytesMax = 1_024 * 1_024;

/** Headers that concern one connection and are not passed on. RFC 9110 §7.6.1 */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
  'expect',
]);

/** The Docker Engine of this host: what is not about the swarm is passed on to it. */
export class LocalEngine {
  readonly #endpoint: () => EngineEndpoint;
  #apiVersion: string | undefined;

  constructor(endpoint: () => EngineEndpoint) {
    this.#endpoint = endpoint;
  }

  /** The newest version of the API it was last heard to speak. */
  get knownApiVersion(): string | undefined {
    return this.#apiVersion;
  }

  /**
   * Asks whether it is there, and learns which version it speaks.
   *
   * @returns the headers of its answer
   * @throws SwarmError unavailable
   */
  async ping(signal: AbortSignal): Promise<IncomingHttpHeaders> {
    const message = await this.#ask('/_ping', signal);
    message.resume();
    return message.headers;
  }

  /**
   * Asks it for a document.
   *
   * @throws SwarmError unavailable, if it is away; unknown or not-found with its own words, if it
   *   refuses
   */
  async get(target: VersionedPath, signal: AbortSignal): Promise<unknown> {
    const message = await this.#ask(await this.#pathOf(target, signal), signal);
    const body = parseJson((await readAll(message)).toString('utf8'));
    if (message.statusCode === 200) return body;
    const { message: reason } = body as { readonly message?: unknown }; // An error of the API.
    const code = message.statusCode === 404 ? 'not-found' : 'unknown';
    throw new SwarmError(code, String(reason));
  }

  /**
   * Passes a request on, and its answer back. Bodies are streamed both ways, headers are sent as
   * soon as they come, and either side's end ends the other.
   *
   * @param body what was already read of the request: then all of it
   * @throws SwarmError unavailable, if the Engine is away and nothing has been answered
   */
  async forward(
    request: IncomingMessage,
    response: ServerResponse,
    how: {
      readonly target: VersionedPath;
      readonly body: Buffer | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const path = await this.#pathOf(how.target, how.signal);
    const upstream = this.#start(request.method ?? 'GET', path, headersOf(request), how.signal);
    const answered = answerOf(upstream);
    if (how.body !== undefined) upstream.end(how.body);
    else if (hasBody(request)) void pipeline(request, upstream).catch(() => undefined);
    else upstream.end();
    try {
      const { message: answer } = await this.#settled(answered);
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headersOf(answer));
      response.flushHeaders();
      await pipeline(answer, response);
    } finally {
      leave(upstream);
    }
  }

  /**
   * Passes on a request that takes its connection over (attach, exec, BuildKit's session): once
   * the Engine agrees, bytes flow both ways until both sides have ended.
   *
   * @throws SwarmError unavailable, if the Engine is away and nothing has been answered
   */
  async upgrade(
    request: IncomingMessage,
    client: Duplex,
    how: {
      readonly target: VersionedPath;
      readonly head: Buffer;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const length = Number(request.headers['content-length'] ?? 0);
    const { body, rest } = await readBody(client, how.head, length);
    const path = await this.#pathOf(how.target, how.signal);
    const headers = {
      ...headersOf(request),
      connection: 'Upgrade',
      upgrade: request.headers.upgrade,
    };
    const upstream = this.#start(request.method ?? 'POST', path, headers, how.signal);
    const answered = answerOf(upstream);
    upstream.end(body);
    const { message, socket, head } = await this.#settled(answered);
    client.write(headOf(message, socket === undefined));
    if (socket === undefined) {
      await pipeline(message, client);
      leave(upstream);
      return;
    }
    client.write(head);
    socket.write(rest);
    await join(client, socket);
  }

  async #pathOf(target: VersionedPath, signal: AbortSignal): Promise<string> {
    if (target.version !== undefined && this.#apiVersion === undefined) await this.ping(signal);
    return enginePath(target, this.#apiVersion);
  }

  async #ask(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const upstream = this.#start('GET', path, { host: 'docker', connection: 'close' }, signal);
    upstream.end();
    return (await this.#settled(answerOf(upstream))).message;
  }

  #start(
    method: string,
    path: string,
    headers: IncomingHttpHeaders,
    signal: AbortSignal,
  ): ClientRequest {
    const endpoint = this.#endpoint();
    const target =
      endpoint.kind === 'socket'
        ? { path: endpoint.path }
        : { host: endpoint.host, port: endpoint.port };
    // Asked to close, the Engine may do so before the request's end has been sent, and Node then
    // reports a broken pipe in place of the answer. So it is asked to stay, and left.
    return startRequest({
      method,
      path,
      headers: { connection: 'keep-alive', ...headers },
      signal,
      createConnection: () => connect({ ...target, allowHalfOpen: true }),
    });
  }

  async #settled(answered: Promise<Answer>): Promise<Answer> {
    try {
      const answer = await answered;
      const version = answer.message.headers['api-version'];
      if (typeof version === 'string') this.#apiVersion = version;
      return answer;
    } catch (error) {
      throw new SwarmError(
        'unavailable',
        `cannot reach the local Docker Engine at ${nameOf(this.#endpoint())} (${messageOf(error)}): start it, or give swarmd the address it listens on`,
        { cause: error },
      );
    }
  }
}

/** An endpoint as docker's `-H` writes it. */
const nameOf = (endpoint: EngineEndpoint): string =>
  endpoint.kind === 'socket'
    ? `unix://${endpoint.path}`
    : `tcp://${endpoint.host}:${endpoint.port}`;

interface Answer {
  readonly message: IncomingMessage;
  /** The connection, if the Engine handed it over, and what it sent on it so far. */
  readonly socket: Socket | undefined;
  readonly head: Buffer;
}

async function answerOf(upstream: ClientRequest): Promise<Answer> {
  return new Promise<Answer>((resolve, reject) => {
    upstream.on('error', reject);
    upstream.once('response', (message) => {
      resolve({ message, socket: undefined, head: Buffer.alloc(0) });
    });
    upstream.once('upgrade', (message, socket: Socket, head) => {
      resolve({ message, socket, head });
    });
  });
}

/** Closes the connection, also where the request is over and Node would keep it for a next one. */
function leave(upstream: ClientRequest): void {
  upstream.destroy();
  upstream.socket?.destroy();
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

const headersOf = ({ headers }: IncomingMessage): IncomingHttpHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)));

/** The head of an answer, as it goes on the wire. */
function headOf(message: IncomingMessage, isLast: boolean): string {
  const lines = Object.entries(headersOf(message))
    .filter(([name]) => name !== 'transfer-encoding')
    .map(([name, value]) => `${name}: ${String(value)}`);
  const { upgrade = 'tcp' } = message.headers;
  const ending = isLast ? ['connection: close'] : ['connection: Upgrade', `upgrade: ${upgrade}`];
  const status = `HTTP/1.1 ${message.statusCode} ${message.statusMessage}`;
  return `${[status, ...lines, ...ending].join('\r\n')}\r\n\r\n`;
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > answerBytesMax) {
      throw new SwarmError(
        'unavailable',
        `the Docker Engine answered more than ${answerBytesMax} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads a body of known length off a connection that Node no longer parses. */
async function readBody(
  client: Duplex,
  head: Buffer,
  length: number,
): Promise<{ readonly body: Buffer; readonly rest: Buffer }> {
  if (!(length <= upgradeBodyBytesMax)) {
    throw new SwarmError('invalid-argument', `request body exceeds ${upgradeBodyBytesMax} bytes`);
  }
  let held = head;
  while (held.length < length) {
    const chunk = await nextChunk(client);
    if (chunk === undefined) break;
    held = Buffer.concat([held, chunk]);
  }
  return { body: held.subarray(0, length), rest: held.subarray(length) };
}

async function nextChunk(client: Duplex): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const settle = (chunk: Buffer | undefined): void => {
      client.pause();
      client.off('data', onData);
      client.off('close', onEnd);
      client.off('end', onEnd);
      resolve(chunk);
    };
    const onData = (chunk: Buffer): void => {
      settle(chunk);
    };
    const onEnd = (): void => {
      settle(undefined);
    };
    client.on('data', onData);
    client.on('close', onEnd);
    client.on('end', onEnd);
    client.resume();
  });
}

/** Lets bytes flow both ways. One side's end is the other's; one side's loss closes both. */
async function join(client: Duplex, engine: Socket): Promise<void> {
  const ended = Promise.all([closeAfter(client, engine), closeAfter(engine, client)]);
  client.pipe(engine);
  engine.pipe(client);
  await ended;
}

/** Closes `other`, once it has sent what it holds, when `side` has closed. */
async function closeAfter(side: Duplex, other: Duplex): Promise<void> {
  side.on('error', () => undefined); // 'close' follows.
  await new Promise<void>((resolve) => {
    side.once('close', () => {
      other.end(() => {
        other.destroy();
      });
      resolve();
    });
  });
}
