import { type Clock, firstOf, SwarmError, Watch } from '../../src/runtime/index.ts';
import type {
  ContainerBody,
  ContainerEvent,
  ContainerInfo,
  ContainerStatusName,
  Engine,
  EngineInfo,
  EngineLogOptions,
  PullProgress,
} from '../../src/worker/docker/engine-port.ts';

/** What a fake container does when it is started. */
export interface Program {
  readonly stdout?: string;
  readonly stderr?: string;
  /** It ends at once with this; if undefined, it runs until it is stopped. */
  readonly exitCode?: number;
  /** It ends with 0 when it is asked to, instead of being killed. */
  readonly trapsTerm?: boolean;
  /** It cannot be started at all. */
  readonly startError?: string;
}

interface FakeContainer {
  readonly id: string;
  readonly name: string;
  readonly body: ContainerBody;
  status: ContainerStatusName;
  exitCode: number;
  health: { Status: string; FailingStreak: number } | undefined;
  readonly messages: Array<{ readonly type: number; readonly text: string }>;
}

/** A Docker Engine whose containers are entries in a map. */
export class FakeEngine implements Engine {
  /** What each command does, by its words. Any other one runs until it is killed. */
  readonly programs = new Map<string, Program>();
  readonly images = new Set<string>();
  /** What registries do when an image is pulled. */
  registry: 'gives' | 'refuses' | 'is silent' = 'refuses';
  /** Every pull that was begun. */
  readonly pulls: Array<{ readonly image: string; readonly auth: string | undefined }> = [];
  inspections = 0;
  readonly #clock: Clock;
  readonly #containers = new Map<string, FakeContainer>();
  readonly #events = new Watch<ContainerEvent | 'away'>();
  #isAway = false;
  #count = 0;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  /** The Engine stops answering, as a killed one does; or is back. Containers go on. */
  setAway(isAway: boolean): void {
    this.#isAway = isAway;
    if (isAway) this.#events.publish('away');
  }

  /** The events so far are lost on the way to whoever listens. */
  loseEvents(): void {
    this.#events.publish('away');
  }

  bodyOf(name: string): ContainerBody {
    return this.#container(name).body;
  }

  /** A container ends by itself. */
  exit(name: string, exitCode: number): void {
    this.#end(this.#container(name), exitCode);
  }

  setHealth(name: string, Status: 'healthy' | 'unhealthy', FailingStreak: number): void {
    const container = this.#container(name);
    container.health = { Status, FailingStreak };
    this.#publish(container, `health_status: ${Status}`);
  }

  async info(signal: AbortSignal): Promise<EngineInfo> {
    this.#enter(signal);
    return Promise.resolve({
      Name: 'fake',
      Architecture: 'x86_64',
      OSType: 'linux',
      NCPU: 2,
      MemTotal: 2 ** 30,
      ServerVersion: '20.10.24',
    });
  }

  async hasImage(image: string, signal: AbortSignal): Promise<boolean> {
    this.#enter(signal);
    return Promise.resolve(this.images.has(image));
  }

