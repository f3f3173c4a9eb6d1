import { AgentProcess } from '../lib/agent-process.ts';
import type { Bench, Context } from '../lib/bench.ts';
import { foundSwarm, tokenOf } from '../lib/managers.ts';
import {
  removeServices,
  serviceList,
  serviceOf,
  timesOf,
  together,
  untilRunning,
} from '../lib/services.ts';
import { quantile } from '../lib/statistics.ts';

const tasksOf = (service: string): string =>
  `/tasks?filters=${encodeURIComponent(JSON.stringify({ service: [service] }))}`;

/** How long it takes to list services and tasks, when there are many. */
export const listing: Bench = {
  name: 'listing',
  about: '`service ls` and `service ps` through the Engine API',
  contenders: ['swarmd', 'stock'],
  rows: {
    'ls of 600': { what: '`ls`, 600 services, p50', unit: 'ms', budget: { most: 5 } },
    'ls of 600, p99': { what: '`ls`, 600 services, p99', unit: 'ms' },
    'tasks of 600': { what: 'all tasks of 600 services, p50', unit: 'ms' },
    'ls of 1': { what: '`ls`, one service of 10,000 tasks, p50', unit: 'ms' },
    'ps of 1': { what: '`ps`, one service of 10,000 tasks, p50', unit: 'ms' },
  },
  measure,
};

async function measure(context: Context): Promise<void> {
  const { isQuick, note, tell, signal, use } = context;
  const [services, replicas, times] = isQuick ? [600, 1_000, 20] : [600, 10_000, 100];
  const { client, address } = await foundSwarm(context);
  const workers = use(new AgentProcess());
  const door = { address, token: await tokenOf(client, 'Worker') };
  await workers.join({ door, count: 50, agents: 'curt', atOnce: 10 });
  const watching = { everyMs: 200, signal };

  tell(`${services} services`);
  await together(8, services, async (index) =>
    client.change('POST', '/services/create', serviceOf(`service-${index}`, 1)),
  );
  await untilRunning(client, services, watching);
  const lists = await timesOf(times, async () => client.text(serviceList));
  note('ls of 600', quantile(lists, 0.5));
  note('ls of 600, p99', quantile(lists, 0.99));
  const all = await timesOf(times, async () => client.text('/tasks'));
  note('tasks of 600', quantile(all, 0.5));
  await removeServices(client);

  tell(`one service of ${replicas} tasks`);
  await client.change('POST', '/services/create', serviceOf('large', replicas));
  await untilRunning(client, replicas, watching);
  const few = Math.ceil(times / 5);
  note('ls of 1', quantile(await timesOf(few, async () => client.text(serviceList)), 0.5));
  note('ps of 1', quantile(await timesOf(few, async () => client.text(tasksOf('large'))), 0.5));
}
