import { describe, expect, test } from 'vitest';
import type { Node, Service } from '../../../src/api/index.ts';
import { aNode, aService, aTask } from '../../support/builders.ts';
import { FakeSwarm } from '../../support/fake-swarm.ts';

const orchestration = ['global', 'starts'] as const;

const aGlobal = (constraints: readonly string[] = [], restart?: object): Service =>
  aService({
    spec: {
      annotations: { name: 'agent' },
      task: {
        container: { image: 'a' },
        placement: { constraints: [...constraints] },
        ...(restart && { restart }),
      },
      global: {},
    },
  });

const nodesOf = (swarm: FakeSwarm, service: Service): string[] =>
  swarm
    .wanted(service.id)
    .map(({ nodeId }) => nodeId)
    .toSorted();

const withAvailability =
  (availability: 'ACTIVE' | 'PAUSE' | 'DRAIN') =>
  (node: Node): Node => ({ ...node, spec: node.spec && { ...node.spec, availability } });

const inState =
  (state: 'READY' | 'DOWN' | 'DISCONNECTED') =>
  (node: Node): Node => ({ ...node, status: { state, message: '', addr: '' } });

const zone =
  (value: string) =>
  (node: Node): Node => ({
    ...node,
    spec: node.spec && {
      ...node.spec,
      annotations: { name: '', labels: { zone: value }, indices: [] },
    },
  });

describe('runGlobal', () => {
  test('every node has one task, and so has a node that comes later', async () => {
    const swarm = new FakeSwarm();
    const [a, b, c] = [aNode(), aNode(), aNode()];
    const service = aGlobal();
    await swarm.lead(orchestration, async () => {
      await swarm.create(a, b, service);
      expect(nodesOf(swarm, service)).toEqual([a.id, b.id]);
      await swarm.create(c);
      expect(nodesOf(swarm, service)).toEqual([a.id, b.id, c.id]);
      for (const task of swarm.tasks(service.id)) expect(task.slot).toBe('0');
    });
  });

  test('a node that is drained or down loses its task, and gets one again when it is back', async () => {
    for (const [away, back] of [
      [withAvailability('DRAIN'), withAvailability('ACTIVE')],
      [inState('DOWN'), inState('READY')],
    ] as const) {
      const swarm = new FakeSwarm();
      const [a, b] = [aNode(), aNode()];
      const service = aGlobal();
      await swarm.lead(orchestration, async () => {
        await swarm.create(a, b, service);
        await swarm.updateNode(a.id, away);
        expect(nodesOf(swarm, service)).toEqual([b.id]);
        await swarm.updateNode(a.id, back);
        expect(nodesOf(swarm, service)).toEqual([a.id, b.id]);
      });
    }
  });

  test('a paused node keeps its task and gets none; a silent one is left alone', async () => {
    const swarm = new FakeSwarm();
    const [a, b, c] = [aNode(), aNode({ spec: { availability: 'PAUSE' } }), aNode()];
    const service = aGlobal();
    await swarm.lead(orchestration, async () => {
      await swarm.create(a, b, c, service);
      expect(nodesOf(swarm, service)).toEqual([a.id, c.id]);
      await swarm.updateNode(a.id, withAvailability('PAUSE'));
      await swarm.updateNode(c.id, inState('DISCONNECTED'));
      expect(nodesOf(swarm, service)).toEqual([a.id, c.id]);
    });
  });

  test('only nodes that meet the constraints have a task, also when their labels change', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [aNode(), aNode()];
    const service = aGlobal(['node.labels.zone == a']);
    await swarm.lead(orchestration, async () => {
      await swarm.create(zone('a')(a), zone('b')(b), service);
      expect(nodesOf(swarm, service)).toEqual([a.id]);
      await swarm.updateNode(a.id, zone('b'));
      await swarm.updateNode(b.id, zone('a'));
      expect(nodesOf(swarm, service)).toEqual([b.id]);
    });
  });

  test('the tasks of a node that is gone are to leave', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [aNode(), aNode()];
    const service = aGlobal();
    await swarm.lead([...orchestration, 'reaper'], async () => {
      await swarm.create(a, b, service);
      await swarm.write((tx) => {
        tx.remove('node', a.id);
      });
      expect(swarm.tasks(service.id).map(({ nodeId }) => nodeId)).toEqual([b.id]);
    });
  });

  test('a task that fails is restarted on its node, as often as its policy allows', async () => {
    const swarm = new FakeSwarm();
    const node = aNode();
    const service = aGlobal([], { condition: 'ANY', maxAttempts: '2', delay: { seconds: '1' } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(node, service);
      for (let round = 0; round < 3; round += 1) {
        await swarm.report(swarm.wanted(service.id)[0]?.id ?? '', 'FAILED');
        await swarm.pass(2_000);
      }
      expect(swarm.tasks(service.id)).toHaveLength(3);
      expect(swarm.wanted(service.id)).toEqual([]);
      expect(new Set(swarm.tasks(service.id).map(({ nodeId }) => nodeId))).toEqual(
        new Set([node.id]),
      );
    });
  });

  test('a task that fails on a paused node is let go, and made anew when it is active', async () => {
    const swarm = new FakeSwarm();
    const node = aNode();
    const service = aGlobal();
    await swarm.lead(orchestration, async () => {
      await swarm.create(node, service);
      await swarm.updateNode(node.id, withAvailability('PAUSE'));
      await swarm.report(swarm.wanted(service.id)[0]?.id ?? '', 'FAILED');
      await swarm.pass(120_000);
      expect(swarm.wanted(service.id)).toEqual([]);
      await swarm.updateNode(node.id, withAvailability('ACTIVE'));
      expect(nodesOf(swarm, service)).toEqual([node.id]);
    });
  });

  test('a task that somebody deletes is made anew', async () => {
    const swarm = new FakeSwarm();
    const [node, service] = [aNode(), aGlobal()];
    await swarm.lead(orchestration, async () => {
      await swarm.create(node, service);
      await swarm.write((tx) => {
        for (const { id } of tx.find('task')) tx.remove('task', id);
      });
      expect(nodesOf(swarm, service)).toEqual([node.id]);
    });
  });

  test('a new leader puts right what it finds', async () => {
    const swarm = new FakeSwarm();
    swarm.isAlive = false;
    const [bare, drained, good] = [aNode(), aNode({ spec: { availability: 'DRAIN' } }), aNode()];
    const service = aGlobal();
    const onNode = (nodeId: string): ReturnType<typeof aTask> =>
      aTask({ serviceId: service.id, slot: '0', nodeId });
    const kept = onNode(good.id);
    await swarm.create(bare, drained, good, service, kept, onNode(drained.id), onNode('gone'));
    await swarm.lead(orchestration, async () => {
      await swarm.pass(0);
      expect(nodesOf(swarm, service)).toEqual([bare.id, good.id].toSorted());
      expect(swarm.task(kept.id)?.desiredState).toBe('RUNNING');
    });
  });

  test('services of other modes are none of its business', async () => {
    const swarm = new FakeSwarm();
    const service = aService();
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      expect(swarm.tasks(service.id)).toEqual([]);
    });
  });
});
