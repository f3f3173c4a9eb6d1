import { compareStates, type Network, type Task } from '../../api/index.ts';
import type * as wire from '../../api/gen/types.ts';
import { SwarmError } from '../../runtime/index.ts';
import type { Transaction } from '../store/view.ts';
import type { ControlDeps, Methods } from './deps.ts';
import { invalid, refused, required } from './common/errors.ts';
import { passes } from './common/filters.ts';
import { found, listed } from './common/lookup.ts';
import { forWire } from './common/response.ts';
import { validateDnsName } from './spec/annotations.ts';
import { isPredefined, noOverlayNetworks, predefinedLabel } from './spec/supported.ts';

/** Networks of the swarm. swarmkit manager/controlapi/network.go */
export function networkMethods({
  store,
}: Pick<ControlDeps, 'store'>): Methods<
  'createNetwork' | 'getNetwork' | 'listNetworks' | 'removeNetwork'
> {
  return {
    createNetwork: async ({ spec }) => {
      validateNetwork(required(spec));
      throw noOverlayNetworks();
    },

    getNetwork: async ({ networkId }) => {
      const id = required(networkId);
      const network = store.view((view) => found(view, 'network', id));
      return { network: forWire<wire.Network>(network) };
    },

    listNetworks: async ({ filters }) => {
      const networks = store.view((view) =>
        listed(view, 'network', filters).filter((network) =>
          passes(filters, {
            id: network.id,
            name: nameOf(network),
            labels: network.spec?.annotations?.labels,
          }),
        ),
      );
      return { networks: networks.map((network) => forWire<wire.Network>(network)) };
    },

    removeNetwork: async ({ networkId }) => {
      const id = required(networkId);
      await store.update((tx) => {
        checkRemoval(tx, found(tx, 'network', id));
        tx.remove('network', id);
      });
      return {};
    },
  };
}

const nameOf = (network: Network): string => network.spec?.annotations?.name ?? '';

function validateNetwork({ annotations, attachable, ingress }: wire.NetworkSpec): void {
  if (attachable && ingress) throw invalid('ingress network cannot be attachable');
  validateDnsName(annotations);
  if (annotations !== null && Object.hasOwn(annotations.labels, predefinedLabel)) {
    throw new SwarmError(
      'permission-denied',
      `label ${predefinedLabel} is for internally created predefined networks and cannot be applied by users`,
    );
  }
}

/** @throws SwarmError failed-precondition, if something needs the network */
function checkRemoval(tx: Transaction, network: Network): void {
  const { id } = network;
  if (isPredefined(network)) {
    throw refused(
      `network ${id} (${nameOf(network)}) is a swarm predefined network and cannot be removed`,
    );
  }
  const [service] = tx.find('service', { by: 'reference', id });
  if (service !== undefined) throw refused(`network ${id} is in use by service ${service.id}`);
  const task = tx.find('task').find((candidate) => holds(candidate, id));
  if (task !== undefined) throw refused(`network ${id} is in use by task ${task.id}`);
}

/** Whether a task is attached to a network, or will be. */
const holds = ({ networks, status, desiredState }: Task, networkId: string): boolean =>
  compareStates(desiredState, 'RUNNING') <= 0 &&
  compareStates(status?.state ?? 'NEW', 'RUNNING') <= 0 &&
  networks.some(({ network }) => network?.id === networkId);
