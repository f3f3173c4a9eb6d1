import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type CommandOptions, type Outcome, runCommand } from './run-command.ts';
import { TemporaryDirectory } from './temporary-directory.ts';
import { askSocket, type HttpAnswer } from './unix-http.ts';
import { until } from './until.ts';

/** The program under test; `SWARMD_DIST` names another build of it. */
const program = join(
  process.env['SWARMD_DIST'] ?? new URL('../../dist', import.meta.url).pathname,
  'cli/main.js',
);

/** What a daemon is to be. */
export interface DaemonSettings {
  readonly mode: 'manager' | 'worker' | 'daemon';
  readonly hostname: string;
  readonly dockerHost: string;
  /** Where a manager is to be found: an address of this machine. */
  readonly host?: string;
  /** Where a manager listens there; a free port, if not given. */
  readonly port?: number;
  /** The network namespace it lives in, as `ip netns` lists it; this process's, if not given. */
  readonly networkNamespace?: string;
  /** Further arguments. */
  readonly args?: readonly string[];
  /** Arguments of Node.js itself. */
  readonly nodeArgs?: readonly string[];
}

/** A port of an address that nothing listens on. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, host, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a port was listened on');
  return address.port;
}

/** The part of `/info` that is about the swarm. */
export interface SwarmInfo {
  readonly LocalNodeState: string;
  readonly ControlAvailable: boolean;
  readonly NodeID: string;
  readonly Error: string;
}

/** How a process ended: by itself with a code, or by a signal. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * A real `swarmd` process with a state directory, a socket and an address of its own. It dies with
 * the process that started it.
 */
export class SwarmDaemon implements AsyncDisposable {
  readonly hostname: string;
  /** Where a manager listens: `host:port`. */
  readonly address: string;
  readonly dockerHost: string;
  readonly #settings: DaemonSettings;
  readonly #directory: TemporaryDirectory;
  readonly #lines: string[] = [];
  #child: ChildProcess | undefined;
  #ended: Promise<ProcessEnd> | undefined;
  #printed = '';

  private constructor(settings: DaemonSettings, directory: TemporaryDirectory, address: string) {
    this.hostname = settings.hostname;
    this.dockerHost = settings.dockerHost;
    this.address = address;
    this.#settings = settings;
    this.#directory = directory;
  }

  /** A daemon that does not run yet. */
  static async create(settings: DaemonSettings): Promise<SwarmDaemon> {
    const { host = '127.0.0.1', port = await freePort(host) } = settings;
    const address = `${host}:${port}`;
    return new SwarmDaemon(settings, await TemporaryDirectory.create(), address);
  }

