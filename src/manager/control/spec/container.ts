import {
  codecOf,
  type ContainerSpec,
  expandContainerSpec,
  type Frozen,
  type Task,
} from '../../../api/index.ts';
import type {
  Annotations as WireAnnotations,
  ConfigReference as WireConfigReference,
  HealthConfig as WireHealthConfig,
  Mount as WireMount,
  SecretReference as WireSecretReference,
} from '../../../api/gen/types.ts';
import { invalid } from '../common/errors.ts';
import { isImageReference } from './image.ts';
import { nanosIn, type WireDuration } from './quantities.ts';

type HealthConfig = Frozen<WireHealthConfig>;

/** A health check's durations are zero (the engine's default), or at least so long. */
const healthDurationNanosMin = 1_000_000n;

/**
 * What a container of a service must have, whatever runs it. Its placeholders are filled in for a
 * task that might be, so that a template that never expands is refused here and not on a node.
 * swarmkit manager/controlapi/service.go validateContainerSpec
 *
 * @throws SwarmError invalid-argument
 */
export function validateContainer(
  spec: ContainerSpec,
  serviceAnnotations: Frozen<WireAnnotations> | null,
): void {
  const { image, mounts, healthcheck } = expandContainerSpec(
    { ...sampleTask(), serviceAnnotations },
    spec,
    { hostname: 'node', platform: { architecture: 'x86_64', os: 'linux' } },
  );
  if (image === '') throw invalid('ContainerSpec: image reference must be provided');
  if (!isImageReference(image)) {
    throw invalid(`ContainerSpec: "${image}" is not a valid repository/tag`);
  }
  validateMounts(mounts);
  if (healthcheck) validateHealthCheck(healthcheck);
  nanosIn(spec.stopGracePeriod);
}

const sampleTask = (): Task =>
  codecOf('Task').create({ id: 'task', serviceId: 'service', nodeId: 'node', slot: '1' });

function validateMounts(mounts: readonly Frozen<WireMount>[]): void {
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw invalid(`ContainerSpec: duplicate mount point: ${target}`);
    targets.add(target);
  }
}

function validateHealthCheck(health: HealthConfig): void {
  const durations: readonly (readonly [string, WireDuration])[] = [
    ['Interval', health.interval],
    ['Timeout', health.timeout],
    ['StartPeriod', health.startPeriod],
    ['StartInterval', health.startInterval],
  ];
  for (const [name, duration] of durations) {
    const nanos = nanosIn(duration);
    if (nanos !== 0n && nanos < healthDurationNanosMin) {
      throw invalid(`ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`);
    }
  }
  if (health.retries < 0) {
    throw invalid('ContainerSpec: Retries in HealthConfig cannot be negative');
  }
}

/**
 * Every secret a container names has an ID, a name and a file of its own.
 *
 * @throws SwarmError invalid-argument
 */
export function validateSecretReferences(secrets: readonly Frozen<WireSecretReference>[]): void {
  validateReferences(
    'secret',
    secrets.map((reference) => ({
      ...reference,
      id: reference.secretId,
      name: reference.secretName,
    })),
  );
}

/**
 * Every config a container names has an ID, a name, and a file of its own or a use by the runtime;
 * the one its credentials come from is among the latter.
 *
 * @throws SwarmError invalid-argument
 */
export function validateConfigReferences({ configs, privileges }: ContainerSpec): void {
  validateReferences(
    'config',
    configs.map((reference) => ({
      ...reference,
      id: reference.configId,
      name: reference.configName,
    })),
  );
  validateCredentials(privileges?.credentialSpec?.config ?? '', configs);
}

function validateCredentials(
  configId: string,
  configs: readonly Frozen<WireConfigReference>[],
): void {
  if (configId === '') return;
  const isThere = configs.some(
    (config) => config.target === 'runtime' && config.configId === configId,
  );
  if (!isThere) {
    throw invalid(
      `CredentialSpec references config '${configId}', but that config isn't in config references with RuntimeTarget`,
    );
  }
}

interface Reference {
  readonly id: string;
  readonly name: string;
  readonly target?: 'file' | 'runtime';
  readonly file?: { readonly name: string } | null;
}

function validateReferences(kind: 'secret' | 'config', references: readonly Reference[]): void {
  const ownerOfFile = new Map<string, string>();
  for (const { id, name, target, file } of references) {
    if (id === '' || name === '') throw invalid(`malformed ${kind} reference`);
    if (target === undefined) throw invalid(`malformed ${kind} reference, no target provided`);
    if (target !== 'file') continue;
    const path = file?.name ?? '';
    if (path === '') {
      throw invalid(`malformed file ${kind} reference, invalid target file name provided`);
    }
    const owner = ownerOfFile.get(path);
    if (owner !== undefined) {
      throw invalid(
        `${kind} references '${owner}' and '${name}' have a conflicting target: '${path}'`,
      );
    }
    ownerOfFile.set(path, name);
  }
}
