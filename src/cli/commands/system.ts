import { clientFor } from '../client.ts';
import type { Call, Command, Flag } from '../command.ts';
import type { SystemInfo } from '../engine-types.ts';
import { compileTemplate } from '../output/template.ts';
import { humanDuration } from '../output/units.ts';
import type { Shell } from '../shell.ts';

const formatFlag = {
  format: { kind: 'text', alias: 'f', describe: "Format output: 'json', or a Go template" },
} as const satisfies Readonly<Record<string, Flag>>;

/** A part of a cluster's spec, as the Engine API has it. */
type Part = Readonly<Record<string, number | boolean | undefined>>;

const duration = (nanos: number): string => humanDuration(nanos / 1e6);

/** What only a manager knows. */
function managerLines({ Swarm }: SystemInfo): readonly string[] {
  const { Cluster, Managers = 0, Nodes = 0 } = Swarm;
  const part = (name: string): Part => (Cluster?.Spec?.[name] ?? {}) as Part; // A map of scalars.
  const number = (of: string, name: string): number => Number(part(of)[name] ?? 0);
  return [
    ` ClusterID: ${Cluster?.ID ?? ''}`,
    ` Managers: ${Managers}`,
    ` Nodes: ${Nodes}`,
    ` Data Path Port: ${Cluster?.DataPathPort ?? 4789}`,
    ' Orchestration:',
    `  Task History Retention Limit: ${number('Orchestration', 'TaskHistoryRetentionLimit')}`,
    ' Raft:',
    `  Snapshot Interval: ${number('Raft', 'SnapshotInterval')}`,
    `  Number of Old Snapshots to Retain: ${number('Raft', 'KeepOldSnapshots')}`,
    `  Heartbeat Tick: ${number('Raft', 'HeartbeatTick')}`,
    `  Election Tick: ${number('Raft', 'ElectionTick')}`,
    ' Dispatcher:',
    `  Heartbeat Period: ${duration(number('Dispatcher', 'HeartbeatPeriod'))}`,
    ' CA Configuration:',
    `  Expiry Duration: ${duration(number('CAConfig', 'NodeCertExpiry'))}`,
    `  Force Rotate: ${number('CAConfig', 'ForceRotate')}`,
    ` Autolock Managers: ${part('EncryptionConfig')['AutoLockManagers'] ?? false}`,
    ` Root Rotation In Progress: ${Cluster?.RootRotationInProgress ?? false}`,
  ];
}

/** The swarm's part of `docker info`. */
function swarmLines(info: SystemInfo): readonly string[] {
  const { Swarm } = info;
  const state = Swarm.LocalNodeState;
  if (state === 'inactive' || state === 'locked') return [`Swarm: ${state}`];
  const managers = (Swarm.RemoteManagers ?? []).map(({ Addr }) => Addr).toSorted();
  return [
    `Swarm: ${state}`,
    ` NodeID: ${Swarm.NodeID}`,
    ...(Swarm.Error === '' ? [] : [` Error: ${Swarm.Error}`]),
    ` Is Manager: ${Swarm.ControlAvailable}`,
    ...(Swarm.ControlAvailable && Swarm.Error === '' ? managerLines(info) : []),
    ` Node Address: ${Swarm.NodeAddr}`,
    ...(managers.length === 0 ? [] : [' Manager Addresses:']),
    ...managers.map((address) => `  ${address}`),
  ];
}

const show =
  (view: (info: SystemInfo) => readonly string[]) =>
  async ({ flags }: Call, shell: Shell): Promise<void> => {
    const info = await clientFor(shell).get<SystemInfo>('/info');
    const format = flags.text('format');
    if (format === 'json') shell.out(`${JSON.stringify(info)}\n`);
    else if (format !== undefined) shell.out(`${compileTemplate(format)(info)}\n`);
    else shell.out(`${view(info).join('\n')}\n`);
  };

export const systemCommands: readonly Command[] = [
  {
    words: 'system info',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Display information about this node, its Engine and its swarm',
    example: "swarmd system info --format '{{.Swarm.LocalNodeState}}'",
    flags: formatFlag,
    run: show((info) => [
      `Name: ${info.Name ?? ''}`,
      `Engine Version: ${info.ServerVersion ?? ''}`,
      `Containers: ${info.Containers ?? 0}`,
      `CPUs: ${info.NCPU ?? 0}`,
      ...swarmLines(info),
    ]),
  },
  {
    words: 'swarm info',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Display what this node knows of its swarm',
    example: 'swarmd swarm info',
    flags: formatFlag,
    run: show(swarmLines),
  },
];
