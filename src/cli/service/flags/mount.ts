import { isAbsolute, resolve } from 'node:path';
import type { Mount } from '../spec.ts';
import { bytes, invalid, pair } from './values.ts';

const isTrue = (text: string | undefined): boolean =>
  text !== undefined && !/^(?:false|0)$/iu.test(text);

type MountSetter = (to: Mount, value: string) => void;

/** Each key of a mount, and what it sets. */
const mountKeys: Readonly<Record<string, MountSetter>> = {
  type: (to, value) => (to.Type = value.toLowerCase()),
  source: (to, value) => (to.Source = value),
  target: (to, value) => (to.Target = value),
  readonly: (to, value) => (to.ReadOnly = value === '' || isTrue(value)),
  consistency: (to, value) => (to.Consistency = value.toLowerCase()),
  'bind-propagation': (to, value) => ((to.BindOptions ??= {}).Propagation = value),
  'bind-nonrecursive': (to, value) =>
    ((to.BindOptions ??= {}).NonRecursive = value === '' || isTrue(value)),
  'bind-create-src': (to, value) =>
    ((to.BindOptions ??= {}).CreateMountpoint = value === '' || isTrue(value)),
  'volume-nocopy': (to, value) =>
    ((to.VolumeOptions ??= {}).NoCopy = value === '' || isTrue(value)),
  'volume-subpath': (to, value) => ((to.VolumeOptions ??= {}).Subpath = value),
  'volume-driver': (to, value) => (((to.VolumeOptions ??= {}).DriverConfig ??= {}).Name = value),
  'tmpfs-size': (to, value) => ((to.TmpfsOptions ??= {}).SizeBytes = bytes('mount', value)),
  'tmpfs-mode': (to, value) => ((to.TmpfsOptions ??= {}).Mode = Number.parseInt(value, 8)),
};

const mountAliases: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};

/** Keys that say enough without a value. */
const bare = new Set(['readonly', 'volume-nocopy', 'bind-nonrecursive', 'bind-create-src']);

/** `type=volume,source=data,target=/data,readonly` */
export function mount(flag: string, text: string): Mount {
  const result: Mount = { Type: 'volume', Target: '' };
  const given = text.split(',').map((part) => part.replaceAll(/^"|"$/gu, ''));
  for (const part of given) {
    const [written, value] = pair(flag, part);
    const key = mountAliases[written.toLowerCase()] ?? written.toLowerCase();
    if (!part.includes('=') && !bare.has(key)) {
      throw invalid(flag, text, `invalid field '${part}' must be a key=value pair`);
    }
    if (key === 'volume-label' || key === 'volume-opt') {
      const options = (result.VolumeOptions ??= {});
      const [name, content] = pair(flag, value);
      if (key === 'volume-label') (options.Labels ??= {})[name] = content;
      else ((options.DriverConfig ??= {}).Options ??= {})[name] = content;
      continue;
    }
    const set = mountKeys[key];
    if (set === undefined) throw invalid(flag, text, `unexpected key '${written}' in '${text}'`);
    set(result, value);
  }
  return checkedMount(flag, text, result);
}

function checkedMount(flag: string, text: string, result: Mount): Mount {
  if (result.Target === '') throw invalid(flag, text, 'target is required');
  for (const [kind, options] of [
    ['bind', result.BindOptions],
    ['volume', result.VolumeOptions],
    ['tmpfs', result.TmpfsOptions],
  ] as const) {
    if (options !== undefined && result.Type !== kind) {
      throw invalid(flag, text, `cannot mix '${kind}-*' options with mount type '${result.Type}'`);
    }
  }
  const { Source } = result;
  if (result.Type === 'bind') {
    if (Source === undefined) throw invalid(flag, text, 'source is required for a bind mount');
    if (Source.startsWith('.') && !isAbsolute(Source)) result.Source = resolve(Source);
  }
  return result;
}