  get stateDir(): string {
    return join(this.#directory.path, 'state');
  }

  get socketPath(): string {
    return join(this.#directory.path, 's');
  }

  /** What it printed on standard output since it was launched last. */
  get printed(): string {
    return this.#printed;
  }

  /** All it ever wrote to its log, over all its lives. */
  get log(): readonly string[] {
    return this.#lines;
  }

  /** Lines of the log that a healthy daemon does not write. */
  get complaints(): readonly string[] {
    return this.#lines.filter(
      (line) =>
        !line.startsWith('{"level":') || /^\{"level":"(error|fatal)"|Warning|unhandled/u.test(line),
    );
  }

  /** How its last life ended. */
  get ended(): Promise<ProcessEnd> {
    return this.#ended ?? Promise.reject(new Error(`${this.hostname} was never launched`));
  }

  /** Starts the process and waits for nothing. */
  launch(...args: readonly string[]): void {
    const { mode, hostname, dockerHost, networkNamespace } = this.#settings;
    const { args: more = [], nodeArgs = [] } = this.#settings;
    const flags = {
      '--state-dir': this.stateDir,
      '--host': `unix://${this.socketPath}`,
      '--docker-host': dockerHost,
      '--hostname': hostname,
      // A node that waits to be told is told this, too.
      ...(mode === 'daemon' ? {} : { '--listen-addr': this.address }),
    };
    this.#printed = '';
    const inside = networkNamespace === undefined ? [] : [`--net=/run/netns/${networkNamespace}`];
    const child = spawn(
      'nsenter', // Without a namespace to enter it does nothing.
      [
        ...inside,
        'setpriv',
        '--pdeathsig',
        'KILL',
        process.execPath,
        '--trace-warnings', // A complaint is to say where it comes from.
        ...nodeArgs,
        program,
        mode,
        ...Object.entries(flags).flat(),
        ...more,
        ...args,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: this.#environment },
    );
    this.#child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.#printed += text));
    let rest = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.#lines.push(...lines);
    });
    this.#ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        if (rest !== '') this.#lines.push(rest);
        this.#child = undefined;
        resolve({ code, signal });
      });
    });
  }

  /** Starts the process and waits until it is what it is to be. */
  async start(...args: readonly string[]): Promise<void> {
    this.launch(...args);
    await this.until('serve', async () => {
      const { LocalNodeState, ControlAvailable } = await this.info();
      const { mode } = this.#settings;
      if (mode === 'daemon') return true;
      return LocalNodeState === 'active' && (mode === 'worker' || ControlAvailable);
    });
  }

  /** Waits until something is true; a daemon that ends meanwhile never makes it so. */
  async until(what: string, isSo: () => Promise<boolean>, timeoutMs?: number): Promise<void> {
    const awaited = {
      name: this.hostname,
      hasEnded: () => this.#child === undefined,
      lastWords: () => this.#lines.slice(-20).join('\n'),
    };
    await until(awaited, what, isSo, timeoutMs);
  }

  /** Ends the process as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends the process as an operator would. */
  async stop(): Promise<ProcessEnd> {
    return this.#end('SIGTERM');
  }

  /** Sends a signal to the process, if there is one, and waits for nothing. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** The process; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Whether there is a process. */
  get isLaunched(): boolean {
    return this.#child !== undefined;
  }

  async #end(signal: NodeJS.Signals): Promise<ProcessEnd> {
    this.#child?.kill(signal);
    return this.ended;
  }

  /** Runs a command of our CLI against this daemon. */
  async swarmd(...args: readonly string[]): Promise<Outcome> {
    return this.run(args);
  }

  /** The same with something to read, or with another limit of time. */
  async run(args: readonly string[], options: Omit<CommandOptions, 'env'> = {}): Promise<Outcome> {
    return runCommand(process.execPath, [program, ...args], { env: this.#environment, ...options });
  }

  /** What a command of our CLI prints. It must succeed. */
  async prints(...args: readonly string[]): Promise<string> {
    const { stdout, stderr, code } = await this.run(args);
    if (code !== 0) throw new Error(`swarmd ${args.join(' ')}: exit ${code}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Runs a command of the stock docker CLI against this daemon's socket. */
  async docker(
    args: readonly string[],
    options: Omit<CommandOptions, 'env'> = {},
  ): Promise<Outcome> {
    return runCommand('docker', ['-H', `unix://${this.socketPath}`, ...args], {
      env: this.#environment,
      ...options,
    });
  }

  async ask(
    path: string,
    options: { readonly method?: string; readonly body?: unknown } = {},
  ): Promise<HttpAnswer> {
    return askSocket(this.socketPath, path, options);
  }

  /** What the Engine API of this daemon has at a path. It must have it. */
  async get<T>(path: string): Promise<T> {
    const { status, body } = await this.ask(path);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    return body as T; // By the caller's reading of the API.
  }

  async info(): Promise<SwarmInfo> {
    const { Swarm } = await this.get<{ readonly Swarm: SwarmInfo }>('/info');
    return Swarm;
  }

  get #environment(): Readonly<Record<string, string | undefined>> {
    return {
      PATH: process.env['PATH'],
      HOME: this.#directory.path,
      SWARMD_HOST: `unix://${this.socketPath}`,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill('SIGCONT');
    if (this.#child !== undefined) await this.#end('SIGKILL');
    await this.#directory[Symbol.asyncDispose]();
  }
}
