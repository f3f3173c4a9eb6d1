import type { Frozen, ServiceSpec, TaskSpec } from '../../../api/index.ts';
import type {
  EndpointSpec as WireEndpointSpec,
  GenericRuntimeSpec as WireGenericRuntimeSpec,
  ResourceRequirements as WireResourceRequirements,
  Resources as WireResources,
  RestartPolicy as WireRestartPolicy,
  UpdateConfig as WireUpdateConfig,
} from '../../../api/gen/types.ts';
import { parseConstraints } from '../../../scheduler/index.ts';
import { invalid, invalidArgument, unimplemented } from '../common/errors.ts';
import { validateDnsName } from './annotations.ts';
import {
  validateConfigReferences,
  validateContainer,
  validateSecretReferences,
} from './container.ts';
import { checkCount, checkNotNegative } from './quantities.ts';

const nanoCpusMin = 1_000_000;
const memoryBytesMin = 4 * 2 ** 20;

/**
 * Whether this is a service as one may be: every rule that needs no look at the swarm. The texts
 * are those a docker CLI has always shown. swarmkit manager/controlapi/service.go
 *
 * The rollback's settings are held to the same rules as the update's.
 *
 * @throws SwarmError invalid-argument with the first rule that is broken; unimplemented, for a
 *   network attachment, which is no service's
 */
export function validateServiceSpec(spec: ServiceSpec | null): asserts spec is ServiceSpec {
  if (spec === null) throw invalidArgument();
  validateDnsName(spec.annotations);
  validateTaskSpec(spec);
  validateMode(spec);
  if (isJob(spec)) {
    if (spec.update !== null) throw invalid('Jobs may not have an update config');
  } else {
    validateUpdate('update', spec.update);
    validateUpdate('rollback', spec.rollback);
  }
  validateEndpoint(spec.endpoint);
}

/** Whether a service runs its tasks to completion, rather than for good. */
export const isJob = ({ mode }: ServiceSpec): boolean =>
  mode === 'replicatedJob' || mode === 'globalJob';

function validateTaskSpec({ task, annotations }: ServiceSpec): void {
  if (task === null) throw invalid('TaskSpec: missing runtime');
  validateResources(task.resources);
  validateRestart(task.restart);
  parseConstraints(task.placement?.constraints ?? []);
  checkCount('Maximum replicas per node', task.placement?.maxReplicas);
  if (task.container) {
    validateSecretReferences(task.container.secrets);
    validateConfigReferences(task.container);
  }
  validateRuntime(task, annotations);
}

function validateRuntime(
  { runtime, container, generic }: TaskSpec,
  annotations: ServiceSpec['annotations'],
): void {
  switch (runtime) {
    case undefined:
      throw invalid('TaskSpec: missing runtime');
    case 'container':
      if (container) validateContainer(container, annotations);
      return;
    case 'generic':
      if (generic) validateGenericRuntime(generic);
      return;
    case 'attachment':
      throw unimplemented('RuntimeSpec: unimplemented runtime in service spec');
  }
}

function validateResources(requirements: Frozen<WireResourceRequirements> | null): void {
  validateAmounts(requirements?.limits ?? null);
  validateAmounts(requirements?.reservations ?? null);
  for (const { resource, namedResourceSpec } of requirements?.reservations?.generic ?? []) {
    if (resource !== 'discreteResourceSpec') {
      throw invalid(
        `invalid generic resource ${namedResourceSpec?.kind ?? ''}: only a number of it can be reserved, not one by its name`,
      );
    }
  }
}

function validateAmounts(resources: Frozen<WireResources> | null): void {
  const nanoCpus = Number(resources?.nanoCpus ?? 0);
  if (nanoCpus !== 0 && nanoCpus < nanoCpusMin) {
    throw invalid(`invalid cpu value ${nanoCpus / 1e9}: Must be at least ${nanoCpusMin / 1e9}`);
  }
  const memoryBytes = Number(resources?.memoryBytes ?? 0);
  if (memoryBytes !== 0 && memoryBytes < memoryBytesMin) {
    throw invalid(`invalid memory value ${memoryBytes}: Must be at least 4MiB`);
  }
}

function validateRestart(policy: Frozen<WireRestartPolicy> | null): void {
  checkNotNegative('TaskSpec: restart-delay', policy?.delay ?? null);
  checkNotNegative('TaskSpec: restart-window', policy?.window ?? null);
  checkCount('TaskSpec: restart-max-attempts', policy?.maxAttempts);
}

function validateGenericRuntime({ kind, payload }: Frozen<WireGenericRuntimeSpec>): void {
  if (kind.length < 3) throw invalid(`Generic runtime: Invalid name "${kind}"`);
  if (['container', 'attachment'].includes(kind.toLowerCase())) {
    throw invalid(`Generic runtime: ${kind} is a reserved name`);
  }
  if (payload === null) throw invalid('Generic runtime is missing payload');
  if (payload.type_url === '') throw invalid('Generic runtime is missing payload type');
  if (payload.value.length === 0) throw invalid('Generic runtime has an empty payload');
}

function validateMode(spec: ServiceSpec): void {
  switch (spec.mode) {
    case undefined:
      throw invalid('Unrecognized service mode');
    case 'replicated':
      checkCount('Number of replicas', spec.replicated?.replicas);
      return;
    case 'replicatedJob':
      checkCount('Maximum concurrent jobs', spec.replicatedJob?.maxConcurrent);
      checkCount('Total completed jobs', spec.replicatedJob?.totalCompletions);
      return;
    case 'global':
    case 'globalJob':
      return;
  }
}

function validateUpdate(
  what: 'update' | 'rollback',
  config: Frozen<WireUpdateConfig> | null,
): void {
  if (config === null) return;
  checkNotNegative(`TaskSpec: ${what}-delay`, config.delay);
  checkNotNegative(`TaskSpec: ${what}-monitor`, config.monitor);
  checkCount(`TaskSpec: ${what}-parallelism`, config.parallelism);
  if (!(config.maxFailureRatio >= 0 && config.maxFailureRatio <= 1)) {
    throw invalid(`TaskSpec: ${what}-maxfailureratio cannot be less than 0 or bigger than 1`);
  }
}

function validateEndpoint(endpoint: Frozen<WireEndpointSpec> | null): void {
  const published = new Set<string>();
  for (const { publishMode, publishedPort, protocol } of endpoint?.ports ?? []) {
    if (endpoint?.mode === 'DNSRR' && publishMode === 'INGRESS') {
      throw invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
    }
    if (publishedPort === 0) continue;
    const key = `${publishedPort}/${protocol}`;
    if (published.has(key)) throw invalid('EndpointSpec: duplicate published ports provided');
    published.add(key);
  }
}
