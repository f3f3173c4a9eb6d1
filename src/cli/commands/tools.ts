import type { Command } from '../command.ts';
import { completionScripts } from '../completion.ts';
import { CommandFailure } from '../shell.ts';
import { version } from '../version.ts';

/** Commands about the program itself. */
export const toolCommands: readonly Command[] = [
  {
    words: 'completion',
    usage: 'bash|zsh',
    args: { min: 1, max: 1 },
    summary: 'Print the script that completes swarmd commands in a shell',
    example: 'source <(swarmd completion bash)',
    flags: {},
    run: async ({ args: [name] }, shell) => {
      if (name !== 'bash' && name !== 'zsh') {
        throw new CommandFailure(`no completion for the shell ${name ?? ''}: it is bash or zsh`);
      }
      shell.out(completionScripts[name]);
      return Promise.resolve();
    },
  },
  {
    words: 'version',
    usage: '',
    args: { min: 0, max: 0 },
    summary: 'Print the version of this program',
    example: 'swarmd version',
    flags: {},
    run: async (_, shell) => {
      shell.out(`swarmd version ${version()}\n`);
      return Promise.resolve();
    },
  },
];
