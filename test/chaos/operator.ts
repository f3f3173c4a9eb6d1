import { SystemClock } from '../../src/runtime/index.ts';
import { askSocket } from '../support/unix-http.ts';
import { type Cluster, eventually, type ListedNode } from './cluster.ts';
import type { Seeded } from './seeded.ts';

const clock = new SystemClock();

/** A service, as far as it is changed here. Engine API 1.47 `Service` */
interface ServiceObject {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: ServiceSpec;
}

interface ServiceSpec {
  readonly Name: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly TaskTemplate: {
    readonly ContainerSpec: { readonly Image: string; readonly Env?: readonly string[] };
    readonly Placement?: { readonly Constraints: readonly string[] };
    readonly RestartPolicy?: { readonly Delay: number };
  };
  readonly Mode: { readonly Replicated?: { readonly Replicas: number }; readonly Global?: object };
  readonly UpdateConfig?: { readonly Parallelism: number; readonly Monitor: number };
}

/** How many tasks a service is to run at last. */
export type Wanted = ReadonlyMap<string, number>;

const revisionLabel = 'revision';
const steady = 'steady';
const web = 'web';
const everywhere = 'everywhere';

/** A person at the swarm's controls: scales, updates, drains, promotes and demotes. */
export class Operator {
  readonly #cluster: Cluster;
  readonly #chance: Seeded;
  readonly #tell: (line: string) => void;
  /** The last revision of `web` that was acknowledged, and those after it nobody knows about. */
  #revisions: readonly string[] = [];
  #revision = 0;

  constructor(cluster: Cluster, chance: Seeded, tell: (line: string) => void) {
    this.#cluster = cluster;
    this.#chance = chance;
    this.#tell = tell;
  }

  /** Creates the services and waits until all of them run. */
  async prepare(): Promise<void> {
    const { witness, hosts } = this.#cluster;
    const onWitness = [`node.hostname==${witness.name}`];
    await this.#create(steady, { Replicated: { Replicas: 2 } }, onWitness);
    await this.#create(web, { Replicated: { Replicas: 4 } });
    await this.#create(everywhere, { Global: {} });
    const wanted: Wanted = new Map([
      [steady, 2],
      [web, 4],
      [everywhere, hosts.length],
    ]);
    await eventually('the services run', 60_000, async () => this.isRunning(wanted));
  }

