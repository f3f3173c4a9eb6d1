import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Service } from '../../api/gen/types.ts';
import {
  childOf,
  type Clock,
  type ErrorCode,
  isSwarmError,
  type Log,
  messageOf,
  onAbort,
  type Random,
  SwarmError,
} from '../../runtime/index.ts';
import { type Api, ApiCall, type ProgramInfo, type Reply } from './api-call.ts';
import { advertisedVersion, apiVersionMax, checkVersion, splitVersion } from './api-version.ts';
import { serviceToEngine } from './convert/service.ts';
import { stringifyJson } from './json.ts';
import { type EngineEndpoint, LocalEngine } from './local-engine.ts';
import { type NodeControl, staleNode } from './node-control.ts';
import { Rendered } from './rendered.ts';
import { matchRoute } from './routes.ts';

/** The HTTP status of each code; the other place that maps codes is `api/status.ts`. */
const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  'not-found': 404,
  'invalid-argument': 400,
  'failed-precondition': 400,
  'out-of-range': 400,
  'already-exists': 409,
  unauthenticated: 401,
  unavailable: 503,
  'permission-denied': 403,
  unimplemented: 501,
};

const statusOf = (error: unknown): number =>
  isSwarmError(error) ? (statuses[error.code] ?? 500) : 500;

/** Who may use the socket: its owner and its group, as Docker's. */
const socketMode = 0o660;

export interface EngineApiDeps {
  readonly node: NodeControl;
  /** Where the local Docker Engine is; asked for every request. */
  readonly engine: () => EngineEndpoint;
  readonly program: ProgramInfo;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface EngineApiListen {
  readonly socketPath: string;
  /** Is called once clients can connect. */
  readonly onListening?: () => void;
}

/**
 * Serves the Docker Engine API on a Unix socket until `signal` aborts: what is about the swarm
 * from the managers, everything else from the local Engine.
 *
 * @throws SwarmError failed-precondition, if another process answers on the socket; what the
 *   system says, if it cannot be opened
 */
export async function serveEngineApi(
  deps: EngineApiDeps,
  listen: EngineApiListen,
  signal: AbortSignal,
): Promise<void> {
  const { engine, ...rest } = deps;
  const services = new Rendered<Service>(serviceToEngine);
  const api: Api = { ...rest, engine: new LocalEngine(engine), services };
  // A build or an image may take hours to send, and an idle client is no burden.
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 0 });
  const taken = new Set<Duplex>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(api, request, response, signal); // Never rejects.
  });
  server.on('upgrade', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    taken.add(client);
    client.once('close', () => taken.delete(client));
    void takeOver(api, { request, client, head }, signal); // Never rejects.
  });
  await freeSocket(listen.socketPath);
  await opened(server, listen.socketPath);
  await chmod(listen.socketPath, socketMode);
  listen.onListening?.();
  try {
    await closedOrAborted(server, signal);
  } finally {
    const closed = new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
    });
    server.closeAllConnections();
    for (const client of taken) client.destroy();
    await closed;
  }
}

/** Removes a socket that a dead process left behind. */
async function freeSocket(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => {
      resolve(false);
    });
  });
  if (isAnswered) {
    throw new SwarmError('failed-precondition', `another process answers on ${path}`);
  }
  await rm(path, { force: true });
}

async function opened(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function closedOrAborted(server: Server, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve, reject) => {
    const waiting = onAbort(signal, resolve);
    server.once('error', (error) => {
      waiting[Symbol.dispose]();
      reject(error);
    });
  });
}

/** Answers one request; whatever happens is told to the client or, if it has gone, to the log. */
async function answer(
  api: Api,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  using call = childOf(signal);
  response.once('close', () => {
    call.abort();
  });
  try {
    await respond(api, request, response, call.signal);
  } catch (error) {
    fail(api, { request, response, isGone: call.signal.aborted }, error);
  }
}

