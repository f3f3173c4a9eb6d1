import { clientFor, type EngineClient } from '../client.ts';
import { inspectEach } from '../commands/common.ts';
import type { Call } from '../command.ts';
import { labelLines, moment } from '../output/pretty.ts';
import { Bytes } from '../output/template.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import type { PayloadKind, PayloadObject } from './kind.ts';

/**
 * Where a payload that a person named by its name, its ID or the beginning of one is to be found.
 *
 * @throws CommandFailure if nothing is named: that place is the list of all
 */
export function pathOf({ name, path }: PayloadKind, reference: string): string {
  if (reference === '') throw new CommandFailure(`invalid ${name} name or ID: value is empty`);
  return `${path}/${encodeURIComponent(reference)}`;
}

const get = async (
  client: EngineClient,
  kind: PayloadKind,
  reference: string,
): Promise<PayloadObject> => client.get<PayloadObject>(pathOf(kind, reference));

/** Shows payloads: whole, by a template, or as people read them. */
export async function inspect(kind: PayloadKind, call: Call, shell: Shell): Promise<void> {
  const client = clientFor(shell);
  const format = call.flags.switch('pretty') === true ? 'pretty' : call.flags.text('format');
  if (format?.startsWith('pretty') !== true) {
    await inspectEach(call, shell, async (reference) =>
      forTemplates(await get(client, kind, reference)),
    );
    return;
  }
  if (format !== 'pretty') {
    throw new CommandFailure('cannot supply extra formatting options to the pretty template');
  }
  // Unlike the other forms this one is all or nothing, as docker has it.
  const found: PayloadObject[] = [];
  for (const reference of call.args) found.push(await get(client, kind, reference));
  for (const payload of found) shell.out(prettyPayload(kind, payload));
}

/** The payload with data that a template can show as bytes or as text. */
function forTemplates(payload: PayloadObject): object {
  const { Data } = payload.Spec;
  if (Data === undefined) return payload;
  return { ...payload, Spec: { ...payload.Spec, Data: new Bytes(Data) } };
}

/** A payload as `inspect --pretty` shows it. docker/cli command/secret/formatter.go, config/formatter.go */
function prettyPayload(kind: PayloadKind, payload: PayloadObject): string {
  const lines = kind.name === 'secret' ? secretLines(payload) : configLines(payload);
  return `${lines.join('\n')}\n`;
}

const labelsOf = ({ Spec }: PayloadObject): readonly string[] => {
  const labels = labelLines(Spec.Labels);
  return labels.length > 0 ? ['Labels:', ...labels] : [];
};

const secretLines = (secret: PayloadObject): readonly string[] => [
  `ID:              ${secret.ID}`,
  `Name:              ${secret.Spec.Name ?? ''}`,
  ...labelsOf(secret),
  `Driver:            ${secret.Spec.Driver?.Name ?? ''}`,
  `Created at:        ${moment(secret.CreatedAt ?? '')}`,
  `Updated at:        ${moment(secret.UpdatedAt ?? '')}`,
];

const configLines = (config: PayloadObject): readonly string[] => [
  `ID:\t\t\t${config.ID}`,
  `Name:\t\t\t${config.Spec.Name ?? ''}`,
  ...labelsOf(config),
  `Created at:            \t${moment(config.CreatedAt ?? '')}`,
  `Updated at:            \t${moment(config.UpdatedAt ?? '')}`,
  'Data:',
  Buffer.from(config.Spec.Data ?? '', 'base64').toString(),
];
