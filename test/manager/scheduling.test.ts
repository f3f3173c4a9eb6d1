import { afterEach, describe, expect, test } from 'vitest';
import type { ObjectKind, ObjectOfKind, Task } from '../../src/api/index.ts';
import { runScheduling } from '../../src/manager/scheduling.ts';
import { Store } from '../../src/manager/store/store.ts';
import { aNode, aService, aTask } from '../support/builders.ts';
import { aStore, ManualLog } from '../support/immediate-log.ts';
import { silentLog } from '../support/silent-log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const service = aService();
const waiting = (input: Parameters<typeof aTask>[0] = {}): Task =>
  aTask({
    serviceId: service.id,
    specVersion: { index: 0 },
    status: { state: 'PENDING', message: 'pending task scheduling' },
    ...input,
  });

const clock = new VirtualClock();
const settle = async (): Promise<void> => clock.advance(0);
let stop = async (): Promise<void> => undefined;

function schedulingOf(store: Store): void {
  const end = new AbortController();
  const running = runScheduling({ store, clock, log: silentLog }, end.signal);
  stop = async () => {
    end.abort();
    await running.catch(() => undefined);
  };
}

async function put<K extends ObjectKind>(
  store: Store,
  kind: K,
  ...objects: ObjectOfKind[K][]
): Promise<void> {
  await store.update((tx) => {
    for (const object of objects) {
      const old = tx.get(kind, object.id);
      if (old === undefined) tx.create(kind, object);
      else tx.update(kind, { ...object, meta: old.meta });
    }
  });
  await settle();
}

const taskOf = (store: Store, { id }: Task): Task | undefined =>
  store.view((view) => view.get('task', id));

afterEach(async () => stop());

