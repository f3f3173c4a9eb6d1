import type { EngineClient } from '../client.ts';
import type { Flag, Flags } from '../command.ts';
import type { Meta, NodeObject } from '../engine-types.ts';
import { compareNaturally, ellipsis, pretty, shortId } from '../output/table.ts';
import { humanDuration } from '../output/units.ts';
import type { Shell } from '../shell.ts';
import { listFlags, printList } from './common.ts';

/** A task, as far as tables show it. */
export interface TaskObject extends Meta {
  readonly ServiceID?: string;
  readonly NodeID?: string;
  readonly Slot?: number;
  readonly DesiredState?: string;
  readonly JobIteration?: { readonly Index?: number };
  readonly Spec: { readonly ContainerSpec?: { readonly Image?: string } };
  readonly Status: {
    readonly Timestamp?: string;
    readonly State?: string;
    readonly Message?: string;
    readonly Err?: string;
    readonly PortStatus?: {
      readonly Ports?: readonly {
        readonly Protocol?: string;
        readonly TargetPort?: number;
        readonly PublishedPort?: number;
        readonly PublishMode?: string;
      }[];
    };
  };
}

export const taskFlags = {
  ...listFlags,
  quiet: { kind: 'switch', alias: 'q', describe: 'Only display task IDs' },
  'no-resolve': { kind: 'switch', describe: 'Do not map IDs to Names' },
  'no-trunc': { kind: 'switch', describe: 'Do not truncate output' },
} as const satisfies Readonly<Record<string, Flag>>;

/** An error is shown in so many characters, quotes included. */
const errorWidth = 30;

/** An image as people write it: the digest is left off where there is a tag. */
export function shortImage(image: string): string {
  const [named = ''] = image.split('@');
  return named.lastIndexOf(':') > named.lastIndexOf('/') ? named : image;
}

/** Each port once: an Engine reports one for every address family it binds. */
function portsOf({ Status }: TaskObject): string {
  const ports = (Status.PortStatus?.Ports ?? []).map(
    ({ PublishedPort, TargetPort, Protocol }) =>
      `*:${PublishedPort ?? 0}->${TargetPort ?? 0}/${Protocol ?? 'tcp'}`,
  );
  return [...new Set(ports)].join(',');
}

/** The names of services and nodes, asked for once. An ID whose object is gone stays an ID. */
async function namesById(
  client: EngineClient,
  tasks: readonly TaskObject[],
): Promise<{
  readonly service: ReadonlyMap<string, string>;
  readonly node: ReadonlyMap<string, string>;
}> {
  if (tasks.length === 0) return { service: new Map(), node: new Map() };
  const [services, nodes] = await Promise.all([
    client.list<Meta & { readonly Spec: { readonly Name?: string } }>('/services'),
    client.list<NodeObject>('/nodes'),
  ]);
  return {
    service: new Map(services.map(({ ID, Spec }) => [ID, Spec.Name ?? ''])),
    node: new Map(
      nodes.map(({ ID, Spec, Description }) => [
        ID,
        (Spec.Name ?? '') === '' ? (Description?.Hostname ?? '') : (Spec.Name ?? ''),
      ]),
    ),
  };
}

/** What a table shows of a task by itself. */
function rowOf(
  task: TaskObject,
  { nowMs, isFull }: { readonly nowMs: number; readonly isFull: boolean },
): Readonly<Record<string, string>> {
  const { State = '', Timestamp = '', Err = '' } = task.Status;
  const ago = humanDuration(nowMs - Date.parse(Timestamp)).toLowerCase();
  const image = task.Spec.ContainerSpec?.Image ?? '';
  const error = isFull ? Err : ellipsis(Err, errorWidth - 2);
  return {
    ID: isFull ? task.ID : shortId(task.ID),
    Image: isFull ? image : shortImage(image),
    DesiredState: pretty(task.DesiredState ?? ''),
    CurrentState: `${pretty(State)} ${ago} ago`,
    Error: Err === '' ? '' : `"${error}"`,
    Ports: portsOf(task),
  };
}

/** Prints tasks as `service ps` and `node ps` do: by name, the newest of each name first. */
export async function printTasks(
  client: EngineClient,
  tasks: readonly TaskObject[],
  flags: Flags,
  shell: Shell,
): Promise<void> {
  const isResolved = flags.switch('no-resolve') !== true;
  const names = isResolved
    ? await namesById(client, tasks)
    : { service: new Map<string, string>(), node: new Map<string, string>() };
  const named = tasks.map((task) => {
    const service = names.service.get(task.ServiceID ?? '') ?? task.ServiceID ?? '';
    const place = task.Slot === undefined || task.Slot === 0 ? (task.NodeID ?? '') : task.Slot;
    return { task, name: `${service}.${place}` };
  });
  const sorted = named.toSorted(
    (a, b) =>
      compareNaturally(a.name, b.name) ||
      Date.parse(b.task.CreatedAt ?? '') - Date.parse(a.task.CreatedAt ?? ''),
  );
  if (flags.switch('quiet') === true) {
    for (const { task } of sorted) shell.out(`${task.ID}\n`);
    return;
  }
  const format = flags.text('format');
  const isFull = flags.switch('no-trunc') === true;
  const isTable = format === undefined || format.startsWith('table');
  const rows = sorted.map(({ task, name }, at) => ({
    ...rowOf(task, { nowMs: shell.clock.now(), isFull }),
    Name: isTable && sorted[at - 1]?.name === name ? ` \\_ ${name}` : name,
    Node: names.node.get(task.NodeID ?? '') ?? task.NodeID ?? '',
  }));
  printList(shell, format, {
    columns: ['ID', 'Name', 'Image', 'Node', 'DesiredState', 'CurrentState', 'Error', 'Ports'],
    headers: {
      ID: 'ID',
      Name: 'NAME',
      Image: 'IMAGE',
      Node: 'NODE',
      DesiredState: 'DESIRED STATE',
      CurrentState: 'CURRENT STATE',
      Error: 'ERROR',
      Ports: 'PORTS',
    },
    rows,
  });
}
