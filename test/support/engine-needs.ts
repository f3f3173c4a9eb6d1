import type { AssignmentsMessage, Task } from '../../src/api/gen/types.ts';

type Attachment = Task['networks'][number];

/** Something a stock Engine takes for granted in a task. */
interface Need {
  /** Where the Engine relies on it. */
  readonly source: string;
  readonly isMet: (task: Task) => boolean;
}

const everyNetwork =
  (isMet: (attachment: Attachment) => boolean): Need['isMet'] =>
  ({ networks }) =>
    networks.every(isMet);

/**
 * What a stock Engine takes for granted in a task, read from moby and swarmkit as of Engine 20.10.
 * A pointer that it follows without a look ends it; what else it misses gives a task that it stores
 * and can do nothing with. This list is written from the Engine's side and knows nothing of what a
 * manager checks: the two are compared by tests.
 */
const needs: Readonly<Record<string, Need>> = {
  'an ID, by which its store keeps it': {
    source: 'swarmkit agent/storage.go PutTask',
    isMet: ({ id }) => id !== '',
  },
  'a node, which stands in the name of a container without a slot': {
    source: 'container.go name()',
    isMet: ({ nodeId }) => nodeId !== '',
  },
  'a spec and a status': {
    source: 'swarmkit agent/worker.go reconcileTaskState',
    isMet: ({ spec, status }) => spec !== null && status !== null,
  },
  'a desired state that it can strive for': {
    source: 'swarmkit agent/exec/controller.go Do',
    isMet: ({ desiredState }) =>
      ['READY', 'RUNNING', 'COMPLETE', 'SHUTDOWN', 'REMOVE'].includes(desiredState),
  },
  'one runtime, with its settings': {
    source: 'executor.go Controller, container.go setTask',
    isMet: ({ spec }) =>
      [spec?.container, spec?.attachment, spec?.generic].filter(
        (runtime) => runtime !== undefined && runtime !== null,
      ).length === 1,
  },
  'a payload, if the runtime is a generic one': {
    source: 'executor.go Controller: r.Generic.Payload.TypeUrl',
    isMet: ({ spec }) => !spec?.generic || spec.generic.payload !== null,
  },
  'an image, if the runtime is a container': {
    source: 'container.go setTask',
    isMet: ({ spec }) => !spec?.container || spec.container.image !== '',
  },
  'a name that a container can have': {
    source: 'container.go name()',
    isMet: ({ spec, annotations, serviceAnnotations }) =>
      !spec?.container || `${annotations?.name ?? ''}${serviceAnnotations?.name ?? ''}` !== '',
  },
  'the container that is attached, if the runtime is an attachment, and its network': {
    source: 'container.go networkAttachmentContainerID, adapter.go networkAttach',
    isMet: ({ spec, networks }) =>
      !spec?.attachment || (spec.attachment.containerId !== '' && networks.length > 0),
  },
  'the network of each attachment': {
    source: 'container.go setTask: attachment.Network.Spec',
    isMet: everyNetwork(({ network }) => network !== null),
  },
  'the name and the ID of each network': {
    source: 'container.go setTask, getEndpointConfig',
    isMet: everyNetwork(
      ({ network }) => network?.id !== '' && (network?.spec?.annotations?.name ?? '') !== '',
    ),
  },
  'the driver of each network': {
    source: 'container.go networkCreateRequest: na.Network.DriverState.Name',
    isMet: everyNetwork(({ network }) => (network?.driverState ?? null) !== null),
  },
  'the IPAM driver of each network': {
    source: 'container.go networkCreateRequest: na.Network.IPAM.Driver.Name',
    isMet: everyNetwork(({ network }) => (network?.ipam?.driver ?? null) !== null),
  },
  'what each generic resource is': {
    source: 'swarmkit api/genericresource EnvFormat',
    isMet: ({ assignedGenericResources }) =>
      assignedGenericResources.every(({ resource }) => resource !== undefined),
  },
  'where each secret goes': {
    source: 'convert/container.go secretReferencesFromGRPC',
    isMet: ({ spec }) =>
      (spec?.container?.secrets ?? []).every(({ secretId, target }) => {
        return secretId !== '' && target !== undefined;
      }),
  },
  'where each config goes': {
    source: 'convert/container.go configReferencesFromGRPC',
    isMet: ({ spec }) =>
      (spec?.container?.configs ?? []).every(({ configId, target }) => {
        return configId !== '' && target !== undefined;
      }),
  },
};

/** What a stock Engine needs of a task and does not find. */
export const unmetNeeds = (task: Task): readonly string[] =>
  Object.entries(needs)
    .filter(([, { isMet }]) => !isMet(task))
    .map(([what, { source }]) => `${what} (${source})`);

/** Every task that a message gives to an agent, or takes from it, after the trip over the wire. */
export const tasksIn = ({ changes }: AssignmentsMessage): readonly Task[] =>
  changes.flatMap(({ action, assignment }) =>
    action === 'UPDATE' && assignment?.task ? [assignment.task] : [],
  );