describe('runScheduling', () => {
  test('a waiting task is assigned, and what it was refused for is forgotten', async () => {
    const store = aStore(clock);
    schedulingOf(store);
    const [node, task] = [aNode(), waiting()];
    await put(store, 'service', service);
    await put(store, 'task', task);
    expect(taskOf(store, task)?.status).toMatchObject({
      state: 'PENDING',
      err: 'no suitable node',
    });
    await put(store, 'node', node);
    expect(taskOf(store, task)).toMatchObject({
      nodeId: node.id,
      status: { state: 'ASSIGNED', message: 'scheduler assigned task to node', err: '' },
    });
  });

  test('what waits from before the start is scheduled too', async () => {
    const store = aStore(clock);
    const task = waiting();
    await put(store, 'node', aNode());
    await put(store, 'task', task);
    schedulingOf(store);
    await settle();
    expect(taskOf(store, task)?.status?.state).toBe('ASSIGNED');
  });

  test("a task is told why it waits: SwarmKit's sentence in err, node by node in message", async () => {
    const store = aStore(clock);
    schedulingOf(store);
    await put(store, 'service', service);
    await put(store, 'node', aNode({ description: { hostname: 'node-02' } }));
    const resources = { reservations: { memoryBytes: 1 } };
    const task = waiting({ spec: { resources } });
    await put(store, 'task', task);
    expect(taskOf(store, task)?.status).toMatchObject({
      state: 'PENDING',
      err: 'no suitable node (insufficient resources on 1 node)',
      message: 'pending task scheduling; node-02: insufficient memory',
    });
  });

  test('the reason is written once, and again only when it changes', async () => {
    const store = aStore(clock);
    schedulingOf(store);
    await put(store, 'service', service);
    const node = aNode({ status: { state: 'DOWN' } });
    await put(store, 'node', node);
    const task = waiting();
    await put(store, 'task', task);
    const told = taskOf(store, task);
    await put(store, 'node', node);
    expect(taskOf(store, task)).toBe(told);
    await put(store, 'node', aNode({ status: { state: 'DOWN' } }));
    expect(taskOf(store, task)?.status?.err).toBe(
      'no suitable node (2 nodes not available for new tasks)',
    );
  });

  test('a preassigned task is confirmed on its node, or told the bare reason', async () => {
    const store = aStore(clock);
    schedulingOf(store);
    await put(store, 'service', service);
    const node = aNode({ status: { state: 'DOWN' } });
    await put(store, 'node', node);
    const task = waiting({ nodeId: node.id, slot: 0 });
    await put(store, 'task', task);
    expect(taskOf(store, task)?.status).toMatchObject({
      state: 'PENDING',
      err: '1 node not available for new tasks',
    });
    await put(store, 'node', { ...aNode(), id: node.id });
    expect(taskOf(store, task)?.status).toMatchObject({
      state: 'ASSIGNED',
      message: 'scheduler confirmed task can run on preassigned node',
      err: '',
    });
  });

  test('a task that is to stop before it was assigned is shut down', async () => {
    const store = aStore(clock);
    schedulingOf(store);
    const [ended, removed] = [
      waiting({ desiredState: 'SHUTDOWN' }),
      waiting({ desiredState: 'REMOVE' }),
    ];
    await put(store, 'task', ended, removed);
    await put(store, 'node', aNode());
    expect(taskOf(store, ended)).toMatchObject({ nodeId: '', status: { state: 'SHUTDOWN' } });
    expect(taskOf(store, removed)).toMatchObject({ nodeId: '', status: { state: 'PENDING' } });
  });

  test('a task whose service is gone is told nothing', async () => {
    const store = aStore(clock);
    schedulingOf(store);
    const task = waiting();
    await put(store, 'task', task);
    expect(taskOf(store, task)?.status?.err).toBe('');
  });

  test('room that a task leaves is used by the next', async () => {
    const store = aStore(clock);
    schedulingOf(store);
    const spec = { placement: { maxReplicas: 1 } };
    const [first, second] = [waiting({ spec }), waiting({ spec, slot: 2 })];
    await put(store, 'node', aNode());
    await put(store, 'task', first);
    await put(store, 'task', second);
    expect(taskOf(store, second)?.nodeId).toBe('');
    await store.update((tx) => {
      tx.remove('task', first.id);
    });
    await settle();
    expect(taskOf(store, second)?.status?.state).toBe('ASSIGNED');
  });

  test('a decision about a node that has changed in the meantime is made again', async () => {
    const store = new Store({ clock });
    const log = new ManualLog(store);
    store.attach(log);
    const [node, task] = [aNode(), waiting()];
    const setUp = store.update((tx) => {
      tx.create('service', service);
      tx.create('node', node);
      tx.create('task', task);
    });
    log.commit();
    await setUp;
    // In flight when the first decision is made: the node is about to be drained.
    const drain = store.update((tx) => {
      const current = tx.get('node', node.id);
      const spec = current?.spec;
      if (current && spec)
        tx.update('node', { ...current, spec: { ...spec, availability: 'DRAIN' } });
    });
    schedulingOf(store);
    await settle();
    log.commit();
    await drain;
    await settle();
    log.commit();
    await settle();
    expect(taskOf(store, task)).toMatchObject({
      nodeId: '',
      status: { state: 'PENDING', err: 'no suitable node (1 node not available for new tasks)' },
    });
  });

  test('many tasks are assigned in few transactions', async () => {
    const store = aStore(clock);
    await put(store, 'node', aNode(), aNode());
    const tasks = Array.from({ length: 150 }, (_, slot) => waiting({ slot }));
    await put(store, 'task', ...tasks);
    using commits = store.subscribe(({ action }) => action === 'committed');
    schedulingOf(store);
    await settle();
    expect(tasks.every((task) => taskOf(store, task)?.status?.state === 'ASSIGNED')).toBe(true);
    expect(commits.drain()).toHaveLength(1);
  });

  test('it ends when the leadership is lost', async () => {
    const store = new Store({ clock });
    const log = new ManualLog(store);
    store.attach(log);
    const setUp = store.update((tx) => {
      tx.create('node', aNode());
      tx.create('task', waiting());
    });
    log.commit();
    await setUp;
    const running = runScheduling({ store, clock, log: silentLog }, new AbortController().signal);
    await settle();
    log.fail();
    await expect(running).rejects.toThrow('lost leader status');
  });
});