async function respond(
  api: Api,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const target = splitVersion(request.url ?? '/');
  const url = new URL(target.path, 'http://engine');
  const version = target.version ?? apiVersionMax;
  checkVersion(version);
  const match = matchRoute(request.method ?? 'GET', url.pathname, version);
  if (match === undefined) {
    await api.engine.forward(request, response, { target, body: undefined, signal });
    return;
  }
  const { params, route } = match;
  const call = new ApiCall(request, signal, { version, query: url.searchParams, params });
  const isStale = request.method === 'GET' && request.headers[staleHeader] === 'true';
  const reply = await route.handle(call, isStale ? { ...api, node: staleNode(api.node) } : api);
  if (reply.kind === 'engine') {
    await api.engine.forward(request, response, { target, body: reply.body, signal });
    return;
  }
  setHeaders(api, response);
  await send(reply, response, signal);
}

/** With it, what is read comes from this manager alone. The CLI sends it for `--stale`. */
const staleHeader = 'x-swarm-stale';

const serverName = ({ program }: Api): string => `swarmd/${program.version} (${program.os})`;

function setHeaders(api: Api, response: ServerResponse): void {
  response.setHeader('Api-Version', advertisedVersion(api.engine.knownApiVersion));
  response.setHeader('Docker-Experimental', 'false');
  response.setHeader('Ostype', api.program.os);
  response.setHeader('Server', serverName(api));
}

async function send(
  reply: Exclude<Reply, { kind: 'engine' }>,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  switch (reply.kind) {
    case 'empty':
      response.writeHead(reply.status, reply.status === 204 ? {} : { 'Content-Length': 0 }).end();
      return;
    case 'json':
      sendText(response, reply.status, 'application/json', reply.text);
      return;
    case 'text':
      for (const [name, value] of Object.entries(reply.headers)) {
        if (value !== undefined) response.setHeader(name, value);
      }
      sendText(response, 200, 'text/plain; charset=utf-8', reply.text);
      return;
    case 'stream':
      response.writeHead(200, { 'Content-Type': reply.contentType });
      response.flushHeaders();
      await pipeline(reply.chunks, response, { signal });
  }
}

function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}

function fail(
  api: Api,
  {
    request,
    response,
    isGone,
  }: {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    readonly isGone: boolean;
  },
  error: unknown,
): void {
  const { method, url } = request;
  if (isGone || response.headersSent) {
    api.log.debug({ method, url, err: error }, 'request not answered to its end');
    response.destroy();
    return;
  }
  const status = statusOf(error);
  if (!isSwarmError(error)) api.log.error({ method, url, err: error }, 'request failed');
  else if (status >= 500) api.log.warn({ method, url, err: error }, 'request failed');
  // What is left of a refused upload would otherwise be read as the next request.
  if (!request.complete) response.setHeader('Connection', 'close');
  setHeaders(api, response);
  sendText(response, status, 'application/json', stringifyJson({ message: messageOf(error) }));
}

/** Hands a connection over to the local Engine. */
async function takeOver(
  api: Api,
  {
    request,
    client,
    head,
  }: { readonly request: IncomingMessage; readonly client: Duplex; readonly head: Buffer },
  signal: AbortSignal,
): Promise<void> {
  using call = childOf(signal);
  const target = splitVersion(request.url ?? '/');
  let isAnswered = false;
  client.on('error', () => undefined); // 'close' follows.
  client.once('close', () => {
    call.abort();
  });
  try {
    if (target.version !== undefined) checkVersion(target.version);
    await api.engine.upgrade(request, client, { target, head, signal: call.signal });
    isAnswered = true;
  } catch (error) {
    api.log.debug({ url: request.url, err: error }, 'connection not handed over');
    if (!isAnswered && !client.destroyed) client.end(refusal(api, error));
  }
}

/** An error as it goes on a connection that Node no longer speaks HTTP on. */
function refusal(api: Api, error: unknown): string {
  const body = stringifyJson({ message: messageOf(error) });
  return [
    `HTTP/1.1 ${statusOf(error)} Refused`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Server: ${serverName(api)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
