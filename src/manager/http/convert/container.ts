import type {
  ConfigReference,
  ConfigReferenceInput,
  ContainerSpec,
  ContainerSpecInput,
  FileTarget,
  FileTargetInput,
  HealthConfig,
  HealthConfigInput,
  SecretReference,
  SecretReferenceInput,
} from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { JsonObject } from '../json.ts';
import type { Fields } from './fields.ts';
import { mountFromEngine, mountToEngine } from './mounts.ts';
import { privilegesFromEngine, privilegesToEngine } from './privileges.ts';
import {
  count,
  duration,
  durationFrom,
  flag,
  integer,
  list,
  map,
  optionalDuration,
  optionalDurationFrom,
  small,
  text,
} from './shapes.ts';

const isolations = ['DEFAULT', 'PROCESS', 'HYPERV'] as const;

/**
 * The container spec of a service or task. Engine API 1.47 `TaskSpec.ContainerSpec`, swarmkit
 * `ContainerSpec`. The limit of processes is a resource in the Engine API: see `task-spec.ts`.
 *
 * @throws SwarmError invalid-argument
 */
export function containerSpecFromEngine(spec: Fields): ContainerSpecInput {
  const dns = spec.object('DNSConfig');
  const init = spec.optionalFlag('Init');
  const isolation = isolations.find((name) => name === spec.text('Isolation').toUpperCase());
  return {
    image: spec.text('Image'),
    labels: spec.map('Labels'),
    command: spec.texts('Command'),
    args: spec.texts('Args'),
    hostname: spec.text('Hostname'),
    env: spec.texts('Env'),
    dir: spec.text('Dir'),
    user: spec.text('User'),
    groups: spec.texts('Groups'),
    privileges: privilegesFromEngine(spec.object('Privileges')),
    init: init === undefined ? null : { value: init },
    stopSignal: spec.text('StopSignal'),
    tty: spec.flag('TTY'),
    openStdin: spec.flag('OpenStdin'),
    readOnly: spec.flag('ReadOnly'),
    mounts: spec.objects('Mounts').map(mountFromEngine),
    stopGracePeriod: optionalDurationFrom(spec, 'StopGracePeriod'),
    healthcheck: healthcheckFromEngine(spec.object('Healthcheck')),
    hosts: spec.texts('Hosts'),
    dnsConfig:
      dns === undefined
        ? null
        : {
            nameservers: dns.texts('Nameservers'),
            search: dns.texts('Search'),
            options: dns.texts('Options'),
          },
    secrets: spec.objects('Secrets').map(secretReferenceFromEngine),
    configs: spec.objects('Configs').map(configReferenceFromEngine),
    isolation: `ISOLATION_${isolation ?? 'DEFAULT'}`,
    sysctls: spec.map('Sysctls'),
    capabilityAdd: spec.texts('CapabilityAdd'),
    capabilityDrop: spec.texts('CapabilityDrop'),
    ulimits: spec.objects('Ulimits').map((limit) => ({
      name: limit.text('Name'),
      soft: limit.integer('Soft'),
      hard: limit.integer('Hard'),
    })),
    oomScoreAdj: spec.integer('OomScoreAdj'),
  };
}

function healthcheckFromEngine(check: Fields | undefined): HealthConfigInput | null {
  if (check === undefined) return null;
  return {
    test: check.texts('Test'),
    interval: durationFrom(check, 'Interval'),
    timeout: durationFrom(check, 'Timeout'),
    startPeriod: durationFrom(check, 'StartPeriod'),
    startInterval: durationFrom(check, 'StartInterval'),
    retries: check.small('Retries'),
  };
}

const fileFromEngine = (file: Fields): FileTargetInput => ({
  name: file.text('Name'),
  uid: file.text('UID'),
  gid: file.text('GID'),
  mode: file.small('Mode'),
});

function secretReferenceFromEngine(reference: Fields): SecretReferenceInput {
  const file = reference.object('File');
  return {
    secretId: reference.text('SecretID'),
    secretName: reference.text('SecretName'),
    ...(file === undefined ? {} : { file: fileFromEngine(file) }),
  };
}

