import { clientFor } from '../client.ts';
import { pairs } from '../commands/common.ts';
import type { Call, Command, Flag, Flags } from '../command.ts';
import { CommandFailure, InvalidValue, type Shell } from '../shell.ts';
import { contentOf } from './content.ts';
import { configs, type PayloadKind, secrets } from './kind.ts';

/**
 * The labels that were given.
 *
 * @throws InvalidValue in docker's words, for one whose key is none
 */
function labelsOf(flags: Flags): Readonly<Record<string, string>> {
  const texts = flags.list('label');
  for (const text of texts) {
    const [key = ''] = text.replace(/^[ \t]+/u, '').split('=', 1);
    if (key === '') throw new InvalidValue('label', text, `invalid label '${text}': empty name`);
    if (/[ \t]/u.test(key)) {
      throw new InvalidValue('label', text, `label '${key}' contains whitespaces`);
    }
  }
  return pairs(texts);
}

/** A driver as a spec has it, if one was named. */
const driver = (
  field: 'Driver' | 'Templating',
  name: string | undefined,
): Readonly<Record<string, { readonly Name: string }>> =>
  name === undefined || name === '' ? {} : { [field]: { Name: name } };

/** Creates a payload with the data given, and says its ID. */
async function post(
  kind: PayloadKind,
  { args: [Name = ''], flags }: Call,
  shell: Shell,
  read: () => Promise<Buffer | undefined>,
): Promise<void> {
  const Labels = labelsOf(flags);
  const data = await read();
  const { ID } = await clientFor(shell).post<{ readonly ID: string }>(`${kind.path}/create`, {
    body: {
      Name,
      Labels,
      ...(data === undefined ? {} : { Data: data.toString('base64') }),
      ...driver('Driver', flags.text('driver')),
      ...driver('Templating', flags.text('template-driver')),
    },
  });
  shell.out(`${ID}\n`);
}

async function createSecret(call: Call, shell: Shell): Promise<void> {
  const [, file = ''] = call.args;
  const isDriven = (call.flags.text('driver') ?? '') !== '';
  if (isDriven && file !== '') {
    throw new CommandFailure('When using secret driver secret data must be empty');
  }
  await post(secrets, call, shell, async () =>
    isDriven ? undefined : contentOf(secrets, file, shell),
  );
}

async function createConfig(call: Call, shell: Shell): Promise<void> {
  const [, file = ''] = call.args;
  await post(configs, call, shell, async () => {
    try {
      return await contentOf(configs, file, shell);
    } catch (error) {
      if (!(error instanceof CommandFailure) || shell.signal.aborted) throw error;
      throw new CommandFailure(`Error reading content from "${file}": ${error.message}`);
    }
  });
}

const label = (describe: string): Flag => ({ kind: 'text', alias: 'l', describe });
const templateDriver: Flag = { kind: 'text', describe: 'Template driver' };

export const createSecretCommand: Command = {
  words: 'secret create',
  usage: '[OPTIONS] SECRET [file|-]',
  args: { min: 1, max: 2 },
  summary: 'Create a secret from a file or STDIN as content',
  example: 'printf s3cret | swarmd secret create db-password -',
  flags: {
    driver: { kind: 'text', alias: 'd', describe: 'Secret driver' },
    label: label('Secret labels'),
    'template-driver': templateDriver,
  },
  run: createSecret,
};

export const createConfigCommand: Command = {
  words: 'config create',
  usage: '[OPTIONS] CONFIG file|-',
  args: { min: 2, max: 2 },
  summary: 'Create a config from a file or STDIN',
  example: 'swarmd config create --label tier=front nginx.conf ./nginx.conf',
  flags: { label: label('Config labels'), 'template-driver': templateDriver },
  run: createConfig,
};
