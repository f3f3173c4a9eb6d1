import { isIP } from 'node:net';
import { SwarmError } from '../../runtime/index.ts';

/** A network interface that is up, and its addresses. */
export interface HostInterface {
  readonly name: string;
  /** Whether it stands for a device, not for something made by software (a bridge, a tunnel). */
  readonly isPhysical: boolean;
  readonly addresses: readonly HostAddress[];
}

export interface HostAddress {
  readonly address: string;
  readonly family: 4 | 6;
  /** Loopback, link-local and unspecified addresses are not global. */
  readonly isGlobal: boolean;
}

/** Where the cluster's door stands, and where others find it. */
export interface ClusterAddresses {
  readonly listen: { readonly host: string; readonly port: number };
  /** `host:port`, with an IP for a host. */
  readonly advertise: string;
}

/** The port of the cluster's door. */
export const defaultPort = 2377;

/** An IPv6 address in brackets, if a port follows. */
export const hostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/**
 * `host[:port]`, `[v6]:port` or an address alone, taken apart.
 *
 * @throws SwarmError invalid-argument, naming the flag and what is wrong with its value
 */
export function parseHostPort(
  text: string,
  flag: string,
): { readonly host: string; readonly port: number } {
  const value = text.replace(/^tcp:\/\//u, '');
  if (isIP(value) !== 0) return { host: value, port: defaultPort };
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<host>[^:\s]*))(?::(?<port>\d+))?$/u.exec(value);
  const host = match?.groups?.['v6'] ?? match?.groups?.['host'] ?? '';
  const port = Number(match?.groups?.['port'] ?? defaultPort);
  if (match === null || port < 1 || port > 65_535) {
    throw new SwarmError(
      'invalid-argument',
      `${flag}: "${text}" is not HOST:PORT (for example 10.0.0.1:${defaultPort})`,
    );
  }
  return { host, port };
}

/**
 * The addresses of a manager: where it listens and what it tells others.
 *
 * A listen address may name an interface. An advertise address may be an address or an interface;
 * without one it is the listen address, if that is specific, or the host's only address, if there
 * is only one: a guess among several would be wrong on somebody's host.
 *
 * @throws SwarmError invalid-argument, in Docker's words, with the choices
 */
export function clusterAddresses(
  flags: { readonly listenAddr: string; readonly advertiseAddr: string },
  interfaces: readonly HostInterface[],
): ClusterAddresses {
  const asked = parseHostPort(flags.listenAddr, '--listen-addr');
  const listenHost = asked.host === '' ? '0.0.0.0' : resolve(asked.host, interfaces);
  if (listenHost === undefined) {
    throw invalid(
      `listen address must be an IP address or network interface (with optional port number): "${flags.listenAddr}"`,
    );
  }
  const listen = { host: listenHost, port: asked.port };
  return { listen, advertise: advertise(flags.advertiseAddr, listen, interfaces) };
}

const isUnspecified = (host: string): boolean => host === '0.0.0.0' || host === '::';

function advertise(
  flag: string,
  listen: { readonly host: string; readonly port: number },
  interfaces: readonly HostInterface[],
): string {
  if (flag !== '') {
    const { host, port } = parseHostPort(flag, '--advertise-addr');
    const address = resolve(host, interfaces);
    if (address === undefined || isUnspecified(address)) {
      throw invalid(
        `advertise address must be a non-zero IP address or network interface (with optional port number): "${flag}"`,
      );
    }
    const hasPort = /:\d+$/u.test(flag) && isIP(flag) === 0;
    return hostPort(address, hasPort ? port : listen.port);
  }
  if (!isUnspecified(listen.host)) return hostPort(listen.host, listen.port);
  return hostPort(systemAddress(interfaces), listen.port);
}

/** An IP as it is; the one address of an interface; `undefined` if the text is neither. */
function resolve(host: string, interfaces: readonly HostInterface[]): string | undefined {
  if (isIP(host) !== 0) return host;
  const named = interfaces.find(({ name }) => name === host);
  if (named === undefined) return undefined;
  for (const family of [4, 6] as const) {
    const [first, second] = named.addresses.filter((address) => address.family === family);
    if (second !== undefined && first !== undefined) {
      throw invalid(
        `interface ${host} has more than one IPv${family} address (${first.address} and ${second.address})`,
      );
    }
    if (first !== undefined) return first.address;
  }
  throw invalid(`interface ${host} has no usable IPv4 or IPv6 address`);
}

/** The one address this host is known by. moby daemon/cluster/listen_addr.go */
function systemAddress(interfaces: readonly HostInterface[]): string {
  const global = interfaces.flatMap(({ name, isPhysical, addresses }) =>
    addresses
      .filter(({ isGlobal }) => isGlobal)
      .map(({ address, family }) => ({ name, isPhysical, address, family })),
  );
  const physical = global.filter(({ isPhysical }) => isPhysical);
  const candidates = physical.length > 0 ? physical : global.filter(({ family }) => family === 4);
  const v4 = candidates.filter(({ family }) => family === 4);
  const [first, second] = v4.length > 0 ? v4 : candidates;
  if (first === undefined) {
    throw invalid("could not find the system's IP address - specify one with --advertise-addr");
  }
  if (second === undefined) return first.address;
  const where =
    first.name === second.name
      ? `addresses on interface ${first.name} (${first.address} and ${second.address})`
      : `addresses on different interfaces (${first.address} on ${first.name} and ${second.address} on ${second.name})`;
  throw invalid(
    `could not choose an IP address to advertise since this system has multiple ${where} - specify one with --advertise-addr`,
  );
}

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);
