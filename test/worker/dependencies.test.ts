import { describe, expect, test } from 'vitest';
import { codecOf } from '../../src/api/index.ts';
import { Dependencies, type DependencyChange } from '../../src/worker/dependencies.ts';
import { TemporaryFailure } from '../../src/worker/execution.ts';
import { aTask } from '../support/builders.ts';

const aSecret = (id: string) => codecOf('Secret').create({ id });
const aConfig = (id: string) => codecOf('Config').create({ id });
const change = (input: Partial<DependencyChange> = {}): DependencyChange => ({
  secrets: [],
  configs: [],
  removedSecretIds: [],
  removedConfigIds: [],
  ...input,
});
const task = aTask({
  id: 't',
  spec: {
    container: { image: 'i', secrets: [{ secretId: 's' }], configs: [{ configId: 'c' }] },
    resourceReferences: [{ resourceId: 'r', resourceType: 'SECRET' }],
  },
});

describe('Dependencies', () => {
  test('a task reads what its spec names', () => {
    const all = new Dependencies();
    all.apply(change({ secrets: [aSecret('s'), aSecret('r')], configs: [aConfig('c')] }), true);
    const own = all.of(task);
    expect([own.secret('s').id, own.secret('r').id, own.config('c').id]).toEqual(['s', 'r', 'c']);
  });

  test('a task reads nothing that its spec does not name', () => {
    const all = new Dependencies();
    all.apply(change({ secrets: [aSecret('x')], configs: [aConfig('s')] }), true);
    expect(() => all.of(task).secret('x')).toThrow('task not authorized to access secret x');
    expect(() => all.of(task).config('s')).toThrow('task not authorized to access config s');
  });

  test('what a task names and nobody gave is not found', () => {
    const all = new Dependencies();
    all.apply(change(), true);
    expect(() => all.of(task).secret('s')).toThrow('secret s not found');
    expect(() => all.of(task).config('c')).toThrow('config c not found');
    expect(() => all.of(task).secret('s')).not.toThrow(TemporaryFailure);
  });

  test('before a manager has said everything, what is missing may still come', () => {
    const all = new Dependencies();
    all.apply(change(), false);
    expect(() => all.of(task).secret('s')).toThrow(TemporaryFailure);
  });

  test('a secret made for one task alone goes before the common one', () => {
    const all = new Dependencies();
    all.apply(change({ secrets: [aSecret('s'), aSecret('s.t')] }), true);
    expect(all.of(task).secret('s').id).toBe('s.t');
    expect(all.of({ ...task, id: 'u' }).secret('s').id).toBe('s');
  });

  test('a complete change replaces all, another adds and removes', () => {
    const all = new Dependencies();
    all.apply(change({ secrets: [aSecret('s'), aSecret('r')] }), true);
    all.apply(change({ removedSecretIds: ['r'], configs: [aConfig('c')] }), false);
    expect(all.of(task).secret('s').id).toBe('s');
    expect(() => all.of(task).secret('r')).toThrow('not found');
    all.apply(change({ secrets: [aSecret('r')] }), true);
    expect(() => all.of(task).secret('s')).toThrow('not found');
    expect(() => all.of(task).config('c')).toThrow('not found');
  });
});
