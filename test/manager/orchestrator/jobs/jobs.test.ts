import { describe, expect, test } from 'vitest';
import type { RestartPolicyInput } from '../../../../src/api/gen/types.ts';
import type { Node, Service, Task } from '../../../../src/api/index.ts';
import { aNode, aService } from '../../../support/builders.ts';
import { FakeSwarm } from '../../../support/fake-swarm.ts';

const loops = ['jobs', 'starts', 'reaper'] as const;

const aJob = (
  mode:
    | {
        readonly replicatedJob: {
          readonly maxConcurrent: string;
          readonly totalCompletions: string;
        };
      }
    | { readonly globalJob: object },
  restart: RestartPolicyInput = {},
): Service =>
  aService({
    spec: {
      annotations: { name: 'job' },
      task: { container: { image: 'a' }, restart: { condition: 'ON_FAILURE', ...restart } },
      ...mode,
    },
    jobStatus: { jobIteration: { index: '0' } },
  });

const ofTwo = (total: number, restart: RestartPolicyInput = {}): Service =>
  aJob({ replicatedJob: { maxConcurrent: '2', totalCompletions: String(total) } }, restart);

const atWork = (swarm: FakeSwarm, { id }: Service): readonly Task[] =>
  swarm.wanted(id).filter(({ status }) => status?.state !== 'COMPLETE');

const completed = (swarm: FakeSwarm, { id }: Service): number =>
  swarm.tasks(id).filter(({ status }) => status?.state === 'COMPLETE').length;

const nextRun = async (swarm: FakeSwarm, { id }: Service): Promise<void> =>
  swarm.write((tx) => {
    const service = tx.get('service', id);
    const jobStatus = { jobIteration: { index: '1' }, lastExecution: null };
    if (service !== undefined) tx.update('service', { ...service, jobStatus });
  });

const drained = (node: Node): Node => ({
  ...node,
  spec: node.spec && { ...node.spec, availability: 'DRAIN' },
});

describe('runJobs: replicated', () => {
  test('no more tasks are at work than may be, and no more complete than are asked for', async () => {
    const swarm = new FakeSwarm();
    const service = ofTwo(5);
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      for (let round = 0; round < 5; round += 1) {
        const working = atWork(swarm, service);
        expect(working).toHaveLength(Math.min(2, 5 - round));
        expect(working[0]).toMatchObject({
          desiredState: 'COMPLETE',
          jobIteration: { index: '0' },
        });
        await swarm.report(working[0]?.id ?? '', 'COMPLETE');
      }
      await swarm.pass(120_000);
      expect(completed(swarm, service)).toBe(5);
      expect(
        swarm
          .tasks(service.id)
          .map(({ slot }) => slot)
          .toSorted(),
      ).toEqual(['1', '2', '3', '4', '5']);
    });
  });

  test('a failed task is tried again in its place, as often as its policy allows', async () => {
    const swarm = new FakeSwarm();
    const service = ofTwo(2, { maxAttempts: '2', delay: { seconds: '1' } });
    swarm.outcome = (task, state) => (task.slot === '1' && state === 'RUNNING' ? 'FAILED' : state);
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      await swarm.pass(60_000);
      expect(swarm.tasks(service.id).filter(({ slot }) => slot === '1')).toHaveLength(3);
      expect(atWork(swarm, service).map(({ slot }) => slot)).toEqual(['2']);
    });
  });

  test('with no restarts a task that fails is not tried again', async () => {
    const swarm = new FakeSwarm();
    const service = ofTwo(1, { condition: 'NONE' });
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      await swarm.report(atWork(swarm, service)[0]?.id ?? '', 'FAILED');
      await swarm.pass(120_000);
      expect(swarm.tasks(service.id)).toHaveLength(1);
    });
  });

  test('a task that loses its node is begun elsewhere', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [aNode(), aNode()];
    const service = ofTwo(1);
    await swarm.lead(loops, async () => {
      await swarm.create(a, service);
      await swarm.create(b);
      await swarm.updateNode(a.id, drained);
      expect(atWork(swarm, service)).toMatchObject([{ nodeId: b.id, desiredState: 'COMPLETE' }]);
    });
  });

  test('a new run starts over, and what was of the run before it goes', async () => {
    const swarm = new FakeSwarm();
    const service = ofTwo(2);
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      await swarm.report(atWork(swarm, service)[0]?.id ?? '', 'COMPLETE');
      await nextRun(swarm, service);
      expect(swarm.tasks(service.id).map(({ jobIteration }) => jobIteration?.index)).toEqual([
        '1',
        '1',
      ]);
      expect(completed(swarm, service)).toBe(0);
    });
  });

  test('a new leader goes on with a job and does not repeat what is done', async () => {
    const swarm = new FakeSwarm();
    const service = ofTwo(4);
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      for (const { id } of atWork(swarm, service)) await swarm.report(id, 'COMPLETE');
    });
    await swarm.lead(loops, async () => {
      expect(atWork(swarm, service)).toHaveLength(2);
      for (const { id } of atWork(swarm, service)) await swarm.report(id, 'COMPLETE');
      expect(completed(swarm, service)).toBe(4);
      expect(swarm.tasks(service.id)).toHaveLength(4);
    });
  });
});

describe('runJobs: global', () => {
  test('every node that can take tasks has one, also a node that comes later', async () => {
    const swarm = new FakeSwarm();
    const [a, paused, later] = [aNode(), aNode({ spec: { availability: 'PAUSE' } }), aNode()];
    const down = aNode({ status: { state: 'DOWN' } });
    const service = aJob({ globalJob: {} });
    await swarm.lead(loops, async () => {
      await swarm.create(a, paused, down, service);
      expect(swarm.tasks(service.id).map(({ nodeId }) => nodeId)).toEqual([a.id]);
      await swarm.report(swarm.tasks(service.id)[0]?.id ?? '', 'COMPLETE');
      await swarm.create(later);
      expect(atWork(swarm, service).map(({ nodeId }) => nodeId)).toEqual([later.id]);
      expect(completed(swarm, service)).toBe(1);
    });
  });

  test('restarts on a node are counted, and stay on it', async () => {
    const swarm = new FakeSwarm();
    const node = aNode();
    const service = aJob({ globalJob: {} }, { maxAttempts: '1', delay: { seconds: '1' } });
    swarm.outcome = (_, state) => (state === 'RUNNING' ? 'FAILED' : state);
    await swarm.lead(loops, async () => {
      await swarm.create(node, service);
      await swarm.pass(120_000);
      expect(swarm.tasks(service.id).map(({ nodeId }) => nodeId)).toEqual([node.id, node.id]);
      expect(atWork(swarm, service)).toEqual([]);
    });
  });

  test('a task on a drained node is let go', async () => {
    const swarm = new FakeSwarm();
    const [a, b] = [aNode(), aNode()];
    const service = aJob({ globalJob: {} });
    await swarm.lead(loops, async () => {
      await swarm.create(a, b, service);
      await swarm.updateNode(a.id, drained);
      expect(atWork(swarm, service).map(({ nodeId }) => nodeId)).toEqual([b.id]);
    });
  });
});
