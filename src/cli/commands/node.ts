import { clientFor, type EngineClient } from '../client.ts';
import type { Call, Command } from '../command.ts';
import type { NodeObject, NodeSpec, SwarmObject, SystemInfo, TlsInfo } from '../engine-types.ts';
import { compareNaturally, pretty } from '../output/table.ts';
import { CommandFailure, InvalidValue, type Shell } from '../shell.ts';
import {
  collectFailures,
  filtersOf,
  forEach,
  inspectEach,
  inspectFlags,
  listFlags,
  pairs,
  printList,
} from './common.ts';
import { prettyNode } from './node-pretty.ts';
import { printTasks, taskFlags, type TaskObject } from './tasks.ts';

/** `self` is the node the daemon stands on. */
async function nodeReference(client: EngineClient, name: string): Promise<string> {
  if (name !== 'self') return name;
  const { Swarm } = await client.get<SystemInfo>('/info');
  if (Swarm.NodeID !== '') return Swarm.NodeID;
  // Ask for a list: its refusal says why this node cannot answer.
  await client.list('/nodes');
  throw new CommandFailure('this node is not part of a swarm');
}

const getNode = async (client: EngineClient, name: string): Promise<NodeObject> =>
  client.get<NodeObject>(`/nodes/${encodeURIComponent(await nodeReference(client, name))}`);

const isSameTls = (a: TlsInfo | undefined, b: TlsInfo | undefined): boolean =>
  a?.TrustRoot === b?.TrustRoot &&
  a?.CertIssuerSubject === b?.CertIssuerSubject &&
  a?.CertIssuerPublicKey === b?.CertIssuerPublicKey;

function tlsStatus(node: NodeObject, swarm: SwarmObject | undefined): string {
  const own = node.Description?.TLSInfo;
  if (swarm === undefined || own === undefined) return 'Unknown';
  return isSameTls(own, swarm.TLSInfo) ? 'Ready' : 'Needs Rotation';
}

async function list({ flags }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const nodes = await client.list<NodeObject>('/nodes', filtersOf(flags));
  const sorted = nodes.toSorted((a, b) =>
    compareNaturally(a.Description?.Hostname ?? '', b.Description?.Hostname ?? ''),
  );
  if (flags.switch('quiet') === true) {
    for (const { ID } of sorted) shell.out(`${ID}\n`);
    return;
  }
  const { Swarm } = await client.get<SystemInfo>('/info');
  const format = flags.text('format');
  const wantsTls = format?.includes('.TLSStatus') === true || format === 'json';
  const swarm = wantsTls ? await client.get<SwarmObject>('/swarm') : undefined;
  const isTable = format === undefined || format === 'table';
  const rows = sorted.map((node) => {
    const isSelf = node.ID === Swarm.NodeID;
    const { ManagerStatus } = node;
    return {
      ID: isTable ? `${node.ID} ${isSelf ? '*' : ' '}` : node.ID,
      Hostname: node.Description?.Hostname ?? '',
      Status: pretty(node.Status?.State ?? ''),
      Availability: pretty(node.Spec.Availability ?? ''),
      ManagerStatus:
        ManagerStatus?.Leader === true ? 'Leader' : pretty(ManagerStatus?.Reachability ?? ''),
      EngineVersion: node.Description?.Engine?.EngineVersion ?? '',
      TLSStatus: tlsStatus(node, swarm),
      Self: isSelf,
    };
  });
  printList(shell, format, {
    columns: ['ID', 'Hostname', 'Status', 'Availability', 'ManagerStatus', 'EngineVersion'],
    headers: {
      ID: 'ID',
      Hostname: 'HOSTNAME',
      Status: 'STATUS',
      Availability: 'AVAILABILITY',
      ManagerStatus: 'MANAGER STATUS',
      EngineVersion: 'ENGINE VERSION',
      TLSStatus: 'TLS STATUS',
      Self: 'SELF',
    },
    rows,
  });
}

async function inspect(call: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  await inspectEach(call, shell, async (name) => getNode(client, name), prettyNode);
}

async function ps({ args, flags }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const tasks: TaskObject[] = [];
  const failure = await collectFailures(args.length > 0 ? args : ['self'], async (name) => {
    const { ID } = await getNode(client, name);
    tasks.push(...(await client.list<TaskObject>('/tasks', { ...filtersOf(flags), node: [ID] })));
  });
  const isEmpty = tasks.length === 0 && failure !== undefined;
  if (!isEmpty) await printTasks(client, tasks, flags, shell);
  if (failure !== undefined) throw failure;
}

