import { describe, expect, test } from 'vitest';
import type { NodeInput, TaskInput } from '../../../../src/api/gen/types.ts';
import type { Node, Task } from '../../../../src/api/index.ts';
import { planEnforcement } from '../../../../src/manager/orchestrator/upkeep/plan-enforcement.ts';
import { aNode, aService, aTask } from '../../../support/builders.ts';
import { FakeSwarm } from '../../../support/fake-swarm.ts';

const labelled =
  (zone: string) =>
  (node: Node): Node => ({
    ...node,
    spec: node.spec && { ...node.spec, annotations: { name: '', labels: { zone }, indices: [] } },
  });

const reserving = (nanoCpus: string, memoryBytes: string, rest: TaskInput = {}): Task =>
  aTask({ spec: { resources: { reservations: { nanoCpus, memoryBytes } } }, ...rest });

const withResources = (resources: object, rest: NodeInput = {}): Node =>
  aNode({ description: { hostname: 'n', resources }, ...rest });

const inZone = (zone: string): { placement: { constraints: string[] } } => ({
  placement: { constraints: [`node.labels.zone == ${zone}`] },
});

const none = (): undefined => undefined;

describe('planEnforcement', () => {
  test('the constraints are those the service asks for now', () => {
    const node = labelled('a')(aNode());
    const task = aTask({ spec: inZone('b') });
    const service = aService({ spec: { annotations: { name: 's' }, task: inZone('a') } });
    expect(planEnforcement(node, [task], none)).toEqual([task]);
    expect(planEnforcement(node, [task], () => service)).toEqual([]);
  });

  test('tasks are rejected from where the resources no longer suffice', () => {
    const node = withResources({ nanoCpus: '4', memoryBytes: '100' });
    const tasks = [reserving('2', '10'), reserving('2', '10'), reserving('1', '10')];
    expect(planEnforcement(node, tasks, none)).toEqual([tasks[2]]);
    expect(planEnforcement(node, [reserving('0', '101')], none)).toHaveLength(1);
  });

  test('ended and unwanted tasks take nothing and are left alone', () => {
    const node = withResources({ nanoCpus: '2', memoryBytes: '2' });
    const tasks = [
      reserving('2', '2', { status: { state: 'COMPLETE' }, desiredState: 'COMPLETE' }),
      reserving('2', '2', { desiredState: 'SHUTDOWN' }),
      reserving('2', '2'),
    ];
    expect(planEnforcement(node, tasks, none)).toEqual([]);
  });

  test('generic resources a task was given have to be there still', () => {
    const named = { namedResourceSpec: { kind: 'gpu', value: 'one' } };
    const discrete = { discreteResourceSpec: { kind: 'fpga', value: '2' } };
    const task = aTask({ assignedGenericResources: [named, discrete] });
    const rejectedBy = (generic: object[]): number =>
      planEnforcement(withResources({ generic }), [task], none).length;
    expect(rejectedBy([named, discrete])).toBe(0);
    expect(rejectedBy([discrete])).toBe(1);
    expect(rejectedBy([named, { discreteResourceSpec: { kind: 'fpga', value: '1' } }])).toBe(1);
  });

  test('a drained or paused node is not looked at', () => {
    for (const availability of ['DRAIN', 'PAUSE'] as const) {
      const node = withResources({}, { spec: { availability } });
      expect(planEnforcement(node, [reserving('1', '1')], none)).toEqual([]);
    }
  });
});

describe('runConstraintEnforcer', () => {
  test('a task whose node changes its label is rejected, and placed where it fits', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [labelled('x')(aNode()), labelled('y')(aNode())];
    const service = aService({
      spec: {
        annotations: { name: 's' },
        task: {
          container: { image: 'a' },
          placement: { constraints: ['node.labels.zone != z'] },
          restart: { condition: 'ANY', delay: { seconds: '0' } },
        },
        replicated: { replicas: '1' },
      },
    });
    await swarm.lead(['replicated', 'starts', 'enforcer'], async () => {
      await swarm.create(a, service);
      await swarm.create(b);
      const [first] = swarm.wanted(service.id);
      await swarm.updateNode(a.id, labelled('z'));
      expect(swarm.task(first?.id ?? '')).toMatchObject({
        desiredState: 'SHUTDOWN',
        status: {
          state: 'REJECTED',
          message: 'task rejected by constraint enforcer',
          err: 'assigned node no longer meets constraints',
        },
      });
      expect(swarm.wanted(service.id)).toHaveLength(1);
    });
  });
});
