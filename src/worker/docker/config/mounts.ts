import type { ContainerSpec } from '../../../api/index.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { EngineMount } from '../engine-port.ts';
import { integerOf } from './integer.ts';

type Mount = ContainerSpec['mounts'][number];

/**
 * A mount of a task as the Engine is asked for it.
 *
 * @throws SwarmError invalid-argument, if it makes no sense or cannot be had here
 */
export function mountToEngine(mount: Mount): EngineMount {
  checkMount(mount);
  const { type, source, target, readonly, consistency } = mount;
  return {
    Type: engineType(type),
    Source: source === '' ? undefined : source,
    Target: target,
    ReadOnly: readonly,
    Consistency: consistency === 'DEFAULT' ? undefined : consistency.toLowerCase(),
    BindOptions: bindOptionsToEngine(mount.bindOptions),
    VolumeOptions: volumeOptionsToEngine(mount.volumeOptions),
    TmpfsOptions: tmpfsOptionsToEngine(mount.tmpfsOptions),
  };
}

/** moby daemon/cluster/executor/container/validate.go */
function checkMount({ type, source, target }: Mount): void {
  const isAbsolute = source.startsWith('/');
  if (!target.startsWith('/') && type !== 'NPIPE') {
    throw invalid(`invalid mount target, must be an absolute path: ${target}`);
  }
  if (type === 'BIND' && !isAbsolute) {
    throw invalid(`invalid bind mount source, must be an absolute path: ${source}`);
  }
  if (type === 'VOLUME' && isAbsolute) {
    throw invalid(`invalid volume mount source, must not be an absolute path: ${source}`);
  }
  if (type === 'TMPFS' && source !== '') {
    throw invalid('invalid tmpfs source, source must be empty');
  }
  if (type === 'NPIPE' && source === '') {
    throw invalid('invalid npipe source, source must not be empty');
  }
}

function engineType(type: Mount['type']): EngineMount['Type'] {
  switch (type) {
    case 'BIND':
      return 'bind';
    case 'VOLUME':
      return 'volume';
    case 'TMPFS':
      return 'tmpfs';
    case 'NPIPE':
      return 'npipe';
    case 'CLUSTER':
      throw invalid('cluster volumes are not supported by swarmd: use a volume of a volume driver');
  }
}

function bindOptionsToEngine(options: Mount['bindOptions']): EngineMount['BindOptions'] {
  if (options === null) return undefined;
  return {
    Propagation: options.propagation.toLowerCase(),
    NonRecursive: options.nonrecursive,
    CreateMountpoint: options.createmountpoint,
    ReadOnlyNonRecursive: options.readonlynonrecursive,
    ReadOnlyForceRecursive: options.readonlyforcerecursive,
  };
}

function volumeOptionsToEngine(options: Mount['volumeOptions']): EngineMount['VolumeOptions'] {
  if (options === null) return undefined;
  const { nocopy, labels, driverConfig: driver, subpath } = options;
  return {
    NoCopy: nocopy,
    Labels: labels,
    DriverConfig: driver === null ? undefined : { Name: driver.name, Options: driver.options },
    Subpath: subpath === '' ? undefined : subpath,
  };
}

function tmpfsOptionsToEngine(options: Mount['tmpfsOptions']): EngineMount['TmpfsOptions'] {
  if (options === null) return undefined;
  return {
    SizeBytes: integerOf(options.sizeBytes, 'tmpfs size'),
    Mode: options.mode,
    Options: options.options === '' ? undefined : parseOptions(options.options),
  };
}

/** The options of a tmpfs travel as JSON: a list of names, each with its value if it has one. */
function parseOptions(text: string): string[][] {
  try {
    const parsed: unknown = JSON.parse(text);
    if (Array.isArray(parsed)) return parsed.map((option) => [option].flat().map(String));
  } catch {
    // Said below.
  }
  throw invalid(`invalid tmpfs options: ${text}`);
}

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);
