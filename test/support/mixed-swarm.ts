import { type CommandOptions, type Outcome, printed } from './run-command.ts';
import { type ManagerApi, runningTasks } from './service-tasks.ts';
import { StockNode } from './stock-node.ts';
import { containersOf, type NodeObject, removeContainers, type TaskContainer } from './swarm.ts';
import { SwarmDaemon, type SwarmInfo } from './swarm-daemon.ts';
import { TlsRelay } from './tls-relay.ts';

/** Which of the two nodes of a mixed swarm manages it. */
interface Mixture {
  readonly who: string;
  readonly manages: 'swarmd' | 'stock';
}

export const mixtures: readonly Mixture[] = [
  { who: 'our manager and a stock Engine', manages: 'swarmd' },
  { who: 'a stock manager and our worker', manages: 'stock' },
];

/** A node of either kind: the stock docker CLI works on it. */
interface Peer extends ManagerApi {
  readonly dockerHost: string;
  readonly docker: (
    args: readonly string[],
    options?: Omit<CommandOptions, 'env'>,
  ) => Promise<Outcome>;
  readonly info: () => Promise<SwarmInfo>;
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
}

/** How many tasks of a service run on which node. */
export interface Spread {
  readonly manager: number;
  readonly worker: number;
}

interface MixedSwarmOptions {
  /** Nodes speak to the manager through a relay: no other way is known to them. */
  readonly isRelayed?: boolean;
  /** How often agents beat, from the first one on. */
  readonly heartbeat?: string;
  /** Further arguments of swarmd. */
  readonly args?: readonly string[];
}

/** A manager and a worker: one of them is swarmd, the other a stock Docker Engine. */
export class MixedSwarm implements AsyncDisposable {
  readonly swarmd: SwarmDaemon;
  readonly stock: StockNode;
  readonly relay: TlsRelay;
  manager: Peer;
  worker: Peer;
  /** The IDs that the node of swarmd has had. */
  readonly #ownIds = new Set<string>();
  /** Where the manager is to be found. */
  #address = '';

  private constructor(
    manages: Mixture['manages'],
    parts: { readonly swarmd: SwarmDaemon; readonly stock: StockNode; readonly relay: TlsRelay },
  ) {
    this.swarmd = parts.swarmd;
    this.stock = parts.stock;
    this.relay = parts.relay;
    [this.manager, this.worker] =
      manages === 'swarmd' ? [this.swarmd, this.stock] : [this.stock, this.swarmd];
  }

