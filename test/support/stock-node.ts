import { readFileSync } from 'node:fs';
import { type DockerDaemon, startDockerDaemon } from './docker-daemon.ts';
import { type CommandOptions, type Outcome, runCommand } from './run-command.ts';
import type { SwarmInfo } from './swarm-daemon.ts';
import { askSocket } from './unix-http.ts';
import { until } from './until.ts';

/** A stock Docker Engine with its own swarm mode, as it is installed: nothing in it is ours. */
export class StockNode implements AsyncDisposable {
  readonly #engine: DockerDaemon;

  private constructor(engine: DockerDaemon) {
    this.#engine = engine;
  }

  /** Starts one that has the named stand-in images, and is in no swarm. */
  static async create(images: readonly string[]): Promise<StockNode> {
    return new StockNode(await startDockerDaemon({ images }));
  }

  get dockerHost(): string {
    return this.#engine.dockerHost;
  }

  /** Where this machine finds it. */
  get host(): string {
    return this.#engine.address;
  }

  /** Where it finds this machine. */
  get machineHost(): string {
    return this.#engine.machineAddress;
  }

  /** Runs the stock docker CLI on it. */
  async docker(
    args: readonly string[],
    options: Omit<CommandOptions, 'env'> = {},
  ): Promise<Outcome> {
    const env = { PATH: process.env['PATH'], HOME: '/nonexistent' };
    return runCommand('docker', ['-H', this.dockerHost, ...args], { env, ...options });
  }

  /** What its Engine API has at a path. It must have it. */
  async get<T>(path: string): Promise<T> {
    const { status, body } = await askSocket(this.#engine.socketPath, path);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    return body as T; // By the caller's reading of the API.
  }

  async info(): Promise<SwarmInfo> {
    const { Swarm } = await this.get<{ readonly Swarm: SwarmInfo }>('/info');
    return Swarm;
  }

  /** Waits until something is true. */
  async until(what: string, isSo: () => Promise<boolean>, timeoutMs?: number): Promise<void> {
    const lastWords = (): string =>
      readFileSync(this.#engine.log, 'utf8').split('\n').slice(-20).join('\n');
    await until({ name: 'the stock Engine', lastWords }, what, isSo, timeoutMs);
  }

  /** Ends the daemon as a crash would. Without it there are no containers: it is not told to keep them. */
  async kill(): Promise<void> {
    await this.#engine.kill();
  }

  /** Starts it again. */
  async start(): Promise<void> {
    await this.#engine.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.stop();
  }
}
