import { describe, expect, test } from 'vitest';
import type { RestartPolicyInput } from '../../../src/api/gen/types.ts';
import type { Task } from '../../../src/api/index.ts';
import { aNode, aService, aTask } from '../../support/builders.ts';
import { FakeSwarm } from '../../support/fake-swarm.ts';

const orchestration = ['replicated', 'starts'] as const;

const withRestart = (restart: RestartPolicyInput): ReturnType<typeof aService> =>
  aService({
    spec: {
      annotations: { name: `restart-${JSON.stringify(restart)}` },
      task: { container: { image: 'a' }, restart },
      replicated: { replicas: '1' },
    },
  });

const only = (tasks: readonly Task[]): Task => {
  expect(tasks).toHaveLength(1);
  return tasks[0] as Task; // Just counted.
};

describe('a task that ends', () => {
  test('is replaced after the default delay of five seconds, prepared at once', async () => {
    const swarm = new FakeSwarm();
    const service = aService();
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      const first = only(swarm.wanted(service.id));
      await swarm.report(first.id, 'FAILED');
      const second = only(swarm.wanted(service.id));
      expect(second.id).not.toBe(first.id);
      expect(second).toMatchObject({ slot: '1', desiredState: 'READY' });
      expect(second.status?.state).toBe('READY');
      expect(swarm.task(first.id)?.desiredState).toBe('SHUTDOWN');
      await swarm.pass(4_999);
      expect(swarm.task(second.id)?.desiredState).toBe('READY');
      await swarm.pass(1);
      expect(swarm.task(second.id)).toMatchObject({
        desiredState: 'RUNNING',
        status: { state: 'RUNNING' },
      });
    });
  });

  test('with success is replaced by condition any, not by on-failure or none', async () => {
    for (const [condition, isReplaced] of [
      ['ANY', true],
      ['ON_FAILURE', false],
      ['NONE', false],
    ] as const) {
      const swarm = new FakeSwarm();
      const service = withRestart({ condition, delay: { seconds: '0' } });
      await swarm.lead(orchestration, async () => {
        await swarm.create(aNode(), service);
        const { id } = only(swarm.wanted(service.id));
        await swarm.report(id, 'COMPLETE');
        expect(swarm.wanted(service.id)).toHaveLength(isReplaced ? 1 : 0);
        expect(swarm.task(id)?.desiredState).toBe('SHUTDOWN');
      });
    }
  });

  test('with failure is replaced by conditions any and on-failure, not by none', async () => {
    for (const [condition, isReplaced] of [
      ['ANY', true],
      ['ON_FAILURE', true],
      ['NONE', false],
    ] as const) {
      const swarm = new FakeSwarm();
      const service = withRestart({ condition, delay: { seconds: '0' } });
      await swarm.lead(orchestration, async () => {
        await swarm.create(aNode(), service);
        await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
        expect(swarm.wanted(service.id)).toHaveLength(isReplaced ? 1 : 0);
        await swarm.pass(120_000);
        expect(swarm.wanted(service.id)).toHaveLength(isReplaced ? 1 : 0);
      });
    }
  });

  test('is replaced as often as the policy allows, and no more, even by a new leader', async () => {
    const swarm = new FakeSwarm();
    const service = withRestart({ condition: 'ANY', maxAttempts: '3', delay: { seconds: '1' } });
    swarm.outcome = (_, state) => (state === 'RUNNING' ? 'FAILED' : state);
    await swarm.create(aNode(), service);
    for (let leader = 0; leader < 6; leader += 1) {
      await swarm.lead(orchestration, async () => swarm.pass(1_500));
    }
    expect(swarm.tasks(service.id)).toHaveLength(4);
    expect(swarm.wanted(service.id)).toEqual([]);
  });

  test('counts only restarts within the window', async () => {
    const swarm = new FakeSwarm();
    const service = withRestart({
      condition: 'ANY',
      maxAttempts: '1',
      window: { seconds: '10' },
      delay: { seconds: '0' },
    });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      for (let round = 0; round < 3; round += 1) {
        await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
        await swarm.pass(11_000);
      }
      expect(swarm.wanted(service.id)).toHaveLength(1);
      await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
      await swarm.pass(5_000);
      await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
      await swarm.pass(5_000);
      expect(swarm.wanted(service.id)).toEqual([]);
    });
  });

  test('starts counting anew when its service gets a new spec', async () => {
    const swarm = new FakeSwarm();
    const service = withRestart({ condition: 'ANY', maxAttempts: '1', delay: { seconds: '0' } });
    await swarm.lead(['replicated', 'starts', 'updater'], async () => {
      await swarm.create(aNode(), service);
      await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
      await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
      expect(swarm.wanted(service.id)).toEqual([]);
      await swarm.updateService(service.id, (spec) => ({
        ...spec,
        task: spec.task && { ...spec.task, forceUpdate: '1' },
      }));
      expect(swarm.wanted(service.id)).toHaveLength(1);
      await swarm.pass(60_000);
      await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
      expect(swarm.wanted(service.id)).toHaveLength(1);
    });
  });

  test('while it only waits to start is replaced no earlier than it would have started', async () => {
    const swarm = new FakeSwarm();
    const service = withRestart({ condition: 'ANY', delay: { seconds: '5' } });
    swarm.outcome = () => 'REJECTED';
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.pass(60_000);
      const { length } = swarm.tasks(service.id);
      expect(length).toBeGreaterThan(11);
      expect(length).toBeLessThan(15);
    });
  });
});

