import { compareStates, type Frozen, type Task } from '../../api/index.ts';
import type { Network as WireNetwork, NetworkAttachment } from '../../api/gen/types.ts';

type Network = Frozen<WireNetwork>;
type Attachment = Frozen<NetworkAttachment>;

/** A task an agent can be given, complete; or why it can be given to none. */
export type CheckedTask =
  | { readonly kind: 'fit'; readonly task: Task }
  | { readonly kind: 'unfit'; readonly reason: string };

/** Marks a network that the Engine brings along: `host`, `bridge`. Engine daemon/cluster. */
const predefinedLabel = 'com.docker.swarm.predefined';

/**
 * Checks that a task has every part that an agent takes for granted, and fills in those that have
 * but one meaning.
 *
 * A stock Engine follows these without looking. One that is missing ends the Engine, and, as the
 * Engine keeps its tasks on disk, ends it again at every start. Nothing else stands between a task
 * that is malformed and every Engine it is sent to. moby daemon/cluster/executor/container
 */
export function checkTask(task: Task): CheckedTask {
  const reason =
    flawOf(task) ?? task.networks.map(attachmentFlaw).find((flaw) => flaw !== undefined);
  if (reason !== undefined) return { kind: 'unfit', reason };
  const networks = task.networks.map(completeAttachment);
  const isComplete = networks.every((attachment, index) => attachment === task.networks[index]);
  return { kind: 'fit', task: isComplete ? task : { ...task, networks } };
}

function flawOf(task: Task): string | undefined {
  if (task.id === '') return 'task has no ID';
  if (task.nodeId === '') return 'task has no node';
  if (task.spec === null) return 'task has no spec';
  if (task.status === null) return 'task has no status';
  if (compareStates(task.desiredState, 'READY') < 0) return 'task has no desired state';
  return runtimeFlaw(task, task.spec);
}

function runtimeFlaw(task: Task, spec: NonNullable<Task['spec']>): string | undefined {
  const { container, attachment, generic } = spec;
  const runtimes = [container, attachment, generic].filter(Boolean);
  if (runtimes.length !== 1) return 'task has no runtime, or several';
  if (container) {
    const name = task.annotations?.name ?? '';
    const service = task.serviceAnnotations?.name ?? '';
    if (name === '' && service === '') return 'task has no name, and no service with one';
    if (container.image === '') return 'container has no image';
  }
  if (attachment) {
    if (attachment.containerId === '') return 'network attachment names no container';
    if (task.networks.length === 0) return 'network attachment has no network';
  }
  if (generic && !generic.payload) return `runtime ${generic.kind} has no payload`;
  return undefined;
}

function attachmentFlaw({ network }: Attachment): string | undefined {
  if (network === null) return 'network attachment has no network';
  const name = network.spec?.annotations?.name ?? '';
  if (network.id === '' || name === '') return 'network has no ID or no name';
  const isMade = !isPredefined(network) && (network.spec?.network ?? '') === '';
  if (isMade && network.driverState === null) return `network ${name} has no driver`;
  return undefined;
}

const isPredefined = (network: Network): boolean =>
  network.spec?.annotations?.labels[predefinedLabel] === 'true';

/** An agent follows a network's driver and IPAM driver even where it has no use for them. */
function completeAttachment(attachment: Attachment): Attachment {
  const { network } = attachment;
  if (network === null || (network.driverState !== null && network.ipam?.driver)) return attachment;
  const driverState = network.driverState ?? { name: driverNameOf(network), options: {} };
  const ipam = {
    configs: network.ipam?.configs ?? [],
    driver: network.ipam?.driver ?? { name: '', options: {} },
  };
  return { ...attachment, network: { ...network, driverState, ipam } };
}

const driverNameOf = ({ spec }: Network): string =>
  spec?.driverConfig?.name ?? spec?.annotations?.name ?? '';

/**
 * The attachments of a node that its agent can follow; the others are left out until they are
 * complete. They decide on the node's ingress network.
 */
export const followable = (attachments: readonly Attachment[]): readonly Attachment[] =>
  attachments.filter(
    ({ network, addresses }) =>
      network !== null &&
      network.spec !== null &&
      network.driverState !== null &&
      Boolean(network.ipam?.driver) &&
      addresses.length > 0,
  );
