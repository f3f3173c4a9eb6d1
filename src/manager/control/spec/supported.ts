import type { Network, ServiceSpec } from '../../../api/index.ts';
import type { SwarmError } from '../../../runtime/index.ts';
import { unimplemented } from '../common/errors.ts';

/** The label of the networks that every node has by itself: `bridge`, `host`, `none`. */
export const predefinedLabel = 'com.docker.swarm.predefined';

/** Whether a network is the swarm's name for one that every node has by itself. */
export const isPredefined = (network: Network): boolean =>
  network.spec?.annotations?.labels[predefinedLabel] === 'true';

/**
 * Refuses what this manager would store and never carry out: better a clear answer than a service
 * that waits for ever.
 *
 * @throws SwarmError unimplemented
 */
export function checkSupportedService(spec: ServiceSpec): void {
  if ((spec.task?.networks ?? []).length > 1) {
    throw unimplemented(
      'several networks are not supported yet: a service joins one of bridge, host and none',
    );
  }
  for (const { publishMode, publishedPort, targetPort } of spec.endpoint?.ports ?? []) {
    if (publishMode === 'INGRESS') {
      throw unimplemented(
        `the ingress routing mesh is not supported yet: publish port ${publishedPort || targetPort} with mode=host`,
      );
    }
  }
}

/** @throws SwarmError unimplemented */
export function checkSupportedNetwork(network: Network): void {
  if (!isPredefined(network)) throw noOverlayNetworks();
}

/** The answer to whatever needs a network that spans nodes. */
export const noOverlayNetworks = (): SwarmError =>
  unimplemented(
    'overlay networks are not supported yet: use one of the predefined networks bridge, host and none',
  );
