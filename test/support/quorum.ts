import { randomUUID } from 'node:crypto';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RpcClient, RpcConnection } from '../../src/api/index.ts';
import type { SecurityConfig } from '../../src/ca/index.ts';
import { grpcNetwork, Manager } from '../../src/manager/index.ts';
import type { LogStores, ManagerNetwork } from '../../src/manager/ports.ts';
import type { Store } from '../../src/manager/store/store.ts';
import { rebuild } from '../../src/manager/membership/rebuild.ts';
import type { LogStore, RaftDriver, RaftDriverConfig, RaftMember } from '../../src/raft/index.ts';
import {
  childOfBoth,
  CryptoRandom,
  type Log,
  newId,
  SwarmError,
  SystemClock,
} from '../../src/runtime/index.ts';
import { aNode } from './builders.ts';
import { MemoryLogStore } from './memory-log-store.ts';
import { silentLog } from './silent-log.ts';
import { TestSwarm } from './test-swarm.ts';

const clock = new SystemClock();
const random = new CryptoRandom();

/** Logs in memory: they outlive their manager, as a disk would. */
class MemoryLogs implements LogStores {
  store: MemoryLogStore | undefined;
  /** Thrown in place of making a log. */
  failure: Error | undefined;

  async exists(): Promise<boolean> {
    return Promise.resolve(this.store !== undefined);
  }

  async create(identity: MemoryLogStore['identity']): Promise<LogStore> {
    if (this.failure !== undefined) throw this.failure;
    this.store = new MemoryLogStore(identity);
    return Promise.resolve(this.store);
  }

  async open(): Promise<LogStore> {
    if (this.store === undefined) throw new Error('there is no log');
    this.store = this.store.reopen();
    return Promise.resolve(this.store);
  }
}

/** A manager's host: what is left of it when its process ends. */
export interface Host {
  readonly nodeId: string;
  readonly address: string;
  readonly security: SecurityConfig;
  readonly logs: MemoryLogs;
  /** Whom it was rebuilt without. */
  readonly leftBehind?: readonly RaftMember[];
  /** Where it is told that other managers are. */
  readonly hints?: readonly string[];
  readonly log?: Log;
}

/** A running manager. */
export interface Running extends Host {
  readonly manager: Manager;
  readonly store: Store;
  /** @throws before it is a member */
  readonly raft: RaftDriver;
  readonly client: RpcClient;
  readonly ended: Promise<'removed' | 'ended'>;
  /** As SIGTERM would. */
  stop(): Promise<void>;
  /** As SIGKILL would, as far as others see it: its connections close, and its port refuses. */
  kill(): Promise<void>;
}

/** Managers in one process, over real gRPC on the loopback interface, with real certificates. */
export class Quorum {
  readonly swarm = new TestSwarm(clock);
  readonly running: Running[] = [];
  readonly #pace: Partial<RaftDriverConfig>;

  constructor(pace: Partial<RaftDriverConfig> = {}) {
    this.#pace = pace;
  }

  async host(): Promise<Host> {
    const nodeId = newId(random);
    const security = this.swarm.security('swarm-manager', { nodeId });
    const address = `127.0.0.1:${await freePort()}`;
    return { nodeId, address, security, logs: new MemoryLogs() };
  }

  async found(): Promise<Running> {
    const first = await this.start(await this.host(), 'founder');
    await first.manager.serving(AbortSignal.timeout(5_000));
    return first;
  }

  /** Adds a manager as a promotion would. */
  async join(via: Running): Promise<Running> {
    const host = await this.host();
    await this.want(via, host);
    const joined = await this.start(host, via);
    await joined.manager.serving(AbortSignal.timeout(10_000));
    return joined;
  }

  /** Writes that a node is to be a manager. */
  async want(leader: Running, { nodeId }: Host): Promise<void> {
    await leader.store.update((tx) => {
      tx.create('node', aNode({ id: nodeId, role: 'MANAGER', spec: { desiredRole: 'MANAGER' } }));
    });
  }

  /** The founder, which leads, and two others. */
  async ofThree(): Promise<[Running, Running, Running]> {
    const first = await this.found();
    const second = await this.join(first);
    return [first, second, await this.join(first)];
  }

