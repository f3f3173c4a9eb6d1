import { clientFor, type EngineClient } from '../client.ts';
import type { Call, Command, Flag } from '../command.ts';
import type { NodeObject, SwarmObject, SystemInfo } from '../engine-types.ts';
import { parseDuration } from '../output/units.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import { helpOf } from '../help.ts';
import { caCommand } from '../swarm/ca.ts';
import { isAutolocked, unlockCommands, unlockKeyText } from './swarm-unlock.ts';

type Role = 'worker' | 'manager';

/** How somebody joins a node to this swarm: what they type on the new node. */
async function joinCommand(client: EngineClient, role: Role): Promise<string> {
  const swarm = await client.get<SwarmObject>('/swarm');
  const { Swarm } = await client.get<SystemInfo>('/info');
  const node = await client.get<NodeObject>(`/nodes/${Swarm.NodeID}`);
  const token = role === 'worker' ? swarm.JoinTokens.Worker : swarm.JoinTokens.Manager;
  return `To add a ${role} to this swarm, run the following command:

    swarmd ${role} --join ${node.ManagerStatus?.Addr ?? ''} --token ${token}

`;
}

async function joinToken({ args, flags }: Call, shell: Shell): Promise<void> {
  const [role = ''] = args;
  if (role !== 'worker' && role !== 'manager') throw new CommandFailure(`unknown role ${role}`);
  const client = clientFor(shell);
  const isQuiet = flags.switch('quiet') === true;
  if (flags.switch('rotate') === true) {
    const swarm = await client.get<SwarmObject>('/swarm');
    const rotated = role === 'worker' ? 'rotateWorkerToken' : 'rotateManagerToken';
    await client.post('/swarm/update', {
      query: { version: swarm.Version?.Index ?? 0, [rotated]: true },
      body: swarm.Spec,
    });
    if (!isQuiet) shell.out(`Successfully rotated ${role} join token.\n\n`);
  }
  if (isQuiet) {
    const { JoinTokens } = await client.get<SwarmObject>('/swarm');
    shell.out(`${role === 'worker' ? JoinTokens.Worker : JoinTokens.Manager}\n`);
    return;
  }
  shell.out(await joinCommand(client, role));
}

const addressFlags = {
  'listen-addr': {
    kind: 'text',
    describe: 'Listen address: an IP or interface, with an optional port',
    shown: '0.0.0.0:2377',
  },
  'advertise-addr': {
    kind: 'text',
    describe: 'Advertised address: an IP or interface, with an optional port',
  },
  availability: { kind: 'text', describe: 'active, pause or drain', shown: 'active' },
} as const satisfies Readonly<Record<string, Flag>>;

const specFlags = {
  autolock: { kind: 'switch', describe: 'Lock managers with a key when they restart' },
  'cert-expiry': {
    kind: 'text',
    describe: 'Validity period for node certificates (ns|us|ms|s|m|h)',
    shown: '2160h0m0s',
  },
  'dispatcher-heartbeat': {
    kind: 'text',
    describe: 'Dispatcher heartbeat period (ns|us|ms|s|m|h)',
    shown: '5s',
  },
  'task-history-limit': { kind: 'text', describe: 'Task history retention limit', shown: '5' },
  'snapshot-interval': {
    kind: 'text',
    describe: 'Number of log entries between Raft snapshots',
    shown: '10000',
  },
  'max-snapshots': {
    kind: 'text',
    describe: 'Number of additional Raft snapshots to retain',
    shown: '0',
  },
} as const satisfies Readonly<Record<string, Flag>>;

const updateFlags = {
  ...specFlags,
  'dead-manager-timeout': {
    kind: 'text',
    describe:
      'Demote managers silent for so long once they are replaced; 0 for never (30s or more)',
    shown: '0s',
  },
} as const satisfies Readonly<Record<string, Flag>>;

/** Where a swarm keeps it: stock has no word for it, and leaves labels alone. */
const deadManagerLabel = 'swarmd.dead-manager-timeout-ms';
const deadManagerMsMin = 30_000;

/** The labels of a swarm, as far as a flag changes them. */
function labelsOf(
  { flags }: Pick<Call, 'flags'>,
  current: Readonly<Record<string, unknown>>,
): object {
  const nanos = flags.read('dead-manager-timeout', parseDuration, durationReason);
  if (nanos === undefined) return {};
  const ms = Math.round(nanos / 1e6);
  if (ms !== 0 && ms < deadManagerMsMin) {
    throw new CommandFailure('--dead-manager-timeout is 30s or more, or 0 for never', 125);
  }
  const { [deadManagerLabel]: _, ...others } = (current['Labels'] ?? {}) as Readonly<
    Record<string, string>
  >; // A part is a map.
  return { Labels: ms === 0 ? others : { ...others, [deadManagerLabel]: String(ms) } };
}

const durationReason = 'it is a duration such as 90s, 5m or 2160h';

