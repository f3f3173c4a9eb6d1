import { clientFor } from '../client.ts';
import type { Call, Flag } from '../command.ts';
import { registryAuth } from '../registry-auth.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import { applyLists, createListFlags } from './flags/lists.ts';
import { applyReferences, createReferenceFlags } from './flags/references.ts';
import { applySettings, settingFlags } from './flags/settings.ts';
import { imageFlags, resolveImage, tagged } from './image.ts';
import type { ServiceMode, ServiceSpec } from './spec.ts';
import { type Changed, waitFlags, waitFor, warn } from './wait.ts';

/** The flags of `service create`. */
export const createFlags: Readonly<Record<string, Flag>> = {
  ...settingFlags,
  ...createListFlags,
  ...createReferenceFlags,
  ...imageFlags,
  ...waitFlags,
  name: { kind: 'text', describe: 'Service name' },
  mode: {
    kind: 'text',
    describe: 'Service mode: replicated, global, replicated-job or global-job',
    shown: 'replicated',
  },
};

function modeOf(name: string): ServiceMode {
  switch (name) {
    case 'replicated':
      return { Replicated: { Replicas: 1 } };
    case 'global':
      return { Global: {} };
    case 'replicated-job':
      return { ReplicatedJob: {} };
    case 'global-job':
      return { GlobalJob: {} };
    default:
      throw new CommandFailure(`Unknown mode: ${name}, only replicated and global supported`);
  }
}

/** `service create` */
export async function create(call: Call, shell: Shell): Promise<void> {
  const { args, flags } = call;
  const [Image = '', ...Args] = args;
  const client = clientFor(shell);
  const name = flags.text('name');
  const spec: ServiceSpec = {
    ...(name === undefined ? {} : { Name: name }),
    TaskTemplate: {
      ContainerSpec: {
        Image: tagged(Image),
        ...(Args.length > 0 ? { Args } : {}),
        // Said, so that no node's Engine has a default of its own.
        Init: false,
      },
      Resources: { Limits: {}, Reservations: {} },
    },
    Mode: modeOf(flags.text('mode') ?? 'replicated'),
    EndpointSpec: { Mode: 'vip' },
  };
  applySettings(spec, flags);
  const job = spec.Mode?.ReplicatedJob;
  if (job?.TotalCompletions !== undefined) job.MaxConcurrent ??= job.TotalCompletions;
  applyLists(spec, flags, shell);
  await applyReferences(client, spec, flags);
  const headers =
    flags.switch('with-registry-auth') === true ? await registryAuth(Image, shell) : {};
  if (flags.switch('no-resolve-image') !== true) {
    await resolveImage(client, spec, { shell, headers });
  }
  const created = await client.post<Changed & { readonly ID: string }>('/services/create', {
    headers,
    body: spec,
  });
  warn(created, shell);
  shell.out(`${created.ID}\n`);
  await waitFor(call, { id: created.ID, name: created.ID }, shell);
}