async function updateSpec(
  client: EngineClient,
  name: string,
  change: (spec: NodeSpec) => NodeSpec,
): Promise<void> {
  const node = await getNode(client, name);
  await client.post(`/nodes/${node.ID}/update`, {
    query: { version: node.Version?.Index ?? 0 },
    body: change(node.Spec),
  });
}

async function update({ args, flags }: Call, shell: Shell): Promise<void> {
  const [name = ''] = args;
  const client = clientFor(shell);
  const availability = flags.text('availability')?.toLowerCase();
  const role = flags.text('role')?.toLowerCase();
  const added = pairs(flags.list('label-add'));
  const removed = flags.list('label-rm');
  if (Object.hasOwn(added, '')) {
    throw new InvalidValue('label-add', '', 'a label needs a key');
  }
  await updateSpec(client, name, (spec) => {
    const labels = { ...spec.Labels, ...added };
    for (const key of removed) {
      if (!Object.hasOwn(labels, key)) {
        throw new CommandFailure(`key ${key} doesn't exist in node's labels`);
      }
    }
    const kept = Object.entries(labels).filter(([key]) => !removed.includes(key));
    return {
      ...spec,
      Labels: Object.fromEntries(kept),
      ...(availability === undefined ? {} : { Availability: availability }),
      ...(role === undefined ? {} : { Role: role }),
    };
  });
  shell.out(`${name}\n`);
}

async function remove({ args, flags }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const force = flags.switch('force') === true;
  await forEach(args, async (name) => {
    await client.delete(`/nodes/${encodeURIComponent(name)}`, { force });
    shell.out(`${name}\n`);
  });
}

/** Gives nodes another role, one after the other, up to the first that fails. */
const roleChange =
  (role: 'manager' | 'worker', done: (name: string) => string) =>
  async ({ args }: Call, shell: Shell): Promise<void> => {
    const client = clientFor(shell);
    for (const name of args) {
      const node = await getNode(client, name);
      if (node.Spec.Role === role) {
        shell.out(`Node ${node.ID} is already a ${role}.\n`);
        continue;
      }
      await updateSpec(client, name, (spec) => ({ ...spec, Role: role }));
      shell.out(done(name));
    }
  };

export const nodeCommands: readonly Command[] = [
  {
    words: 'node ls',
    aliases: ['list'],
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'List nodes in the swarm',
    example: 'swarmd node ls --filter role=worker',
    flags: listFlags,
    run: list,
  },
  {
    words: 'node inspect',
    usage: '[OPTIONS] self|NODE [NODE...]',
    args: { min: 1, max: Infinity },
    summary: 'Display detailed information on one or more nodes',
    example: 'swarmd node inspect --pretty self',
    flags: inspectFlags,
    run: inspect,
  },
  {
    words: 'node ps',
    usage: '[OPTIONS] [NODE...]',
    args: { min: 0, max: Infinity },
    summary: 'List tasks running on one or more nodes, defaults to current node',
    example: 'swarmd node ps node-02 --filter desired-state=running',
    flags: taskFlags,
    run: ps,
  },
  {
    words: 'node update',
    usage: '[OPTIONS] NODE',
    args: { min: 1, max: 1 },
    summary: 'Update a node',
    example: 'swarmd node update --availability drain node-03',
    flags: {
      availability: { kind: 'text', describe: 'Availability of the node: active, pause or drain' },
      role: { kind: 'text', describe: 'Role of the node: worker or manager' },
      'label-add': { kind: 'text', describe: 'Add or update a node label (key=value)' },
      'label-rm': { kind: 'text', describe: 'Remove a node label if exists' },
    },
    run: update,
  },
  {
    words: 'node rm',
    aliases: ['remove'],
    usage: '[OPTIONS] NODE [NODE...]',
    args: { min: 1, max: Infinity },
    summary: 'Remove one or more nodes from the swarm',
    example: 'swarmd node rm node-04',
    flags: {
      force: { kind: 'switch', alias: 'f', describe: 'Force remove a node from the swarm' },
    },
    run: remove,
  },
  {
    words: 'node promote',
    usage: 'NODE [NODE...]',
    args: { min: 1, max: Infinity },
    summary: 'Promote one or more nodes to manager in the swarm',
    example: 'swarmd node promote node-02',
    flags: {},
    run: roleChange('manager', (name) => `Node ${name} promoted to a manager in the swarm.\n`),
  },
  {
    words: 'node demote',
    usage: 'NODE [NODE...]',
    args: { min: 1, max: Infinity },
    summary: 'Demote one or more nodes from manager in the swarm',
    example: 'swarmd node demote node-02',
    flags: {},
    run: roleChange('worker', (name) => `Manager ${name} demoted in the swarm.\n`),
  },
];
