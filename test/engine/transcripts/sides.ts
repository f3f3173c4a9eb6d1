import { startDockerDaemon, type DockerDaemon } from '../../support/docker-daemon.ts';
import { type Outcome, runCommand } from '../../support/run-command.ts';
import { SwarmDaemon } from '../../support/swarm-daemon.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { eventually } from '../../chaos/cluster.ts';
import type { Switch } from '../../chaos/switch.ts';
import { masked } from './masks.ts';
import type { Step } from './script.ts';

const nodeCount = 3;

const images = ['busybox:latest', 'hold:latest', 'nginx:latest', 'nginx:1.24', 'nginx:1.25'];

/**
 * Hosts with a Docker Engine each, on one switch, and the way to whatever is to manage them. The
 * same commands are given to both sides; they find the addresses of the hosts in `$A1` and on, and
 * `$DIR` to keep things in.
 */
export class Side implements AsyncDisposable {
  readonly name: string;
  readonly daemons: SwarmDaemon[] = [];
  readonly #engines: DockerDaemon[] = [];
  readonly #sockets: string[] = [];
  readonly #addresses: string[] = [];
  readonly #directory: TemporaryDirectory;

  private constructor(name: string, directory: TemporaryDirectory) {
    this.name = name;
    this.#directory = directory;
  }

  /**
   * Starts hosts whose Engines are in no swarm.
   *
   * @param ours whether a swarmd stands beside each Engine, and is the one that is spoken to
   */
  static async start(network: Switch, { ours }: { readonly ours: boolean }): Promise<Side> {
    const side = new Side(ours ? 'swarmd' : 'stock', await TemporaryDirectory.create());
    try {
      for (let number = 1; number <= nodeCount; number += 1) await side.#add(network, number, ours);
      return side;
    } catch (error) {
      await side[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #add(network: Switch, number: number, ours: boolean): Promise<void> {
    const hostname = `node-0${number}`;
    const engine = await startDockerDaemon({ images, hostname });
    this.#engines.push(engine);
    const address = `10.88.${ours ? 1 : 0}.${number}`;
    const port = number + (ours ? nodeCount : 0);
    await network.connect(port, engine.networkNamespace, address);
    this.#addresses.push(address);
    if (!ours) {
      this.#sockets.push(engine.dockerHost);
      return;
    }
    const daemon = await SwarmDaemon.create({
      mode: 'daemon',
      hostname,
      dockerHost: engine.dockerHost,
      host: address,
      port: 2377,
      networkNamespace: engine.networkNamespace,
    });
    this.daemons.push(daemon);
    await daemon.start();
    this.#sockets.push(`unix://${daemon.socketPath}`);
  }

  /** What a step says, masked, with its exit code; nothing if it is not to be compared. */
  async take(step: Step): Promise<string | undefined> {
    const { kind, line } = step;
    switch (kind.name) {
      case 'prepare': {
        const { code, stderr } = await this.#run(step);
        if (code !== 0) throw new Error(`${this.name}: ${line}: exit ${code}: ${stderr}`);
        return undefined;
      }
      case 'wait': {
        await eventually(`${this.name}: ${line}`, 60_000, async () => {
          const { stdout, stderr } = await this.#run(step);
          const said = `${stdout}${stderr}`.trimEnd();
          return kind.until.test(said) || said;
        });
        return undefined;
      }
      case 'compare':
      case 'settle': {
        const { stdout, stderr, code } = await this.#run(step);
        const parts = [masked(stdout, kind), masked(stderr, kind), `[exit ${code}]`];
        return parts.filter((part) => part !== '').join('\n');
      }
    }
  }

  async #run({ node, command }: Step): Promise<Outcome> {
    const addresses = this.#addresses.map((address, index) => [`A${index + 1}`, address] as const);
    return runCommand('sh', ['-c', command], {
      env: {
        PATH: process.env['PATH'],
        HOME: this.#directory.path,
        DIR: this.#directory.path,
        DOCKER_HOST: this.#sockets[node - 1],
        ...Object.fromEntries(addresses),
      },
      timeoutMs: 90_000,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const daemon of this.daemons) await daemon[Symbol.asyncDispose]();
    for (const engine of this.#engines) await engine.stop();
    await this.#directory[Symbol.asyncDispose]();
  }
}
