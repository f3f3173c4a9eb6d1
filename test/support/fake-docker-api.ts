import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** A Docker Engine's API, as far as a proxy needs one to talk to. */
export interface FakeDockerApi extends AsyncDisposable {
  /** `METHOD path` of every request, in order. */
  readonly seen: string[];
  /** How many connections are open. */
  connectionCount(): Promise<number>;
  /** Resolves when the reader of `/events` has left. */
  readonly eventsClosed: Promise<void>;
  /** Headers of the last request. */
  lastHeaders(): IncomingMessage['headers'];
}

/** The version the fake speaks: that of Engine 20.10. */
const apiVersion = '1.41';

const documents: Readonly<Record<string, unknown>> = {
  '/version': { Version: '20.10.24', ApiVersion: apiVersion, Components: [{ Name: 'Engine' }] },
  '/info': { ID: 'ENGINE', MemTotal: 25_276_502_016, Swarm: { NodeID: 'stale' }, Warnings: null },
  '/networks': [{ Name: 'bridge', Id: 'local-bridge', Scope: 'local' }],
  '/networks/bridge': { Name: 'bridge', Id: 'local-bridge', Scope: 'local' },
  '/networks/host': { Name: 'host', Id: 'local-host', Scope: 'local' },
  '/networks/mine': { Name: 'mine', Id: 'local-mine', Scope: 'local' },
  '/containers/json': [],
};

/** Listens on `socketPath` until it is disposed of. */
export async function fakeDockerApi(socketPath: string): Promise<FakeDockerApi> {
  const seen: string[] = [];
  let headers: IncomingMessage['headers'] = {};
  const note = (request: IncomingMessage): string => {
    seen.push(`${request.method} ${request.url}`);
    headers = request.headers;
    return (request.url ?? '').replace(/^\/v[0-9.]+/u, '').replace(/\?.*$/u, '');
  };
  const events = new AbortController();
  const eventsClosed = new Promise<void>((resolve) => {
    events.signal.addEventListener('abort', () => {
      resolve();
    });
  });
  const server = createServer((request, response) => {
    response.setHeader('Api-Version', apiVersion);
    const path = note(request);
    if (path === '/events') {
      response.once('close', () => {
        events.abort();
      });
    }
    void respond(path, request, response);
  });
  const taken = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    taken.add(socket);
    const path = note(request);
    if (path.includes('missing')) {
      const body = '{"message":"No such exec instance: missing"}';
      socket.end(
        `HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      return;
    }
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello ');
    echo(socket, head, Number(request.headers['content-length'] ?? 0));
  });
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  return {
    seen,
    eventsClosed,
    connectionCount: async () =>
      new Promise((resolve, reject) => {
        server.getConnections((error, count) => {
          if (error === null) resolve(count);
          else reject(error);
        });
      }),
    lastHeaders: () => headers,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      for (const socket of taken) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

async function respond(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (path === '/_ping') {
    response.writeHead(200, { 'Builder-Version': '2' }).end('OK');
  } else if (path === '/events') {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.write('{"first":true}\n'); // The stream stays open.
  } else if (path === '/build') {
    const hash = createHash('sha256');
    for await (const chunk of request as AsyncIterable<Buffer>) hash.update(chunk);
    response.writeHead(200).end(hash.digest('hex'));
  } else if (path === '/networks/create') {
    let body = '';
    for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString();
    response.writeHead(201, { 'Content-Type': 'application/json' }).end(`{"Id":"x","Got":${body}}`);
  } else if (documents[path] !== undefined) {
    response
      .writeHead(200, { 'Content-Type': 'application/json' })
      .end(JSON.stringify(documents[path]));
  } else {
    response
      .writeHead(404, { 'Content-Type': 'application/json' })
      .end(`{"message":"engine has no ${path}"}\n`);
  }
}

/** Skips the request's body, sends back what follows in capitals, and says bye at its end. */
function echo(socket: Duplex, head: Buffer, bodyLength: number): void {
  let left = bodyLength;
  const take = (chunk: Buffer): void => {
    const skipped = Math.min(left, chunk.length);
    left -= skipped;
    const rest = chunk.subarray(skipped);
    if (rest.length > 0) socket.write(rest.toString().toUpperCase());
  };
  take(head);
  socket.on('data', take);
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end(' bye'));
}
