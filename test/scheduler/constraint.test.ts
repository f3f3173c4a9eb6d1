import { describe, expect, test } from 'vitest';
import { meetsConstraints, parseConstraints } from '../../src/scheduler/index.ts';
import { aNode } from '../support/builders.ts';

const node = aNode({
  id: 'node1',
  role: 'MANAGER',
  spec: { annotations: { labels: { zone: 'A', Disk: 'ssd' } }, availability: 'ACTIVE' },
  description: {
    hostname: 'Worker-1',
    platform: { architecture: 'x86_64', os: 'linux' },
    engine: { labels: { 'com.example.rack': '7' } },
  },
  status: { state: 'READY', addr: '192.168.1.7' },
});
const addressed = (addr: string) => aNode({ status: { state: 'READY', addr } });

const meets = (...expressions: string[]): boolean =>
  meetsConstraints(parseConstraints(expressions), node);

describe('parseConstraints', () => {
  test('spaces around the operator are no part of key and value', () => {
    expect(parseConstraints(['node.id  !=  x y '])).toEqual([
      { key: 'node.id', operator: '!=', value: 'x y' },
    ]);
  });

  test.each([
    ['node.labels.zone', 'constraint expected one operator from ==, !='],
    ['node.labels.zone=a', 'constraint expected one operator from ==, !='],
    ['9key == a', "key '9key' is invalid"],
    ['k == a', "key 'k' is invalid"],
    ['node id == a', "key 'node id' is invalid"],
    ['node.id ==', "value '' is invalid"],
    ['node.id == a,b', "value 'a,b' is invalid"],
    ['node.id == é', "value 'é' is invalid"],
  ])('%s is refused in the words of SwarmKit', (expression, message) => {
    expect(() => parseConstraints([expression])).toThrow(message);
  });
});

describe('meetsConstraints', () => {
  test.each([
    ['node.id == NODE1', true],
    ['node.id != node1', false],
    ['NODE.hostname == worker-1', true],
    ['node.role == manager', true],
    ['node.role != manager', false],
    ['node.platform.os == linux', true],
    ['node.platform.arch == amd64', false],
    ['node.platform.arch == X86_64', true],
    ['node.labels.zone == a', true],
    ['NODE.LABELS.zone == a', true],
    ['node.labels.Zone == a', false],
    ['node.labels.Disk == SSD', true],
    ['node.labels.missing != a', true],
    ['node.labels.missing == a', false],
    ['node.labels.constructor == a', false],
    ['engine.labels.com.example.rack == 7', true],
    ['engine.labels.com.example.rack != 7', false],
    ['node.foo == bar', false],
    ['node.foo != bar', false],
    ['node.ip == 192.168.1.7', true],
    ['node.ip != 192.168.1.7', false],
    ['node.ip == 192.168.0.0/16', true],
    ['node.ip != 10.0.0.0/8', true],
    ['node.ip == 10.0.0.0/8', false],
    ['node.ip == nonsense', false],
    ['node.ip != nonsense', false],
    ['node.ip == 192.168.1.7/33', false],
  ])('%s: %s', (expression, isMet) => {
    expect(meetsConstraints(parseConstraints([expression]), node)).toBe(isMet);
  });

  test.each([
    ['2001:db8::/32', '2001:db8::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:DB8:0:0::1', '2001:db8::1', true],
    ['::ffff:10.0.0.1', '10.0.0.1', true],
    ['10.0.0.0/8', '', false],
    ['::/0', 'fe80::1', true],
  ])('an address of %s matches %s: %s', (pattern, addr, isMet) => {
    const constraints = parseConstraints([`node.ip == ${pattern}`]);
    expect(meetsConstraints(constraints, addressed(addr))).toBe(isMet);
  });

  test('every constraint must be met', () => {
    expect(meets('node.labels.zone == a', 'node.role == manager')).toBe(true);
    expect(meets('node.labels.zone == a', 'node.role == worker')).toBe(false);
  });

  test('a node that has not described itself has empty values', () => {
    const bare = { ...aNode(), description: null };
    expect(meetsConstraints(parseConstraints(['node.hostname != x']), bare)).toBe(true);
    expect(meetsConstraints(parseConstraints(['node.platform.os == linux']), bare)).toBe(false);
  });
});
