import { SystemClock } from '../../src/runtime/index.ts';
import type { Bench, Context } from '../lib/bench.ts';
import { type Host, type Hosts, leaderOf, startManagers } from '../lib/hosts.ts';
import { quantile } from '../lib/statistics.ts';

const clock = new SystemClock();

type Undo = () => Promise<void>;

/** What befalls a leader; and how it is made good. */
const failures: Readonly<Record<string, (hosts: Hosts, leader: Host) => Promise<Undo>>> = {
  SIGKILL: async (_, { signal, restart }) => {
    signal('SIGKILL');
    return Promise.resolve(restart);
  },
  SIGTERM: async (_, { signal, restart }) => {
    signal('SIGTERM');
    return Promise.resolve(restart);
  },
  SIGSTOP: async (_, { signal }) => {
    signal('SIGSTOP');
    return Promise.resolve(async () => Promise.resolve(signal('SIGCONT')));
  },
  cut: async ({ network }, { number }) => network.block({ from: number }, { to: number }),
};

/** How long nobody can write when the leader of three managers fails. */
export const failover: Bench = {
  name: 'failover',
  about: 'the leader of three managers fails: until one of the others has committed a write',
  contenders: ['swarmd', 'stock'],
  runs: 1, // In which each failure is made several times.
  rows: {
    SIGKILL: { what: 'killed (SIGKILL)', unit: 's' },
    'SIGKILL, p99': { what: 'killed, p99', unit: 's', budget: { most: 1 } },
    SIGTERM: { what: 'ends in order (SIGTERM)', unit: 's', budget: { most: 0.2 } },
    'SIGTERM, p99': { what: 'ends in order, p99', unit: 's' },
    SIGSTOP: { what: 'freezes (SIGSTOP)', unit: 's' },
    'SIGSTOP, p99': { what: 'freezes, p99', unit: 's', budget: { most: 3 } },
    cut: { what: 'is cut off in both directions', unit: 's' },
    'cut, p99': { what: 'is cut off, p99', unit: 's', budget: { most: 3 } },
  },
  measure,
};

/** Stock takes half a minute for each. */
const roundsOf = ({ contender, isQuick }: Context): number => {
  if (isQuick) return 1;
  return contender === 'stock' ? 5 : 10;
};

async function measure(context: Context): Promise<void> {
  const { note, tell, signal } = context;
  const managers = await startManagers(context, 3);
  for (const [name, fail] of Object.entries(failures)) {
    tell(name);
    const taken: number[] = [];
    for (let round = 0; round < roundsOf(context); round += 1) {
      const leader = await leaderOf(managers, context);
      await clock.sleep(2_000, signal); // What follows an election is over.
      const others = managers.hosts.filter((host) => host !== leader);
      const begun = clock.monotonic();
      const undo = await fail(managers, leader);
      await nextWrite(others, signal);
      const seconds = (clock.monotonic() - begun) / 1_000;
      note(name, seconds);
      taken.push(seconds);
      await undo();
    }
    note(`${name}, p99`, quantile(taken, 0.99));
  }
}

let written = 0;

/** Asks each of some managers to create a config, again and again, until one has committed it. */
async function nextWrite(hosts: readonly Host[], signal: AbortSignal): Promise<void> {
  const end = new AbortController();
  const attempt = async ({ client }: Host): Promise<void> => {
    while (!end.signal.aborted) {
      written += 1;
      const body = { Name: `after-${written}`, Data: 'YQ==' };
      const answer = await client
        .text('/configs/create', { method: 'POST', body })
        .catch(() => ({ status: 0 }));
      if (answer.status === 201) return;
      await clock.sleep(5, signal);
    }
  };
  await Promise.race(hosts.map(attempt));
  end.abort();
}
