import { connect as tlsConnect } from 'node:tls';
import { connect as netConnect } from 'node:net';
import { connect as h2Connect } from 'node:http2';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import {
  accessOf,
  type CallContext,
  type Caller,
  connectRpc,
  type RpcConnection,
  serviceDefinition,
  type ServiceHandlers,
  type ServiceName,
} from '../../../src/api/index.ts';
import type { Identity, SecurityConfig } from '../../../src/ca/index.ts';
import { serveCluster, serveSocket } from '../../../src/manager/grpc/server.ts';
import { isSwarmError, orAborted, SwarmError, SystemClock } from '../../../src/runtime/index.ts';
import { silentLog } from '../../support/silent-log.ts';
import { TestSwarm } from '../../support/test-swarm.ts';

const swarm = new TestSwarm();
const foreign = new TestSwarm();
/** Another cluster under the same root: only the organization tells. */
const sibling = new TestSwarm();
Object.assign(sibling, { rootCa: swarm.rootCa });

const clock = new SystemClock();
const { signal } = new AbortController();
const call = { signal, deadlineMs: 5_000 };

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

interface Served {
  readonly port: number;
  readonly security: SecurityConfig;
  readonly removed: Set<string>;
  readonly end: () => Promise<void>;
}

async function served(handlers: ServiceHandlers): Promise<Served> {
  const security = swarm.security('swarm-manager');
  const removed = new Set<string>();
  const controller = new AbortController();
  const { promise, resolve } = deferred<number>();
  const running = serveCluster(
    {
      security,
      handlers,
      clock,
      log: silentLog,
      clusterId: swarm.clusterId,
      isRemoved: (nodeId) => removed.has(nodeId),
      onListening: resolve,
    },
    { host: '127.0.0.1', port: 0 },
    controller.signal,
  );
  const end = async (): Promise<void> => {
    controller.abort();
    await running;
  };
  ending.push(end);
  return { port: await promise, security, removed, end };
}

const nothing = (): void => undefined;

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = nothing;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function client(
  port: number,
  identity?: Identity,
  serverName: 'swarm-manager' | 'swarm-ca' = 'swarm-manager',
): RpcConnection {
  const connection = connectRpc({
    kind: 'tls',
    address: `127.0.0.1:${port}`,
    serverName,
    ca: swarm.rootCa.certPem,
    ...(identity === undefined
      ? {}
      : { identity: { cert: identity.certPem, key: identity.keyPem } }),
  });
  ending.push(async () => {
    connection[Symbol.dispose]();
  });
  return connection;
}

const answerOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: unknown) => (isSwarmError(error) ? `${error.code}: ${error.message}` : String(error)),
  );

/** Every method of every service, answering anything. */
function everything(seen: Caller[] = []): ServiceHandlers {
  const services: readonly ServiceName[] = [
    ...(['CA', 'NodeCA', 'Control', 'Dispatcher', 'Health', 'Logs', 'LogBroker'] as const),
    ...(['Raft', 'RaftMembership', 'ResourceAllocator', 'Watch'] as const),
  ];
  return Object.fromEntries(
    services.map((service) => [
      service,
      Object.fromEntries(
        Object.entries(serviceDefinition(service)).map(([method, { responseStream }]) => {
          return [
            `${method.charAt(0).toLowerCase()}${method.slice(1)}`,
            responseStream
              ? async function* (_: unknown, context: CallContext) {
                  seen.push(context.caller);
                  yield {};
                }
              : async (_: unknown, context: CallContext) => {
                  seen.push(context.caller);
                  return {};
                },
          ];
        }),
      ),
    ]),
  ) as ServiceHandlers;
}

const methods = (Object.keys(everything()) as ServiceName[]).flatMap((service) =>
  Object.entries(serviceDefinition(service)).map(([method, definition]) => ({
    service,
    method,
    definition,
    access: accessOf(service, method),
  })),
);

async function callAny(
  connection: RpcConnection,
  { service, method, definition }: (typeof methods)[number],
): Promise<string> {
  const any = connection as unknown as {
    unary(...args: unknown[]): Promise<unknown>;
    clientStream(...args: unknown[]): Promise<unknown>;
    serverStream(...args: unknown[]): AsyncIterable<unknown>;
  };
  if (definition.requestStream) {
    return answerOf(any.clientStream(service, method, (async function* () {})(), call));
  }
  if (!definition.responseStream) return answerOf(any.unary(service, method, {}, call));
  return answerOf(
    (async () => {
      for await (const message of any.serverStream(service, method, {}, call)) void message;
    })(),
  );
}

