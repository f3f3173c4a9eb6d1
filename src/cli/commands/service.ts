import { clientFor, type EngineClient, isNotFound } from '../client.ts';
import type { Call, Command } from '../command.ts';
import { compareNaturally, shortId } from '../output/table.ts';
import { create, createFlags } from '../service/create.ts';
import { logFlags, logs } from '../service/logs.ts';
import { ingressPorts } from '../service/ports.ts';
import { prettyService } from '../service/pretty.ts';
import { isJob, nameOf, type ServiceObject, type ServiceSpec } from '../service/spec.ts';
import { rollback, scale, update, updateFlags } from '../service/update.ts';
import { waitFlags } from '../service/wait.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import {
  collectFailures,
  filtersOf,
  forEach,
  inspectEach,
  inspectFlags,
  listFlags,
  printList,
} from './common.ts';
import { printTasks, shortImage, taskFlags, type TaskObject } from './tasks.ts';

function modeName({ Mode = {} }: ServiceSpec): string {
  if (Mode.Global !== undefined) return 'global';
  if (Mode.ReplicatedJob !== undefined) return 'replicated job';
  return Mode.GlobalJob === undefined ? 'replicated' : 'global job';
}

function replicasOf({ ServiceStatus, Spec }: ServiceObject): string {
  const none = { RunningTasks: 0, DesiredTasks: 0, CompletedTasks: 0 };
  const { RunningTasks, DesiredTasks, CompletedTasks = 0 } = ServiceStatus ?? none;
  if (isJob(Spec)) {
    const total = Spec.Mode?.ReplicatedJob?.TotalCompletions ?? DesiredTasks + CompletedTasks;
    return `${RunningTasks}/${DesiredTasks} (${CompletedTasks}/${total} completed)`;
  }
  const most = Spec.TaskTemplate.Placement?.MaxReplicas ?? 0;
  const isLimited = most > 0 && Spec.Mode?.Replicated !== undefined;
  return `${RunningTasks}/${DesiredTasks}${isLimited ? ` (max ${most} per node)` : ''}`;
}

async function list({ flags }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const services = await client.list<ServiceObject>('/services', filtersOf(flags), {
    status: true,
  });
  const sorted = services.toSorted((a, b) => compareNaturally(nameOf(a), nameOf(b)));
  if (flags.switch('quiet') === true) {
    for (const { ID } of sorted) shell.out(`${shortId(ID)}\n`);
    return;
  }
  const format = flags.text('format');
  const rows = sorted.map((service) => ({
    ID: shortId(service.ID),
    Name: nameOf(service),
    Mode: modeName(service.Spec),
    Replicas: replicasOf(service),
    Image: shortImage(service.Spec.TaskTemplate.ContainerSpec.Image ?? ''),
    Ports: ingressPorts(service),
  }));
  printList(shell, format, {
    columns: ['ID', 'Name', 'Mode', 'Replicas', 'Image', 'Ports'],
    headers: {
      ID: 'ID',
      Name: 'NAME',
      Mode: 'MODE',
      Replicas: 'REPLICAS',
      Image: 'IMAGE',
      Ports: 'PORTS',
    },
    rows,
  });
}

/** A service by its full ID, its name, or the beginning of its ID. */
async function resolve(client: EngineClient, name: string): Promise<ServiceObject> {
  const [byName, byId] = [
    await client.list<ServiceObject>('/services', { name: [name] }),
    await client.list<ServiceObject>('/services', { id: [name] }),
  ];
  const exact = [
    ...byId.filter(({ ID }) => ID === name),
    ...byName.filter((service) => nameOf(service) === name),
  ];
  const [found] = exact.length > 0 ? exact : byId;
  if (found === undefined) throw new CommandFailure(`no such service: ${name}`);
  if (exact.length === 0 && byId.length > 1) {
    throw new CommandFailure(`multiple services found with provided prefix: ${name}`);
  }
  return found;
}

