import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codecOf, compareStates, type Task } from '../../src/api/index.ts';
import type { TaskInput, TaskState, TaskStatusInput } from '../../src/api/gen/types.ts';
import { openTaskStore, type TaskStore, taskStorePath } from '../../src/worker/task-store.ts';
import { AgentWorld } from '../support/agent-world.ts';
import { assigned } from '../support/fake-manager.ts';
import { MemoryTaskStore } from '../support/memory-task-store.ts';
import { silentLog } from '../support/silent-log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** The files of a closed store, by name. */
type Files = ReadonlyMap<string, Buffer>;

/** What is true of each task: what the managers were told, and what its container is. */
const truths: Readonly<
  Record<string, { told: TaskState; truth: TaskState; desired?: TaskState; container: string }>
> = {
  web: { told: 'RUNNING', truth: 'RUNNING', container: 'runs' },
  crashed: { told: 'FAILED', truth: 'FAILED', container: 'ended' },
  /** It ended while nobody looked. */
  unseen: { told: 'RUNNING', truth: 'FAILED', container: 'ended' },
  /** Its container was removed by hand. */
  pruned: { told: 'COMPLETE', truth: 'COMPLETE', container: 'none' },
  ready: { told: 'READY', truth: 'READY', desired: 'READY', container: 'created' },
};
const path: readonly TaskState[] = [
  'ACCEPTED',
  'PREPARING',
  'READY',
  'STARTING',
  'RUNNING',
  'COMPLETE',
  'FAILED',
];

const taskInput = (id: string): TaskInput => ({
  id,
  nodeId: 'node',
  serviceId: 'web',
  slot: '1',
  spec: { container: { image: 'nginx', env: [`TASK=${id}`, 'x'.repeat(200)] } },
  status: { state: truths[id]?.told ?? 'ASSIGNED' },
  desiredState: truths[id]?.desired ?? 'RUNNING',
});
const aTask = (id: string): Task => codecOf('Task').create(taskInput(id));
const statusOf = (state: TaskState): TaskStatusInput => ({
  state,
  message: state.toLowerCase(),
  timestamp: { seconds: '1700000000' },
});

let root = '';
let count = 0;
let files: Files;
let old: Files;
/** Everything that was ever written, as text. */
const written = new Set<string>();

const open = async (statePath: string): Promise<TaskStore> =>
  openTaskStore({ clock: new VirtualClock(), log: silentLog }, statePath);

const putStatus = async (store: TaskStore, id: string, state: TaskState): Promise<void> => {
  const status = codecOf('TaskStatus').create(statusOf(state));
  written.add(JSON.stringify([aTask(id).id, status]));
  await store.putStatus(id, status);
};

async function filesOf(statePath: string): Promise<Files> {
  const folder = taskStorePath(statePath);
  const names = (await readdir(folder)).filter(
    (name) => name !== 'LOCK' && !name.startsWith('LOG'),
  );
  return new Map(
    await Promise.all(names.map(async (n) => [n, await readFile(join(folder, n))] as const)),
  );
}

/** A life of a node that ends as the truths say, with an old copy from the middle of it. */
async function live(): Promise<void> {
  const statePath = join(root, 'original');
  for (const half of [path.slice(0, 3), path.slice(3)]) {
    await using store = await open(statePath);
    for (const id of [...Object.keys(truths), 'removed']) {
      if (half[0] === 'ACCEPTED') await store.assign({ assigned: [aTask(id)], unassigned: [] });
      for (const state of half) {
        const end = truths[id]?.truth ?? 'RUNNING';
        const isOnWay = compareStates(state, 'RUNNING') <= 0 && compareStates(state, end) <= 0;
        // That one has ended is not known to its own node yet.
        if (isOnWay || (state === end && id !== 'unseen')) await putStatus(store, id, state);
      }
    }
    if (half[0] !== 'ACCEPTED') {
      await store.assign({ assigned: [], unassigned: ['removed'] });
      await store.forget('removed');
    }
    await store[Symbol.asyncDispose]();
    old = half[0] === 'ACCEPTED' ? await filesOf(statePath) : old;
  }
  files = await filesOf(statePath);
}

beforeAll(async () => {
  const folder = existsSync('/dev/shm') ? '/dev/shm' : tmpdir(); // Nothing here needs a disk.
  root = await mkdtemp(join(folder, 'task-store-damage-'));
  await live();
});
afterAll(async () => {
  await rm(root, { recursive: true });
});

