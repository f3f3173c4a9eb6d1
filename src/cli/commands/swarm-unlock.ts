import { clientFor, type EngineClient } from '../client.ts';
import type { Call, Command } from '../command.ts';
import type { SwarmObject, SystemInfo } from '../engine-types.ts';
import { CommandFailure, type Shell } from '../shell.ts';

/** Whether the managers of a swarm lock themselves. */
export function isAutolocked({ Spec }: Pick<SwarmObject, 'Spec'>): boolean {
  const encryption = Spec['EncryptionConfig'] as Readonly<Record<string, unknown>> | undefined; // A map.
  return encryption?.['AutoLockManagers'] === true;
}

async function unlockKeyOf(client: EngineClient): Promise<string> {
  const { UnlockKey } = await client.get<{ readonly UnlockKey: string }>('/swarm/unlockkey');
  return UnlockKey;
}

const shown = (
  key: string,
): string => `To unlock a swarm manager after it restarts, run the \`swarmd swarm unlock\`
command and provide the following key:

    ${key}

Remember to store this key in a password manager, since without it you
will not be able to restart the manager.
`;

/** What somebody is told who has just locked the managers; empty, if they are not. */
export async function unlockKeyText(client: EngineClient): Promise<string> {
  const key = await unlockKeyOf(client);
  return key === '' ? '' : shown(key);
}

async function unlockKey({ flags }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const isQuiet = flags.switch('quiet') === true;
  if (flags.switch('rotate') === true) {
    const swarm = await client.get<SwarmObject>('/swarm');
    if (!isAutolocked(swarm)) {
      throw new CommandFailure('cannot rotate because autolock is not turned on');
    }
    await client.post('/swarm/update', {
      query: { version: swarm.Version?.Index ?? 0, rotateManagerUnlockKey: true },
      body: swarm.Spec,
    });
    if (!isQuiet) shell.out('Successfully rotated manager unlock key.\n');
  }
  const key = await unlockKeyOf(client);
  if (key === '') throw new CommandFailure('no unlock key is set');
  shell.out(isQuiet ? `${key}\n` : shown(key));
}

async function unlock(_call: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const { Swarm } = await client.get<SystemInfo>('/info');
  if (Swarm.LocalNodeState === 'inactive') {
    throw new CommandFailure('Error: this node is not part of a swarm');
  }
  if (Swarm.LocalNodeState !== 'locked') throw new CommandFailure('Error: swarm is not locked');
  const UnlockKey = await shell.secret('Enter unlock key: ');
  await client.post('/swarm/unlock', { body: { UnlockKey } });
}

export const unlockCommands: readonly Command[] = [
  {
    words: 'swarm unlock',
    usage: '',
    args: { min: 0, max: 0 },
    summary: 'Unlock a manager that has restarted',
    example: 'swarmd swarm unlock < unlock-key.txt',
    flags: {},
    run: unlock,
  },
  {
    words: 'swarm unlock-key',
    usage: '[OPTIONS]',
    args: { min: 0, max: 0 },
    summary: 'Manage the unlock key',
    example: 'swarmd swarm unlock-key --rotate',
    flags: {
      quiet: { kind: 'switch', alias: 'q', describe: 'Only display token' },
      rotate: { kind: 'switch', describe: 'Rotate unlock key' },
    },
    run: unlockKey,
  },
];
