import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Node, Task } from '../../src/api/index.ts';
import { type ClusterChange, ClusterView, schedule } from '../../src/scheduler/index.ts';
import { aNode, aTask } from '../support/builders.ts';

const nodeIds = ['n1', 'n2', 'n3'];
const services = ['web', 'db'];
const states = ['NEW', 'PENDING', 'ASSIGNED', 'RUNNING', 'SHUTDOWN', 'FAILED'] as const;
const desired = ['READY', 'RUNNING', 'SHUTDOWN', 'REMOVE'] as const;

/** One step of a cluster's life: a node comes or goes, or a task moves on. */
type Step = { readonly node: string } | { readonly task: number; readonly to: number };

const aStep = fc.oneof(
  fc.record({ node: fc.constantFrom(...nodeIds) }),
  fc.record({ task: fc.nat(11), to: fc.nat(100) }),
);

/** What the view says, in plain values. */
const plain = (view: ClusterView): unknown => ({
  nodes: [...view.nodes.values()]
    .map(({ node, load }) => ({
      id: node.id,
      tasks: load.tasks,
      active: load.active,
      own: services.map((id) => load.activeOf(id)),
      used: { cpus: load.used.nanoCpus, memory: load.used.memoryBytes },
      port: load.hasPort('80/tcp'),
    }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  groups: [...view.groups.values()]
    .map(({ key, tasks }) => `${key}: ${[...tasks.keys()].toSorted().join()}`)
    .toSorted(),
  preassigned: [...view.preassigned.keys()].toSorted(),
  outdated: [...view.outdated.keys()].toSorted(),
});

/** A cluster that only ever moves as a real one does. */
class World {
  readonly nodes = new Map<string, Node>();
  readonly tasks = new Map<string, Task>();

  apply(step: Step): ClusterChange {
    return 'node' in step ? this.#toggle(step.node) : this.#move(step.task, step.to);
  }

  #toggle(id: string): ClusterChange {
    const old = this.nodes.get(id);
    const object = old ?? aNode({ id });
    if (old === undefined) this.nodes.set(id, object);
    else this.nodes.delete(id);
    return { action: old === undefined ? 'created' : 'removed', kind: 'node', object };
  }

  #move(number: number, to: number): ClusterChange {
    const id = `t${number}`;
    const old = this.tasks.get(id);
    if (old === undefined) {
      const object = this.#created(id, number, to);
      this.tasks.set(id, object);
      return { action: 'created', kind: 'task', object };
    }
    const at = states.indexOf(old.status?.state as (typeof states)[number]);
    if (at >= 4) {
      this.tasks.delete(id);
      return { action: 'removed', kind: 'task', object: old };
    }
    const state = states[at + (to % 3)] ?? 'FAILED';
    const wanted = Math.max(desired.indexOf(old.desiredState as 'READY'), to % desired.length);
    const isPlaced = at + (to % 3) >= 2;
    const object: Task = {
      ...old,
      nodeId: isPlaced && old.nodeId === '' ? (nodeIds[to % 3] ?? '') : old.nodeId,
      desiredState: desired[wanted] ?? 'RUNNING',
      status: { ...(old.status as NonNullable<Task['status']>), state },
    };
    this.tasks.set(id, object);
    return { action: 'updated', kind: 'task', object };
  }

  #created(id: string, number: number, to: number): Task {
    return aTask({
      id,
      serviceId: services[number % 2] ?? '',
      specVersion: number % 3 === 0 ? null : { index: number % 2 },
      nodeId: number % 4 === 0 ? (nodeIds[to % 3] ?? '') : '',
      status: { state: 'NEW' },
      desiredState: 'READY',
      spec: { resources: { reservations: { nanoCpus: number, memoryBytes: number * 2 } } },
      endpoint: { ports: number % 5 === 0 ? [{ publishMode: 'HOST', publishedPort: 80 }] : [] },
    });
  }
}

describe('ClusterView', () => {
  test('taking in every change gives the same view as reading the whole state', () => {
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 80 }), (steps) => {
        const world = new World();
        const view = ClusterView.from([], []);
        for (const step of steps) view.apply(world.apply(step));
        const anew = ClusterView.from(world.nodes.values(), world.tasks.values());
        expect(plain(view)).toEqual(plain(anew));
      }),
    );
  });

  test('a change that calls for no decision says so, and does not change the schedule', () => {
    fc.assert(
      fc.property(fc.array(aStep, { maxLength: 60 }), (steps) => {
        const world = new World();
        const view = ClusterView.from([], []);
        for (const step of steps) {
          const before = schedule(view, 0);
          if (view.apply(world.apply(step))) continue;
          const decided = new Set(before.placements.map(({ task }) => task.id));
          const after = schedule(view, 0);
          expect(after.placements.every(({ task }) => decided.has(task.id))).toBe(true);
        }
      }),
    );
  });

  test('the progress of a running task calls for nothing', () => {
    const task = aTask({ nodeId: 'n1', status: { state: 'STARTING' } });
    const view = ClusterView.from([aNode({ id: 'n1' })], [task]);
    const object = { ...task, status: aTask().status };
    expect(view.apply({ action: 'updated', kind: 'task', object })).toBe(false);
    const removed = { action: 'removed', kind: 'task', object } as const;
    expect(view.apply(removed)).toBe(true);
  });
});
