import { describe, expect, test } from 'vitest';
import type { Service, Task } from '../../../../src/api/index.ts';
import {
  historyLimit,
  planHistory,
} from '../../../../src/manager/orchestrator/upkeep/plan-reaper.ts';
import { aCluster, aNode, aService, aTask } from '../../../support/builders.ts';
import { FakeSwarm } from '../../../support/fake-swarm.ts';

type State = Task['desiredState'];

const crashing = (restart: object = {}): Service =>
  aService({
    spec: {
      annotations: { name: 'crash' },
      task: { container: { image: 'a' }, restart: { condition: 'ANY', ...restart } },
      replicated: { replicas: '1' },
    },
  });

const withLimit = (limit: string): ReturnType<typeof aCluster> =>
  aCluster({
    spec: { annotations: { name: 'd' }, orchestration: { taskHistoryRetentionLimit: limit } },
  });

describe('planHistory', () => {
  const states: readonly State[] = [
    'NEW',
    'PENDING',
    'ASSIGNED',
    'ACCEPTED',
    'PREPARING',
    'READY',
    'STARTING',
    'RUNNING',
    'COMPLETE',
    'SHUTDOWN',
    'FAILED',
    'REJECTED',
    'ORPHANED',
  ];
  const forgotten = (desiredState: State): State[] =>
    states.filter(
      (state) => planHistory([aTask({ desiredState, status: { state } })], 0).length === 1,
    );

  test('of a wanted task only what has ended is forgotten', () => {
    expect(forgotten('RUNNING')).toEqual([
      'COMPLETE',
      'SHUTDOWN',
      'FAILED',
      'REJECTED',
      'ORPHANED',
    ]);
  });

  test('of one that is not wanted also what was never assigned', () => {
    expect(forgotten('SHUTDOWN')).toEqual([
      'NEW',
      'PENDING',
      'COMPLETE',
      'SHUTDOWN',
      'FAILED',
      'REJECTED',
      'ORPHANED',
    ]);
  });

  test('the oldest go first, and no more than there are too many', () => {
    const tasks = [3, 1, 2, 5, 4].map((seconds) =>
      aTask({ status: { state: 'FAILED', timestamp: { seconds: String(seconds) } } }),
    );
    const gone = planHistory(tasks, 3).map(({ status }) => status?.timestamp?.seconds);
    expect(gone).toEqual(['1', '2']);
    expect(planHistory(tasks, 5)).toEqual([]);
  });
});

describe('historyLimit', () => {
  test('is what the cluster says, five by default, and everything if negative', () => {
    expect(historyLimit(aService(), withLimit('3'))).toBe(3);
    expect(historyLimit(aService(), undefined)).toBe(5);
    expect(historyLimit(aService(), withLimit('-1'))).toBe(Infinity);
  });

  test('is what counting restarts takes, if they are limited', () => {
    expect(historyLimit(crashing({ maxAttempts: '8' }), withLimit('3'))).toBe(9);
  });
});

describe('runTaskReaper', () => {
  const loops = ['replicated', 'starts', 'reaper'] as const;

  test('a place keeps as many tasks as the limit says, the live one included', async () => {
    const swarm = new FakeSwarm();
    const service = crashing({ delay: { seconds: '1' } });
    swarm.outcome = (_, state) => (state === 'RUNNING' ? 'FAILED' : state);
    await swarm.write((tx) => {
      tx.create('cluster', withLimit('3'));
    });
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      await swarm.pass(20_500);
      expect(swarm.tasks(service.id)).toHaveLength(3);
      expect(swarm.wanted(service.id)).toHaveLength(1);
    });
  });

  test('a smaller limit is seen to at once', async () => {
    const swarm = new FakeSwarm();
    const cluster = withLimit('10');
    const service = crashing();
    const old = Array.from({ length: 9 }, () =>
      aTask({ serviceId: service.id, desiredState: 'SHUTDOWN', status: { state: 'FAILED' } }),
    );
    await swarm.write((tx) => {
      tx.create('cluster', cluster);
    });
    await swarm.create(aNode(), service, ...old, aTask({ serviceId: service.id }));
    await swarm.lead(['reaper'], async () => {
      await swarm.pass(1_000);
      expect(swarm.tasks(service.id)).toHaveLength(10);
      await swarm.write((tx) => {
        const current = tx.get('cluster', cluster.id);
        if (current)
          tx.update('cluster', { ...withLimit('2'), id: cluster.id, meta: current.meta });
      });
      await swarm.pass(250);
      expect(swarm.tasks(service.id)).toHaveLength(2);
      expect(swarm.wanted(service.id)).toHaveLength(1);
    });
  });

  test('limited restarts are still counted right when history is short', async () => {
    const swarm = new FakeSwarm();
    const service = crashing({ maxAttempts: '4', delay: { seconds: '1' } });
    swarm.outcome = (_, state) => (state === 'RUNNING' ? 'FAILED' : state);
    await swarm.write((tx) => {
      tx.create('cluster', withLimit('2'));
    });
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      await swarm.pass(60_000);
      expect(swarm.tasks(service.id)).toHaveLength(5);
      expect(swarm.wanted(service.id)).toEqual([]);
    });
  });

  test('the tasks of a removed service stop, and are forgotten once they have', async () => {
    const swarm = new FakeSwarm();
    const service = aService({
      spec: { annotations: { name: 'w' }, task: { container: {} }, replicated: { replicas: '3' } },
    });
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      swarm.outcome = () => 'RUNNING';
      await swarm.write((tx) => {
        tx.remove('service', service.id);
      });
      const states = swarm.tasks(service.id).map(({ desiredState }) => desiredState);
      expect(states).toEqual(['REMOVE', 'REMOVE', 'REMOVE']);
      for (const { id } of swarm.tasks(service.id)) await swarm.report(id, 'SHUTDOWN');
      expect(swarm.tasks()).toEqual([]);
    });
  });

  test('a task that was never assigned is forgotten at once', async () => {
    const swarm = new FakeSwarm();
    const service = aService();
    await swarm.lead(loops, async () => {
      await swarm.create(service);
      expect(swarm.tasks()).toHaveLength(1);
      await swarm.write((tx) => {
        tx.remove('service', service.id);
      });
      expect(swarm.tasks()).toEqual([]);
    });
  });

  test('a new leader sees to services that were removed while nobody led', async () => {
    const swarm = new FakeSwarm();
    swarm.isAlive = false;
    await swarm.create(
      aNode(),
      aTask({ serviceId: 'gone', slot: '1', nodeId: 'n', status: { state: 'FAILED' } }),
      aTask({ serviceId: 'gone', slot: '2', status: { state: 'NEW' } }),
      aTask({ serviceId: '', status: { state: 'ORPHANED' } }),
      aTask({ serviceId: '', status: { state: 'RUNNING' } }),
    );
    await swarm.lead(['reaper'], async () => {
      await swarm.pass(0);
      expect(swarm.tasks().map(({ status }) => status?.state)).toEqual(['RUNNING']);
    });
  });

  test('what is scaled away is forgotten once it has stopped', async () => {
    const swarm = new FakeSwarm();
    const service = aService({
      spec: { annotations: { name: 'w' }, task: { container: {} }, replicated: { replicas: '5' } },
    });
    await swarm.lead(loops, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, (spec) => ({ ...spec, replicated: { replicas: '2' } }));
      expect(swarm.tasks(service.id).map(({ slot }) => slot)).toEqual(['1', '2']);
    });
  });
});
