import { describe, expect, test } from 'vitest';
import type { RestartPolicyInput } from '../../../src/api/gen/types.ts';
import type { Service } from '../../../src/api/index.ts';
import { aNode, aService, aTask } from '../../support/builders.ts';
import { FakeSwarm } from '../../support/fake-swarm.ts';

const orchestration = ['replicated', 'starts'] as const;

const replicated = (replicas: number, restart?: RestartPolicyInput): Service =>
  aService({
    spec: {
      annotations: { name: 'web' },
      task: { container: { image: 'nginx:latest' }, ...(restart && { restart }) },
      replicated: { replicas: String(replicas) },
    },
  });

const scaled =
  (replicas: number) =>
  <T extends object>(spec: T): T => ({ ...spec, replicated: { replicas: String(replicas) } });

const slots = (swarm: FakeSwarm, id: string): number[] =>
  swarm.wanted(id).map(({ slot }) => Number(slot));

describe('runReplicated', () => {
  test('a new service gets its tasks in slots from 1, one in each', async () => {
    const swarm = new FakeSwarm();
    const service = replicated(3);
    await swarm.lead(orchestration, async () => {
      await swarm.create(service);
      expect(slots(swarm, service.id)).toEqual([1, 2, 3]);
      for (const task of swarm.tasks(service.id)) {
        expect(task).toMatchObject({
          serviceId: service.id,
          desiredState: 'RUNNING',
          status: { state: 'NEW', message: 'created' },
          serviceAnnotations: { name: 'web' },
          specVersion: { index: '0' },
        });
      }
    });
  });

  test('a service that was created while nobody led gets its tasks at the start', async () => {
    const swarm = new FakeSwarm();
    const service = replicated(2);
    await swarm.create(service);
    await swarm.lead(orchestration, async () => {
      await swarm.pass(0);
      expect(slots(swarm, service.id)).toEqual([1, 2]);
    });
  });

  test('scaling up fills the lowest free numbers, and down asks for removal', async () => {
    const swarm = new FakeSwarm();
    const service = replicated(2);
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, scaled(5));
      expect(slots(swarm, service.id)).toEqual([1, 2, 3, 4, 5]);
      await swarm.updateService(service.id, scaled(1));
      expect(slots(swarm, service.id)).toEqual([1]);
      const gone = swarm.tasks(service.id).filter(({ slot }) => slot !== '1');
      expect(gone.map(({ desiredState }) => desiredState)).toEqual(Array(4).fill('REMOVE'));
      await swarm.updateService(service.id, scaled(2));
      expect(slots(swarm, service.id)).toEqual([1, 2]);
    });
  });

  test('hundreds of tasks are created in transactions of a permitted size', async () => {
    const swarm = new FakeSwarm();
    const service = replicated(450);
    await swarm.lead(orchestration, async () => {
      await swarm.create(service);
      expect(swarm.wanted(service.id)).toHaveLength(450);
    });
  });

  test('a task that somebody deletes is made anew', async () => {
    const swarm = new FakeSwarm();
    const service = replicated(2);
    await swarm.lead(orchestration, async () => {
      await swarm.create(service);
      const [first] = swarm.wanted(service.id);
      await swarm.write((tx) => {
        tx.remove('task', first?.id ?? '');
      });
      expect(slots(swarm, service.id)).toEqual([1, 2]);
      expect(swarm.task(first?.id ?? '')).toBeUndefined();
    });
  });

  test('tasks leave nodes that are drained, down or removed', async () => {
    for (const change of ['drain', 'down', 'remove'] as const) {
      const swarm = new FakeSwarm();
      const [a, b] = [aNode(), aNode()];
      const service = replicated(2);
      await swarm.lead(orchestration, async () => {
        await swarm.create(a, b, service);
        await swarm.write((tx) => {
          const node = tx.get('node', a.id);
          if (node === undefined) return;
          if (change === 'remove') tx.remove('node', a.id);
          else if (change === 'drain') {
            tx.update('node', {
              ...node,
              spec: node.spec && { ...node.spec, availability: 'DRAIN' },
            });
          } else {
            tx.update('node', { ...node, status: { state: 'DOWN', message: '', addr: '' } });
          }
        });
        expect(swarm.wanted(service.id).map(({ nodeId }) => nodeId)).toEqual([b.id, b.id]);
        expect(slots(swarm, service.id)).toEqual([1, 2]);
      });
    }
  });

  test('tasks stay on nodes that are paused, silent or unknown', async () => {
    const swarm = new FakeSwarm();
    const nodes = [aNode(), aNode(), aNode()];
    const service = replicated(3);
    await swarm.lead(orchestration, async () => {
      await swarm.create(...nodes, service);
      const before = swarm.wanted(service.id).map(({ id }) => id);
      await swarm.updateNode(nodes[0]?.id ?? '', (node) => ({
        ...node,
        spec: node.spec && { ...node.spec, availability: 'PAUSE' },
      }));
      for (const [at, state] of [
        [1, 'UNKNOWN'],
        [2, 'DISCONNECTED'],
      ] as const) {
        await swarm.updateNode(nodes[at]?.id ?? '', (node) => ({
          ...node,
          status: { state, message: '', addr: '' },
        }));
      }
      expect(swarm.wanted(service.id).map(({ id }) => id)).toEqual(before);
    });
  });

  test('a new leader replaces tasks that failed or lost their node while nobody led', async () => {
    const swarm = new FakeSwarm();
    swarm.isAlive = false;
    const service = replicated(3, { condition: 'ANY', delay: { seconds: '0' } });
    const [up, down] = [aNode(), aNode({ status: { state: 'DOWN' } })];
    const tasks = [
      aTask({ serviceId: service.id, slot: '1', nodeId: up.id, status: { state: 'FAILED' } }),
      aTask({ serviceId: service.id, slot: '2', nodeId: down.id }),
      aTask({ serviceId: service.id, slot: '3', nodeId: up.id }),
    ];
    await swarm.create(up, down, service, ...tasks);
    await swarm.lead(orchestration, async () => {
      await swarm.pass(0);
      expect(slots(swarm, service.id)).toEqual([1, 2, 3]);
      expect(swarm.wanted(service.id).at(-1)?.id).toBe(tasks[2]?.id);
      expect(swarm.task(tasks[0]?.id ?? '')?.desiredState).toBe('SHUTDOWN');
      expect(swarm.task(tasks[1]?.id ?? '')?.desiredState).toBe('SHUTDOWN');
    });
  });
});