const noCertificate =
  'permission-denied: Permission denied: unauthorized peer role: rpc error: code = PermissionDenied ' +
  'desc = no client certificates in request';

const refusal = (why: string): string =>
  'permission-denied: Permission denied: unauthorized peer role: rpc error: code = PermissionDenied ' +
  `desc = Permission denied: ${why}`;

describe('who may call what, over TLS', () => {
  test('every method declares who may call it', () => {
    expect(methods.filter(({ access }) => access === undefined)).toEqual([]);
    expect(methods.length).toBeGreaterThan(60);
  });

  /** What each kind of caller is told when it may not. */
  const callers = [
    { name: 'nobody', identity: undefined, roles: [], told: () => noCertificate },
    {
      name: 'a worker',
      identity: swarm.identity('swarm-worker'),
      roles: ['swarm-worker'],
      told: (roles: readonly string[]) =>
        refusal(`remote certificate not part of OUs: [${roles.join(' ')}]`),
    },
    {
      name: 'a manager',
      identity: swarm.identity('swarm-manager'),
      roles: ['swarm-manager'],
      told: () => '',
    },
    {
      name: 'a manager of another cluster under the same root',
      identity: sibling.identity('swarm-manager'),
      roles: [],
      told: () => refusal(`remote certificate not part of organization: ${swarm.clusterId}`),
    },
    {
      name: 'a removed manager',
      identity: swarm.identity('swarm-manager', { nodeId: 'removed' }),
      roles: [],
      told: () => refusal('node removed was removed from swarm'),
    },
  ];

  test.each(callers)('$name', async ({ identity, roles, told }) => {
    const { port, removed } = await served(everything());
    removed.add('removed');
    const connection = client(port, identity);
    for (const method of methods) {
      const { access } = method;
      const isOpen = access?.kind === 'anyone';
      const allowed = access?.kind === 'roles' ? access.roles : [];
      const mayCall = isOpen || allowed.some((role) => (roles as string[]).includes(role));
      const answer = await callAny(connection, method);
      expect(`${method.service}.${method.method} ${answer}`).toBe(
        `${method.service}.${method.method} ${mayCall ? 'ok' : told(allowed)}`,
      );
    }
  });

  test('a certificate of another root closes the connection', async () => {
    const { port } = await served(everything());
    const connection = client(port, foreign.identity('swarm-manager'));
    expect(await answerOf(connection.unary('CA', 'GetRootCACertificate', {}, call))).toMatch(
      /^unavailable/u,
    );
  });

  test('a method nobody implements is not served, and not told to those who may not call it', async () => {
    const { port } = await served({ Health: {} });
    const ask = async (identity?: Identity): Promise<string> =>
      answerOf(client(port, identity).unary('Health', 'Check', {}, call));
    expect(await ask()).toBe(noCertificate);
    expect(await ask(swarm.identity('swarm-manager'))).toBe(
      'unimplemented: Health.Check is not implemented',
    );
    expect(
      await answerOf(
        client(port, swarm.identity('swarm-manager')).unary('Control', 'ListNodes', {}, call),
      ),
    ).toMatch(/^unimplemented/u);
  });

  test('a handler is told who calls and from where', async () => {
    const seen: Caller[] = [];
    const { port } = await served(everything(seen));
    const worker = swarm.identity('swarm-worker', { nodeId: 'w1' });
    await client(port).unary('CA', 'GetRootCACertificate', {}, call);
    await client(port, worker).unary('CA', 'GetRootCACertificate', {}, call);
    expect(seen).toEqual([
      { kind: 'anyone', remoteIp: '127.0.0.1' },
      {
        kind: 'node',
        nodeId: 'w1',
        role: 'swarm-worker',
        clusterId: swarm.clusterId,
        remoteIp: '127.0.0.1',
      },
    ]);
  });

  test('a node that is removed is refused on the connection it has', async () => {
    const { port, removed } = await served(everything());
    const connection = client(port, swarm.identity('swarm-manager', { nodeId: 'm2' }));
    expect(await answerOf(connection.unary('Health', 'Check', {}, call))).toBe('ok');
    removed.add('m2');
    expect(await answerOf(connection.unary('Health', 'Check', {}, call))).toContain(
      'node m2 was removed from swarm',
    );
  });
});

