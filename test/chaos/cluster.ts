import { SystemClock } from '../../src/runtime/index.ts';
import { type DockerDaemon, startDockerDaemon } from '../support/docker-daemon.ts';
import { SwarmDaemon } from '../support/swarm-daemon.ts';
import type { HttpAnswer } from '../support/unix-http.ts';
import type { Shape } from './schedule.ts';
import { Switch } from './switch.ts';

const clock = new SystemClock();
/** A machine that does much else is slow. */
const startTimeoutMs = 120_000;
const { signal: never } = new AbortController();

/** A node as `/nodes` shows it. Engine API 1.47 `Node` */
export interface ListedNode {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Description: { readonly Hostname: string };
  readonly Spec: { readonly Role: string; readonly Availability: string };
  readonly Status: { readonly State: string; readonly Message?: string };
  readonly ManagerStatus?: {
    readonly Leader?: boolean;
    readonly Reachability: string;
    readonly Addr: string;
  };
}

/** A host of the cluster: an Engine in namespaces of its own, and a swarmd beside it. */
export interface Host {
  /** Its port of the switch, from 1. */
  readonly number: number;
  readonly name: string;
  readonly address: string;
  /** What it was started as. */
  readonly role: 'manager' | 'worker';
  readonly engine: DockerDaemon;
  readonly daemon: SwarmDaemon;
}

/** Waits until something is true. @throws Error saying for what it waited, and what was the matter */
export async function eventually(
  what: string,
  timeoutMs: number,
  isSo: () => Promise<boolean | string>,
): Promise<void> {
  const deadline = clock.monotonic() + timeoutMs;
  for (;;) {
    const outcome = await isSo().catch((error: unknown) => String(error));
    if (outcome === true) return;
    if (clock.monotonic() > deadline) {
      const why = outcome === false ? '' : `: ${outcome}`;
      throw new Error(`${what}: not so after ${timeoutMs / 1_000} s${why}`);
    }
    await clock.sleep(100, never);
  }
}

/**
 * A swarm as on several machines: each host has a network namespace with a link to a switch, a
 * Docker Engine and a swarmd. Hosts 1 and on are managers, those after them workers.
 */
export class Cluster implements AsyncDisposable {
  readonly network: Switch;
  readonly #hosts: Host[] = [];
  readonly #engines: DockerDaemon[] = [];

  private constructor(network: Switch) {
    this.network = network;
  }

  /** Starts the Engines and founds the swarm. If the signal aborts meanwhile, nothing is left. */
  static async start({ managers, workers }: Shape, signal: AbortSignal = never): Promise<Cluster> {
    const cluster = new Cluster(await Switch.create());
    try {
      const numbers = Array.from({ length: managers + workers }, (_, index) => index + 1);
      const plugged = numbers.map(async (number) =>
        number <= managers
          ? cluster.#plugIn(number, 'manager', number)
          : cluster.#plugIn(number, 'worker', number - managers),
      );
      // All of them, so that what is disposed of is complete.
      for (const outcome of await Promise.allSettled(plugged)) {
        if (outcome.status === 'rejected') throw outcome.reason;
      }
      cluster.#hosts.sort((a, b) => a.number - b.number);
      signal.throwIfAborted();
      await cluster.#found(signal);
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #plugIn(number: number, role: Host['role'], ofRole: number): Promise<void> {
    const engine = await startDockerDaemon({ images: ['hold:latest'] });
    this.#engines.push(engine);
    const address = `10.88.0.${number}`;
    await this.network.connect(number, engine.networkNamespace, address);
    const name = `${role}-${ofRole}`;
    const daemon = await SwarmDaemon.create({
      mode: role,
      hostname: name,
      dockerHost: engine.dockerHost,
      host: address,
      port: 2377,
      networkNamespace: engine.networkNamespace,
    });
    this.#hosts.push({ number, name, address, role, engine, daemon });
  }

  async #found(signal: AbortSignal): Promise<void> {
    const [first, ...others] = this.hosts;
    if (first === undefined) throw new Error('a cluster has a host');
    await first.daemon.start();
    const tokenOf = async (role: string): Promise<string> =>
      (await first.daemon.prints('swarm', 'join-token', '--quiet', role)).trim();
    const tokens = { manager: await tokenOf('manager'), worker: await tokenOf('worker') };
    for (const { daemon, role } of others) {
      signal.throwIfAborted();
      daemon.launch('--join', first.daemon.address, '--token', tokens[role]);
      await daemon.until(
        'join',
        async () => {
          const { LocalNodeState, ControlAvailable } = await daemon.info();
          return LocalNodeState === 'active' && ControlAvailable === (role === 'manager');
        },
        startTimeoutMs,
      );
    }
  }

  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  get managers(): readonly Host[] {
    return this.hosts.filter(({ role }) => role === 'manager');
  }

  get workers(): readonly Host[] {
    return this.hosts.filter(({ role }) => role === 'worker');
  }

  /** The worker that nothing is done to. */
  get witness(): Host {
    const witness = this.workers.at(-1);
    if (witness === undefined) throw new Error('a cluster has a worker');
    return witness;
  }

  host(name: string): Host {
    const found = this.hosts.find((host) => host.name === name);
    if (found === undefined) throw new Error(`there is no host ${name}`);
    return found;
  }

  /** Asks one manager after the other until one answers as it should. */
  async ask(
    path: string,
    options: { readonly method?: string; readonly body?: unknown } = {},
  ): Promise<HttpAnswer> {
    const failures: string[] = [];
    for (const { name, daemon } of this.managers) {
      try {
        const answer = await daemon.ask(path, options);
        if (answer.status < 500) return answer;
        failures.push(`${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
      } catch (error) {
        failures.push(`${name}: ${String(error)}`);
      }
    }
    throw new Error(`${path}: no manager answers: ${failures.join('; ')}`);
  }

  /** The name of the leader, as the first manager says that knows one. */
  async leader(): Promise<string | undefined> {
    const { body } = await this.ask('/nodes');
    const nodes = body as readonly ListedNode[]; // Engine API 1.47
    return nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader === true)?.Description.Hostname;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The network last. Whatever fails, the rest is still done.
    const outcomes = [
      ...(await Promise.allSettled(
        this.#hosts.map(async ({ daemon }) => daemon[Symbol.asyncDispose]()),
      )),
      ...(await Promise.allSettled(this.#engines.map(async (engine) => engine.stop()))),
      ...(await Promise.allSettled([this.network[Symbol.asyncDispose]()])),
    ];
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}
