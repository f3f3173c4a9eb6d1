import { clientFor } from '../client.ts';
import { filtersOf, forEach, inspectFlags, listFlags, printList } from '../commands/common.ts';
import type { Call, Command } from '../command.ts';
import { compareNaturally } from '../output/table.ts';
import { humanDuration } from '../output/units.ts';
import type { Shell } from '../shell.ts';
import { createConfigCommand, createSecretCommand } from './create.ts';
import { inspect, pathOf } from './inspect.ts';
import { configs, type PayloadKind, type PayloadObject, secrets } from './kind.ts';

async function list(kind: PayloadKind, { flags }: Call, shell: Shell): Promise<void> {
  const found = await clientFor(shell).list<PayloadObject>(kind.path, filtersOf(flags));
  const sorted = found.toSorted((a, b) => compareNaturally(a.Spec.Name ?? '', b.Spec.Name ?? ''));
  if (flags.switch('quiet') === true) {
    for (const { ID } of sorted) shell.out(`${ID}\n`);
    return;
  }
  const drivers = kind.mayHaveDriver ? { Driver: 'DRIVER' } : {};
  printList(shell, flags.text('format'), {
    columns: ['ID', 'Name', ...Object.keys(drivers), 'CreatedAt', 'UpdatedAt'],
    headers: {
      ID: 'ID',
      Name: 'NAME',
      ...drivers,
      CreatedAt: 'CREATED',
      UpdatedAt: 'UPDATED',
      Labels: 'LABELS',
    },
    rows: sorted.map((payload) => rowOf(kind, payload, shell.clock.now())),
  });
}

function rowOf(
  { mayHaveDriver }: PayloadKind,
  { ID, CreatedAt = '', UpdatedAt = '', Spec }: PayloadObject,
  nowMs: number,
): Readonly<Record<string, unknown>> {
  const labels = new Map(
    Object.entries(Spec.Labels ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
  const ago = (moment: string): string => `${humanDuration(nowMs - Date.parse(moment))} ago`;
  return {
    ID,
    Name: Spec.Name ?? '',
    ...(mayHaveDriver ? { Driver: Spec.Driver?.Name ?? '' } : {}),
    CreatedAt: ago(CreatedAt),
    UpdatedAt: ago(UpdatedAt),
    Labels: [...labels].map(([key, value]) => `${key}=${value}`).join(','),
    Label: (key: string) => labels.get(key) ?? '',
  };
}

async function remove(kind: PayloadKind, { args }: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  await forEach(args, async (reference) => {
    await client.delete(pathOf(kind, reference));
    shell.out(`${reference}\n`);
  });
}

/** What can be done to payloads that are there. The words differ by the kind's name alone. */
function commandsOf(kind: PayloadKind, example: string): readonly Command[] {
  const { name } = kind;
  const one = name.toUpperCase();
  const several = { min: 1, max: Infinity };
  return [
    {
      words: `${name} inspect`,
      usage: `[OPTIONS] ${one} [${one}...]`,
      args: several,
      summary: `Display detailed information on one or more ${name}s`,
      example: `swarmd ${name} inspect --pretty ${example}`,
      flags: inspectFlags,
      run: async (call, shell) => inspect(kind, call, shell),
    },
    {
      words: `${name} ls`,
      aliases: ['list'],
      usage: '[OPTIONS]',
      args: { min: 0, max: 0 },
      summary: `List ${name}s`,
      example: `swarmd ${name} ls --filter label=tier=front`,
      flags: listFlags,
      run: async (call, shell) => list(kind, call, shell),
    },
    {
      words: `${name} rm`,
      aliases: ['remove'],
      usage: `${one} [${one}...]`,
      args: several,
      summary: `Remove one or more ${name}s`,
      example: `swarmd ${name} rm ${example}`,
      flags: {},
      run: async (call, shell) => remove(kind, call, shell),
    },
  ];
}

export const secretCommands: readonly Command[] = [
  createSecretCommand,
  ...commandsOf(secrets, 'db-password'),
];

export const configCommands: readonly Command[] = [
  createConfigCommand,
  ...commandsOf(configs, 'nginx.conf'),
];
