import { SystemClock } from '../../src/runtime/index.ts';
import type { Cluster, Host } from './cluster.ts';
import type { Step, Victim } from './schedule.ts';
import type { Seeded } from './seeded.ts';

const clock = new SystemClock();

/** Does to a cluster what a schedule says, and undoes it. */
export class Nemesis {
  readonly #cluster: Cluster;
  readonly #chance: Seeded;
  readonly #tell: (line: string) => void;
  /** Hosts that something is being done to. */
  readonly #busy = new Set<Host>();

  constructor(cluster: Cluster, chance: Seeded, tell: (line: string) => void) {
    this.#cluster = cluster;
    this.#chance = chance;
    this.#tell = tell;
  }

  /** Runs a schedule to its end, or until the signal aborts. At its end nothing is amiss any more. */
  async run(steps: readonly Step[], signal: AbortSignal): Promise<void> {
    const begun = clock.monotonic();
    const lasting: Promise<void>[] = [];
    for (const step of steps) {
      const ahead = Math.max(0, step.atMs - (clock.monotonic() - begun));
      await clock.sleep(ahead, signal).catch(() => undefined);
      if (signal.aborted) break;
      lasting.push(this.#carryOut(step, signal));
    }
    await Promise.all(lasting);
  }

  async #carryOut(step: Step, signal: AbortSignal): Promise<void> {
    const host = await this.#find(step.victim);
    if (host === undefined || this.#busy.has(host)) {
      this.#tell(`${step.fault} ${step.victim}: left out, something is being done to it`);
      return;
    }
    this.#busy.add(host);
    try {
      this.#tell(`${step.fault} ${host.name} (${step.victim}) for ${step.forMs} ms`);
      const undo = await this.#begin(step, host);
      await clock.sleep(step.forMs, signal).catch(() => undefined);
      await undo();
      this.#tell(`${step.fault} ${host.name}: over`);
    } finally {
      this.#busy.delete(host);
    }
  }

  /** Begins a fault. What it returns ends it. */
  async #begin({ fault }: Step, host: Host): Promise<() => Promise<void>> {
    const { daemon, number } = host;
    const { network } = this.#cluster;
    switch (fault) {
      case 'kill':
        await daemon.kill();
        return async () => daemon.launch();
      case 'stop':
        await daemon.stop();
        return async () => daemon.launch();
      case 'pause':
        daemon.signal('SIGSTOP');
        return async () => daemon.signal('SIGCONT');
      case 'cut':
        return network.block({ from: number }, { to: number });
      case 'deafen':
        return network.block({ to: number });
      case 'silence':
        return network.block({ from: number });
      case 'part': {
        const other = this.#chance.pick(this.#cluster.managers).number;
        return network.block({ from: number, to: other }, { from: other, to: number });
      }
      case 'loss':
        return network.block({ from: number, percent: 25 }, { to: number, percent: 25 });
    }
  }

  async #find(victim: Victim): Promise<Host | undefined> {
    const { managers, workers, witness } = this.#cluster;
    if (victim === 'worker') return this.#chance.pick(workers.filter((host) => host !== witness));
    const leader = await this.#cluster.leader().catch(() => undefined);
    const fitting = managers.filter(({ name }) => (name === leader) === (victim === 'leader'));
    return fitting.length === 0 ? undefined : this.#chance.pick(fitting);
  }
}