  async *pullImage(
    image: string,
    auth: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<PullProgress> {
    this.#enter(signal);
    this.pulls.push({ image, auth });
    if (this.registry === 'is silent') await this.#clock.sleep(86_400_000, signal);
    if (this.registry !== 'gives') throw new SwarmError('not-found', `no ${image} in any registry`);
    yield { status: 'Pulling' };
    await this.#clock.sleep(10_000, signal);
    this.images.add(image);
    yield { status: 'Pull complete' };
  }

  async createContainer(name: string, body: ContainerBody, signal: AbortSignal): Promise<string> {
    this.#enter(signal);
    await Promise.resolve();
    if (this.#containers.has(name)) {
      throw new SwarmError('already-exists', `the container name "/${name}" is already in use`);
    }
    if (!this.images.has(body.Image)) {
      throw new SwarmError('not-found', `No such image: ${body.Image}`);
    }
    const id = `container${(this.#count += 1)}`;
    const hasCheck = body.Healthcheck !== undefined;
    this.#containers.set(name, {
      id,
      name,
      body,
      status: 'created',
      exitCode: 0,
      health: hasCheck ? { Status: 'starting', FailingStreak: 0 } : undefined,
      messages: [],
    });
    return id;
  }

  async startContainer(name: string, signal: AbortSignal): Promise<void> {
    this.#enter(signal);
    await Promise.resolve();
    const container = this.#container(name);
    if (container.status === 'running') return;
    const { stdout, stderr, exitCode, startError } = this.#programOf(container);
    if (startError !== undefined) throw new SwarmError('invalid-argument', startError);
    container.status = 'running';
    this.#publish(container, 'start');
    for (const [type, text] of [[1, stdout] as const, [2, stderr] as const]) {
      if (text !== undefined) container.messages.push({ type, text });
    }
    if (exitCode !== undefined) this.#end(container, exitCode);
  }

  async stopContainer(name: string, signal: AbortSignal): Promise<void> {
    this.#enter(signal);
    await Promise.resolve();
    const container = this.#container(name);
    if (container.status !== 'running') return;
    if (this.#programOf(container).trapsTerm === true) {
      this.#end(container, 0);
      return;
    }
    await this.#clock.sleep((container.body.StopTimeout ?? 10) * 1_000, signal);
    this.#end(container, 137);
  }

  async removeContainer(name: string, signal: AbortSignal): Promise<void> {
    this.#enter(signal);
    await Promise.resolve();
    const container = this.#containers.get(name);
    if (container === undefined) return;
    if (container.status === 'running') this.#end(container, 137);
    this.#containers.delete(name);
    this.#publish(container, 'destroy');
  }

  async inspectContainer(name: string, signal: AbortSignal): Promise<ContainerInfo | undefined> {
    this.#enter(signal);
    await Promise.resolve();
    this.inspections += 1;
    const container = this.#containers.get(name);
    if (container === undefined) return undefined;
    const { id, status, body, exitCode, health } = container;
    const isRunning = status === 'running';
    const bindings = Object.entries(body.HostConfig.PortBindings ?? {});
    return {
      Id: id,
      State: {
        Status: status,
        Running: isRunning,
        Pid: isRunning ? 4_242 : 0,
        ExitCode: exitCode,
        Error: '',
        ...(health === undefined ? {} : { Health: health }),
      },
      Config: {
        Tty: body.Tty ?? false,
        ...(body.Healthcheck === undefined ? {} : { Healthcheck: body.Healthcheck }),
      },
      // Twice each, as for IPv4 and IPv6.
      NetworkSettings: {
        Ports: Object.fromEntries(
          bindings.map(([port, list]) => [port, isRunning ? [...list, ...list] : []]),
        ),
      },
    };
  }

  async listContainers(
    labels: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ReadonlyArray<Readonly<Record<string, string>>>> {
    this.#enter(signal);
    return Promise.resolve(
      [...this.#containers.values()]
        .map(({ body }) => body.Labels)
        .filter((has) => Object.entries(labels).every(([key, value]) => has[key] === value)),
    );
  }

  async *events(signal: AbortSignal): AsyncIterable<ContainerEvent | 'connected'> {
    this.#enter(signal);
    using events = this.#events.subscribe();
    yield 'connected';
    for (;;) {
      await events.changed(signal);
      const drained = events.drain();
      if (drained === 'resync' || drained.includes('away')) {
        throw new SwarmError('unavailable', 'the fake Engine has gone away');
      }
      for (const event of drained) if (event !== 'away') yield event;
    }
  }

  async *logs(
    name: string,
    { stdout, stderr, follow, tail }: EngineLogOptions,
    signal: AbortSignal,
  ): AsyncIterable<Buffer> {
    this.#enter(signal);
    using events = this.#events.subscribe((event) => event !== 'away' && event.name === name);
    const container = this.#container(name);
    const wanted = container.messages.filter(({ type }) => (type === 1 ? stdout : stderr));
    for (const { type, text } of tail === 'all' ? wanted : wanted.slice(-tail)) {
      const data = Buffer.from(`2024-01-01T00:00:00.000000001Z  ${text}`);
      const header = Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]);
      header.writeUInt32BE(data.length, 4);
      yield container.body.Tty === true ? data : Buffer.concat([header, data]);
    }
    if (!follow) return;
    while (container.status === 'running') {
      await firstOf(signal, async (inner) => events.changed(inner));
      events.drain();
    }
  }

  #enter(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#isAway) throw new SwarmError('unavailable', 'the fake Engine is away');
  }

  #container(name: string): FakeContainer {
    const container = this.#containers.get(name);
    if (container === undefined) throw new SwarmError('not-found', `No such container: ${name}`);
    return container;
  }

  #programOf({ body }: FakeContainer): Program {
    return this.programs.get([...(body.Entrypoint ?? []), ...(body.Cmd ?? [])].join(' ')) ?? {};
  }

  #end(container: FakeContainer, exitCode: number): void {
    container.status = 'exited';
    container.exitCode = exitCode;
    // As the Engine does it.
    if (container.health !== undefined)
      container.health = { ...container.health, Status: 'unhealthy' };
    this.#publish(container, 'die', exitCode);
  }

  #publish({ name }: FakeContainer, action: string, exitCode?: number): void {
    this.#events.publish({ action, name, exitCode });
  }
}