/** Opens a store that has these files, and says what it remembers. */
async function remembered(spoilt: Files): Promise<MemoryTaskStore> {
  count += 1;
  const statePath = join(root, String(count));
  const folder = taskStorePath(statePath);
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of spoilt) await writeFile(join(folder, name), bytes);
  const memory = new MemoryTaskStore();
  await using store = await open(statePath);
  for (const { task, status, isAssigned } of store.records) {
    expect(task).toEqual({ ...aTask(task.id), status: null });
    expect([...written]).toContain(JSON.stringify([task.id, status]));
    await memory.assign({ assigned: [task], unassigned: isAssigned ? [] : [task.id] });
    if (status !== undefined) await memory.putStatus(task.id, status);
  }
  return memory;
}

/** The memories that a node was run with before. */
const held = new Set<string>();

/** Runs a node with such a memory, first without a manager, and holds it against the truth. */
async function expectTruth(store: MemoryTaskStore): Promise<void> {
  const summary = JSON.stringify(
    store.records.map(({ task, status, isAssigned }) => [task.id, status?.state, isAssigned]),
  );
  if (held.has(summary)) return;
  held.add(summary);
  const world = new AgentWorld();
  world.store = store;
  for (const [id, { container }] of Object.entries(truths)) {
    if (container === 'none') continue;
    world.executor.containers.set(id, {
      task: aTask(id),
      dependencies: { secret: notNeeded, config: notNeeded },
      startedAtMs: container === 'created' ? undefined : -1,
      endedWith: container === 'ended' ? 3 : undefined,
    });
  }
  const containers = [...world.executor.containers.values()];
  world.manager.assignment = Object.keys(truths).map((id) => assigned(taskInput(id)));
  world.manager.isDown = true;
  const agent = world.start();
  await world.clock.advance(5_000);
  world.manager.isDown = false;
  await world.clock.advance(10_000);
  await agent.stop();

  expect([...world.executor.containers.values()]).toEqual(containers);
  expect(containers.map(({ startedAtMs }) => startedAtMs)).not.toContain(0);
  for (const { taskId, status } of world.manager.updates) {
    const { told, truth } = truths[taskId] ?? { told: 'ORPHANED', truth: 'ORPHANED' };
    // What the managers have already they pass over; anything beyond it must be the truth.
    const isNews = compareStates(status.state, told) > 0;
    expect(isNews ? [taskId, status.state] : [taskId, truth]).toEqual([taskId, truth]);
  }
  expect(world.manager.lastOf('unseen')).toMatchObject({
    state: 'FAILED',
    container: { exitCode: 3 },
  });
}

const notNeeded = (): never => {
  throw new Error('these tasks need nothing');
};

const changed = (name: string, bytes: Buffer | undefined): Files => {
  const all = new Map(files);
  if (bytes === undefined) all.delete(name);
  else all.set(name, bytes);
  return all;
};

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = Math.floor(bit / 8);
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit % 8));
  return copy;
}

/** A node whose store has suffered: its containers and what it says are as they would have been. */
describe('a node whose task store', () => {
  test('is whole goes on from it', async () => {
    const memory = await remembered(files);
    expect(memory.records).toHaveLength(Object.keys(truths).length);
    await expectTruth(memory);
  });

  test('has one flipped bit restarts nothing and says nothing wrong', async () => {
    const flips = [...files].flatMap(([name, bytes]) => {
      const bits = bytes.length * 8;
      const step = Math.max(1, Math.floor(bits / 100));
      return Array.from({ length: Math.ceil(bits / step) }, (_, i) => ({ name, bit: i * step }));
    });
    expect(flips.length).toBeGreaterThanOrEqual(300);
    for (const { name, bit } of flips) {
      const bytes = files.get(name) ?? Buffer.alloc(0);
      await expectTruth(await remembered(changed(name, flipped(bytes, bit))));
    }
  }, 20_000);

  test('is cut off anywhere restarts nothing and says nothing wrong', async () => {
    for (const [name, bytes] of files) {
      for (let part = 0; part < 8; part += 1) {
        const length = Math.floor((bytes.length * part) / 8);
        await expectTruth(await remembered(changed(name, bytes.subarray(0, length))));
      }
    }
    expect(held.size).toBeGreaterThan(1); // Otherwise nothing was cut that mattered.
  });

  test('has lost a file restarts nothing and says nothing wrong', async () => {
    for (const name of files.keys()) await expectTruth(await remembered(changed(name, undefined)));
    const nothing = await remembered(new Map());
    expect(nothing.records).toEqual([]);
    await expectTruth(nothing);
  });

  test('is an old copy of itself restarts nothing and says nothing wrong', async () => {
    const memory = await remembered(old);
    expect(memory.records.map(({ task }) => task.id)).toContain('removed');
    await expectTruth(memory);
  });
});
