import { describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands/all.ts';
import { helpOf } from '../../src/cli/help.ts';
import { runInProcess } from '../support/cli.ts';
import { FakeDaemon, refusal } from '../support/fake-daemon.ts';

const run = async (line: string) => runInProcess(line === '' ? [] : line.split(' '));

describe('what is typed after swarmd', () => {
  test.each(['--version', '-v'])('%s prints the version', async (line) => {
    expect(await run(line)).toEqual({ exitCode: 0, out: 'swarmd version 1.2.3\n', err: '' });
  });

  test.each(['', '--help', 'help'])('"%s" shows what there is, without a daemon', async (line) => {
    const { exitCode, out, err } = await run(line);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    for (const word of ['manager', 'worker', 'daemon', 'service', 'completion', '--host value']) {
      expect(out).toMatch(new RegExp(`^ +(-H, )?${word} `, 'mu'));
    }
  });

  test.each(['service', 'service --help', 'help service', '--help service'])(
    '"%s" lists the commands of the group by name',
    async (line) => {
      const { exitCode, out } = await run(line);
      expect(exitCode).toBe(0);
      expect(out.match(/^ {2}\w+/gmu)?.map((name) => name.trim())).toEqual(
        'create inspect logs ls ps rm rollback scale update'.split(' '),
      );
    },
  );

  test.each(['service ls --help', 'help service ls', '--help service ls', 'service list --help'])(
    '"%s" shows how a command is used',
    async (line) => {
      const { exitCode, out } = await run(line);
      expect(exitCode).toBe(0);
      expect(out).toBe(`Usage:  swarmd service ls [OPTIONS]

List services

Aliases:
  swarmd service ls, swarmd service list

Options:
  -f, --filter value   Filter output based on conditions provided
      --format value   Format output: 'table', 'table TEMPLATE', 'json', or a Go template
  -q, --quiet          Only display IDs

Example:
  swarmd service ls --filter mode=global
`);
    },
  );

  test('an unknown command fails with 1 and says where help is', async () => {
    expect(await run('foo')).toEqual({
      exitCode: 1,
      out: '',
      err: "swarmd: unknown command: swarmd foo\n\nRun 'swarmd --help' for more information\n",
    });
    expect(await run('node foo')).toEqual({
      exitCode: 1,
      out: '',
      err: "swarmd: unknown command: swarmd node foo\n\nUsage:  swarmd node\n\nRun 'swarmd node --help' for more information\n",
    });
  });

  const usage = `\n\nUsage:  swarmd node ls [OPTIONS]\n\nRun 'swarmd node ls --help' for more information\n`;

  test.each([
    ['node ls --foo', 'unknown flag: --foo'],
    ['node ls -z', "unknown shorthand flag: 'z' in -z"],
    ['node ls --filter', 'flag needs an argument: --filter'],
    ['node ls -f', "flag needs an argument: 'f' in -f"],
    [
      'node ls --filter foo',
      'invalid argument "foo" for "-f, --filter" flag: bad format of filter (expected name=value)',
    ],
  ])('%s: a flag that cannot be read fails with 125', async (line, problem) => {
    expect(await run(line)).toEqual({ exitCode: 125, out: '', err: problem + usage });
  });

  test('an unknown flag before the command fails with 125', async () => {
    const { exitCode, err } = await run('--foo service ls');
    expect(exitCode).toBe(125);
    expect(err).toContain('unknown flag: --foo\n\nUsage:  swarmd [OPTIONS] COMMAND');
  });

  test.each([
    ['node ls x', "'swarmd node ls' accepts no arguments", 'Run'],
    ['node rm', "'swarmd node rm' requires at least 1 argument", 'See'],
    ['node update', "'swarmd node update' requires 1 argument", 'Run'],
    ['node update a b', "'swarmd node update' requires 1 argument", 'Run'],
    ['secret rm', "'swarmd secret rm' requires at least 1 argument", 'See'],
    ['secret create', "'swarmd secret create' requires at least 1 and at most 2 arguments", 'Run'],
    ['config create a', "'swarmd config create' requires 2 arguments", 'Run'],
  ])('%s: a wrong number of arguments fails with 1', async (line, problem, see) => {
    const { exitCode, err } = await run(line);
    expect(exitCode).toBe(1);
    expect(err.split('\n')[0]).toBe(`swarmd: ${problem}`);
    const command = line.split(' ').slice(0, 2).join(' ');
    expect(err).toContain(`${see} 'swarmd ${command} --help' for`);
  });
});

describe('the daemon', () => {
  test('that does not run is named, with how to start one', async () => {
    const { exitCode, err } = await run('node ls');
    expect(exitCode).toBe(1);
    expect(err).toContain('Cannot connect to the swarmd daemon at unix:///nowhere.sock');
  });

  test('is the one of --host before that of SWARMD_HOST', async () => {
    const { err } = await run('-H unix:///elsewhere.sock node ls');
    expect(err).toContain('Cannot connect to the swarmd daemon at unix:///elsewhere.sock');
  });

  test('is asked for what it knows with --stale, and says since when it has no leader', async () => {
    await using daemon = await FakeDaemon.start();
    daemon.on('GET /services', []);
    daemon.on('GET /info', { Swarm: { LeaderlessSince: '2024-01-01T00:00:00.000Z' } });
    const { exitCode, err } = await runInProcess(['--stale', 'service', 'ls'], daemon);
    expect(exitCode).toBe(0);
    expect(daemon.asked[0]?.headers['x-swarm-stale']).toBe('true');
    expect(err).toBe(
      'This is what this manager knows: it has had no leader since 2024-01-01T00:00:00.000Z.\n',
    );
  });

  test('that refuses is quoted', async () => {
    await using daemon = await FakeDaemon.start();
    daemon.on('GET /nodes', refusal(503, 'This node is not a swarm manager.'));
    expect(await runInProcess(['node', 'ls'], daemon)).toEqual({
      exitCode: 1,
      out: '',
      err: 'Error response from daemon: This node is not a swarm manager.\n',
    });
  });
});

describe('every command', () => {
  test.each(commands.map((command) => [command.words, command] as const))(
    '%s has help with an example that is a command',
    (words, command) => {
      const help = helpOf(command);
      expect(help).toContain(`Usage:  swarmd ${words}`);
      expect(command.example).toContain(`swarmd ${words}`);
      for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(150);
    },
  );

  test('has flags whose letters are its own', () => {
    for (const { flags } of commands) {
      const letters = Object.values(flags).flatMap(({ alias }) => alias ?? []);
      expect(new Set(letters).size).toBe(letters.length);
    }
  });
});
