import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  type AgentWord,
  agentWordName,
  connectRpc,
  type Handlers,
  type RpcConnection,
  type ServiceHandlers,
} from '../../../src/api/index.ts';
import { type Leader, onLeader } from '../../../src/manager/grpc/leader-proxy.ts';
import { serveCluster } from '../../../src/manager/grpc/server.ts';
import { orAborted, SystemClock } from '../../../src/runtime/index.ts';
import { silentLog } from '../../support/silent-log.ts';
import { TestSwarm } from '../../support/test-swarm.ts';

const swarm = new TestSwarm();
const clock = new SystemClock();
const never = new AbortController().signal;

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).toReversed()) await end();
});

/** A leader's dispatcher, as far as sessions begin and end. */
class Sessions {
  /** `<node>: <what was said of it with a heartbeat>` */
  readonly heard: string[] = [];
  open = 0;

  readonly handlers: { readonly Dispatcher: Partial<Handlers<'Dispatcher'>> } = {
    Dispatcher: {
      session: (_, { signal }) => this.#session(signal),
      heartbeat: async ({ sessionId }, { caller, agentWord = 'nothing' }) => {
        await Promise.resolve();
        const nodeId = caller.kind === 'node' ? caller.nodeId : '';
        this.heard.push(`${nodeId} ${sessionId}: ${agentWord}`);
        return {};
      },
    },
  };

  async *#session(signal: AbortSignal): AsyncGenerator<{ sessionId: string }> {
    this.open += 1;
    try {
      yield { sessionId: 's1' };
      await orAborted(new Promise<never>(() => undefined), signal);
    } finally {
      this.open -= 1;
    }
  }
}

async function serve(handlers: ServiceHandlers): Promise<number> {
  const life = new AbortController();
  const deps = { security: swarm.security('swarm-manager'), handlers, clock, log: silentLog };
  const membership = { clusterId: swarm.clusterId, isRemoved: () => false };
  const address = { host: '127.0.0.1', port: 0 };
  return new Promise((onListening) => {
    const running = serveCluster({ ...deps, ...membership, onListening }, address, life.signal);
    ending.push(async () => {
      life.abort();
      await running;
    });
  });
}

/** A wire to a port, which can be cut at the port's end. */
async function wire(port: number): Promise<{ port: number; cut: (how: 'end' | 'reset') => void }> {
  const outer: Socket[] = [];
  const server = createServer((inner) => {
    const out = connect(port, '127.0.0.1');
    outer.push(out);
    for (const [from, to] of [
      [inner, out],
      [out, inner],
    ] as const) {
      from.on('error', () => undefined);
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (how: 'end' | 'reset'): void => {
    for (const socket of outer) {
      if (how === 'end') socket.destroy();
      else socket.resetAndDestroy();
    }
  };
  ending.push(() => {
    cut('end');
    server.close();
  });
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, cut };
}

function client(port: number, role: 'swarm-worker' | 'swarm-manager', id: string): RpcConnection {
  const { rootCaPem: ca, certPem: cert, keyPem: key } = swarm.identity(role, { nodeId: id });
  const connection = connectRpc({
    kind: 'tls',
    address: `127.0.0.1:${port}`,
    serverName: 'swarm-manager',
    ca,
    identity: { cert, key },
  });
  ending.push(() => {
    connection[Symbol.dispose]();
  });
  return connection;
}

/** A session of a worker, once it is open. */
async function session(
  port: number,
  word?: AgentWord,
): Promise<{ cancel: () => void; connection: RpcConnection }> {
  const connection = client(port, 'swarm-worker', 'worker');
  const life = new AbortController();
  const metadata = word === undefined ? {} : { [agentWordName]: word };
  const options = { signal: life.signal, metadata };
  const stream = connection.serverStream('Dispatcher', 'Session', {}, options);
  const messages = stream[Symbol.asyncIterator]();
  await messages.next();
  messages.next().catch(() => undefined);
  const cancel = (): void => {
    life.abort();
  };
  return { cancel, connection };
}

const self = { leader: (): Leader => ({ kind: 'self' }), clock, onBehalfOf: 'caller' } as const;

describe('a leader', () => {
  test.each(['end', 'reset'] as const)(
    'is told of an agent that promised to return whose connection closes by %s',
    async (how) => {
      const sessions = new Sessions();
      const line = await wire(await serve(onLeader(self, sessions.handlers)));
      await session(line.port, 'returns');
      line.cut(how);
      await vi.waitFor(() => expect(sessions.heard).toEqual(['worker s1: closed']));
    },
  );

  test('is told nothing of an agent that did not promise, as of a stock one', async () => {
    const sessions = new Sessions();
    const line = await wire(await serve(onLeader(self, sessions.handlers)));
    await session(line.port);
    line.cut('end');
    await vi.waitFor(() => expect(sessions.open).toBe(0));
    expect(sessions.heard).toEqual([]);
  });

  test('is told nothing of an agent that ends its session and closes its connection', async () => {
    const sessions = new Sessions();
    const port = await serve(onLeader(self, sessions.handlers));
    const { cancel, connection } = await session(port, 'returns');
    cancel();
    connection[Symbol.dispose]();
    await vi.waitFor(() => expect(sessions.open).toBe(0));
    expect(sessions.heard).toEqual([]);
  });

  test('is told by a follower of an agent there, and nothing when it is the follower', async () => {
    const sessions = new Sessions();
    const leader = await wire(await serve(onLeader(self, sessions.handlers)));
    const connection = client(leader.port, 'swarm-manager', 'follower');
    const other = (): Leader => ({ kind: 'other', connection, until: never });
    const follower = await wire(
      await serve(onLeader({ ...self, leader: other }, sessions.handlers)),
    );
    await session(follower.port, 'returns');
    expect(sessions.open).toBe(1);
    follower.cut('end');
    await vi.waitFor(() => expect(sessions.heard).toEqual(['worker s1: closed']));

    await session(follower.port, 'returns');
    leader.cut('end');
    await vi.waitFor(() => expect(sessions.open).toBe(0));
    expect(sessions.heard).toHaveLength(1);
  });
});
