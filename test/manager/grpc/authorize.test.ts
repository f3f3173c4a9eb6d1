import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Access } from '../../../src/api/index.ts';
import { forwardedCall, ipOf, metadataOfCaller } from '../../../src/ca/index.ts';
import { authorize, type Peer } from '../../../src/manager/grpc/authorize.ts';
import { messageOf } from '../../../src/runtime/index.ts';

const membership = { clusterId: 'c1', isRemoved: (nodeId: string) => nodeId.startsWith('removed') };
const managersOnly: Access = { kind: 'roles', roles: ['swarm-manager'] };
const nodes: Access = { kind: 'roles', roles: ['swarm-worker', 'swarm-manager'] };
const anyone: Access = { kind: 'anyone' };

const claim = (nodeId: string, role: string, organization = 'c1') => ({
  nodeId,
  organization,
  roles: [role],
});
const manager = claim('m1', 'swarm-manager');
const worker = claim('w1', 'swarm-worker');

const peer = (identity: Peer['identity'], forwarded?: Peer['forwarded']): Peer => ({
  identity,
  forwarded,
  remoteIp: '10.0.0.1',
});
const forwarded = (identity: Peer['identity']) => ({ identity, remoteIp: '10.0.0.9' });

const answer = (from: Peer, access: Access): unknown => {
  try {
    return authorize(from, access, membership);
  } catch (error) {
    return messageOf(error);
  }
};

const denied = (why: string) => `Permission denied: ${why}`;
const inGo = (why: string) => `rpc error: code = PermissionDenied desc = ${why}`;

const anyoneAt = (remoteIp: string) => ({ kind: 'anyone', remoteIp });

const isManager = (claimed: Peer['identity']): boolean =>
  claimed !== undefined &&
  claimed.organization === 'c1' &&
  claimed.roles.includes('swarm-manager') &&
  !membership.isRemoved(claimed.nodeId);

const reading = (metadata: Readonly<Record<string, string>>) => (name: string) =>
  metadata[name] === undefined ? [] : [metadata[name]];

describe('authorize', () => {
  test('a manager may pass on a worker, whose identity and address count then', () => {
    expect(answer(peer(manager, forwarded(worker)), nodes)).toEqual({
      kind: 'node',
      nodeId: 'w1',
      role: 'swarm-worker',
      clusterId: 'c1',
      remoteIp: '10.0.0.9',
    });
  });

  test.each([
    {
      why: 'a worker passes on a manager',
      from: peer(worker, forwarded(manager)),
      access: managersOnly,
      told: denied(
        `unauthorized forwarder role: ${inGo(denied('remote certificate not part of OUs: [swarm-manager]'))}`,
      ),
    },
    {
      why: 'nobody passes on a manager',
      from: peer(undefined, forwarded(manager)),
      access: managersOnly,
      told: denied(`unauthorized forwarder role: ${inGo('no client certificates in request')}`),
    },
    {
      why: 'a removed manager passes on a manager',
      from: peer(claim('removed1', 'swarm-manager'), forwarded(manager)),
      access: managersOnly,
      told: denied(
        `unauthorized forwarder role: ${inGo(denied('node removed1 was removed from swarm'))}`,
      ),
    },
    {
      why: 'a manager passes on a worker to what is for managers',
      from: peer(manager, forwarded(worker)),
      access: managersOnly,
      told: denied('unauthorized forwarded role, expecting: [swarm-manager]'),
    },
    {
      why: 'a manager passes on a node of another swarm',
      from: peer(manager, forwarded(claim('w1', 'swarm-worker', 'c2'))),
      access: nodes,
      told: denied('organization mismatch, expecting: c1'),
    },
    {
      why: 'a manager passes on a removed node',
      from: peer(manager, forwarded(claim('removed2', 'swarm-worker'))),
      access: nodes,
      told: denied('node removed2 was removed from swarm'),
    },
    {
      why: 'a manager passes on nobody',
      from: peer(manager, forwarded(undefined)),
      access: nodes,
      told: denied('missing information in forwarded request'),
    },
  ])('$why: refused', ({ from, access, told }) => {
    expect(answer(from, access)).toBe(told);
  });

  test('what is open to anyone is open to those that prove nothing, as anyone', () => {
    expect(answer(peer(undefined), anyone)).toEqual(anyoneAt('10.0.0.1'));
    expect(answer(peer(claim('w1', 'swarm-worker', 'c2')), anyone)).toEqual(anyoneAt('10.0.0.1'));
    expect(answer(peer(claim('removed1', 'swarm-worker')), anyone)).toEqual(anyoneAt('10.0.0.1'));
    expect(answer(peer(manager, forwarded(undefined)), anyone)).toEqual(anyoneAt('10.0.0.9'));
  });

  test('a worker that claims to pass on somebody is nobody, from where it is', () => {
    expect(answer(peer(worker, forwarded(manager)), anyone)).toEqual({
      kind: 'anyone',
      remoteIp: '10.0.0.1',
    });
  });

  test('a certificate with a role of its own making has none', () => {
    expect(answer(peer(claim('x', 'swarm-ca')), nodes)).toContain('not part of OUs');
  });

  test('nobody but a member of this swarm that was not removed gets past a role', () => {
    const identity = fc.record({
      nodeId: fc.constantFrom('', 'n1', 'removed1'),
      organization: fc.constantFrom('', 'c1', 'c2'),
      roles: fc.subarray(['swarm-worker', 'swarm-manager', 'swarm-ca', '']),
    });
    const maybe = fc.option(identity, { nil: undefined });
    const passedOn = fc.option(fc.record({ identity: maybe, remoteIp: fc.constant(undefined) }), {
      nil: undefined,
    });
    fc.assert(
      fc.property(maybe, passedOn, (own, other) => {
        const isLet = typeof answer(peer(own, other), managersOnly) !== 'string';
        const may =
          isManager(own) &&
          (other === undefined || (isManager(other.identity) && other.identity?.nodeId !== ''));
        expect(isLet).toBe(may);
      }),
    );
  });
});

describe('a caller as metadata', () => {
  test('survives the way to another manager', () => {
    for (const remoteIp of ['10.0.0.9', 'fd00::1']) {
      const node = {
        kind: 'node',
        nodeId: 'w1',
        role: 'swarm-worker',
        clusterId: 'c1',
        remoteIp,
      } as const;
      expect(forwardedCall(reading(metadataOfCaller(node)))).toEqual({
        identity: worker,
        remoteIp,
      });
      expect(forwardedCall(reading(metadataOfCaller({ kind: 'anyone', remoteIp })))).toEqual({
        identity: undefined,
        remoteIp,
      });
    }
    expect(forwardedCall(reading({}))).toBeUndefined();
  });

  test('an address is read in every form it comes in', () => {
    expect(
      ['10.0.0.1:2377', '10.0.0.1', '[::1]:5', '::1', '::ffff:10.0.0.1:80', '[::ffff:10.0.0.1]:80']
        .concat(['unknown', ''])
        .map(ipOf),
    ).toEqual(['10.0.0.1', '10.0.0.1', '::1', '::1', '10.0.0.1', '10.0.0.1', undefined, undefined]);
  });
});
