import { describe, expect, test } from 'vitest';
import { changesOf } from '../../../src/manager/store/events.ts';
import { Store } from '../../../src/manager/store/store.ts';
import { versionOf } from '../../../src/api/index.ts';
import { aNode, aService, aTask } from '../../support/builders.ts';
import { aStore, ManualLog } from '../../support/immediate-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

function aManualStore(): { store: Store; log: ManualLog } {
  const store = new Store({ clock: new VirtualClock() });
  const log = new ManualLog(store);
  store.attach(log);
  return { store, log };
}

const named = (name: string) =>
  aService({
    spec: {
      annotations: { name },
      task: { container: { image: 'nginx' } },
      replicated: { replicas: '1' },
    },
  });

describe('a transaction', () => {
  test('is seen by others only once it is committed', async () => {
    const { store, log } = aManualStore();
    const service = named('web');
    const written = store.update((tx) => {
      tx.create('service', service);
    });
    expect(store.view((view) => view.get('service', service.id))).toBeUndefined();
    log.commit();
    await written;
    expect(store.view((view) => view.get('service', service.id))?.id).toBe(service.id);
  });

  test('sees what was proposed before it and is not yet committed', async () => {
    const { store, log } = aManualStore();
    const service = named('web');
    const first = store.update((tx) => {
      tx.create('service', service);
    });
    const second = store.update((tx) => {
      const found = tx.get('service', service.id);
      if (found === undefined) throw new Error('not seen');
      tx.update('service', { ...found, updateStatus: null });
      return tx.find('service', { by: 'name', name: 'WEB' }).length;
    });
    expect(log.pending).toBe(2);
    log.commit();
    await first;
    expect(await second).toBe(1);
    expect(store.view((view) => view.find('service')).map(versionOf)).toEqual([2]);
  });

  test('is stamped with the index its entry has, and an older version is refused', async () => {
    const store = aStore();
    const service = named('web');
    await store.update((tx) => {
      tx.create('service', service);
    });
    const stored = store.view((view) => view.get('service', service.id));
    if (stored === undefined) throw new Error('not stored');
    expect(versionOf(stored)).toBe(1);
    await store.update((tx) => {
      tx.update('service', stored);
    });
    await expect(
      store.update((tx) => {
        tx.update('service', stored);
      }),
    ).rejects.toThrow('update out of sequence');
  });

  test('that throws leaves nothing behind, and proposes nothing', async () => {
    const { store, log } = aManualStore();
    await expect(
      store.update((tx) => {
        tx.create('service', named('web'));
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(log.pending).toBe(0);
    const again = store.update((tx) => tx.find('service').length);
    expect(await again).toBe(0);
  });

  test('with a name that is taken, in any case of letters, is refused', async () => {
    const store = aStore();
    await store.update((tx) => {
      tx.create('service', named('web'));
    });
    await expect(
      store.update((tx) => {
        tx.create('service', named('Web'));
      }),
    ).rejects.toThrow('name conflicts with an existing object: service Web already exists');
  });

  test('that is refused for what is in flight is told so when that is committed', async () => {
    const { store, log } = aManualStore();
    const first = store.update((tx) => {
      tx.create('service', named('web'));
    });
    const told: string[] = [];
    const refused = store
      .update((tx) => {
        tx.create('service', named('web'));
      })
      .catch((error: unknown) => told.push(String(error)));
    const idle = store.update((tx) => tx.find('service').length).then((n) => told.push(`${n}`));
    await Promise.resolve();
    expect(told).toEqual([]);
    log.commit();
    await Promise.all([first, refused, idle]);
    expect(told).toEqual([expect.stringContaining('name conflicts'), '1']);
    expect(await store.update((tx) => tx.find('service').length)).toBe(1);
  });

  test('that is refused for what is in flight, and then lost, does not know', async () => {
    const { store, log } = aManualStore();
    const create = async (): Promise<void> =>
      store.update((tx) => {
        tx.create('service', named('web'));
      });
    const attempts = [create(), create()].map(async (attempt) =>
      expect(attempt).rejects.toMatchObject({ code: 'unavailable' }),
    );
    log.fail();
    await Promise.all(attempts);
  });

  test('in flight fails with the leadership, and what was laid over is gone', async () => {
    const { store, log } = aManualStore();
    const service = named('web');
    const writes = [1, 2].map(async (round) =>
      store.update((tx) => {
        const found = tx.get('service', service.id);
        if (round === 1) tx.create('service', service);
        else if (found !== undefined) tx.remove('service', found.id);
      }),
    );
    const settled = Promise.allSettled(writes);
    log.fail();
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await store.update((tx) => tx.get('service', service.id))).toBeUndefined();
  });

  test('larger than the log takes is refused before it is proposed', async () => {
    const { store, log } = aManualStore();
    await expect(
      store.update((tx) => {
        for (let i = 0; i < 201; i += 1) tx.create('task', aTask());
      }),
    ).rejects.toThrow("raft: raft message is too large and can't be sent");
    expect(log.pending).toBe(0);
  });
});

describe('a batch', () => {
  test('splits its changes over transactions of at most 200', async () => {
    const store = aStore();
    const tasks = Array.from({ length: 450 }, () => aTask());
    using seen = store.subscribe(({ action }) => action === 'committed');
    await store.batch(
      tasks.map((task) => (tx) => {
        tx.create('task', task);
      }),
    );
    expect(store.view((view) => view.find('task')).length).toBe(450);
    expect(seen.drain()).toHaveLength(3);
  });

  test('keeps the changes before one that throws', async () => {
    const store = aStore();
    await expect(
      store.batch([
        (tx) => {
          tx.create('task', aTask({ id: 'a' }));
        },
        () => {
          throw new Error('no');
        },
      ]),
    ).rejects.toThrow('no');
    expect(store.view((view) => view.find('task')).map(({ id }) => id)).toEqual(['a']);
  });
});

describe('the store', () => {
  test('finds tasks by service, slot and node, also while they are in flight', async () => {
    const { store, log } = aManualStore();
    const task = aTask({ id: 't', serviceId: 's', slot: '3' });
    const created = store.update((tx) => {
      tx.create('task', task);
    });
    log.commit();
    await created;
    const moved = store.update((tx) => {
      const found = tx.get('task', 't');
      if (found === undefined) throw new Error('gone');
      tx.update('task', { ...found, nodeId: 'n' });
    });
    const overlaid = store.update((tx) => [
      tx.find('task', { by: 'node', nodeId: 'n' }).length,
      tx.find('task', { by: 'slot', serviceId: 's', slot: '3' }).length,
    ]);
    expect(store.view((view) => view.find('task', { by: 'node', nodeId: 'n' }))).toEqual([]);
    log.commit();
    await moved;
    expect(await overlaid).toEqual([1, 1]);
    expect(store.view((view) => view.find('task', { by: 'service', serviceId: 's' }))).toHaveLength(
      1,
    );
  });

  test('publishes each change with what was before it, then the commit', async () => {
    const store = aStore();
    using events = store.subscribe();
    using nodes = store.subscribe(changesOf('node'));
    const node = aNode({ id: 'n' });
    await store.update((tx) => {
      tx.create('node', node);
      tx.create('task', aTask({ id: 't' }));
    });
    await store.update((tx) => {
      tx.remove('node', 'n');
    });
    const seen = events.drain();
    if (seen === 'resync') throw new Error('overflow');
    expect(seen.map(({ action }) => action)).toEqual([
      'created',
      'created',
      'committed',
      'removed',
      'committed',
    ]);
    expect(nodes.drain()).toHaveLength(2);
  });

  test('a snapshot is the state as it was when it was asked for, however late it is read', async () => {
    const store = aStore();
    const task = aTask({ id: 't', nodeId: 'before' });
    await store.update((tx) => {
      tx.create('task', task);
      tx.create('node', aNode({ id: 'n' }));
    });
    const pieces = store.snapshot();
    await store.update((tx) => {
      const found = tx.get('task', 't') ?? task;
      tx.update('task', { ...found, nodeId: 'after' });
      tx.remove('node', 'n');
      tx.create('node', aNode({ id: 'later' }));
    });
    const copy = aStore();
    copy.restore(Buffer.concat([...pieces]));
    expect(copy.view((view) => view.get('task', 't')?.nodeId)).toBe('before');
    expect(copy.view((view) => view.find('node').map(({ id }) => id))).toEqual(['n']);
  });

  test('comes back from its snapshot with the same objects, and says so', async () => {
    const store = aStore();
    await store.update((tx) => {
      tx.create('node', aNode());
      tx.create('service', named('web'));
      tx.create('task', aTask());
    });
    const copy = aStore();
    using events = copy.subscribe();
    copy.restore(Buffer.concat([...store.snapshot()]));
    expect(events.drain()).toBe('resync');
    for (const kind of ['node', 'service', 'task'] as const) {
      expect(copy.view((view) => view.find(kind))).toEqual(store.view((view) => view.find(kind)));
    }
  });
});