  async #create(name: string, mode: ServiceSpec['Mode'], constraints: string[] = []) {
    const body: ServiceSpec = {
      Name: name,
      Labels: { [revisionLabel]: '0' },
      TaskTemplate: {
        ContainerSpec: { Image: 'hold:latest' },
        Placement: { Constraints: constraints },
        RestartPolicy: { Delay: 500_000_000 },
      },
      Mode: mode,
      UpdateConfig: { Parallelism: 2, Monitor: 500_000_000 },
    };
    const { status, body: answer } = await this.#cluster.ask('/services/create', {
      method: 'POST',
      body,
    });
    if (status !== 201) throw new Error(`create ${name}: ${status} ${JSON.stringify(answer)}`);
    if (name === web) this.#revisions = ['0'];
  }

  /** Does something every few seconds until the signal aborts. Refusals are no failures here. */
  async run(signal: AbortSignal): Promise<void> {
    const { managers, workers } = this.#cluster;
    const spare = workers.length > 1 ? workers[0]?.name : undefined;
    const acts: readonly (() => Promise<string>)[] = [
      async () => this.#change({ replicas: this.#chance.between(1, 8) }),
      async () => this.#change({}),
      ...(spare === undefined
        ? []
        : [
            async () =>
              this.#setNode(spare, { Availability: this.#chance.pick(['drain', 'active']) }),
          ]),
      ...(spare === undefined || managers.length === 1
        ? []
        : [async () => this.#setNode(spare, { Role: this.#chance.pick(['manager', 'worker']) })]),
    ];
    while (!signal.aborted) {
      const act = this.#chance.pick(acts);
      this.#tell(`operator: ${await act().catch((error: unknown) => String(error))}`);
      await clock.sleep(this.#chance.between(1_000, 4_000), signal).catch(() => undefined);
    }
  }

  /** Scales `web`, or rolls it over to a new environment. */
  async #change({ replicas }: { readonly replicas?: number }): Promise<string> {
    const { Version, Spec, ID } = await this.#service(web);
    const revision = String((this.#revision += 1));
    const { TaskTemplate } = Spec;
    const rolled = {
      ...TaskTemplate,
      ContainerSpec: { ...TaskTemplate.ContainerSpec, Env: [`REVISION=${revision}`] },
    };
    const body: ServiceSpec = {
      ...Spec,
      Labels: { ...Spec.Labels, [revisionLabel]: revision },
      ...(replicas === undefined
        ? { TaskTemplate: rolled }
        : { Mode: { Replicated: { Replicas: replicas } } }),
    };
    const what = replicas === undefined ? 'update' : `scale to ${replicas}`;
    const before = this.#revisions;
    // Until it is answered nobody knows.
    this.#revisions = [...before, revision];
    const path = `/services/${ID}/update?version=${Version.Index}`;
    const { status, body: answer } = await this.#cluster.ask(path, { method: 'POST', body });
    if (status === 200) this.#revisions = [revision];
    return `${what} (revision ${revision}): ${status === 200 ? 'done' : JSON.stringify(answer)}`;
  }

  async #service(name: string): Promise<ServiceObject> {
    const { status, body } = await this.#cluster.ask(`/services/${name}`);
    if (status !== 200) throw new Error(`service ${name}: ${status} ${JSON.stringify(body)}`);
    return body as ServiceObject; // Engine API 1.47
  }

  async nodes(): Promise<readonly ListedNode[]> {
    const { status, body } = await this.#cluster.ask('/nodes');
    if (status !== 200) throw new Error(`nodes: ${status} ${JSON.stringify(body)}`);
    return body as readonly ListedNode[]; // Engine API 1.47
  }

  async #setNode(
    name: string,
    change: { readonly Role?: string; readonly Availability?: string },
  ): Promise<string> {
    const node = (await this.nodes()).find(({ Description }) => Description.Hostname === name);
    if (node === undefined) throw new Error(`${name} is no node`);
    const what = `${name}: ${JSON.stringify(change)}`;
    const isSo = Object.entries(change).every(
      ([key, value]) => node.Spec[key as 'Role' | 'Availability'] === value, // Keys of `change`.
    );
    if (isSo) return `${what}: is so`;
    const path = `/nodes/${node.ID}/update?version=${node.Version.Index}`;
    const body = { ...node.Spec, ...change };
    const { status, body: answer } = await this.#cluster.ask(path, { method: 'POST', body });
    return `${what}: ${status === 200 ? 'done' : JSON.stringify(answer)}`;
  }

  /** Asks for a swarm as it was at the beginning. What is wanted of it then must come. */
  async settle(): Promise<Wanted> {
    const spare = this.#cluster.workers[0]?.name ?? '';
    await eventually(`${spare} is an active worker`, 30_000, async () => {
      const told = await this.#setNode(spare, { Role: 'worker', Availability: 'active' });
      return told.endsWith('is so') || told;
    });
    const { Spec } = await this.#service(web);
    const { [revisionLabel]: found = '' } = Spec.Labels ?? {};
    if (!this.#revisions.includes(found)) {
      const known = this.#revisions.join(', ');
      throw new Error(`service ${web} is at revision ${found}: it was to be at ${known}`);
    }
    await eventually('a last scale', 30_000, async () => {
      const told = await this.#change({ replicas: 5 });
      return told.endsWith('done') || told;
    });
    return new Map([
      [steady, 2],
      [web, 5],
      [everywhere, this.#cluster.hosts.length],
    ]);
  }

  /** Whether each service runs its tasks, each of them in one container, and nothing else runs. */
  async isRunning(wanted: Wanted): Promise<true | string> {
    for (const [name, count] of wanted) {
      const why = await this.#whyNotRunning(name, count);
      if (why !== undefined) return `${name}: ${why}`;
    }
    return true;
  }

  async #whyNotRunning(name: string, count: number): Promise<string | undefined> {
    const filters = encodeURIComponent(JSON.stringify({ service: [name] }));
    const { body } = await this.#cluster.ask(`/tasks?filters=${filters}`);
    const tasks = body as readonly TaskObject[]; // Engine API 1.47
    const desired = tasks.filter(({ DesiredState }) => DesiredState === 'running');
    const states = desired.map(({ Status }) => Status.State);
    if (desired.length !== count || states.some((state) => state !== 'running')) {
      return `${count} tasks are wanted, and there are ${states.join(', ')}`;
    }
    const expected = desired.map(({ Status }) => Status.ContainerStatus?.ContainerID ?? '');
    const running: string[] = [];
    for (const { engine } of this.#cluster.hosts) {
      running.push(...(await runningContainers(engine.socketPath, name)));
    }
    const isSame = expected.toSorted().join() === running.toSorted().join();
    return isSame ? undefined : `containers ${running.join()} run instead of ${expected.join()}`;
  }
}

interface TaskObject {
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly ContainerStatus?: { readonly ContainerID?: string };
  };
}

async function runningContainers(socketPath: string, service: string): Promise<readonly string[]> {
  const label = [`com.docker.swarm.service.name=${service}`];
  const filters = encodeURIComponent(JSON.stringify({ label, status: ['running'] }));
  const { body } = await askSocket(socketPath, `/containers/json?filters=${filters}`);
  return (body as readonly { readonly Id: string }[]).map(({ Id }) => Id); // Engine API 1.47
}
