import { describe, expect, test } from 'vitest';
import {
  clusterAddresses,
  defaultPort,
  type HostInterface,
  parseHostPort,
} from '../../../src/cli/daemon/addresses.ts';

const nic = (name: string, ...addresses: readonly string[]): HostInterface => ({
  name,
  isPhysical: true,
  addresses: addresses.map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
    isGlobal: true,
  })),
});
const bridge = (name: string, ...addresses: readonly string[]): HostInterface => ({
  ...nic(name, ...addresses),
  isPhysical: false,
});

const everywhere = '0.0.0.0:2377';
const advertised = (advertiseAddr: string, interfaces: readonly HostInterface[]): string =>
  clusterAddresses({ listenAddr: everywhere, advertiseAddr }, interfaces).advertise;

describe('HOST:PORT', () => {
  test.each([
    ['10.0.0.1:4000', '10.0.0.1', 4000],
    ['10.0.0.1', '10.0.0.1', defaultPort],
    ['[fe00::1]:4000', 'fe00::1', 4000],
    ['fe00::1', 'fe00::1', defaultPort],
    ['eth0:4000', 'eth0', 4000],
    ['tcp://10.0.0.1:4000', '10.0.0.1', 4000],
    [':4000', '', 4000],
  ])('%s is taken apart', (text, host, port) => {
    expect(parseHostPort(text, '--join')).toEqual({ host, port });
  });

  test.each(['10.0.0.1:', '10.0.0.1:x', '10.0.0.1:99999', 'a b:1', '1:2:3'])(
    '%s is refused, and the flag named',
    (text) => {
      expect(() => parseHostPort(text, '--join')).toThrow(`--join: "${text}" is not HOST:PORT`);
    },
  );
});

describe('the address a manager tells others', () => {
  test('is the only one of a device, whatever software has made beside it', () => {
    expect(
      advertised('', [bridge('tun0', '10.9.0.1'), nic('eth0', '10.0.0.1', '2001:db8::1')]),
    ).toBe('10.0.0.1:2377');
  });

  test('is the only one there is, where no device has any', () => {
    expect(advertised('', [bridge('tun0', '10.9.0.1')])).toBe('10.9.0.1:2377');
  });

  test('is not guessed among several: the choices are named, and the flag', () => {
    expect(() => advertised('', [nic('eth0', '10.0.0.1'), nic('eth1', '10.0.1.1')])).toThrow(
      'could not choose an IP address to advertise since this system has multiple addresses on different interfaces (10.0.0.1 on eth0 and 10.0.1.1 on eth1) - specify one with --advertise-addr',
    );
    expect(() => advertised('', [nic('eth0', '10.0.0.1', '10.0.0.2')])).toThrow(
      'multiple addresses on interface eth0 (10.0.0.1 and 10.0.0.2)',
    );
    expect(() => advertised('', [])).toThrow("could not find the system's IP address");
  });

  test('may be an interface, or an address with a port of its own', () => {
    expect(advertised('eth1', [nic('eth0', '10.0.0.1'), nic('eth1', '10.0.1.1')])).toBe(
      '10.0.1.1:2377',
    );
    expect(advertised('192.0.2.1:4000', [])).toBe('192.0.2.1:4000');
    expect(() => advertised('0.0.0.0', [])).toThrow('advertise address must be a non-zero IP');
    expect(() => advertised('nope0', [nic('eth0', '10.0.0.1')])).toThrow('"nope0"');
  });

  test('is where it listens, if that is one address', () => {
    const flags = { listenAddr: '127.0.0.2:4000', advertiseAddr: '' };
    expect(clusterAddresses(flags, [nic('eth0', '10.0.0.1'), nic('eth1', '10.0.1.1')])).toEqual({
      listen: { host: '127.0.0.2', port: 4000 },
      advertise: '127.0.0.2:4000',
    });
  });

  test('of an interface with two addresses is not guessed either', () => {
    const flags = { listenAddr: 'eth0:2377', advertiseAddr: '' };
    expect(() => clusterAddresses(flags, [nic('eth0', '10.0.0.1', '10.0.0.2')])).toThrow(
      'interface eth0 has more than one IPv4 address (10.0.0.1 and 10.0.0.2)',
    );
    expect(() => clusterAddresses({ ...flags, listenAddr: 'host.example:1' }, [])).toThrow(
      'listen address must be an IP address or network interface',
    );
  });
});
