import { codecOf, type Node, type Task } from '../../src/api/index.ts';
import { SystemClock } from '../../src/runtime/index.ts';
import { ClusterView, schedule } from '../../src/scheduler/index.ts';
import type { Bench, Row } from '../lib/bench.ts';

const clock = new SystemClock();

const emptyNode = codecOf('Node').create({
  spec: { availability: 'ACTIVE' },
  description: { resources: { nanoCpus: '64000000000', memoryBytes: String(2 ** 40) } },
  status: { state: 'READY' },
});
const waitingTask = codecOf('Task').create({
  status: { state: 'PENDING' },
  desiredState: 'RUNNING',
  specVersion: { index: '1' },
  spec: { resources: { reservations: { nanoCpus: '1000000', memoryBytes: '1048576' } } },
});

interface Size {
  readonly nodes: number;
  readonly tasks: number;
  readonly services: number;
}

const sizes: Readonly<Record<string, Size & Pick<Row, 'budget'>>> = {
  one: { nodes: 1_000, tasks: 100_000, services: 1, budget: { most: 1 } },
  hundred: { nodes: 1_000, tasks: 100_000, services: 100, budget: { most: 1 } },
  many: { nodes: 1_000, tasks: 100_000, services: 10_000 },
  large: { nodes: 5_000, tasks: 150_000, services: 100 },
};

const shown = (count: number): string => count.toLocaleString('en');

const rowOf = ({ nodes, tasks, services, budget }: (typeof sizes)[string]): Row => ({
  what: `${shown(tasks)} tasks of ${shown(services)} services on ${shown(nodes)} nodes`,
  unit: 's',
  ...(budget === undefined ? {} : { budget }),
});

/** How long the scheduler takes to place tasks on empty nodes: the function alone. */
export const scheduler: Bench = {
  name: 'scheduler',
  about: 'the scheduler places waiting tasks on empty nodes: the function alone',
  contenders: ['swarmd'],
  rows: Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, rowOf(size)])),
  measure: async ({ note, signal }) => {
    for (const [name, size] of Object.entries(sizes)) {
      note(name, secondsFor(size));
      await clock.sleep(0, signal);
    }
  },
};

const idOf = (kind: string, index: number): string => `${kind}${String(index).padStart(21, '0')}`;

function secondsFor({ nodes: nodeCount, tasks: taskCount, services }: Size): number {
  const nodes = Array.from({ length: nodeCount }, (_, index): Node => {
    return { ...emptyNode, id: idOf('node', index) };
  });
  const tasks = Array.from({ length: taskCount }, (_, index): Task => {
    const serviceId = `service${index % services}`;
    const slot = String(Math.floor(index / services) + 1);
    return { ...waitingTask, id: idOf('task', index), serviceId, slot };
  });
  const view = ClusterView.from(nodes, tasks);
  const begun = clock.monotonic();
  const { placements } = schedule(view, 0);
  const ms = clock.monotonic() - begun;
  if (placements.length !== taskCount) throw new Error(`${placements.length} tasks were placed`);
  return ms / 1_000;
}