function configReferenceFromEngine(reference: Fields): ConfigReferenceInput {
  const file = reference.object('File');
  const isRuntime = reference.has('Runtime');
  if (file === undefined && !isRuntime) {
    throw new SwarmError(
      'invalid-argument',
      'invalid Config: either File or Runtime should be set',
    );
  }
  if (file !== undefined && isRuntime) {
    throw new SwarmError(
      'invalid-argument',
      'invalid Config: cannot specify both File and Runtime',
    );
  }
  return {
    configId: reference.text('ConfigID'),
    configName: reference.text('ConfigName'),
    ...(file === undefined ? { runtime: {} } : { file: fileFromEngine(file) }),
  };
}

/** A container spec, as the Engine API shows it. */
export function containerSpecToEngine(spec: ContainerSpec): JsonObject {
  const { dnsConfig, privileges, init, healthcheck } = spec;
  return {
    Image: text(spec.image),
    Labels: map(spec.labels),
    Command: list(spec.command),
    Args: list(spec.args),
    Hostname: text(spec.hostname),
    Env: list(spec.env),
    Dir: text(spec.dir),
    User: text(spec.user),
    Groups: list(spec.groups),
    Privileges: privileges === null ? undefined : privilegesToEngine(privileges),
    Init: init === null ? undefined : init.value,
    StopSignal: text(spec.stopSignal),
    TTY: flag(spec.tty),
    OpenStdin: flag(spec.openStdin),
    ReadOnly: flag(spec.readOnly),
    Mounts: list(spec.mounts.map(mountToEngine)),
    StopGracePeriod: optionalDuration(spec.stopGracePeriod),
    Healthcheck: healthcheck === null ? undefined : healthcheckToEngine(healthcheck),
    Hosts: list(spec.hosts),
    DNSConfig:
      dnsConfig === null
        ? undefined
        : {
            Nameservers: list(dnsConfig.nameservers),
            Search: list(dnsConfig.search),
            Options: list(dnsConfig.options),
          },
    Secrets: list(spec.secrets.flatMap(secretReferenceToEngine)),
    Configs: list(spec.configs.flatMap(configReferenceToEngine)),
    Isolation: spec.isolation.slice('ISOLATION_'.length).toLowerCase(),
    Sysctls: map(spec.sysctls),
    CapabilityAdd: list(spec.capabilityAdd),
    CapabilityDrop: list(spec.capabilityDrop),
    Ulimits: list(
      spec.ulimits.map(({ name, hard, soft }) => ({
        Name: name,
        Hard: integer(hard),
        Soft: integer(soft),
      })),
    ),
    OomScoreAdj: count(spec.oomScoreAdj),
  };
}

const healthcheckToEngine = (check: HealthConfig): JsonObject => ({
  Test: list(check.test),
  Interval: duration(check.interval),
  Timeout: duration(check.timeout),
  StartPeriod: duration(check.startPeriod),
  StartInterval: duration(check.startInterval),
  Retries: small(check.retries),
});

const fileToEngine = ({ name, uid, gid, mode }: FileTarget): JsonObject => ({
  Name: name,
  UID: uid,
  GID: gid,
  Mode: mode,
});

const secretReferenceToEngine = (reference: SecretReference): JsonObject[] =>
  reference.file === undefined || reference.file === null
    ? []
    : [
        {
          File: fileToEngine(reference.file),
          SecretID: reference.secretId,
          SecretName: reference.secretName,
        },
      ];

function configReferenceToEngine(reference: ConfigReference): JsonObject[] {
  const { file, runtime } = reference;
  const ids = { ConfigID: reference.configId, ConfigName: reference.configName };
  if (file !== undefined && file !== null) return [{ File: fileToEngine(file), ...ids }];
  return runtime === undefined || runtime === null ? [] : [{ Runtime: {}, ...ids }];
}
