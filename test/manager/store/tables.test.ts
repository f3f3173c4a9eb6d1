import { expect, test } from 'vitest';
import { Tables } from '../../../src/manager/store/tables.ts';
import { aTask } from '../../support/builders.ts';

const on = (id: string, nodeId: string, serviceId = 's') => aTask({ id, nodeId, serviceId });

test('an object that changes is found where it was, as it is now', () => {
  const tables = new Tables();
  for (const id of ['t1', 't2', 't3']) tables.put('task', on(id, 'n1'));
  const changed = { ...on('t2', 'n1'), desiredState: 'SHUTDOWN' as const };
  tables.put('task', changed);
  expect(tables.get('task', 't2')).toBe(changed);
  const found = tables.find('task', { by: 'node', nodeId: 'n1' });
  expect(found.map(({ id }) => id)).toEqual(['t1', 't2', 't3']);
  expect(found[1]).toBe(changed);
});

test('one whose keys change is found under those it has, and under no other', () => {
  const tables = new Tables();
  tables.put('task', on('t1', ''));
  tables.put('task', on('t1', 'n1'));
  tables.put('task', on('t1', 'n2'));
  const idsOn = (nodeId: string): readonly string[] =>
    tables.find('task', { by: 'node', nodeId }).map(({ id }) => id);
  expect([idsOn('n1'), idsOn('n2')]).toEqual([[], ['t1']]);
  expect(tables.find('task', { by: 'service', serviceId: 's' })).toHaveLength(1);
  tables.remove('task', 't1');
  expect(idsOn('n2')).toEqual([]);
  expect(tables.find('task')).toEqual([]);
});