describe('the cluster server', () => {
  test('shows a new certificate to new connections and keeps the old ones', async () => {
    const { port, security } = await served({
      Dispatcher: {
        async *session(_, { signal: gone }) {
          for (let id = 0; ; id += 1) {
            yield { sessionId: String(id) };
            await delay(10, undefined, { signal: gone });
          }
        },
      },
    });
    const worker = client(port, swarm.identity('swarm-worker'));
    const session = worker.serverStream('Dispatcher', 'Session', {}, { signal });
    const messages = session[Symbol.asyncIterator]();
    await messages.next();
    const serialOf = async (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = tlsConnect(
          { host: '127.0.0.1', port, ca: swarm.rootCa.certPem, servername: 'swarm-manager' },
          () => {
            resolve(socket.getPeerCertificate().serialNumber);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    const before = await serialOf();
    security.replace(swarm.identity('swarm-manager', { nodeId: security.current.nodeId }));
    await delay(5);
    expect(await serialOf()).not.toBe(before);
    expect((await messages.next()).done).toBe(false);
    expect((await messages.next()).done).toBe(false);
    await messages.return?.(undefined);
  });

  test('serves callers that do not negotiate HTTP/2', async () => {
    const { port } = await served(everything());
    const { certPem: cert, keyPem: key } = swarm.identity('swarm-worker');
    const socket = tlsConnect({
      host: '127.0.0.1',
      port,
      ca: swarm.rootCa.certPem,
      cert,
      key,
      servername: 'swarm-manager',
    });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    expect(socket.alpnProtocol).toBe(false);
    const session = h2Connect('https://swarm-manager', { createConnection: () => socket });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/docker.swarmkit.v1.CA/GetRootCACertificate',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.end(Buffer.alloc(5));
    const status = await new Promise((resolve) => {
      stream.on('trailers', (trailers) => {
        resolve(trailers['grpc-status']);
      });
      stream.resume();
    });
    expect(status).toBe('0');
    session.destroy();
  });

  test('refuses messages beyond 4 MiB', async () => {
    const { port } = await served(everything());
    const send = async (bytes: number): Promise<string> =>
      answerOf(
        client(port).unary('NodeCA', 'IssueNodeCertificate', { csr: Buffer.alloc(bytes) }, call),
      );
    expect(await send(4 * 2 ** 20 - 100)).toBe('ok');
    expect(await send(4 * 2 ** 20 + 1)).toMatch(/^resource-exhausted/u);
  });

  test('answers with the status of what a handler throws', async () => {
    const { port } = await served({
      Health: {
        check: async ({ service }) => {
          if (service === 'bug') throw new TypeError('x is not a function');
          throw new SwarmError('not-found', `unknown service ${service} – “ü”`);
        },
      },
    });
    const manager = client(port, swarm.identity('swarm-manager'));
    const ask = async (service: string): Promise<string> =>
      answerOf(manager.unary('Health', 'Check', { service }, call));
    expect(await ask('x')).toBe('not-found: unknown service x – “ü”');
    expect(await ask('bug')).toBe('unknown: x is not a function');
  });

  test('a handler that asks late whether its caller has gone is told so', async () => {
    const [late, early] = [deferred<void>(), deferred<void>()];
    const [asked, learned, told] = [deferred<void>(), deferred<void>(), deferred<boolean>()];
    const { port } = await served({
      Health: {
        check: async ({ service }, context) => {
          if (service === 'early') {
            context.signal.addEventListener('abort', () => learned.resolve());
            early.resolve();
          } else late.resolve();
          await asked.promise;
          if (service === 'late') told.resolve(context.signal.aborted);
          return {};
        },
      },
    });
    const manager = client(port, swarm.identity('swarm-manager'));
    const callOf = async (service: string): Promise<AbortController> => {
      const leaver = new AbortController();
      const options = { signal: leaver.signal, deadlineMs: 60_000 };
      void answerOf(manager.unary('Health', 'Check', { service }, options));
      await (service === 'late' ? late : early).promise;
      return leaver;
    };
    const leavers = [await callOf('late'), await callOf('early')];
    for (const leaver of leavers) leaver.abort(new Error('left'));
    await learned.promise; // And what came before it on the connection.
    asked.resolve();
    expect(await told.promise).toBe(true);
  });

  test("a handler's signal aborts when the caller has gone, its deadline has passed or the server ends", async () => {
    const reasons: string[] = [];
    const entered: (() => void)[] = [];
    let count = 0;
    const { port, end } = await served({
      Health: {
        check: async (_, { signal: gone }) => {
          count += 1;
          entered.shift()?.();
          try {
            await orAborted(new Promise(() => undefined), gone);
          } catch (error) {
            reasons.push(String(error));
            throw error;
          }
          return {};
        },
      },
    });
    const manager = client(port, swarm.identity('swarm-manager'));
    const enter = async (): Promise<void> =>
      new Promise((resolve) => {
        entered.push(resolve);
      });
    // On a slow machine the time of a call may be over before it has come in.
    const hasEntered = (): boolean => count > 0;
    for (let deadlineMs = 100; !hasEntered(); deadlineMs *= 2) {
      const late = answerOf(manager.unary('Health', 'Check', {}, { signal, deadlineMs }));
      expect(await late).toMatch(/^deadline-exceeded/u);
    }

    const leaver = new AbortController();
    const isIn = enter();
    const left = answerOf(
      manager.unary('Health', 'Check', {}, { signal: leaver.signal, deadlineMs: 5_000 }),
    );
    await isIn;
    leaver.abort(new Error('left'));
    expect(await left).toBe('Error: left');

    const isInToo = enter();
    const cut = answerOf(manager.unary('Health', 'Check', {}, call));
    await isInToo;
    await end();
    expect(await cut).toBe('unavailable: the manager is shutting down');
    expect(count).toBeGreaterThanOrEqual(3);
    expect(reasons).toHaveLength(count);
  });

  test('a stream sends no faster than its caller reads, and ends its source when the caller leaves', async () => {
    let sent = 0;
    let isEnded = false;
    const { port } = await served({
      Logs: {
        async *subscribeLogs() {
          try {
            for (;;) {
              sent += 1;
              yield { messages: [{ data: Buffer.alloc(64 * 1024) }] };
            }
          } finally {
            isEnded = true;
          }
        },
      },
    });
    const manager = client(port, swarm.identity('swarm-manager'));
    const stream = manager.serverStream('Logs', 'SubscribeLogs', {}, { signal });
    const lines = stream[Symbol.asyncIterator]();
    await lines.next();
    let before = 0;
    const isStill = (): boolean => {
      const was = before;
      before = sent;
      return was === sent;
    };
    await expect.poll(isStill, { interval: 200, timeout: 4_000 }).toBe(true);
    expect(sent).toBeLessThan(200);
    await lines.return?.(undefined);
    await expect.poll(() => isEnded).toBe(true);
  });

  test('receives a stream of messages', async () => {
    const heard: string[] = [];
    const { port } = await served({
      LogBroker: {
        publishLogs: async (messages) => {
          for await (const { subscriptionId } of messages) heard.push(subscriptionId);
          return {};
        },
      },
    });
    const worker = client(port, swarm.identity('swarm-worker'));
    await worker.clientStream(
      'LogBroker',
      'PublishLogs',
      (async function* () {
        yield { subscriptionId: 'a' };
        yield { subscriptionId: 'b' };
      })(),
      call,
    );
    expect(heard).toEqual(['a', 'b']);
  });

  test('says which address is taken', async () => {
    const { port } = await served({});
    const again = serveCluster(
      {
        security: swarm.security('swarm-manager'),
        handlers: {},
        clock,
        log: silentLog,
        clusterId: swarm.clusterId,
        isRemoved: () => false,
      },
      { host: '127.0.0.1', port },
      signal,
    );
    expect(await answerOf(again)).toBe(
      `failed-precondition: listen 127.0.0.1:${port}: address already in use`,
    );
  });

  test('ends although somebody is connected and silent', async () => {
    const { port, end } = await served({});
    const socket = netConnect(port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await end();
    await closed;
    expect(socket.destroyed).toBe(true);
  });
});

describe("this node's own door", () => {
  test('serves a Unix socket for this user alone, with this node as the caller', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'swarmd-socket-'));
    const path = join(directory, 'control.sock');
    const seen: Caller[] = [];
    const self: Caller = {
      kind: 'node',
      nodeId: 'me',
      role: 'swarm-manager',
      clusterId: 'c',
      remoteIp: '127.0.0.1',
    };
    for (const round of [1, 2]) {
      const controller = new AbortController();
      const { promise, resolve } = deferred<number>();
      const running = serveSocket(
        { handlers: everything(seen), self, clock, log: silentLog, onListening: resolve },
        path,
        controller.signal,
      );
      await promise;
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      using connection = connectRpc({ kind: 'socket', path });
      await connection.unary('Control', 'ListNodes', {}, call);
      expect(seen).toEqual(Array.from({ length: round }, () => self));
      connection[Symbol.dispose]();
      controller.abort();
      await running;
    }
    await rm(directory, { recursive: true });
  });
});
