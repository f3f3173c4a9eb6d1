import { clientFor, type EngineClient, type Headers } from '../client.ts';
import type { Call, Flag } from '../command.ts';
import { collectFailures } from '../commands/common.ts';
import { registryAuth } from '../registry-auth.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import { applyLists, updateListFlags } from './flags/lists.ts';
import { applyReferences, updateReferenceFlags } from './flags/references.ts';
import { applySettings, settingFlags, words } from './flags/settings.ts';
import { imageFlags, resolveImage, tagged } from './image.ts';
import type { ServiceObject, ServiceSpec } from './spec.ts';
import { type Changed, waitFlags, waitFor, warn } from './wait.ts';

/** The flags of `service update`. */
export const updateFlags: Readonly<Record<string, Flag>> = {
  ...settingFlags,
  ...updateListFlags,
  ...updateReferenceFlags,
  ...imageFlags,
  ...waitFlags,
  image: { kind: 'text', describe: 'Service image tag' },
  args: { kind: 'text', describe: 'Service command args' },
  force: { kind: 'switch', describe: 'Force update even if no changes require it' },
  rollback: { kind: 'switch', describe: 'Rollback to previous specification' },
};

const getService = async (client: EngineClient, name: string): Promise<ServiceObject> =>
  client.get<ServiceObject>(`/services/${encodeURIComponent(name)}`);

/** Sends a spec in place of the one a service has. */
async function post(
  { ID, Version }: ServiceObject,
  spec: ServiceSpec,
  shell: Shell,
  {
    headers = {},
    query = {},
  }: { headers?: Headers; query?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const changed = await clientFor(shell).post<Changed>(`/services/${ID}/update`, {
    // Credentials that nodes have stay theirs, unless others are sent.
    query: { version: Version?.Index ?? 0, registryAuthFrom: 'spec', ...query },
    headers,
    body: spec,
  });
  warn(changed, shell);
}

/** `service update` */
export async function update(call: Call, shell: Shell): Promise<void> {
  const { args, flags } = call;
  const [name = ''] = args;
  const client = clientFor(shell);
  const service = await getService(client, name);
  if (flags.switch('rollback') === true) {
    const isAlone = flags.names.every((flag) => flag === 'rollback' || flag in waitFlags);
    if (!isAlone) throw new CommandFailure('other flags may not be combined with --rollback');
    await rollBack(call, service, shell);
    return;
  }
  const spec = structuredClone(service.Spec);
  const container = spec.TaskTemplate.ContainerSpec;
  const image = flags.text('image');
  const commandLine = flags.text('args');
  if (commandLine !== undefined) container.Args = words('args', commandLine);
  if (flags.switch('force') === true) {
    spec.TaskTemplate.ForceUpdate = (spec.TaskTemplate.ForceUpdate ?? 0) + 1;
  }
  applySettings(spec, flags);
  applyLists(spec, flags, shell);
  await applyReferences(client, spec, flags);
  if (image !== undefined) container.Image = tagged(image);
  const headers =
    flags.switch('with-registry-auth') === true
      ? await registryAuth(container.Image ?? '', shell)
      : {};
  if (image !== undefined && flags.switch('no-resolve-image') !== true) {
    await resolveImage(client, spec, { shell, headers });
  }
  await post(service, spec, shell, { headers });
  shell.out(`${name}\n`);
  await waitFor(call, { id: service.ID, name }, shell);
}

async function rollBack(call: Call, service: ServiceObject, shell: Shell): Promise<void> {
  const [name = ''] = call.args;
  await post(service, service.Spec, shell, { query: { rollback: 'previous' } });
  shell.out(`${name}\n`);
  await waitFor(call, { id: service.ID, name, isRollback: true }, shell);
}

/** `service rollback` */
export async function rollback(call: Call, shell: Shell): Promise<void> {
  await rollBack(call, await getService(clientFor(shell), call.args[0] ?? ''), shell);
}

const scaleUsage = `See 'swarmd service scale --help'.

Usage:  swarmd service scale SERVICE=REPLICAS [SERVICE=REPLICAS...]

Scale one or multiple replicated services`;

/** Gives a service another number of tasks. */
async function scaleOne(
  client: EngineClient,
  name: string,
  replicas: string,
  shell: Shell,
): Promise<string> {
  if (!/^\d+$/u.test(replicas)) {
    throw new CommandFailure(
      `invalid replicas value ${replicas}: it is not a whole number of 0 or more`,
    );
  }
  const service = await getService(client, name);
  const spec = structuredClone(service.Spec);
  const { Replicated, ReplicatedJob } = spec.Mode ?? {};
  if (Replicated !== undefined) Replicated.Replicas = Number(replicas);
  else if (ReplicatedJob !== undefined) ReplicatedJob.TotalCompletions = Number(replicas);
  else throw new CommandFailure('scale can only be used with replicated or replicated-job mode');
  await post(service, spec, shell);
  shell.out(`${name} scaled to ${replicas}\n`);
  return service.ID;
}

/** `service scale` */
export async function scale(call: Call, shell: Shell): Promise<void> {
  const wanted = call.args.map((text) => {
    const [, name, replicas] = /^([^=]+)=(.+)$/su.exec(text) ?? [];
    if (name !== undefined && replicas !== undefined) return [name, replicas] as const;
    throw new CommandFailure(`invalid scale specifier '${text}'.\n${scaleUsage}`);
  });
  const replicasOf = new Map(wanted);
  const client = clientFor(shell);
  const scaled: { readonly id: string; readonly name: string }[] = [];
  const failure = await collectFailures([...replicasOf.keys()], async (name) => {
    try {
      const id = await scaleOne(client, name, replicasOf.get(name) ?? '', shell);
      scaled.push({ id, name });
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      throw new CommandFailure(`${name}: ${error.message}`);
    }
  });
  for (const service of scaled) await waitFor(call, service, shell);
  if (failure !== undefined) throw failure;
}
