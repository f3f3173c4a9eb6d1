import { describe, expect, test } from 'vitest';
import { followedRole } from '../../../src/cli/daemon/followed-role.ts';
import type { Node } from '../../../src/api/index.ts';
import { aNode } from '../../support/builders.ts';

const [manager, worker] = ['swarm-manager', 'swarm-worker'] as const;
const aNodeOf = (role: Node['role'], desiredRole: Node['role'] = role): Node =>
  aNode({ role, spec: { desiredRole } });

describe('the role a node renews its certificate for', () => {
  test('is the one it was given', () => {
    expect(followedRole(aNodeOf('MANAGER'), worker, undefined)).toBe(manager);
    expect(followedRole(aNodeOf('WORKER'), manager, undefined)).toBe(worker);
  });

  test('is none while its certificate has it', () => {
    expect(followedRole(aNodeOf('MANAGER'), manager, undefined)).toBeUndefined();
    expect(followedRole(aNodeOf('WORKER'), worker, worker)).toBeUndefined();
  });

  test('is none while it is only desired: it would be issued for the one before', () => {
    expect(followedRole(aNodeOf('WORKER', 'MANAGER'), worker, undefined)).toBeUndefined();
    expect(followedRole(aNodeOf('MANAGER', 'WORKER'), manager, undefined)).toBeUndefined();
  });

  test('is none while it is about to be taken back', () => {
    expect(followedRole(aNodeOf('MANAGER', 'WORKER'), worker, manager)).toBeUndefined();
  });

  test('is asked for again where a certificate for another may still come', () => {
    expect(followedRole(aNodeOf('WORKER'), worker, manager)).toBe(worker);
    expect(followedRole(aNodeOf('MANAGER'), worker, manager)).toBe(manager);
  });
});
