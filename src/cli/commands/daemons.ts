import type { Call, Command, Flag, Flags } from '../command.ts';
import { existsSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import type { SwarmObject } from '../engine-types.ts';
import { EngineClient } from '../client.ts';
import { type DaemonConfig, type DaemonMode, defaults } from '../daemon/config.ts';
import { hostName } from '../daemon/host.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import { version } from '../version.ts';

const availabilities = ['active', 'pause', 'drain'] as const;
const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

const daemonFlags = {
  'state-dir': {
    kind: 'text',
    describe: "Directory of this node's state",
    shown: defaults.stateDir,
  },
  host: {
    kind: 'text',
    alias: 'H',
    describe: 'Socket to serve the Engine API on',
    shown: defaults.host,
  },
  'docker-host': {
    kind: 'text',
    describe: 'The local Docker Engine (DOCKER_HOST)',
    shown: defaults.dockerHost,
  },
  'listen-addr': {
    kind: 'text',
    describe: 'Address or interface that a manager listens on',
    shown: defaults.listenAddr,
  },
  'advertise-addr': {
    kind: 'text',
    describe: 'Address or interface at which others reach this node',
  },
  hostname: { kind: 'text', describe: 'Name of this node', shown: "the host's" },
  availability: {
    kind: 'text',
    describe: 'Availability of the node at its start: active, pause or drain',
    shown: 'active',
  },
  'raft-tick': {
    kind: 'text',
    describe: 'Milliseconds between heartbeats of managers; elections take 10 to 20 of them',
    shown: String(defaults.raftTickMs),
  },
  'log-level': {
    kind: 'text',
    describe: 'trace, debug, info, warn, error or fatal',
    shown: 'info',
  },
} as const satisfies Readonly<Record<string, Flag>>;

const joinFlags = {
  join: {
    kind: 'text',
    describe: 'Managers to join, or where those of its swarm are now: HOST:PORT[,HOST:PORT...]',
  },
  token: { kind: 'text', describe: 'Token for entry into the swarm' },
} as const satisfies Readonly<Record<string, Flag>>;

const forceFlag = {
  'force-new-cluster': {
    kind: 'switch',
    describe: 'Go on from the state of this manager alone: all others are lost for good',
  },
} as const satisfies Readonly<Record<string, Flag>>;

/** A flag, or its environment variable: `--state-dir` is `SWARMD_STATE_DIR`. */
function settingOf(flags: Flags, env: Shell['env'], name: string): string | undefined {
  const text = flags.text(name) ?? env[`SWARMD_${name.toUpperCase().replaceAll('-', '_')}`];
  return text === '' ? undefined : text;
}

/**
 * What a daemon was told.
 *
 * @throws CommandFailure 125, naming the flag and its variable
 */
export function daemonConfig(mode: DaemonMode, flags: Flags, env: Shell['env']): DaemonConfig {
  const setting = (name: string): string | undefined => settingOf(flags, env, name);
  const choice = <T extends string>(name: string, choices: readonly T[], usual: T): T => {
    const text = setting(name)?.toLowerCase();
    if (text === undefined) return usual;
    const found = choices.find((candidate) => candidate === text);
    if (found !== undefined) return found;
    throw invalid(name, text, `it is one of ${choices.join(', ')}`);
  };
  const host = setting('host') ?? defaults.host;
  if (!host.startsWith('unix://') && !host.startsWith('/')) {
    throw invalid('host', host, 'it is a Unix socket: unix:///path');
  }
  const dockerHost = setting('docker-host') ?? env['DOCKER_HOST'] ?? defaults.dockerHost;
  if (!/^(?:unix:\/\/\/|tcp:\/\/|http:\/\/)/u.test(dockerHost)) {
    throw invalid('docker-host', dockerHost, 'it is unix:///path or tcp://HOST:PORT');
  }
  const availability = choice('availability', availabilities, 'active');
  const stateDir = setting('state-dir') ?? defaults.stateDir;
  return {
    mode,
    stateDir,
    socketPath: host.replace(/^unix:\/\//u, ''),
    dockerHost,
    listenAddr: setting('listen-addr') ?? defaults.listenAddr,
    advertiseAddr: setting('advertise-addr') ?? '',
    hostname: setting('hostname') ?? hostName(),
    ...joining(setting, stateDir),
    forceNewCluster: flags.switch('force-new-cluster') === true,
    availability: ({ active: 'ACTIVE', pause: 'PAUSE', drain: 'DRAIN' } as const)[availability],
    raftTickMs: raftTick(setting('raft-tick') ?? String(defaults.raftTickMs)),
    logLevel: choice('log-level', logLevels, 'info'),
  };
}

function raftTick(text: string): number {
  const ms = /^\d+$/u.test(text) ? Number(text) : 0;
  if (ms >= 10 && ms <= 10_000) return ms;
  throw invalid('raft-tick', text, 'it is a number of milliseconds, from 10 to 10000');
}

/** Whom to join, and with what. A node that is in a swarm needs no token. */
function joining(
  setting: (name: string) => string | undefined,
  stateDir: string,
): Pick<DaemonConfig, 'join' | 'token'> {
  const join = (setting('join') ?? '').split(',').flatMap((addr) => addr.trim() || []);
  const token = setting('token') ?? '';
  const isMember = existsSync(joinPath(stateDir, 'certificates', 'swarm-node.crt'));
  if (join.length > 0 && token === '' && !isMember) {
    throw new CommandFailure(
      '--join needs --token: get one on a manager with swarmd swarm join-token worker',
      125,
    );
  }
  if (join.length === 0 && token !== '') {
    throw new CommandFailure('--token needs --join HOST:PORT, the address of a manager', 125);
  }
  return { join, token };
}

const invalid = (flag: string, text: string, reason: string): CommandFailure =>
  new CommandFailure(
    `invalid argument "${text}" for "--${flag}" (SWARMD_${flag.toUpperCase().replaceAll('-', '_')}): ${reason}`,
    125,
  );

const run =
  (mode: DaemonMode) =>
  async ({ flags }: Call, shell: Shell): Promise<void> => {
    const config = daemonConfig(mode, flags, shell.env);
    // A daemon is large, and the other commands are quick without it.
    const { runDaemon } = await import('../daemon/daemon.ts');
    await runDaemon(
      config,
      version(),
      async ({ node, hasFounded }) => {
        if (!hasFounded) return;
        const client = new EngineClient(config.socketPath);
        const { JoinTokens } = await client.get<SwarmObject>('/swarm');
        const [own] = node.info().remoteManagers;
        shell.out(`Swarm initialized: current node (${node.info().nodeId}) is now a manager.

To add a worker to this swarm, run the following command:

    swarmd worker --join ${own?.addr ?? ''} --token ${JoinTokens.Worker}

To add a manager to this swarm, run 'swarmd swarm join-token manager' and follow the instructions.
`);
      },
      shell.signal,
    );
  };

export const daemonCommands: readonly Command[] = [
  {
    words: 'manager',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Run a manager: found a swarm, or come back as what it was',
    example: 'swarmd manager --advertise-addr 10.0.0.1',
    flags: { ...daemonFlags, ...joinFlags, ...forceFlag },
    run: run('manager'),
  },
  {
    words: 'worker',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Run a worker: join a swarm, or come back as what it was',
    example: 'swarmd worker --join 10.0.0.1:2377 --token SWMTKN-1-…',
    flags: { ...daemonFlags, ...joinFlags },
    run: run('worker'),
  },
  {
    words: 'daemon',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Run a node that waits for swarm init or swarm join',
    example: 'swarmd daemon --state-dir /var/lib/swarmd',
    flags: daemonFlags,
    run: run('daemon'),
  },
  {
    words: 'recover',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Show what is left of a manager, and go on with it',
    example: 'swarmd recover --state-dir /var/lib/swarmd --accept-data-loss',
    flags: {
      'state-dir': daemonFlags['state-dir'],
      host: daemonFlags.host,
      'accept-data-loss': {
        kind: 'switch',
        describe: 'Go on without what was acknowledged and cannot be found',
      },
      ...forceFlag,
      rejoin: {
        kind: 'switch',
        describe: 'Set the log aside: with its next start this manager joins the others anew',
      },
    },
    run: async ({ flags }, shell) => {
      const stateDir = settingOf(flags, shell.env, 'state-dir') ?? defaults.stateDir;
      const host = settingOf(flags, shell.env, 'host') ?? defaults.host;
      const socketPath = host.replace(/^unix:\/\//u, '');
      const isGiven = (name: string): boolean => flags.switch(name) === true;
      const wanted = {
        acceptsDataLoss: isGiven('accept-data-loss'),
        forcesNewCluster: isGiven('force-new-cluster'),
        rejoins: isGiven('rejoin'),
      };
      if (wanted.rejoins && (wanted.acceptsDataLoss || wanted.forcesNewCluster)) {
        throw new CommandFailure('--rejoin goes with no other way to recover', 125);
      }
      const { recover } = await import('../daemon/recover.ts');
      await recover(stateDir, { ...wanted, socketPath }, shell);
    },
  },
];