  async start(host: Host, by: 'founder' | 'itself' | Running): Promise<Running> {
    const life = new AbortController();
    const death = new AbortController();
    const parts: { store?: Store; raft?: RaftDriver } = {};
    const manager = await Manager.open({
      clock,
      random,
      log: host.log ?? silentLog,
      security: host.security,
      founding:
        by === 'founder'
          ? { rootCa: this.swarm.rootCa, availability: 'ACTIVE', isWritten: async () => undefined }
          : undefined,
      join:
        typeof by === 'string'
          ? undefined
          : { connect: () => this.networkOf(host).connect(by.address) },
      logs: host.logs,
      network: mortal(this.networkOf(host), death.signal),
      advertise: host.address,
      leftBehind: host.leftBehind ?? [],
      hints: host.hints ?? [],
      pace: this.#pace,
      witness: (seen) => Object.assign(parts, seen),
    });
    const ended = manager.run(life.signal);
    ended.catch(() => undefined); // Whoever waits for it hears of it.
    const stop = async (): Promise<void> => {
      life.abort(new Error('stopped'));
      await ended;
    };
    const running: Running = {
      ...host,
      manager,
      get store(): Store {
        return parts.store ?? missing();
      },
      get raft(): RaftDriver {
        return parts.raft ?? missing();
      },
      client: manager.client,
      ended,
      stop,
      kill: async () => {
        death.abort(new SwarmError('unavailable', 'killed'));
        await stop().catch(() => undefined);
      },
    };
    this.running.push(running);
    return running;
  }

  /** What is to be started of a manager that does not run, once it was rebuilt alone. */
  async rebuilt(host: Host, address = host.address): Promise<Host> {
    const old = await host.logs.open();
    const whole = await rebuild(
      { clock, random },
      { identity: old.identity, log: await old.load() },
    );
    if (whole === undefined) throw new Error('it is alone already');
    const { identity, log, leftBehind } = whole;
    const logs = new MemoryLogs();
    await (await logs.create(identity)).save(log);
    return { nodeId: host.nodeId, security: host.security, address, logs, leftBehind };
  }

  networkOf({ security, address }: Host): ManagerNetwork {
    const [host = '', port = ''] = address.split(':');
    const listen = { host, port: Number(port) };
    const controlSocket = join(tmpdir(), `swarmd-${randomUUID()}.sock`);
    return grpcNetwork({ clock, log: silentLog, security, listen, controlSocket });
  }

  /** Waits until one of the running managers leads, and all the others follow it. */
  async leader(among: readonly Running[] = this.running): Promise<Running> {
    return eventually(() => {
      const leader = among.find(({ manager }) => manager.isLeader);
      const id = leader?.raft.status().raftId;
      return among.every(({ raft }) => raft.status().leaderId === id) ? leader : undefined;
    });
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.running.splice(0).map(async (manager) => manager.kill()));
  }
}

/** Writes through a manager. */
export async function createConfig(
  { client }: Running,
  name: string,
  data = Buffer.from(name),
): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  const request = { spec: { annotations: { name }, data } };
  await client.unary('Control', 'CreateConfig', request, { signal, deadlineMs: 20_000 });
}

/** The names of the configs that a manager has. */
export const configsOf = ({ store }: Running): string[] =>
  store
    .view((view) => view.find('config'))
    .map(({ spec }) => spec?.annotations?.name ?? '')
    .toSorted();

/** Waits for a condition; fails after ten seconds. */
export async function eventually<T>(look: () => T | undefined | false): Promise<T> {
  const signal = AbortSignal.timeout(10_000);
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    await clock.sleep(10, signal);
  }
}

const missing = (): never => {
  throw new Error('it is no member yet');
};

/** A network that ends at once with the process that uses it. */
function mortal(network: ManagerNetwork, death: AbortSignal): ManagerNetwork {
  const withDeath = async (
    signal: AbortSignal,
    run: (inner: AbortSignal) => Promise<void>,
  ): Promise<void> => {
    using both = childOfBoth(signal, death);
    await run(both.signal);
  };
  const open = new Set<RpcConnection>();
  death.addEventListener('abort', () => {
    for (const connection of open) connection[Symbol.dispose]();
  });
  return {
    serveCluster: async (door, signal) =>
      withDeath(signal, async (inner) => network.serveCluster(door, inner)),
    serveSelf: async (handlers, self, signal) =>
      withDeath(signal, async (inner) => network.serveSelf(handlers, self, inner)),
    connect: (address): RpcConnection => {
      death.throwIfAborted();
      const connection = network.connect(address);
      open.add(connection);
      const dispose = (): void => {
        open.delete(connection);
        connection[Symbol.dispose]();
      };
      return { ...connection, [Symbol.dispose]: dispose };
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
