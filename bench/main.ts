import { parseArgs } from 'node:util';
import { whyNoPrivateEngine } from '../scripts/lib/private-engine.mjs';
import { ensureBuilt } from '../scripts/lib/prerequisites.mjs';
import { messageOf } from '../src/runtime/index.ts';
import { type Bench, type Contender, contenders } from './lib/bench.ts';
import { Resources } from './lib/resources.ts';
import { Report } from './lib/report.ts';
import { agents } from './measures/agents.ts';
import { failover } from './measures/failover.ts';
import { joins } from './measures/joins.ts';
import { listing } from './measures/listing.ts';
import { scheduler } from './measures/scheduler.ts';
import { writes } from './measures/writes.ts';

// npm run bench: what swarmd takes, beside a stock swarm where there is a dockerd. See
// docs/performance.md.
//   --only agents,writes   these alone
//   --runs 3               each so often; five times, if not given
//   --agents ours          with our own agents alone, or with stock-like ones alone
//   --quick                smaller, and once: to see that it works
const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    runs: { type: 'string' },
    agents: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});
const benches: readonly Bench[] = [agents, writes, listing, scheduler, joins, failover];
const results = new URL('results', import.meta.url).pathname;
const say = (text: string): void => void process.stderr.write(`${text}\n`);

const chosen = benches.filter(({ name }) => flags.only?.split(',').includes(name) ?? true);
const isQuick = flags.quick;
const runs = Number(flags.runs ?? (isQuick ? 1 : 5));

if (process.env['SWARMD_DIST'] === undefined) ensureBuilt();
const whyNoStock = whyNoPrivateEngine();
if (whyNoStock !== undefined) say(`no stock swarm beside it: ${whyNoStock}`);
const isThere = (contender: Contender): boolean => {
  if (contender === 'stock') return whyNoStock === undefined;
  if (flags.agents === undefined) return true;
  return (contender === 'swarmd') === (flags.agents === 'stock-like');
};

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());

const report = new Report({ isQuick });
for (const bench of chosen) {
  report.begin(bench);
  for (let run = 0; run < (bench.runs ?? runs); run += 1) {
    const inOrder = contenders.filter((who) => bench.contenders.includes(who) && isThere(who));
    // Whoever is second finds warm caches, or a tired machine: each is, in turn.
    for (const contender of run % 2 === 0 ? inOrder : inOrder.toReversed()) {
      if (stop.signal.aborted) break;
      await measure(bench, contender, run);
    }
  }
  process.stdout.write(`${report.table(bench)}\n\n`);
}
if (!stop.signal.aborted) await report.save(results);
for (const failure of report.failures) say(failure);
if (report.failures.length > 0) process.exitCode = 1;
if (stop.signal.aborted) process.exitCode = 130;

async function measure(bench: Bench, contender: Contender, run: number): Promise<void> {
  const what = `${bench.name}, ${contender}, run ${run + 1}`;
  say(what);
  const resources = new Resources(stop.signal);
  try {
    await bench.measure({
      contender,
      isQuick,
      signal: stop.signal,
      use: resources.use,
      tell: (text) => {
        say(`  ${text}`);
      },
      note: (row, value) => {
        report.note(bench, row, contender, value);
        say(
          `  ${bench.rows[row]?.what ?? row}: ${value.toFixed(2)} ${bench.rows[row]?.unit ?? ''}`,
        );
      },
    });
  } catch (error) {
    if (!stop.signal.aborted) report.failures.push(`${what}: ${messageOf(error)}`);
  } finally {
    for (const error of await resources.dispose()) {
      report.failures.push(`${what}: left behind: ${messageOf(error)}`);
    }
  }
}
