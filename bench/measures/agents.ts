import { join } from 'node:path';
import { SystemClock } from '../../src/runtime/index.ts';
import { AgentProcess } from '../lib/agent-process.ts';
import type { Bench, Context } from '../lib/bench.ts';
import { foundSwarm, type Manager, tokenOf } from '../lib/managers.ts';
import {
  removeServices,
  serviceList,
  serviceOf,
  timesOf,
  until,
  untilRunning,
} from '../lib/services.ts';
import { quantile } from '../lib/statistics.ts';
import { cpuMs, residentMiB } from '../lib/usage.ts';

const clock = new SystemClock();

/** So many nodes join at the same time. */
const joiningAtOnce = 32;

/** A swarm of many agents that run many tasks, from the first join to the end of the last task. */
export const agents: Bench = {
  name: 'agents',
  about: '500 agents over TLS, each with a connection of its own; 5,000 tasks of 5 services',
  contenders: ['swarmd', 'swarmd, own agents', 'stock'],
  rows: {
    joins: { what: 'joins per second, 32 at once', unit: '/s' },
    joinCpu: { what: "leader's CPU per join", unit: 'ms' },
    taskTime: { what: 'from create to all RUNNING', unit: 's' },
    taskCpu: {
      what: "leader's CPU per task, create to RUNNING",
      unit: 'ms',
      budget: { most: 2 },
      ownBudget: { most: 1 },
    },
    memory: { what: "leader's memory while all run", unit: 'MiB', budget: { most: 300 } },
    list: { what: '`service ls` while all run, p50', unit: 'ms' },
    idleCpu: { what: "leader's CPU with heartbeats alone", unit: '%' },
    removeTime: { what: 'until all are removed', unit: 's' },
    removeCpu: { what: "leader's CPU per task removed", unit: 'ms' },
    delay: { what: 'delay of the event loop meanwhile, p99', unit: 'ms' },
  },
  measure,
};

async function measure(context: Context): Promise<void> {
  const { contender, isQuick, note, tell, signal, use } = context;
  const [nodes, services, replicas] = isQuick ? [50, 5, 100] : [500, 5, 1_000];
  const tasks = services * replicas;
  const manager = await foundSwarm(context);
  const workers = use(new AgentProcess());
  const door = { address: manager.address, token: await tokenOf(manager.client, 'Worker') };
  const kind = contender === 'swarmd, own agents' ? 'own' : 'stock-like';

  tell(`${nodes} agents join`);
  const joining = await usageOf(manager, 'join', async () =>
    workers.join({ door, count: nodes, agents: kind, atOnce: joiningAtOnce }),
  );
  note('joins', (nodes * 1_000) / joining.ms);
  note('joinCpu', joining.cpuMs / nodes);

  tell(`${tasks} tasks start`);
  const starting = await usageOf(manager, 'tasks', async () => {
    for (let index = 1; index <= services; index += 1) {
      const service = serviceOf(`service-${index}`, replicas);
      await manager.client.change('POST', '/services/create', service);
    }
    await until('tasks run', async () => (await workers.counts()).running === tasks, { signal });
    await untilRunning(manager.client, tasks, { signal });
  });
  note('taskTime', starting.ms / 1_000);
  note('taskCpu', starting.cpuMs / tasks);
  note('memory', await residentMiB(manager.pid));
  const lists = await timesOf(50, async () => manager.client.text(serviceList));
  note('list', quantile(lists, 0.5));

  tell('nothing but heartbeats');
  await clock.sleep(3_000, signal);
  const idle = await usageOf(manager, 'idle', async () =>
    clock.sleep(isQuick ? 5_000 : 20_000, signal),
  );
  note('idleCpu', (100 * idle.cpuMs) / idle.ms);

  tell('all is removed');
  const removing = await usageOf(manager, 'remove', async () => {
    await removeServices(manager.client);
    await until('agents have no tasks', async () => (await workers.counts()).assigned === 0, {
      signal,
    });
    const isGone = async (): Promise<boolean> =>
      (await manager.client.get<readonly unknown[]>('/tasks')).length === 0;
    await until('the manager has no tasks', isGone, { signal });
  });
  note('removeTime', removing.ms / 1_000);
  note('removeCpu', removing.cpuMs / tasks);
  const { lostSessions } = await workers.counts();
  if (lostSessions > 0) tell(`${lostSessions} sessions were lost and opened anew`);
  if (manager.monitor !== undefined) note('delay', await manager.monitor.delayP99Ms());
}

/** What a manager takes for something, in time and in processor time. */
async function usageOf(
  { pid, monitor }: Manager,
  phase: string,
  during: () => Promise<void>,
): Promise<{ readonly ms: number; readonly cpuMs: number }> {
  const folder = process.env['BENCH_PROFILES']; // A folder for a profile of each phase.
  if (folder !== undefined && monitor !== undefined) {
    const watched = during;
    during = async () => monitor.profile(join(folder, `${phase}.cpuprofile`), watched);
  }
  const [begun, used] = [clock.monotonic(), await cpuMs(pid)];
  await during();
  return { ms: clock.monotonic() - begun, cpuMs: (await cpuMs(pid)) - used };
}
