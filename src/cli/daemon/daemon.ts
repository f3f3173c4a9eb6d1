import { type EngineEndpoint, serveEngineApi } from '../../manager/index.ts';
import {
  createLog,
  CryptoRandom,
  type Log,
  runTogether,
  SystemClock,
} from '../../runtime/index.ts';
import { DockerEngine, DockerExecutor } from '../../worker/index.ts';
import pinoPretty from 'pino-pretty';
import type { DaemonConfig } from './config.ts';
import { Node } from './node.ts';
import { StateDir } from './state-dir.ts';

/** What the person who started a daemon is told of its swarm, once it serves. */
export interface Begun {
  readonly node: Node;
  readonly hasFounded: boolean;
}

/** The log goes to standard error: JSON, or lines to read where that is a terminal. */
function logOf({ logLevel }: DaemonConfig, clock: SystemClock): Log {
  const destination = process.stderr.isTTY
    ? pinoPretty({ destination: 2, sync: true, translateTime: 'HH:MM:ss.l' })
    : process.stderr;
  return createLog(clock, logLevel, destination);
}

/** The local Engine's address, taken apart. */
function endpointOf(dockerHost: string): EngineEndpoint {
  const tcp = /^(?:tcp|http):\/\/(?<host>[^:/]+):(?<port>\d+)\/?$/u.exec(dockerHost)?.groups;
  return tcp === undefined
    ? { kind: 'socket', path: dockerHost.replace(/^unix:\/\//u, '') }
    : { kind: 'tcp', host: tcp['host'] ?? '', port: Number(tcp['port']) };
}

/** Go's names for this machine, as `/version` has them. */
const goArch: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/**
 * Runs a daemon until the signal aborts: the composition root, where everything real is made.
 *
 * @param begun is called once the node serves, or waits to be told to join or found a swarm
 * @throws SwarmError, if it cannot begin or go on; its message is for whoever started the daemon
 */
export async function runDaemon(
  config: DaemonConfig,
  version: string,
  begun: (node: Begun) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const clock = new SystemClock();
  const random = new CryptoRandom();
  const log = logOf(config, clock);
  using stateDir = await StateDir.hold(config.stateDir, config.socketPath);
  const executor = new DockerExecutor({
    engine: new DockerEngine({ clock }, config.dockerHost),
    clock,
    log: log.child({ module: 'executor' }),
    filesDirectory: `${config.socketPath}.files`,
  });
  const node = new Node({ clock, random, log, stateDir, executor }, config);
  const api = {
    node,
    engine: () => endpointOf(config.dockerHost),
    program: { version, os: process.platform, arch: goArch[process.arch] ?? process.arch },
    clock,
    random,
    log: log.child({ module: 'http' }),
  };
  const onListening = (): void => {
    log.info({ socket: config.socketPath, engine: config.dockerHost }, 'the engine api is served');
  };
  await runTogether(signal, [
    async (inner) => serveEngineApi(api, { socketPath: config.socketPath, onListening }, inner),
    async (inner) => executor.run(inner),
    async (inner) => {
      const { hasFounded } = await node.begin(inner);
      await begun({ node, hasFounded });
      await node.run(inner);
    },
  ]);
}
