import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { commands } from '../../src/cli/commands/all.ts';
import { completionScripts, completionsOf } from '../../src/cli/completion.ts';
import { runInProcess } from '../support/cli.ts';

const complete = (...typed: string[]) => completionsOf(typed, commands);

describe('completion', () => {
  test('begins with commands and groups', () => {
    expect(complete('s')).toEqual(['secret', 'service', 'swarm', 'system']);
    expect(complete('')).toContain('manager');
  });

  test('goes on with the commands of a group', () => {
    expect(complete('service', '')).toEqual(
      'create inspect logs ls ps rm rollback scale update'.split(' '),
    );
    expect(complete('secret', '')).toEqual(['create', 'inspect', 'ls', 'rm']);
    expect(complete('service', 'ro')).toEqual(['rollback']);
    expect(complete('nothing', '')).toEqual([]);
  });

  test('ends with the flags of a command', () => {
    expect(complete('node', 'update', '--')).toEqual([
      '--availability',
      '--help',
      '--label-add',
      '--label-rm',
      '--role',
    ]);
    expect(complete('node', 'update', 'node-01', '--r')).toEqual(['--role']);
    expect(complete('config', 'create', '--')).toEqual(['--help', '--label', '--template-driver']);
    expect(complete('service', 'scale', '--d')).toEqual(['--detach']);
  });

  test('has nothing to say of arguments and of values of flags', () => {
    expect(complete('node', 'update', '')).toEqual([]);
    expect(complete('node', 'update', '--role', '-')).toEqual([]);
    expect(complete('node', 'ls', '-f', '-')).toEqual([]);
    expect(complete('node', 'ls', '-q', '-')).not.toEqual([]);
  });

  test('looks past the flags of swarmd itself', () => {
    expect(complete('--h')).toEqual(['--help', '--host']);
    expect(complete('-H', 'unix:///x.sock', 'node', 'l')).toEqual(['ls']);
    expect(complete('-H', 'no')).toEqual([]);
  });

  test('is asked for by a hidden command, and printed a line each', async () => {
    const ran = await runInProcess(['__complete', 'service', 'r']);
    expect(ran).toEqual({ exitCode: 0, out: 'rm\nrollback\n', err: '' });
    expect((await runInProcess(['--help'])).out).not.toContain('__complete');
  });

  test('has a script for bash that bash understands, and one for zsh', async () => {
    for (const shell of ['bash', 'zsh'] as const) {
      const { out } = await runInProcess(['completion', shell]);
      expect(out).toBe(completionScripts[shell]);
    }
    const swarmd = `swarmd() { [ "$1 $2 $3" = '__complete service l' ] && printf 'logs\\nls\\n'; }`;
    const typed = 'COMP_WORDS=(swarmd service l); COMP_CWORD=2; _swarmd; echo "${COMPREPLY[@]}"';
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', `${completionScripts.bash}\n${swarmd}\n${typed}`],
      { encoding: 'utf8' },
    );
    expect({ stdout, stderr }).toEqual({ stdout: 'logs ls\n', stderr: '' });
    expect((await runInProcess(['completion', 'fish'])).exitCode).toBe(1);
  });
});
