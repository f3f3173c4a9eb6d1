import { startPrivateEngine } from '../../scripts/lib/private-engine.mjs';
import { SwarmDaemon } from '../../test/support/swarm-daemon.ts';
import type { Context } from './bench.ts';
import { EngineClient } from './engine-client.ts';
import { startIdleEngine } from './idle-engine.ts';
import { LoopMonitor } from './loop-monitor.ts';

/** A manager under measurement, with its Engine API and its process. */
export interface Manager {
  readonly client: EngineClient;
  readonly pid: number;
  /** Where nodes find it: `host:port`. */
  readonly address: string;
  /** Looks into the process; stock has nothing to look into. */
  readonly monitor?: LoopMonitor;
}

/** What a measure needs to start managers. */
type Starting = Pick<Context, 'contender' | 'use'>;

/** Founds a swarm of one manager that runs no tasks itself, as ours or as a stock Engine. */
export async function foundSwarm({ contender, use }: Starting): Promise<Manager> {
  return contender === 'stock' ? foundStock(use) : foundOurs(use);
}

async function foundOurs(use: Context['use']): Promise<Manager> {
  const monitor = use(await LoopMonitor.create());
  const { dockerHost } = use(await startIdleEngine());
  const { nodeArgs } = monitor;
  const settings = { mode: 'manager', hostname: 'manager', dockerHost, nodeArgs } as const;
  const daemon = use(await SwarmDaemon.create(settings));
  await daemon.start('--availability', 'drain');
  const client = use(new EngineClient(daemon.socketPath));
  return { client, pid: alive(daemon.pid), address: daemon.address, monitor };
}

async function foundStock(use: Context['use']): Promise<Manager> {
  const engine = await startPrivateEngine();
  use({ [Symbol.asyncDispose]: async () => engine.stop() });
  const client = use(new EngineClient(engine.socketPath));
  await client.change('POST', '/swarm/init', {
    ListenAddr: '0.0.0.0:2377',
    AdvertiseAddr: engine.address,
    Availability: 'drain',
  });
  return { client, pid: alive(engine.pid), address: `${engine.address}:2377` };
}

/** The token that a swarm's workers, or managers, join with. */
export async function tokenOf(client: EngineClient, role: 'Worker' | 'Manager'): Promise<string> {
  const { JoinTokens } = await client.get<{ readonly JoinTokens: Record<string, string> }>(
    '/swarm',
  );
  return JoinTokens[role] ?? '';
}

function alive(pid: number | undefined): number {
  if (pid === undefined) throw new Error('a manager has ended');
  return pid;
}
