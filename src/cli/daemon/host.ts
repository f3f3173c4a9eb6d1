import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { type HostInterface, parseHostPort } from './addresses.ts';

/** Names of interfaces that container engines make: never what a host is known by. */
const madeByEngines = /^(docker|br-|veth|cni|flannel|virbr)/u;

/** This host's interfaces, without loopback and those of container engines. */
export function hostInterfaces(): readonly HostInterface[] {
  return Object.entries(networkInterfaces())
    .filter(([name, addresses]) => !madeByEngines.test(name) && addresses !== undefined)
    .map(([name, addresses = []]) => ({
      name,
      isPhysical: existsSync(`/sys/class/net/${name}/device`),
      addresses: addresses.map(({ address, family, internal }) => ({
        address,
        family: family === 'IPv4' ? (4 as const) : (6 as const),
        isGlobal: !internal && !/^(fe80:|169\.254\.)/iu.test(address),
      })),
    }));
}

export const hostName = (): string => hostname();

/**
 * This host's address on its way to another, `host:port`, as that one would see it. Nothing is sent.
 *
 * @throws Error, if there is no way to it
 */
export async function addressTowards(target: string): Promise<string> {
  const { host, port } = parseHostPort(target, '--join');
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(port, host, resolve);
    });
    return socket.address().address;
  } finally {
    socket.close();
  }
}
