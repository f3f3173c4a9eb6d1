import { converged, runningTasks, type TaskObject, tasksOf } from './service-tasks.ts';
import { type DaemonSettings, SwarmDaemon } from './swarm-daemon.ts';
import { askSocket } from './unix-http.ts';

/** A node, as far as tests look at it. Engine API 1.47 `Node` */
export interface NodeObject {
  readonly ID: string;
  readonly Description: { readonly Hostname: string };
  readonly Spec: { readonly Availability: string };
  readonly Status: { readonly State: string; readonly Message?: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string };
}

/** A container of a task, as its Engine knows it. */
export interface TaskContainer {
  readonly id: string;
  readonly taskId: string;
  /** The name of its service. */
  readonly service: string;
  readonly nodeId: string;
  readonly state: string;
  readonly startedAt: string;
}

const taskLabel = 'com.docker.swarm.task.id';
const serviceLabel = 'com.docker.swarm.service.name';
const nodeLabel = 'com.docker.swarm.node.id';

const socketOf = (dockerHost: string): string => dockerHost.replace(/^unix:\/\//u, '');

/** The containers of a node, as its Engine has them: all of them, running or not. */
export async function containersOf(
  dockerHost: string,
  nodeId: string,
): Promise<readonly TaskContainer[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${nodeLabel}=${nodeId}`] }));
  const path = `/containers/json?all=1&filters=${filters}`;
  const { body } = await askSocket(socketOf(dockerHost), path);
  const listed = body as readonly { readonly Id: string }[]; // Engine API 1.47 `ContainerSummary`
  const containers = await Promise.all(
    listed.map(async ({ Id }) => inspected(socketOf(dockerHost), Id)),
  );
  return containers
    .filter((container) => container !== undefined)
    .toSorted((a, b) => (a.taskId < b.taskId ? -1 : 1));
}

async function inspected(socketPath: string, id: string): Promise<TaskContainer | undefined> {
  const { status, body } = await askSocket(socketPath, `/containers/${id}/json`);
  if (status !== 200) return undefined; // It has gone meanwhile.
  const { State, Config } = body as {
    readonly State: { readonly Status: string; readonly StartedAt: string };
    readonly Config: { readonly Labels: Readonly<Record<string, string>> };
  }; // Engine API 1.47 `ContainerInspectResponse`
  return {
    id,
    taskId: Config.Labels[taskLabel] ?? '',
    service: Config.Labels[serviceLabel] ?? '',
    nodeId: Config.Labels[nodeLabel] ?? '',
    state: State.Status,
    startedAt: State.StartedAt,
  };
}

/** Removes the containers of a node, by force. Its Engine may be gone. */
export async function removeContainers(dockerHost: string, nodeId: string): Promise<void> {
  const left = await containersOf(dockerHost, nodeId).catch(() => []);
  for (const { id } of left) {
    const path = `/containers/${id}?force=1&v=1`;
    await askSocket(socketOf(dockerHost), path, { method: 'DELETE' }).catch(() => undefined);
  }
}

/** A swarm of real daemons: one manager, node-01, and workers, node-02 and on. */
export class Swarm implements AsyncDisposable {
  /** The manager that is asked: the founder, until a test names another. */
  manager: SwarmDaemon;
  readonly #daemons: SwarmDaemon[] = [];
  readonly #nodeIds = new Map<string, SwarmDaemon>();

  private constructor(manager: SwarmDaemon) {
    this.manager = manager;
    this.#daemons.push(manager);
  }

  /**
   * Founds a swarm with one node for each Engine given; the same one may be given several times.
   * Its agents beat every second, so a dead one is noticed within three.
   */
  static async start(
    engines: readonly string[],
    { host }: { readonly host?: string } = {},
  ): Promise<Swarm> {
    const [first = '', ...others] = engines;
    const manager = await SwarmDaemon.create({
      mode: 'manager',
      hostname: 'node-01',
      dockerHost: first,
      ...(host === undefined ? {} : { host }),
    });
    const swarm = new Swarm(manager);
    try {
      await manager.start();
      await swarm.#remember(manager);
      await manager.prints('swarm', 'update', '--dispatcher-heartbeat', '1s');
      for (const dockerHost of others) await swarm.join(dockerHost);
      return swarm;
    } catch (error) {
      await swarm[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Every daemon, the founder first. */
  get daemons(): readonly SwarmDaemon[] {
    return this.#daemons;
  }

  /** A daemon by its place: 2 is node-02. */
  node(number: number): SwarmDaemon {
    const daemon = this.#daemons[number - 1];
    if (daemon === undefined) throw new Error(`there is no node ${number}`);
    return daemon;
  }

  /** What a healthy swarm does not write to its logs. */
  get complaints(): readonly string[] {
    return this.#daemons.flatMap(({ hostname, complaints }) =>
      complaints.map((line) => `${hostname}: ${line}`),
    );
  }

  async token(role: 'worker' | 'manager' = 'worker'): Promise<string> {
    return (await this.manager.prints('swarm', 'join-token', '--quiet', role)).trim();
  }

  /** Makes a daemon that is disposed of with the swarm. */
  async create(settings: Omit<DaemonSettings, 'hostname'>): Promise<SwarmDaemon> {
    const number = String(this.#daemons.length + 1).padStart(2, '0');
    const daemon = await SwarmDaemon.create({ ...settings, hostname: `node-${number}` });
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Adds a worker, or a manager. */
  async join(dockerHost: string, mode: 'worker' | 'manager' = 'worker'): Promise<SwarmDaemon> {
    const daemon = await this.create({ mode, dockerHost });
    await daemon.start('--join', this.manager.address, '--token', await this.token(mode));
    await this.#remember(daemon);
    return daemon;
  }

  async #remember(daemon: SwarmDaemon): Promise<void> {
    this.#nodeIds.set((await daemon.info()).NodeID, daemon);
  }

  async nodes(): Promise<readonly NodeObject[]> {
    return this.manager.get('/nodes');
  }

  /** A node as the manager knows it. */
  async nodeOf({ hostname }: SwarmDaemon): Promise<NodeObject> {
    const nodes = await this.nodes();
    const found = nodes.find(({ Description }) => Description.Hostname === hostname);
    if (found === undefined) throw new Error(`${hostname} is no node`);
    return found;
  }

  /** The tasks of a service, by slot. */
  async tasks(service: string): Promise<readonly TaskObject[]> {
    return tasksOf(this.manager, service);
  }

  /** Those that are wanted and run. */
  async running(service: string): Promise<readonly TaskObject[]> {
    return runningTasks(this.manager, service);
  }

  /** On which nodes a service runs: the names of the nodes, each as often as it has a task. */
  async placement(service: string): Promise<readonly string[]> {
    const running = await this.running(service);
    return running.map(({ NodeID = '' }) => this.hostnameOf(NodeID)).toSorted();
  }

  hostnameOf(nodeId: string): string {
    return this.#nodeIds.get(nodeId)?.hostname ?? nodeId;
  }

  /** Waits until a service runs that many tasks. */
  async converge(service: string, replicas: number): Promise<readonly TaskObject[]> {
    return converged(this.manager, service, replicas);
  }

  /** The containers of a daemon's tasks, or of all daemons', as the Engines have them. */
  async containers(...of: readonly SwarmDaemon[]): Promise<readonly TaskContainer[]> {
    const wanted = of.length === 0 ? this.#daemons : of;
    const nodes = [...this.#nodeIds].filter(([, daemon]) => wanted.includes(daemon));
    const found = await Promise.all(
      nodes.map(async ([nodeId, { dockerHost }]) => containersOf(dockerHost, nodeId)),
    );
    return found.flat();
  }

  /** Removes services and waits until their containers are gone. */
  async clear(): Promise<void> {
    const services = await this.manager.get<readonly { readonly ID: string }[]>('/services');
    for (const { ID } of services) await this.manager.ask(`/services/${ID}`, { method: 'DELETE' });
    await this.manager.until('remove all containers', async () => {
      return (await this.containers()).length === 0;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#daemons.map(async (daemon) => daemon[Symbol.asyncDispose]()));
    for (const [nodeId, { dockerHost }] of this.#nodeIds) {
      await removeContainers(dockerHost, nodeId);
    }
  }
}