  /**
   * Founds a swarm, and has the other node join it.
   *
   * @param dockerHost the Engine of swarmd
   */
  static async start(
    { manages }: Mixture,
    dockerHost: string,
    { isRelayed = false, heartbeat, args = [] }: MixedSwarmOptions = {},
  ): Promise<MixedSwarm> {
    const stock = await StockNode.create(['busybox:latest', 'nginx:1.24', 'nginx:1.25']);
    const relay = await TlsRelay.start(stock.machineHost);
    const swarmd = await SwarmDaemon.create({
      mode: manages === 'swarmd' ? 'manager' : 'worker',
      hostname: 'node-01',
      dockerHost,
      host: stock.machineHost,
      args: manages === 'swarmd' && isRelayed ? ['--advertise-addr', relay.address, ...args] : args,
    });
    const swarm = new MixedSwarm(manages, { swarmd, stock, relay });
    try {
      await swarm.#found(isRelayed);
      if (heartbeat !== undefined) await swarm.setHeartbeat(heartbeat);
      await swarm.join();
      return swarm;
    } catch (error) {
      await swarm[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #found(isRelayed: boolean): Promise<void> {
    const { swarmd, stock, relay } = this;
    const isOurs = this.manager === swarmd;
    const own = isOurs ? swarmd.address : `${stock.host}:2377`;
    relay.target = own;
    this.#address = isRelayed ? relay.address : own;
    if (isOurs) {
      await swarmd.start();
      this.#ownIds.add((await swarmd.info()).NodeID);
    } else {
      const addresses = ['--advertise-addr', this.#address, '--data-path-addr', stock.host];
      printed(await stock.docker(['swarm', 'init', '--listen-addr', own, ...addresses]));
    }
  }

  /** The worker becomes a node, as anybody would make it one. */
  async join(): Promise<void> {
    const { swarmd, worker } = this;
    const token = (await this.docker('swarm', 'join-token', '--quiet', 'worker')).trim();
    if (worker === swarmd && !swarmd.isLaunched) {
      await swarmd.start('--join', this.#address, '--token', token);
    } else {
      // swarmd shares the network of this machine: which address to go by is not for it to guess.
      const own = ['--listen-addr', swarmd.address, '--advertise-addr', swarmd.address];
      const more = worker === swarmd ? own : [];
      printed(await worker.docker(['swarm', 'join', ...more, '--token', token, this.#address]));
    }
    if (worker === swarmd) this.#ownIds.add(await this.workerId());
    await this.manager.until('call the worker ready', async () => {
      return (await this.workerNode()).Status.State === 'ready';
    });
  }

  /** What a command of the stock docker CLI prints on the manager. It must succeed. */
  async docker(...args: readonly string[]): Promise<string> {
    return printed(await this.manager.docker(args));
  }

  /** Creates a service of images that the Engines have; nothing waits for its tasks. */
  async createService(name: string, ...args: readonly string[]): Promise<void> {
    await this.docker('service', 'create', '-d', '--no-resolve-image', '--name', name, ...args);
  }

  /** The worker becomes a manager, too. */
  async promote(): Promise<void> {
    const { worker } = this;
    await this.docker('node', 'promote', await this.workerId());
    await this.manager.until('reach the new manager', async () => {
      return (await this.workerNode()).ManagerStatus?.Reachability === 'reachable';
    });
    await worker.until('manage', async () => (await worker.info()).ControlAvailable);
  }

  /** One of two managers is demoted. The other leads, whoever led before. */
  async demote(peer: Peer): Promise<void> {
    const other = peer === this.manager ? this.worker : this.manager;
    await this.docker('node', 'demote', (await peer.info()).NodeID);
    await peer.until('manage no more', async () => !(await peer.info()).ControlAvailable);
    [this.manager, this.worker] = [other, peer];
    await this.manager.until('lead', async () => {
      const { ManagerStatus } = await this.nodeOf(this.manager);
      return ManagerStatus?.Leader === true;
    });
  }

  /** Sets how often agents beat. What is silent for three times as long is down. */
  async setHeartbeat(period: string): Promise<void> {
    await this.docker('swarm', 'update', '--dispatcher-heartbeat', period);
  }

  /** The ID that the worker has for itself. */
  async workerId(): Promise<string> {
    return (await this.worker.info()).NodeID;
  }

  /** The worker as the manager knows it. */
  async workerNode(): Promise<NodeObject> {
    return this.nodeOf(this.worker);
  }

  /** A node as the manager knows it. */
  async nodeOf(peer: Peer): Promise<NodeObject> {
    return this.manager.get(`/nodes/${(await peer.info()).NodeID}`);
  }

  /** The address from which the worker speaks to the manager. */
  get workerHost(): string {
    return this.worker === this.stock ? this.stock.host : this.stock.machineHost;
  }

  /** Where the tasks of a service run. */
  async spread(service: string): Promise<Spread> {
    const [tasks, worker] = [await runningTasks(this.manager, service), await this.workerId()];
    const onWorker = tasks.filter(({ NodeID }) => NodeID === worker).length;
    return { manager: tasks.length - onWorker, worker: onWorker };
  }

  /**
   * Waits until the tasks of a service run where they are to run.
   *
   * @returns their containers on the worker
   */
  async untilSpread(service: string, wanted: Spread): Promise<readonly TaskContainer[]> {
    const what = `have ${service} run ${wanted.manager} + ${wanted.worker} times`;
    const isSo = async (): Promise<boolean> => {
      const { manager, worker } = await this.spread(service);
      return manager === wanted.manager && worker === wanted.worker;
    };
    await this.manager.until(what, isSo).catch((error: unknown) => {
      const words = [...this.swarmd.log].slice(-20).join('\n');
      throw new Error(`${String(error)}\nswarmd:\n${words}`, { cause: error });
    });
    const tasks = new Set((await runningTasks(this.manager, service)).map(({ ID }) => ID));
    return (await this.running()).filter(({ taskId }) => tasks.has(taskId));
  }

  /** The containers of tasks that run on a node: the worker, if none is named. */
  async running(peer: Peer = this.worker): Promise<readonly TaskContainer[]> {
    const all = await containersOf(peer.dockerHost, (await peer.info()).NodeID);
    return all.filter(({ state }) => state === 'running');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.swarmd[Symbol.asyncDispose]();
    for (const id of this.#ownIds) await removeContainers(this.swarmd.dockerHost, id);
    await this.stock[Symbol.asyncDispose]();
    await this.relay[Symbol.asyncDispose]();
  }
}
