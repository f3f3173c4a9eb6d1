import type { ContainerSpecInput, MountInput, ServiceSpecInput } from '../../api/gen/types.ts';
import { compareVersions } from './api-version.ts';

/** What each version of the API brought to containers, as a spec without it. */
const brought: readonly {
  readonly version: string;
  readonly remove: (container: ContainerSpecInput) => ContainerSpecInput;
}[] = [
  {
    version: '1.46',
    remove: (container) => ({
      ...container,
      oomScoreAdj: '0',
      mounts: (container.mounts ?? []).map(withoutTmpfsOptions),
    }),
  },
  {
    version: '1.44',
    remove: (container) => ({
      ...container,
      privileges: isSet(container.privileges)
        ? { ...container.privileges, seccomp: null, apparmor: null, noNewPrivileges: false }
        : null,
      healthcheck: isSet(container.healthcheck)
        ? { ...container.healthcheck, startInterval: null }
        : null,
    }),
  },
  {
    version: '1.41',
    remove: (container) => ({
      ...container,
      capabilityAdd: [],
      capabilityDrop: [],
      ulimits: [],
      pidsLimit: '0',
    }),
  },
  { version: '1.40', remove: (container) => ({ ...container, sysctls: {} }) },
];

const isSet = <T>(value: T | null | undefined): value is T => value !== null && value !== undefined;

const withoutTmpfsOptions = (mount: MountInput): MountInput =>
  isSet(mount.tmpfsOptions)
    ? { ...mount, tmpfsOptions: { ...mount.tmpfsOptions, options: '' } }
    : mount;

/**
 * A service spec without what is younger than the version its client speaks: such a client cannot
 * mean it. moby daemon/server/router/swarm `adjustForAPIVersion`
 */
export function withoutNewer(spec: ServiceSpecInput, version: string): ServiceSpecInput {
  const isBefore = (since: string): boolean => compareVersions(version, since) < 0;
  const { task } = spec;
  if (!isSet(task) || !isSet(task.container)) return spec;
  const container = brought
    .filter((step) => isBefore(step.version))
    .reduce((rest, step) => step.remove(rest), task.container);
  const placement =
    isSet(task.placement) && isBefore('1.40')
      ? { ...task.placement, maxReplicas: '0' }
      : (task.placement ?? null);
  return { ...spec, task: { ...task, container, placement } };
}
