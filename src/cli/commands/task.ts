import { clientFor } from '../client.ts';
import type { Call, Command } from '../command.ts';
import type { Shell } from '../shell.ts';
import { filtersOf, inspectEach, inspectFlags } from './common.ts';
import { printTasks, taskFlags, type TaskObject } from './tasks.ts';

async function list({ flags }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  await printTasks(client, await client.list<TaskObject>('/tasks', filtersOf(flags)), flags, shell);
}

async function inspect(call: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const get = async (name: string): Promise<TaskObject> =>
    client.get<TaskObject>(`/tasks/${encodeURIComponent(name)}`);
  await inspectEach(call, shell, get);
}

export const taskCommands: readonly Command[] = [
  {
    words: 'task ls',
    aliases: ['list'],
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'List the tasks of the swarm',
    example: 'swarmd task ls --filter desired-state=running',
    flags: taskFlags,
    run: list,
  },
  {
    words: 'task inspect',
    usage: '[OPTIONS] TASK [TASK...]',
    args: { min: 1, max: Infinity },
    summary: 'Display detailed information on one or more tasks',
    example: "swarmd task inspect --format '{{.Status.Err}}' k3f0c5x2m7q1",
    flags: { format: inspectFlags.format },
    run: inspect,
  },
];
