import { describe, expect, test } from 'vitest';
import { daemonCommands, daemonConfig } from '../../../src/cli/commands/daemons.ts';
import { parse } from '../../../src/cli/command.ts';
import type { DaemonMode } from '../../../src/cli/daemon/config.ts';
import { hostName } from '../../../src/cli/daemon/host.ts';

/** What a daemon started with these words is told. */
function configOf(line: string, env: Readonly<Record<string, string>> = {}) {
  const [mode = '', ...words] = line.split(' ');
  const command = daemonCommands.find((candidate) => candidate.words === mode);
  const { flags } = parse(words, command?.flags ?? {}, { endsFlags: false });
  return daemonConfig(mode as DaemonMode, flags, env); // One of the commands' words.
}

describe('what a daemon is told', () => {
  test('is nothing it needs', () => {
    expect(configOf('manager')).toEqual({
      mode: 'manager',
      stateDir: '/var/lib/swarmd',
      socketPath: '/run/swarmd/swarmd.sock',
      dockerHost: 'unix:///var/run/docker.sock',
      listenAddr: '0.0.0.0:2377',
      advertiseAddr: '',
      hostname: hostName(),
      join: [],
      token: '',
      forceNewCluster: false,
      availability: 'ACTIVE',
      raftTickMs: 100,
      logLevel: 'info',
    });
  });

  test('comes from flags', () => {
    const line =
      'worker --state-dir /s --host /h.sock --docker-host tcp://d:1 --listen-addr :1 --advertise-addr 10.0.0.1 --hostname n --join a:1,b:2 --token T --availability Drain --raft-tick 250 --log-level debug';
    expect(configOf(line)).toEqual({
      mode: 'worker',
      stateDir: '/s',
      socketPath: '/h.sock',
      dockerHost: 'tcp://d:1',
      listenAddr: ':1',
      advertiseAddr: '10.0.0.1',
      hostname: 'n',
      join: ['a:1', 'b:2'],
      token: 'T',
      forceNewCluster: false,
      availability: 'DRAIN',
      raftTickMs: 250,
      logLevel: 'debug',
    });
  });

  test('comes from the environment, where no flag says otherwise', () => {
    const env = {
      SWARMD_STATE_DIR: '/s',
      SWARMD_HOST: 'unix:///h.sock',
      SWARMD_DOCKER_HOST: 'unix:///d.sock',
      DOCKER_HOST: 'unix:///other.sock',
      SWARMD_JOIN: ' a:1 , b:2 ',
      SWARMD_TOKEN: 'T',
      SWARMD_HOSTNAME: 'n',
      SWARMD_LOG_LEVEL: '',
    };
    expect(configOf('worker --hostname flag', env)).toMatchObject({
      stateDir: '/s',
      socketPath: '/h.sock',
      dockerHost: 'unix:///d.sock',
      join: ['a:1', 'b:2'],
      token: 'T',
      forceNewCluster: false,
      hostname: 'flag',
      logLevel: 'info',
    });
  });

  test('may be the Engine that docker itself is told of', () => {
    const { dockerHost } = configOf('manager', { DOCKER_HOST: 'tcp://d:1' });
    expect(dockerHost).toBe('tcp://d:1');
  });

  test.each([
    ['manager --host tcp://1.2.3.4:5', '"--host" (SWARMD_HOST): it is a Unix socket'],
    [
      'manager --docker-host ssh://x',
      '(SWARMD_DOCKER_HOST): it is unix:///path or tcp://HOST:PORT',
    ],
    ['manager --availability gone', '(SWARMD_AVAILABILITY): it is one of active, pause, drain'],
    ['manager --log-level loud', '(SWARMD_LOG_LEVEL): it is one of trace, debug, info'],
    [
      'manager --raft-tick 5',
      '(SWARMD_RAFT_TICK): it is a number of milliseconds, from 10 to 10000',
    ],
    ['worker --join a:1', '--join needs --token'],
    ['worker --token T', '--token needs --join HOST:PORT'],
  ])('%s is refused with 125', (line, message) => {
    const wanted = { exitCode: 125, message: expect.stringContaining(message) as string };
    expect(() => configOf(line)).toThrow(expect.objectContaining(wanted));
  });
});
