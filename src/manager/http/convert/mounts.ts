import type { Mount, MountInput } from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import { type Json, type JsonObject, parseJson, stringifyJson } from '../json.ts';
import { Fields } from './fields.ts';
import {
  count,
  driverFromEngine,
  flag,
  lower,
  map,
  optionalDriverToEngine,
  small,
  text,
  valueOf,
} from './shapes.ts';

const types = ['BIND', 'VOLUME', 'TMPFS', 'NPIPE', 'CLUSTER'] as const;
const consistencies = ['DEFAULT', 'CONSISTENT', 'CACHED', 'DELEGATED'] as const;
const propagations = ['RPRIVATE', 'PRIVATE', 'RSHARED', 'SHARED', 'RSLAVE', 'SLAVE'] as const;

type OptionsInput<K extends keyof MountInput> = NonNullable<MountInput[K]> | null;

/**
 * A mount of a container spec. Engine API 1.47 `Mount`
 *
 * @throws SwarmError invalid-argument
 */
export function mountFromEngine(mount: Fields): MountInput {
  return {
    type: named(types, mount.text('Type'), 'BIND', 'MountType'),
    source: mount.text('Source'),
    target: mount.text('Target'),
    readonly: mount.flag('ReadOnly'),
    consistency: valueOf(consistencies, mount.text('Consistency')) ?? 'DEFAULT',
    bindOptions: bindOptionsFromEngine(mount.object('BindOptions')),
    volumeOptions: volumeOptionsFromEngine(mount.object('VolumeOptions')),
    tmpfsOptions: tmpfsOptionsFromEngine(mount.object('TmpfsOptions')),
  };
}

function named<T extends string>(
  values: readonly T[],
  written: string,
  ifEmpty: NoInfer<T>,
  what: string,
): T {
  const value = written === '' ? ifEmpty : valueOf(values, written);
  if (value === undefined) {
    throw new SwarmError('invalid-argument', `invalid ${what}: "${written}"`);
  }
  return value;
}

function bindOptionsFromEngine(options: Fields | undefined): OptionsInput<'bindOptions'> {
  if (options === undefined) return null;
  return {
    propagation: named(propagations, options.text('Propagation'), 'RPRIVATE', 'MountPropagation'),
    nonrecursive: options.flag('NonRecursive'),
    createmountpoint: options.flag('CreateMountpoint'),
    readonlynonrecursive: options.flag('ReadOnlyNonRecursive'),
    readonlyforcerecursive: options.flag('ReadOnlyForceRecursive'),
  };
}

function volumeOptionsFromEngine(options: Fields | undefined): OptionsInput<'volumeOptions'> {
  if (options === undefined) return null;
  return {
    nocopy: options.flag('NoCopy'),
    labels: options.map('Labels'),
    subpath: options.text('Subpath'),
    driverConfig: driverFromEngine(options.object('DriverConfig')),
  };
}

/** Further options of a tmpfs are a list of lists; the wire has their JSON as one string. */
function tmpfsOptionsFromEngine(options: Fields | undefined): OptionsInput<'tmpfsOptions'> {
  if (options === undefined) return null;
  const further = options.list('Options').map((option) => Fields.of({ option }).texts('option'));
  return {
    sizeBytes: options.integer('SizeBytes'),
    mode: options.small('Mode'),
    options: further.length === 0 ? '' : stringifyJson(further).trimEnd(),
  };
}

/** A mount of a container spec, as the Engine API shows it. */
export const mountToEngine = (mount: Mount): JsonObject => ({
  Type: lower(mount.type),
  Source: text(mount.source),
  Target: text(mount.target),
  ReadOnly: flag(mount.readonly),
  Consistency: mount.consistency === 'DEFAULT' ? undefined : lower(mount.consistency),
  BindOptions: mount.bindOptions === null ? undefined : bindOptionsToEngine(mount.bindOptions),
  VolumeOptions:
    mount.volumeOptions === null ? undefined : volumeOptionsToEngine(mount.volumeOptions),
  TmpfsOptions: mount.tmpfsOptions === null ? undefined : tmpfsOptionsToEngine(mount.tmpfsOptions),
});

const bindOptionsToEngine = (options: NonNullable<Mount['bindOptions']>): JsonObject => ({
  Propagation: lower(options.propagation),
  NonRecursive: flag(options.nonrecursive),
  CreateMountpoint: flag(options.createmountpoint),
  ReadOnlyNonRecursive: flag(options.readonlynonrecursive),
  ReadOnlyForceRecursive: flag(options.readonlyforcerecursive),
});

const volumeOptionsToEngine = (options: NonNullable<Mount['volumeOptions']>): JsonObject => ({
  NoCopy: flag(options.nocopy),
  Labels: map(options.labels),
  Subpath: text(options.subpath),
  DriverConfig: optionalDriverToEngine(options.driverConfig),
});

const tmpfsOptionsToEngine = (options: NonNullable<Mount['tmpfsOptions']>): JsonObject => ({
  SizeBytes: count(options.sizeBytes),
  Mode: small(options.mode),
  Options: furtherToEngine(options.options),
});

/** What was not written by an Engine API is not shown by one. */
function furtherToEngine(options: string): Json {
  if (options === '') return undefined;
  try {
    const parsed = parseJson(options);
    return Array.isArray(parsed) ? (parsed as Json) : undefined; // Parsed JSON is Json.
  } catch {
    return undefined;
  }
}
