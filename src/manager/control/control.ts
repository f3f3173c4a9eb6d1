import type { Handlers } from '../../api/index.ts';
import { clusterMethods } from './clusters.ts';
import { unimplemented } from './common/errors.ts';
import type { ControlDeps, Methods } from './deps.ts';
import { networkMethods } from './networks.ts';
import { nodeMethods } from './nodes.ts';
import { configMethods, secretMethods } from './secrets-configs.ts';
import { serviceChanges, serviceQueries } from './services.ts';
import { taskMethods } from './tasks.ts';

/**
 * The control API: what a person asks of the swarm and changes about it. Every change of a spec
 * passes here, whoever the caller came through; what follows from it is the leader's loops' to do.
 * swarmkit manager/controlapi
 *
 * Changes are answered once they are committed, with the object as it then is.
 */
export const createControl = (deps: ControlDeps): Handlers<'Control'> => ({
  ...nodeMethods(deps),
  ...taskMethods(deps),
  ...serviceChanges(deps),
  ...serviceQueries(deps),
  ...networkMethods(deps),
  ...clusterMethods(deps),
  ...secretMethods(deps),
  ...configMethods(deps),
  ...methodsToCome(),
});

const refuse = (kinds: string) => async (): Promise<never> => {
  throw unimplemented(`${kinds} are not supported yet`);
};

/** Kinds of object that no component of this manager does anything with yet. */
function methodsToCome(): Methods<
  | 'createExtension'
  | 'getExtension'
  | 'removeExtension'
  | 'createResource'
  | 'getResource'
  | 'listResources'
  | 'updateResource'
  | 'removeResource'
  | 'createVolume'
  | 'getVolume'
  | 'listVolumes'
  | 'updateVolume'
  | 'removeVolume'
> {
  const extensions = refuse('extensions');
  const resources = refuse('custom resources');
  const volumes = refuse('cluster volumes');
  return {
    createExtension: extensions,
    getExtension: extensions,
    removeExtension: extensions,
    createResource: resources,
    getResource: resources,
    listResources: resources,
    updateResource: resources,
    removeResource: resources,
    createVolume: volumes,
    getVolume: volumes,
    listVolumes: volumes,
    updateVolume: volumes,
    removeVolume: volumes,
  };
}
