import { type Frozen, type Service, serviceName, type ServiceSpec } from '../../../api/index.ts';
import type { PortConfig as WirePortConfig } from '../../../api/gen/types.ts';
import { invalid } from '../common/errors.ts';

type PortConfig = Frozen<WirePortConfig>;

/**
 * A port in ingress mode is taken on every node: no other service may publish it, whichever way.
 * Two services may publish one port in host mode; the scheduler keeps them on different nodes.
 * swarmkit manager/controlapi/service.go checkPortConflicts
 *
 * @param others every service but the one whose spec this is
 * @throws SwarmError invalid-argument
 */
export function checkPortConflicts(spec: ServiceSpec, others: () => readonly Service[]): void {
  const wanted = (spec.endpoint?.ports ?? []).filter(({ publishedPort }) => publishedPort !== 0);
  if (wanted.length === 0) return;
  const ingress = new Set(wanted.filter(isIngress).map(keyOf));
  const all = new Set(wanted.map(keyOf));
  for (const service of others()) {
    for (const port of portsOf(service)) {
      const isTaken = isIngress(port) ? all.has(keyOf(port)) : ingress.has(keyOf(port));
      if (!isTaken) continue;
      const how = isIngress(port) ? 'an ingress port' : 'a host-published port';
      throw invalid(
        `port '${port.publishedPort}' is already in use by service '${serviceName(service)}' (${service.id}) as ${how}`,
      );
    }
  }
}

/** What a service asks for, and what it has been given. */
const portsOf = (service: Service): readonly PortConfig[] => [
  ...(service.spec?.endpoint?.ports ?? []),
  ...(service.endpoint?.ports ?? []),
];

const isIngress = ({ publishMode }: PortConfig): boolean => publishMode === 'INGRESS';
const keyOf = ({ publishedPort, protocol }: PortConfig): string => `${publishedPort}/${protocol}`;
