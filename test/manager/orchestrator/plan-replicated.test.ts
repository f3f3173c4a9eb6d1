import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { count, type Service, type Task } from '../../../src/api/index.ts';
import {
  filledPlaces,
  planReplicated,
  type ReplicatedPlan,
} from '../../../src/manager/orchestrator/plan-replicated.ts';
import { isWanted, newTask, numbered } from '../../../src/manager/orchestrator/slots.ts';
import { aService, aTask } from '../../support/builders.ts';

const serviceWith = (replicas: number, condition: 'ANY' | 'NONE' = 'ANY'): Service =>
  aService({
    spec: {
      annotations: { name: 'web' },
      task: { container: { image: 'a' }, restart: { condition } },
      replicated: { replicas: String(replicas) },
    },
  });

const carriedOut = (service: Service, tasks: readonly Task[], plan: ReplicatedPlan): Task[] => [
  ...tasks.map((task) =>
    plan.remove.includes(task) ? { ...task, desiredState: 'REMOVE' as const } : task,
  ),
  ...plan.create.map((slot) =>
    newTask(service, numbered(slot), { id: `new${slot}`, nowMs: 9_000, cluster: undefined }),
  ),
];

const someTasks = (service: Service): fc.Arbitrary<readonly Task[]> =>
  fc.array(
    fc
      .record({
        slot: fc.integer({ min: 1, max: 8 }).map(String),
        nodeId: fc.constantFrom('', 'a', 'b', 'c'),
        state: fc.constantFrom('NEW', 'RUNNING', 'FAILED', 'COMPLETE', 'SHUTDOWN' as const),
        desiredState: fc.constantFrom('READY', 'RUNNING', 'SHUTDOWN', 'REMOVE' as const),
        createdAt: fc.integer({ min: 1, max: 9 }).map((seconds) => ({ seconds: String(seconds) })),
      })
      .map(({ state, createdAt, ...rest }) =>
        aTask({
          serviceId: service.id,
          spec: { container: { image: 'a' }, restart: service.spec?.task?.restart ?? null },
          status: { state },
          meta: { createdAt },
          ...rest,
        }),
      ),
    { maxLength: 14 },
  );

describe('planReplicated', () => {
  test('after its plan is carried out, as many slots are filled as wanted, and a second plan is empty', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8 }),
        fc.constantFrom('ANY', 'NONE' as const),
        (replicas, condition) => {
          const service = serviceWith(replicas, condition);
          fc.assert(
            fc.property(someTasks(service), (tasks) => {
              const after = carriedOut(service, tasks, planReplicated(service, tasks));
              expect(filledPlaces(service, after)).toHaveLength(replicas);
              expect(planReplicated(service, after)).toEqual({ create: [], remove: [] });
            }),
            { numRuns: 20 },
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  test('new slots take the lowest numbers that nothing fills', () => {
    const service = serviceWith(5);
    const tasks = ['2', '4'].map((slot) => aTask({ serviceId: service.id, slot }));
    expect(planReplicated(service, tasks).create).toEqual([1, 3, 5]);
  });

  test('a finished task that is not to be restarted fills its slot, except in a rollback', () => {
    const service = serviceWith(1, 'NONE');
    const spec = { container: { image: 'a' }, restart: { condition: 'NONE' as const } };
    const status = { state: 'COMPLETE' as const };
    const task = aTask({ serviceId: service.id, spec, status, desiredState: 'SHUTDOWN' });
    expect(planReplicated(service, [task])).toEqual({ create: [], remove: [] });
    const updateStatus = {
      state: 'ROLLBACK_STARTED' as const,
      message: '',
      startedAt: null,
      completedAt: null,
    };
    expect(planReplicated({ ...service, updateStatus }, [task]).create).toEqual([1]);
  });

  test('scaling down loses slots without a node first, then from the fullest node, then what does not run', () => {
    const placed: ReadonlyArray<readonly [slot: number, nodeId: string, state: 'RUNNING' | 'NEW']> =
      [
        [1, 'a', 'RUNNING'],
        [2, 'a', 'RUNNING'],
        [3, 'a', 'RUNNING'],
        [4, 'b', 'RUNNING'],
        [5, 'b', 'NEW'],
        [6, 'c', 'RUNNING'],
        [7, '', 'NEW'],
      ];
    const keptAt = (replicas: number): number[] => {
      const service = serviceWith(replicas);
      const tasks = placed.map(([slot, nodeId, state]) =>
        aTask({ serviceId: service.id, slot: String(slot), nodeId, status: { state } }),
      );
      const { remove } = planReplicated(service, tasks);
      return tasks.filter((task) => !remove.includes(task)).map(({ slot }) => count(slot));
    };
    expect(keptAt(6)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(keptAt(5)).toEqual([1, 2, 4, 5, 6]);
    expect(keptAt(4)).toEqual([1, 2, 4, 6]);
    expect(keptAt(3)).toEqual([1, 4, 6]);
    expect(keptAt(1)).toEqual([1]);
    expect(keptAt(0)).toEqual([]);
  });

  test('tasks of a slot that nothing fills any more leave', () => {
    const service = serviceWith(1);
    const live = aTask({ serviceId: service.id, slot: '1' });
    const dead = aTask({
      serviceId: service.id,
      slot: '2',
      desiredState: 'SHUTDOWN',
      status: { state: 'FAILED' },
    });
    const plan = planReplicated(service, [live, dead]);
    expect(plan).toEqual({ create: [], remove: [dead] });
    expect(carriedOut(service, [live, dead], plan).filter(isWanted)).toEqual([live]);
  });
});
