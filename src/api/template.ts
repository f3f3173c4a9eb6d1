import { isSwarmError, SwarmError } from '../runtime/index.ts';
import { execute } from './go-template/execute.ts';
import { type Functions, Struct, textOf, type Value } from './go-template/value.ts';
import type { ContainerSpec, Frozen, Task } from './objects.ts';
import { taskName } from './objects.ts';
import type * as wire from './gen/types.ts';

/** What of a node's description a placeholder may name. */
export type TemplateNode = Frozen<Pick<wire.NodeDescription, 'hostname' | 'platform'>>;

/** What a templated secret or config may read. Each may throw: the text becomes part of the error. */
export interface PayloadSources {
  /** The data of the secret that the task finds under this file name. */
  secret(target: string): string;
  /** The data of the config that the task finds under this file name. */
  config(target: string): string;
}

/**
 * A task's container spec with its placeholders filled in: in the values of the environment, in
 * sources, targets and volume options of mounts, and in the host name. swarmkit template/expand.go
 *
 * @param node the node it runs on; undefined when a spec is only checked
 * @throws SwarmError invalid-argument, with SwarmKit's text
 */
export function expandContainerSpec(
  task: Task,
  spec: ContainerSpec,
  node: TemplateNode | undefined,
): ContainerSpec {
  const context = contextOf(task, node);
  const expand = (text: string): string => expandText(text, context, common);
  return {
    ...spec,
    env: within('expanding env failed', () => spec.env.map((entry) => expandEnv(entry, expand))),
    mounts: within('expanding mounts failed', () =>
      spec.mounts.map((mount) => expandMount(mount, expand)),
    ),
    hostname: within('expanding hostname failed', () => expand(spec.hostname)),
  };
}

/**
 * The data of a secret or config whose templating driver is `golang`. swarmkit template/getter.go
 *
 * @param spec the container spec, its own placeholders filled in
 * @throws SwarmError invalid-argument, with SwarmKit's text
 */
export function expandPayload(
  data: string,
  task: Task,
  spec: ContainerSpec,
  { node, sources }: { readonly node: TemplateNode | undefined; readonly sources: PayloadSources },
): string {
  const functions: Functions = {
    ...common,
    secret: (target) => sources.secret(textOf(target)),
    config: (target) => sources.config(textOf(target)),
    env: (name) => {
      const prefix = `${textOf(name)}=`;
      return spec.env.find((entry) => entry.startsWith(prefix))?.slice(prefix.length) ?? '';
    },
  };
  return expandText(data, contextOf(task, node), functions);
}

const common: Functions = {
  join: (separator, ...parts) => parts.map(textOf).join(textOf(separator)),
};

const stringsType = (...names: readonly string[]): string =>
  `struct { ${names.map((name) => `${name} string`).join('; ')} }`;

function contextOf(task: Task, node: TemplateNode | undefined): Struct {
  const service = new Struct('struct { ID string; Name string; Labels map[string]string }', {
    ID: task.serviceId,
    Name: task.serviceAnnotations?.name ?? '',
    Labels: new Map(Object.entries(task.serviceAnnotations?.labels ?? {})),
  });
  const platform = new Struct('template.Platform', {
    Architecture: node?.platform?.architecture ?? '',
    OS: node?.platform?.os ?? '',
  });
  const nodeType = 'struct { ID string; Hostname string; Platform template.Platform }';
  return new Struct('template.Context', {
    Service: service,
    Node: new Struct(nodeType, {
      ID: task.nodeId,
      Hostname: node?.hostname ?? '',
      Platform: platform,
    }),
    Task: new Struct(stringsType('ID', 'Name', 'Slot'), {
      ID: task.id,
      Name: taskName(task),
      Slot: task.slot === '0' ? task.nodeId : task.slot,
    }),
  });
}

// Most texts hold no placeholder at all.
const expandText = (text: string, context: Value, functions: Functions): string =>
  text.includes('{{') ? execute({ name: 'expansion', text }, context, functions) : text;

/** Runs a part of the expansion; its failure tells which part that was. */
function within<T>(part: string, expand: () => T): T {
  try {
    return expand();
  } catch (error) {
    if (!isSwarmError(error)) throw error;
    throw new SwarmError(error.code, `${part}: ${error.message}`, { cause: error });
  }
}

const quoted = (text: string): string => JSON.stringify(text);

type Expand = (text: string) => string;

function expandEnv(entry: string, expand: Expand): string {
  const [, name, value] = /^([^=]*)=([\s\S]*)$/u.exec(entry) ?? [];
  if (value === undefined) return entry;
  return within(`expanding env ${quoted(entry)}`, () => `${name}=${expand(value)}`);
}

type Mount = ContainerSpec['mounts'][number];

function expandMount(mount: Mount, expand: Expand): Mount {
  const { volumeOptions } = mount;
  return {
    ...mount,
    source: within(`expanding mount source ${quoted(mount.source)}`, () => expand(mount.source)),
    target: within(`expanding mount target ${quoted(mount.target)}`, () => expand(mount.target)),
    volumeOptions:
      volumeOptions === null
        ? null
        : {
            ...volumeOptions,
            labels: within('expanding volume labels', () =>
              expandMap(volumeOptions.labels, expand),
            ),
            driverConfig:
              volumeOptions.driverConfig === null
                ? null
                : {
                    ...volumeOptions.driverConfig,
                    options: within('expanding volume driver config', () =>
                      expandMap(volumeOptions.driverConfig?.options ?? {}, expand),
                    ),
                  },
          },
  };
}

const expandMap = (
  map: Readonly<Record<string, string>>,
  expand: Expand,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(map).map(([key, value]) => [
      key,
      within(`expanding map entry ${quoted(key)}=${quoted(value)}`, () => expand(value)),
    ]),
  );
