import { expect, test } from 'vitest';
import type { ObjectEvent } from '../../../src/manager/store/events.ts';
import type { Subscription } from '../../../src/runtime/index.ts';
import { aNode, aTask } from '../../support/builders.ts';
import { aStore } from '../../support/immediate-log.ts';

const seenBy = (subscription: Subscription<ObjectEvent>): readonly string[] => {
  const events = subscription.drain();
  if (events === 'resync') return ['resync'];
  return events.map(({ action, kind, object }) => `${action} ${kind} ${object.id}`);
};
const everything = (): boolean => true;

test('a node is told of itself and of the tasks it has or had, and of nobody else', async () => {
  const store = aStore();
  using one = store.subscribeToNode('n1', everything);
  using other = store.subscribeToNode('n2', everything);
  await store.update((tx) => {
    tx.create('node', aNode({ id: 'n1' }));
    tx.create('node', aNode({ id: 'n3' }));
    tx.create('task', aTask({ id: 't1', nodeId: 'n1' }));
    tx.create('task', aTask({ id: 't3', nodeId: 'n3' }));
  });
  expect(seenBy(one)).toEqual(['created node n1', 'created task t1']);
  expect(seenBy(other)).toEqual([]);
  await store.update((tx) => {
    const task = tx.get('task', 't1');
    if (task !== undefined) tx.update('task', { ...task, nodeId: 'n2' });
  });
  expect(seenBy(one)).toEqual(['updated task t1']);
  expect(seenBy(other)).toEqual(['updated task t1']);
  await store.update((tx) => {
    tx.remove('task', 't1');
  });
  expect(seenBy(one)).toEqual([]);
  expect(seenBy(other)).toEqual(['removed task t1']);
});

test('it is told of what it wants alone, and to read anew after a snapshot', () => {
  const store = aStore();
  using tasks = store.subscribeToNode('n1', ({ kind }) => kind === 'task');
  store.restore(Buffer.alloc(0));
  expect(seenBy(tasks)).toEqual(['resync']);
});

test('who left is told of nothing, and who came after is', async () => {
  const store = aStore();
  const first = store.subscribeToNode('n1', everything);
  first[Symbol.dispose]();
  using second = store.subscribeToNode('n1', everything);
  first[Symbol.dispose]();
  await store.update((tx) => {
    tx.create('node', aNode({ id: 'n1' }));
  });
  expect(seenBy(first)).toEqual([]);
  expect(seenBy(second)).toEqual(['created node n1']);
});