describe('runDelayedStarts', () => {
  test('a new leader takes over what is left of a delay', async () => {
    const swarm = new FakeSwarm();
    const service = withRestart({ condition: 'ANY', delay: { seconds: '30' } });
    let waiting = '';
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.report(only(swarm.wanted(service.id)).id, 'FAILED');
      waiting = only(swarm.wanted(service.id)).id;
      await swarm.pass(20_000);
    });
    await swarm.lead(orchestration, async () => {
      await swarm.pass(9_999);
      expect(swarm.task(waiting)?.desiredState).toBe('READY');
      await swarm.pass(1);
      expect(swarm.task(waiting)?.desiredState).toBe('RUNNING');
    });
  });

  test('a task of a drained node starts elsewhere as soon as it has stopped there', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [aNode(), aNode({ spec: { availability: 'PAUSE' } })];
    const service = withRestart({ condition: 'ANY', delay: { seconds: '30' } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(a, b, service);
      const first = only(swarm.wanted(service.id)).id;
      swarm.outcome = (task, state) => (task.id === first ? 'RUNNING' : state);
      await swarm.updateNode(b.id, (node) => ({
        ...node,
        spec: node.spec && { ...node.spec, availability: 'ACTIVE' },
      }));
      await swarm.updateNode(a.id, (node) => ({
        ...node,
        spec: node.spec && { ...node.spec, availability: 'DRAIN' },
      }));
      const second = only(swarm.wanted(service.id));
      await swarm.pass(1_000);
      expect(swarm.task(second.id)).toMatchObject({ desiredState: 'READY', nodeId: b.id });
      await swarm.report(first, 'SHUTDOWN');
      expect(swarm.task(second.id)?.desiredState).toBe('RUNNING');
    });
  });

  test('a task that will not stop is waited for no longer than a minute', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [aNode(), aNode()];
    const service = aService();
    await swarm.lead(orchestration, async () => {
      await swarm.create(a, service);
      const first = only(swarm.wanted(service.id)).id;
      swarm.outcome = (task, state) => (task.id === first ? 'RUNNING' : state);
      await swarm.create(b);
      await swarm.updateNode(a.id, (node) => ({
        ...node,
        spec: node.spec && { ...node.spec, availability: 'DRAIN' },
      }));
      const second = only(swarm.wanted(service.id)).id;
      await swarm.pass(59_999);
      expect(swarm.task(second)?.desiredState).toBe('READY');
      await swarm.pass(1);
      expect(swarm.task(second)?.desiredState).toBe('RUNNING');
    });
  });

  test('a task of a dead node runs elsewhere without any wait', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [aNode(), aNode()];
    const service = aService();
    await swarm.lead(orchestration, async () => {
      await swarm.create(a, service);
      await swarm.create(b);
      await swarm.updateNode(a.id, (node) => ({
        ...node,
        status: { state: 'DOWN', message: '', addr: '' },
      }));
      expect(only(swarm.wanted(service.id))).toMatchObject({
        nodeId: b.id,
        desiredState: 'RUNNING',
        status: { state: 'RUNNING' },
      });
    });
  });

  test('a task that was left READY with nothing to wait for is started', async () => {
    const swarm = new FakeSwarm();
    const [node, service] = [aNode(), aService()];
    const task = aTask({
      serviceId: service.id,
      nodeId: node.id,
      desiredState: 'READY',
      status: { state: 'READY' },
    });
    await swarm.create(node, service, task);
    await swarm.lead(orchestration, async () => {
      await swarm.pass(0);
      expect(swarm.task(task.id)?.desiredState).toBe('RUNNING');
    });
  });
});
