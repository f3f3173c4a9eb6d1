import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SystemClock } from '../../src/runtime/index.ts';
import { checkHistory } from '../linearizability/check.ts';
import { containersOf, type TaskContainer } from '../support/swarm.ts';
import { Clients } from './clients.ts';
import { Cluster, eventually, type ListedNode } from './cluster.ts';
import { Nemesis } from './faults.ts';
import { Operator } from './operator.ts';
import { describeStep, scheduleOf, type Shape } from './schedule.ts';
import { Seeded } from './seeded.ts';

const clock = new SystemClock();
const { signal: never } = new AbortController();

export interface ChaosOptions extends Shape {
  readonly seed: number;
  /** How long faults are made. */
  readonly forMs: number;
  /** A directory the daemons' logs are written to at the end. */
  readonly logs?: string;
  /** Is told each line of what happens. */
  readonly tell?: (line: string) => void;
}

/** What a run that found nothing did. */
export interface ChaosReport {
  readonly faults: number;
  readonly answered: number;
  readonly unknown: number;
  /** From the end of the last fault until all was as wanted. */
  readonly healedAfterMs: number;
}

/**
 * Makes faults in a swarm of real daemons and Engines while clients and an operator work on it;
 * then lets it come to rest, and looks whether it kept its promises:
 *
 * - the history of all clients is linearizable, with a last read through every manager: every
 *   acknowledged change is there;
 * - the services are at the revision that was acknowledged last, or at one of unknown outcome after
 *   it; every task that is wanted runs in one container, and nothing else runs;
 * - the containers of the worker that nothing was done to are those of the beginning, and were
 *   never restarted;
 * - there is one leader, whichever manager one asks, and it stays; no daemon ended by itself.
 *
 * @throws Error with the seed, what was done, and the last lines of the daemons' logs
 */
export async function runChaos(
  { seed, forMs, logs, tell = () => undefined, ...shape }: ChaosOptions,
  signal: AbortSignal = never,
): Promise<ChaosReport> {
  const begun = clock.monotonic();
  const lines: string[] = [];
  const note = (line: string): void => {
    const told = `${((clock.monotonic() - begun) / 1_000).toFixed(1).padStart(6)}  ${line}`;
    lines.push(told);
    tell(told);
  };
  const cluster = await Cluster.start(shape, signal);
  try {
    note(`begun at ${new Date(clock.now()).toISOString()}`);
    note(`seed ${seed}: ${shape.managers} managers, ${shape.workers} workers`);
    return await attack(cluster, { seed, forMs, note, shape }, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Error(failureOf(cluster, { seed, forMs, shape, lines, error }), { cause: error });
  } finally {
    if (logs !== undefined) await writeLogs(cluster, logs, lines);
    await cluster[Symbol.asyncDispose]();
  }
}

async function writeLogs(
  { hosts }: Cluster,
  directory: string,
  lines: readonly string[],
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'run.log'), lines.join('\n'));
  for (const { name, daemon } of hosts) {
    await writeFile(join(directory, `${name}.log`), daemon.log.join('\n'));
  }
}

async function attack(
  cluster: Cluster,
  {
    seed,
    forMs,
    note,
    shape,
  }: {
    readonly seed: number;
    readonly forMs: number;
    readonly note: (line: string) => void;
    readonly shape: Shape;
  },
  signal: AbortSignal,
): Promise<ChaosReport> {
  const operator = new Operator(cluster, new Seeded(seed, 'operator'), note);
  const clients = new Clients(cluster);
  const nemesis = new Nemesis(cluster, new Seeded(seed, 'nemesis'), note);
  await operator.prepare();
  const before = await witnessed(cluster, operator);
  note('the services run');

  const steps = scheduleOf(seed, forMs, shape);
  const end = new AbortController();
  const stop = AbortSignal.any([signal, end.signal]);
  const work = Promise.all([clients.run(seed, stop), operator.run(stop)]);
  await nemesis.run(steps, signal);
  signal.throwIfAborted();
  end.abort();
  await cluster.network.heal();
  const healedAt = clock.monotonic();
  await work;
  note('all faults are over');

  await eventually('one leader, and all nodes ready', 60_000, async () => whyNotWhole(cluster));
  note('the swarm is whole');
  const wanted = await operator.settle();
  await eventually('what is wanted runs, once', 60_000, async () => operator.isRunning(wanted));
  const healedAfterMs = clock.monotonic() - healedAt;
  note('all that is wanted runs');
  await checkLeaderStays(cluster);

  await clients.readAll();
  const verdict = checkHistory(clients.history);
  if (verdict.kind === 'violation') {
    throw new Error(`the history is not linearizable: ${verdict.explanation}`);
  }
  const after = await witnessed(cluster, operator);
  if (JSON.stringify(after) !== JSON.stringify(before)) {
    throw new Error(
      `containers nothing was done to have changed: ${JSON.stringify({ before, after })}`,
    );
  }
  clients.reasons.forEach(note);
  note(`${clients.counts.answered} answers, ${clients.counts.unknown} unknown: linearizable`);
  return { faults: steps.length, ...clients.counts, healedAfterMs };
}

