import { codecOf } from '../../../api/index.ts';
import type {
  IPAMConfig,
  IPAMOptions,
  IPAMOptionsInput,
  Network,
  NetworkSpec,
  NetworkSpecInput,
} from '../../../api/gen/types.ts';
import { SwarmError } from '../../../runtime/index.ts';
import type { JsonObject } from '../json.ts';
import type { Fields } from './fields.ts';
import {
  annotationsToEngine,
  driverToEngine,
  flag,
  list,
  metaToEngine,
  optionalDriverToEngine,
  text,
  time,
} from './shapes.ts';

/** Swarmkit's label of a swarm network that stands for one every Engine has: `host`, `bridge`. */
const predefinedLabel = 'com.docker.swarm.predefined';

/** The label of the legacy ingress network. */
const internalLabel = 'com.docker.swarm.internal';

/**
 * A network of the swarm. Engine API 1.47 `POST /networks/create`
 *
 * @throws SwarmError invalid-argument
 */
export function networkSpecFromEngine(body: Fields): NetworkSpecInput {
  const from = body.object('ConfigFrom')?.text('Network') ?? '';
  return {
    annotations: { name: body.text('Name'), labels: body.map('Labels') },
    driverConfig: { name: body.text('Driver'), options: body.map('Options') },
    ipv6Enabled: body.flag('EnableIPv6'),
    internal: body.flag('Internal'),
    attachable: body.flag('Attachable'),
    ingress: body.flag('Ingress'),
    ipam: ipamFromEngine(body.object('IPAM')),
    ...(from === '' ? {} : { network: from }),
  };
}

function ipamFromEngine(ipam: Fields | undefined): IPAMOptionsInput | null {
  if (ipam === undefined) return null;
  return {
    driver: { name: ipam.text('Driver') || 'default', options: ipam.map('Options') },
    configs: ipam.objects('Config').map((config) => ({
      subnet: masked(config.text('Subnet')),
      range: masked(config.text('IPRange')),
      gateway: config.text('Gateway'),
    })),
  };
}

/** An IPv4 CIDR with the bits behind its prefix cleared; anything else as it is. */
function masked(cidr: string): string {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/u.exec(cidr);
  if (match === null) return cidr;
  const [, a, b, c, d, bits] = match.map(Number);
  const prefix = bits ?? 0;
  if (prefix > 32) throw new SwarmError('invalid-argument', `invalid CIDR address: ${cidr}`);
  const address = [a, b, c, d].reduce<number>((sum, byte) => sum * 256 + (byte ?? 0), 0);
  const size = 2 ** (32 - prefix);
  const base = Math.floor(address / size) * size;
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256);
  return `${bytes.join('.')}/${prefix}`;
}

/** A network of the swarm among the Engine's own. Engine API 1.47 `Network` of `GET /networks` */
export function networkToEngine(network: Network): JsonObject {
  const spec = network.spec ?? emptySpec();
  const { driverState, ipam } = network;
  return {
    Name: nameOf(network),
    Id: network.id,
    Created: time(network.meta?.createdAt),
    Scope: 'swarm',
    Driver: driverState?.name ?? '',
    EnableIPv4: true,
    EnableIPv6: spec.ipv6Enabled,
    IPAM: {
      Driver: ipam?.driver?.name ?? '',
      Options: ipam?.driver?.options ?? null,
      Config: ipam === null ? null : ipam.configs.map(configToEngine),
    },
    Internal: spec.internal,
    Attachable: spec.attachable,
    Ingress: isIngress(network),
    ConfigFrom: { Network: spec.network ?? '' },
    ConfigOnly: false,
    Containers: {},
    Options: driverState?.options ?? null,
    Labels: labelsOf(network),
  };
}

type Labels = Readonly<Record<string, string>>;

const emptySpec = (): NetworkSpec => codecOf('NetworkSpec').create({});
const nameOf = ({ spec }: Network): string => spec?.annotations?.name ?? '';
const labelsOf = ({ spec }: Network): Labels => spec?.annotations?.labels ?? {};

const configToEngine = ({ subnet, range, gateway }: IPAMConfig): JsonObject => ({
  Subnet: text(subnet),
  IPRange: text(range),
  Gateway: text(gateway),
});

const isIngress = (network: Network): boolean =>
  network.spec?.ingress === true ||
  (nameOf(network) === 'ingress' && labelsOf(network)[internalLabel] !== undefined);

/** Whether a swarm network stands for one that every Engine has: such are not listed. */
export const isPredefined = (network: Network): boolean =>
  labelsOf(network)[predefinedLabel] === 'true';

/** A network as a task's attachment shows it. Engine API 1.47 `Task.NetworksAttachments` */
export function networkObjectToEngine(network: Network): JsonObject {
  const spec = network.spec ?? emptySpec();
  const { network: from = '' } = spec;
  return {
    ID: network.id,
    ...metaToEngine(network.meta),
    Spec: {
      ...annotationsToEngine(spec.annotations),
      DriverConfiguration: optionalDriverToEngine(spec.driverConfig),
      IPv6Enabled: flag(spec.ipv6Enabled),
      Internal: flag(spec.internal),
      Attachable: flag(spec.attachable),
      Ingress: flag(isIngress(network)),
      IPAMOptions: ipamToEngine(spec.ipam),
      ConfigFrom: from === '' ? undefined : { Network: from },
      Scope: 'swarm',
    },
    DriverState: network.driverState === null ? {} : driverToEngine(network.driverState),
    IPAMOptions: ipamToEngine(network.ipam),
  };
}

const ipamToEngine = (ipam: IPAMOptions | null): JsonObject | undefined =>
  ipam === null
    ? undefined
    : {
        Driver: ipam.driver === null ? {} : driverToEngine(ipam.driver),
        Configs: list(
          ipam.configs.map(({ subnet, range, gateway }) => ({
            Subnet: text(subnet),
            Range: text(range),
            Gateway: text(gateway),
          })),
        ),
      };