/** The parts of a swarm's spec that flags change. */
function specOf({ flags }: Call, current: Readonly<Record<string, unknown>>): object {
  const part = (name: string, changes: Readonly<Record<string, unknown>>): object => {
    const given = Object.entries(changes).filter(([, value]) => value !== undefined);
    if (given.length === 0) return {};
    const old = current[name] as Readonly<Record<string, unknown>> | undefined; // A part is a map.
    return { [name]: { ...old, ...Object.fromEntries(given) } };
  };
  return {
    ...current,
    ...labelsOf({ flags }, current),
    ...part('CAConfig', {
      NodeCertExpiry: flags.read('cert-expiry', parseDuration, durationReason),
    }),
    ...part('Dispatcher', {
      HeartbeatPeriod: flags.read('dispatcher-heartbeat', parseDuration, durationReason),
    }),
    ...part('Orchestration', { TaskHistoryRetentionLimit: flags.count('task-history-limit') }),
    ...part('EncryptionConfig', { AutoLockManagers: flags.switch('autolock') }),
    ...part('Raft', {
      SnapshotInterval: flags.count('snapshot-interval'),
      KeepOldSnapshots: flags.count('max-snapshots'),
    }),
  };
}

const availabilities = ['active', 'pause', 'drain'];

function availabilityOf({ flags }: Call): string {
  const text = flags.text('availability') ?? 'active';
  if (availabilities.includes(text)) return text;
  throw new CommandFailure(
    `invalid availability "${text}", only active, pause and drain are supported`,
  );
}

async function init(call: Call, shell: Shell): Promise<void> {
  const { flags } = call;
  const client = clientFor(shell);
  const isLocking = flags.switch('autolock') === true;
  const nodeId = await client.post<string>('/swarm/init', {
    body: {
      ListenAddr: flags.text('listen-addr') ?? '0.0.0.0:2377',
      AdvertiseAddr: flags.text('advertise-addr') ?? '',
      ForceNewCluster: flags.switch('force-new-cluster') ?? false,
      AutoLockManagers: isLocking,
      Availability: availabilityOf(call),
      Spec: specOf(call, {}),
    },
  });
  shell.out(`Swarm initialized: current node (${nodeId}) is now a manager.\n\n`);
  shell.out(await joinCommand(client, 'worker'));
  shell.out(
    "To add a manager to this swarm, run 'swarmd swarm join-token manager' and follow the instructions.\n",
  );
  if (isLocking) shell.out(`\n${await unlockKeyText(client)}`);
}

async function join(call: Call, shell: Shell): Promise<void> {
  const { args, flags } = call;
  const client = clientFor(shell);
  await client.post('/swarm/join', {
    body: {
      ListenAddr: flags.text('listen-addr') ?? '0.0.0.0:2377',
      AdvertiseAddr: flags.text('advertise-addr') ?? '',
      RemoteAddrs: args,
      JoinToken: flags.text('token') ?? '',
      Availability: availabilityOf(call),
    },
  });
  const { Swarm } = await client.get<SystemInfo>('/info');
  shell.out(`This node joined a swarm as a ${Swarm.ControlAvailable ? 'manager' : 'worker'}.\n`);
}

async function leave({ flags }: Call, shell: Shell): Promise<void> {
  const force = flags.switch('force') === true;
  await clientFor(shell).post('/swarm/leave', { query: { force } });
  shell.out('Node left the swarm.\n');
}

async function update(call: Call, shell: Shell): Promise<void> {
  if (call.flags.names.length === 0) {
    shell.out(helpOf(updateCommand));
    return;
  }
  const client = clientFor(shell);
  const swarm = await client.get<SwarmObject>('/swarm');
  await client.post('/swarm/update', {
    query: { version: swarm.Version?.Index ?? 0 },
    body: specOf(call, swarm.Spec),
  });
  shell.out('Swarm updated.\n');
  if (call.flags.switch('autolock') === true && !isAutolocked(swarm)) {
    shell.out(await unlockKeyText(client));
  }
}

const updateCommand: Command = {
  words: 'swarm update',
  usage: '[OPTIONS]',
  args: { min: 0, max: 0 },
  summary: 'Update the swarm',
  example: 'swarmd swarm update --cert-expiry 720h --task-history-limit 3',
  flags: updateFlags,
  run: update,
};

export const swarmCommands: readonly Command[] = [
  {
    words: 'swarm init',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Initialize a swarm (on a node started with swarmd daemon)',
    example: 'swarmd swarm init --advertise-addr 10.0.0.1',
    flags: {
      ...addressFlags,
      ...specFlags,
      'force-new-cluster': {
        kind: 'switch',
        describe: 'Force create a new cluster from current state',
      },
    },
    run: init,
  },
  {
    words: 'swarm join',
    usage: '[OPTIONS] HOST:PORT [HOST:PORT...]',
    args: { min: 1, max: Infinity },
    summary: 'Join a swarm as a node (on a node started with swarmd daemon)',
    example: 'swarmd swarm join --token SWMTKN-1-… 10.0.0.1:2377',
    flags: { ...addressFlags, token: { kind: 'text', describe: 'Token for entry into the swarm' } },
    run: join,
  },
  {
    words: 'swarm join-token',
    usage: '[OPTIONS] (worker|manager)',
    args: { min: 1, max: 1 },
    summary: 'Manage join tokens',
    example: 'swarmd swarm join-token --rotate worker',
    flags: {
      quiet: { kind: 'switch', alias: 'q', describe: 'Only display token' },
      rotate: { kind: 'switch', describe: 'Rotate join token' },
    },
    run: joinToken,
  },
  {
    words: 'swarm leave',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Leave the swarm',
    example: 'swarmd swarm leave',
    flags: {
      force: {
        kind: 'switch',
        alias: 'f',
        describe: 'Force this node to leave the swarm, ignoring warnings',
      },
    },
    run: leave,
  },
  updateCommand,
  ...unlockCommands,
  caCommand,
];
