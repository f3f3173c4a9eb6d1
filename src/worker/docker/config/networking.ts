import type { Frozen, Task } from '../../../api/index.ts';
import type { PortConfig } from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { ContainerBody, ContainerInfo, HostConfig } from '../engine-port.ts';
import { predefinedLabel } from './labels.ts';

/**
 * The network a task's container joins. Undefined stands for the Engine's default bridge.
 *
 * Overlay networks live inside dockerd's own swarm mode and cannot be had from outside of it.
 *
 * @throws SwarmError invalid-argument, if the task needs such a one
 */
export function networkMode(task: Task): string | undefined {
  const published = task.endpoint?.ports.find(({ publishMode }) => publishMode === 'INGRESS');
  if (published !== undefined) {
    throw refused(
      `port ${published.targetPort} is published by the routing mesh, which swarmd does not have: ` +
        'publish it with mode=host',
    );
  }
  for (const { network } of task.networks) {
    const { name = '', labels = {} } = network?.spec?.annotations ?? {};
    if (labels[predefinedLabel] === 'true') return name;
    throw refused(
      `network ${name} is an overlay network, which swarmd cannot attach a container to: ` +
        'use bridge, host or none',
    );
  }
  return undefined;
}

const refused = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/** The ports of a task that are bound on its host, and how the Engine is asked for them. */
export function hostPorts(
  task: Task,
): Required<Pick<ContainerBody, 'ExposedPorts'> & Pick<HostConfig, 'PortBindings'>> {
  const exposed: Record<string, Record<string, never>> = {};
  const bindings: Record<string, Array<{ readonly HostPort: string }>> = {};
  for (const { publishMode, protocol, targetPort, publishedPort } of task.endpoint?.ports ?? []) {
    if (publishMode !== 'HOST') continue;
    const port = `${targetPort}/${protocol.toLowerCase()}`;
    exposed[port] = {};
    // Without a port the Engine chooses one.
    const HostPort = publishedPort === 0 ? '' : String(publishedPort);
    bindings[port] = [...(bindings[port] ?? []), { HostPort }];
  }
  return { ExposedPorts: exposed, PortBindings: bindings };
}

const protocols: Readonly<Record<string, PortConfig['protocol']>> = {
  tcp: 'TCP',
  udp: 'UDP',
  sctp: 'SCTP',
};

/**
 * The ports the Engine has bound for a container. One that is bound for IPv4 and for IPv6 is told
 * once, where the original tells it twice.
 */
export function boundPorts(container: ContainerInfo): Array<Frozen<PortConfig>> {
  const ports = Object.entries(container.NetworkSettings.Ports ?? {}).flatMap(
    ([port, bindings]) => {
      const [target, protocol = 'tcp'] = port.split('/');
      const published = new Set((bindings ?? []).map(({ HostPort }) => Number(HostPort)));
      return [...published].map((publishedPort) => ({
        name: '',
        protocol: protocols[protocol] ?? 'TCP',
        targetPort: Number(target),
        publishedPort,
        publishMode: 'HOST' as const,
      }));
    },
  );
  return ports.toSorted((a, b) => a.targetPort - b.targetPort || a.publishedPort - b.publishedPort);
}