/** The containers of the worker that nothing is done to, of services nobody changes. */
async function witnessed(
  { witness }: Cluster,
  operator: Operator,
): Promise<readonly TaskContainer[]> {
  const nodes = await operator.nodes();
  const node = nodes.find(({ Description }) => Description.Hostname === witness.name);
  if (node === undefined) throw new Error(`${witness.name} is no node`);
  const containers = await containersOf(witness.engine.dockerHost, node.ID);
  return containers.filter(({ service }) => service === 'steady' || service === 'everywhere');
}

/** Whether every manager sees one leader, the same, every manager reachable and every node ready. */
async function whyNotWhole(cluster: Cluster): Promise<true | string> {
  const leaders = new Set<string>();
  for (const { name, daemon } of cluster.hosts) {
    if (!daemon.isLaunched) return `${name} has ended by itself`;
  }
  for (const { name, daemon } of cluster.managers) {
    const nodes = await daemon.get<readonly ListedNode[]>('/nodes');
    for (const { Description, Status, ManagerStatus } of nodes) {
      const who = `${name} sees ${Description.Hostname}`;
      if (Status.State !== 'ready') return `${who} as ${Status.State}: ${Status.Message ?? ''}`;
      if (ManagerStatus === undefined) continue;
      if (ManagerStatus.Reachability !== 'reachable') return `${who} ${ManagerStatus.Reachability}`;
      if (ManagerStatus.Leader === true) leaders.add(Description.Hostname);
    }
  }
  return leaders.size === 1 || `leaders are ${[...leaders].join(', ')}`;
}

/** A swarm at rest keeps its leader. */
async function checkLeaderStays(cluster: Cluster): Promise<void> {
  const first = await cluster.leader();
  const until = clock.monotonic() + 5_000;
  while (clock.monotonic() < until) {
    await clock.sleep(250, never);
    const leader = await cluster.leader();
    if (leader !== first) throw new Error(`the leader was ${first} and is ${leader}, at rest`);
  }
}

function failureOf(
  { hosts }: Cluster,
  {
    seed,
    forMs,
    shape,
    lines,
    error,
  }: {
    readonly seed: number;
    readonly forMs: number;
    readonly shape: Shape;
    readonly lines: readonly string[];
    readonly error: unknown;
  },
): string {
  const { managers, workers } = shape;
  const minutes = (forMs / 60_000).toFixed(2);
  const flags = `--seed ${seed} --minutes ${minutes} --managers ${managers} --workers ${workers}`;
  return [
    String(error),
    `\nAgain with: npm run chaos -- ${flags}`,
    '\nThe schedule:',
    ...scheduleOf(seed, forMs, shape).map(describeStep),
    '\nWhat was done:',
    ...lines,
    ...hosts.flatMap(({ name, daemon }) => [`\nThe last of ${name}:`, ...lastOf(daemon.log)]),
  ].join('\n');
}

/** The last lines of a log, without what makes them long. */
const lastOf = (log: readonly string[]): readonly string[] =>
  log.slice(-40).map((line) => (line.length > 400 ? `${line.slice(0, 400)}…` : line));
