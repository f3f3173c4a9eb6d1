import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { codecOf } from '../../src/api/index.ts';
import { openTaskStore, taskStorePath, type TaskStore } from '../../src/worker/task-store.ts';
import { aNode, aTask } from '../support/builders.ts';
import { MemoryTaskStore } from '../support/memory-task-store.ts';
import { silentLog } from '../support/silent-log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

let statePath = '';
beforeEach(async () => {
  statePath = await mkdtemp(join(tmpdir(), 'task-store-'));
});
afterEach(async () => {
  await rm(statePath, { recursive: true });
});

const open = async (): Promise<TaskStore> =>
  openTaskStore({ clock: new VirtualClock(), log: silentLog }, statePath);
const aStatus = (state: 'RUNNING' | 'FAILED') => codecOf('TaskStatus').create({ state, err: 'x' });
const summary = (store: TaskStore): unknown[] =>
  store.records
    .toSorted((a, b) => a.task.id.localeCompare(b.task.id))
    .map(({ task, status, isAssigned }) => [task.id, status?.state, isAssigned]);

/** Opens the database of a closed store as LevelDB sees it. */
async function raw<T>(change: (database: Level<string, Buffer>) => Promise<T>): Promise<T> {
  const database = new Level<string, Buffer>(taskStorePath(statePath), { valueEncoding: 'buffer' });
  try {
    return await change(database);
  } finally {
    await database.close();
  }
}

const fill = async (): Promise<void> => {
  await using store = await open();
  await store.assign({ assigned: [aTask({ id: 'a' }), aTask({ id: 'b' })], unassigned: [] });
  await store.putStatus('a', aStatus('RUNNING'));
};
const isSetAside = async (): Promise<boolean> =>
  (await readdir(join(statePath, 'worker'))).some((name) => name.startsWith('tasks.damaged-'));

const memory = new MemoryTaskStore();
describe.each<[string, () => Promise<TaskStore>]>([
  ['on LevelDB', open],
  ['in memory', async () => Promise.resolve(memory)],
])('a task store %s', (_, reopen) => {
  test('remembers assignments and statuses', async () => {
    const task = aTask({ id: 'a', spec: { container: { image: 'nginx', env: ['A=1'] } } });
    {
      await using store = await reopen();
      await store.assign({
        assigned: [task, aTask({ id: 'b' }), aTask({ id: 'c' })],
        unassigned: [],
      });
      await store.putStatus('a', aStatus('RUNNING'));
      await store.putStatus('b', aStatus('FAILED'));
      await store.assign({ assigned: [], unassigned: ['b'] });
      await store.putStatus('c', aStatus('FAILED'));
      await store.forget('c');
      await store.putNode(aNode({ id: 'n' }));
    }
    await using store = await reopen();
    expect(summary(store)).toEqual([
      ['a', 'RUNNING', true],
      ['b', 'FAILED', false],
    ]);
    expect(store.node?.id).toBe('n');
    const kept = store.records.find((record) => record.task.id === 'a');
    expect(kept?.task).toEqual({ ...task, status: null });
    expect(kept?.status).toEqual(aStatus('RUNNING'));
  });

  test('a task that is assigned again is as if it had always been', async () => {
    {
      await using store = await reopen();
      await store.assign({ assigned: [aTask({ id: 'z' })], unassigned: [] });
      await store.putStatus('z', aStatus('RUNNING'));
      await store.assign({ assigned: [], unassigned: ['z'] });
      await store.assign({ assigned: [aTask({ id: 'z' })], unassigned: [] });
    }
    await using store = await reopen();
    expect(summary(store)).toContainEqual(['z', 'RUNNING', true]);
  });

  test('a task that was never begun is not remembered, nor what is left of it', async () => {
    {
      await using store = await reopen();
      await store.assign({ assigned: [aTask({ id: 'y' })], unassigned: [] });
      await store.assign({ assigned: [], unassigned: ['y', 'x'] });
    }
    {
      await using store = await reopen();
      expect(summary(store).flat()).not.toContain('y');
      await store.putStatus('y', aStatus('RUNNING'));
      await store.forget('y');
    }
    await using store = await reopen();
    expect(summary(store).flat()).not.toContain('y');
  });
});

describe('a task store on LevelDB', () => {
  test('with a flipped bit is set aside, and an empty one takes its place', async () => {
    await fill();
    await raw(async (database) => {
      const value = await database.get('status/a');
      value[value.length - 1] = (value.at(-1) ?? 0) ^ 1;
      await database.put('status/a', value);
    });
    {
      await using store = await open();
      expect(store.records).toEqual([]);
      await store.assign({ assigned: [aTask({ id: 'c' })], unassigned: [] });
      await store.putStatus('c', aStatus('RUNNING'));
    }
    expect(await isSetAside()).toBe(true);
    await using again = await open();
    expect(summary(again)).toEqual([['c', 'RUNNING', true]]);
  });

  test('with a record under another’s key is set aside', async () => {
    await fill();
    await raw(async (database) => {
      await database.put('task/b', await database.get('task/a'));
    });
    await using store = await open();
    expect(store.records).toEqual([]);
    expect(await isSetAside()).toBe(true);
  });

  test('with a status whose task is gone is set aside', async () => {
    await fill();
    await raw(async (database) => database.del('task/a'));
    await using store = await open();
    expect(store.records).toEqual([]);
    expect(await isSetAside()).toBe(true);
  });

  test('that cannot be opened is set aside, as often as it happens; three are kept', async () => {
    for (let i = 0; i < 5; i += 1) {
      await fill();
      const path = taskStorePath(statePath);
      const manifest = (await readdir(path)).find((name) => name.startsWith('MANIFEST'));
      await rm(join(path, manifest ?? ''));
      await using store = await open();
      expect(store.records).toEqual([]);
    }
    const names = await readdir(join(statePath, 'worker'));
    expect(names.filter((name) => name.startsWith('tasks.damaged-'))).toHaveLength(3);
  });

  test('whose disk does not even bear setting it aside remembers nothing, and serves', async () => {
    await writeFile(join(statePath, 'worker'), 'no folder');
    await using store = await open();
    await store.assign({ assigned: [aTask({ id: 'c' })], unassigned: [] });
    expect(store.records).toEqual([]);
  });

  test('that another process has open is left alone', async () => {
    await using _ = await open();
    await expect(open()).rejects.toMatchObject({ code: 'failed-precondition' });
    expect(await isSetAside()).toBe(false);
  });

  test('that cannot be written goes on without memory, and is empty at the next start', async () => {
    await fill();
    {
      await using store = await open();
      const batch = vi.spyOn(Level.prototype, 'batch');
      batch.mockImplementationOnce(() => {
        throw new Error('disk full');
      });
      await store.putStatus('a', aStatus('FAILED'));
      batch.mockRestore();
      await store.putStatus('a', aStatus('FAILED'));
    }
    await using store = await open();
    expect(store.records).toEqual([]);
    expect(await isSetAside()).toBe(true);
  });
});
