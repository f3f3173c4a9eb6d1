import type { EngineClient, Headers } from '../client.ts';
import type { Flag } from '../command.ts';
import { CommandFailure, type Shell } from '../shell.ts';
import type { ServiceSpec } from './spec.ts';

/** The flags of commands that may change a service's image. */
export const imageFlags = {
  'no-resolve-image': {
    kind: 'switch',
    describe: 'Do not query the registry to resolve image digest and supported platforms',
  },
  'with-registry-auth': {
    kind: 'switch',
    describe: 'Send registry authentication details to swarm agents',
  },
} as const satisfies Readonly<Record<string, Flag>>;

interface Distribution {
  readonly Descriptor?: { readonly digest?: string };
  readonly Platforms?: readonly { readonly architecture?: string; readonly os?: string }[];
}

/** Docker Hub goes without saying. */
const hub = /^(?:index\.)?docker\.io\/(?:library\/)?/u;

/**
 * An image reference as people know it, with its tag: `latest` where neither a tag nor a digest is
 * given. What is no reference stays as it is; the manager says what is wrong with it.
 */
export function tagged(image: string): string {
  const familiar = image.replace(hub, '');
  const isReference =
    /^[a-z0-9][^\s]*$/u.test(familiar) && !/[A-Z]/u.test(familiar.split(':')[0] ?? '');
  if (!isReference) return image;
  if (familiar.includes('@')) return familiar;
  return familiar.lastIndexOf(':') > familiar.lastIndexOf('/') ? familiar : `${familiar}:latest`;
}

const warning = (image: string): string =>
  `image ${image} could not be accessed on a registry to record
its digest. Each node will access ${image} independently,
possibly leading to different nodes running different
versions of the image.

`;

/**
 * Pins an image to the digest its registry has now, and the service to the platforms it is for.
 * Where no registry answers, each node resolves it, and the user is told.
 */
export async function resolveImage(
  client: EngineClient,
  spec: ServiceSpec,
  { shell, headers }: { readonly shell: Shell; readonly headers: Headers },
): Promise<void> {
  const container = spec.TaskTemplate.ContainerSpec;
  const image = tagged(container.Image ?? '');
  container.Image = image;
  if (image.includes('@')) return;
  try {
    const { Descriptor, Platforms = [] } = await client.get<Distribution>(
      `/distribution/${image}/json`,
      {},
      headers,
    );
    if (Descriptor?.digest === undefined) throw new CommandFailure('no digest');
    container.Image = `${image}@${Descriptor.digest}`;
    const known = Platforms.filter(({ os }) => os !== undefined && os !== 'unknown');
    if (known.length > 0) {
      (spec.TaskTemplate.Placement ??= {}).Platforms = known.map(
        ({ architecture = '', os = '' }) => ({
          Architecture: architecture === 'arm' ? '' : architecture,
          OS: os,
        }),
      );
    }
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    shell.err(warning(image));
  }
}
