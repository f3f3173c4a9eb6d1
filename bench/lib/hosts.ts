import { type PrivateEngine, startPrivateEngine } from '../../scripts/lib/private-engine.mjs';
import { Switch } from '../../test/chaos/switch.ts';
import { SwarmDaemon } from '../../test/support/swarm-daemon.ts';
import type { Context } from './bench.ts';
import { EngineClient } from './engine-client.ts';
import { tokenOf } from './managers.ts';
import { until } from './services.ts';

/** A host with an Engine, on a network with others: its swarm mode is ours, or the Engine's own. */
export interface Host {
  /** Its port of the switch, from 1. */
  readonly number: number;
  readonly name: string;
  /** Where other nodes find it: `host:port`. */
  readonly address: string;
  readonly client: EngineClient;
  /** Signals the process whose swarm mode it is. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Waits until that process has ended, and starts it anew. */
  readonly restart: () => Promise<void>;
}

export interface Hosts {
  readonly network: Switch;
  readonly hosts: readonly Host[];
}

/** A node of a swarm. Engine API 1.41 `Node` */
export interface ListedNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Role: string; readonly Availability: string };
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string; readonly Addr: string };
  readonly ManagerStatus?: {
    readonly Leader?: boolean;
    readonly Reachability: string;
    readonly Addr: string;
  };
}

type Starting = Pick<Context, 'contender' | 'use' | 'signal'>;

/** Starts so many hosts. None is in a swarm yet. */
export async function startHosts(context: Starting, count: number): Promise<Hosts> {
  const network = context.use(await Switch.create());
  const hosts: Host[] = [];
  for (let number = 1; number <= count; number += 1) {
    const engine = await startPrivateEngine();
    context.use({ [Symbol.asyncDispose]: async () => engine.stop() });
    const ip = `10.88.0.${number}`;
    await network.connect(number, engine.networkNamespace, ip);
    const host = context.contender === 'stock' ? stockHost : ourHost;
    hosts.push(await host(context.use, engine, { number, ip }));
  }
  return { network, hosts };
}

interface Place {
  readonly number: number;
  readonly ip: string;
}

async function stockHost(
  use: Context['use'],
  engine: PrivateEngine,
  { number, ip }: Place,
): Promise<Host> {
  const client = use(new EngineClient(engine.socketPath));
  return {
    number,
    name: `stock-${number}`,
    address: `${ip}:2377`,
    client,
    signal: (signal) => {
      engine.signal(signal);
    },
    restart: async () => {
      await engine.ended();
      await engine.start();
    },
  };
}

async function ourHost(
  use: Context['use'],
  { dockerHost, networkNamespace }: PrivateEngine,
  { number, ip }: Place,
): Promise<Host> {
  const name = `ours-${number}`;
  const daemon = use(
    await SwarmDaemon.create({ mode: 'daemon', hostname: name, dockerHost, networkNamespace }),
  );
  await daemon.start();
  return {
    number,
    name,
    address: `${ip}:2377`,
    client: use(new EngineClient(daemon.socketPath)),
    signal: (signal) => {
      daemon.signal(signal);
    },
    restart: async () => {
      await daemon.ended;
      await daemon.start();
    },
  };
}

/** Founds a swarm on the first host. */
export async function initOn({ client, address }: Host): Promise<void> {
  await client.change('POST', '/swarm/init', {
    ListenAddr: '0.0.0.0:2377',
    AdvertiseAddr: address.replace(/:.*$/u, ''),
  });
}

/** Has a host join the swarm of another. */
export async function join(host: Host, of: Host, role: 'Worker' | 'Manager'): Promise<void> {
  await host.client.change('POST', '/swarm/join', {
    ListenAddr: '0.0.0.0:2377',
    AdvertiseAddr: host.address.replace(/:.*$/u, ''),
    RemoteAddrs: [of.address],
    JoinToken: await tokenOf(of.client, role),
  });
}

/** The node that a host is, as some manager lists it. */
export async function nodeOf(of: EngineClient, { address }: Host): Promise<ListedNode | undefined> {
  const nodes = await of.get<readonly ListedNode[]>('/nodes');
  const [ip = ''] = address.split(':');
  return nodes.find(({ Status, ManagerStatus }) =>
    [Status.Addr, ManagerStatus?.Addr.split(':')[0]].includes(ip),
  );
}

/** Whether a host is a manager that serves, and the others reach it. */
export async function serves(host: Host): Promise<boolean> {
  const node = await nodeOf(host.client, host).catch(() => undefined);
  return node?.ManagerStatus?.Reachability === 'reachable';
}

/** A swarm of so many managers. */
export async function startManagers(context: Starting, count: number): Promise<Hosts> {
  const started = await startHosts(context, count);
  const [first, ...others] = started.hosts;
  if (first === undefined) throw new Error('a swarm has a manager');
  await initOn(first);
  for (const host of others) {
    await join(host, first, 'Manager');
    await until(`${host.name} serves`, async () => serves(host), { signal: context.signal });
  }
  return started;
}

/** Waits until every manager sees the same leader, and all of them reachable. */
export async function leaderOf(
  { hosts }: Hosts,
  { signal }: Pick<Context, 'signal'>,
): Promise<Host> {
  let leader = '';
  await until(
    'all managers agree',
    async () => {
      const seen = new Set<string>();
      for (const { client } of hosts) {
        const nodes = await client.get<readonly ListedNode[]>('/nodes').catch(() => []);
        if (nodes.length < hosts.length) return false;
        for (const { ManagerStatus } of nodes) {
          if (ManagerStatus?.Reachability !== 'reachable') return false;
          if (ManagerStatus.Leader === true) seen.add(ManagerStatus.Addr);
        }
      }
      [leader = ''] = seen;
      return seen.size === 1;
    },
    { everyMs: 100, signal },
  );
  const found = hosts.find(({ address }) => address === leader);
  if (found === undefined) throw new Error(`no host has the address ${leader}`);
  return found;
}