async function ps({ args, flags }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const ids: string[] = [];
  const failure = await collectFailures(args, async (name) => {
    ids.push((await resolve(client, name)).ID);
  });
  if (ids.length > 0) {
    const tasks = await client.list<TaskObject>('/tasks', { ...filtersOf(flags), service: ids });
    await printTasks(client, tasks, flags, shell);
  }
  if (failure !== undefined) throw failure;
}

async function remove({ args }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  await forEach(args, async (name) => {
    await client.delete(`/services/${encodeURIComponent(name)}`);
    shell.out(`${name}\n`);
  });
}

/** What the networks of a service are called. One that is gone keeps its ID. */
async function networkNames(
  client: EngineClient,
  { Spec }: ServiceObject,
): Promise<readonly string[]> {
  const ids = (Spec.TaskTemplate.Networks ?? []).map(({ Target }) => Target);
  return Promise.all(
    ids.map(async (id) => {
      try {
        return (await client.get<{ readonly Name: string }>(`/networks/${id}`)).Name;
      } catch (error) {
        if (!(error instanceof CommandFailure)) throw error;
        return id;
      }
    }),
  );
}

async function inspect(call: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const get = async (name: string): Promise<ServiceObject> => {
    try {
      return await client.get<ServiceObject>(`/services/${encodeURIComponent(name)}`, {
        insertDefaults: true,
      });
    } catch (error) {
      if (isNotFound(error)) throw new CommandFailure(`Error: no such service: ${name}`);
      throw error;
    }
  };
  await inspectEach(call, shell, get, async (service) =>
    prettyService(service, {
      nowMs: shell.clock.now(),
      networks: await networkNames(client, service),
    }),
  );
}

const command = (words_: string, rest: Omit<Command, 'words'>): Command => ({
  words: `service ${words_}`,
  ...rest,
});

export const serviceCommands: readonly Command[] = [
  command('create', {
    usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
    args: { min: 1, max: Infinity },
    summary: 'Create a new service',
    example: 'swarmd service create --name nginx --replicas 3 nginx',
    endsFlags: true,
    flags: createFlags,
    run: create,
  }),
  command('inspect', {
    usage: '[OPTIONS] SERVICE [SERVICE...]',
    args: { min: 1, max: Infinity },
    summary: 'Display detailed information on one or more services',
    example: 'swarmd service inspect --pretty nginx',
    flags: inspectFlags,
    run: inspect,
  }),
  command('logs', {
    usage: '[OPTIONS] SERVICE|TASK',
    args: { min: 1, max: 1 },
    summary: 'Fetch the logs of a service or task',
    example: 'swarmd service logs --follow --tail 20 nginx',
    flags: logFlags,
    run: logs,
  }),
  command('ls', {
    aliases: ['list'],
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'List services',
    example: 'swarmd service ls --filter mode=global',
    flags: listFlags,
    run: list,
  }),
  command('ps', {
    usage: '[OPTIONS] SERVICE [SERVICE...]',
    args: { min: 1, max: Infinity },
    summary: 'List the tasks of one or more services',
    example: 'swarmd service ps nginx --filter desired-state=running',
    flags: taskFlags,
    run: ps,
  }),
  command('rm', {
    aliases: ['remove'],
    usage: 'SERVICE [SERVICE...]',
    args: { min: 1, max: Infinity },
    summary: 'Remove one or more services',
    example: 'swarmd service rm nginx',
    flags: {},
    run: remove,
  }),
  command('rollback', {
    usage: '[OPTIONS] SERVICE',
    args: { min: 1, max: 1 },
    summary: "Revert changes to a service's configuration",
    example: 'swarmd service rollback nginx',
    flags: waitFlags,
    run: rollback,
  }),
  command('scale', {
    usage: 'SERVICE=REPLICAS [SERVICE=REPLICAS...]',
    args: { min: 1, max: Infinity },
    summary: 'Scale one or multiple replicated services',
    example: 'swarmd service scale nginx=8',
    flags: { detach: waitFlags.detach },
    run: scale,
  }),
  command('update', {
    usage: '[OPTIONS] SERVICE',
    args: { min: 1, max: 1 },
    summary: 'Update a service',
    example: 'swarmd service update --image nginx:1.27 --update-delay 10s nginx',
    flags: updateFlags,
    run: update,
  }),
];
