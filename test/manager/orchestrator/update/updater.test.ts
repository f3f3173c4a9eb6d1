import { describe, expect, test } from 'vitest';
import type { UpdateConfigInput } from '../../../../src/api/gen/types.ts';
import { compareStates, type Service, type Task } from '../../../../src/api/index.ts';
import { aNode, aService } from '../../../support/builders.ts';
import { FakeSwarm } from '../../../support/fake-swarm.ts';

const orchestration = ['replicated', 'global', 'starts', 'updater'] as const;

const aUpdatable = (
  replicas: number,
  config: { readonly update?: UpdateConfigInput; readonly rollback?: UpdateConfigInput } = {},
): Service =>
  aService({
    spec: {
      annotations: { name: 'web' },
      task: { container: { image: 'v1' } },
      replicated: { replicas: String(replicas) },
      ...config,
    },
  });

type Spec = NonNullable<Service['spec']>;

const withImage =
  (image: string) =>
  (spec: Spec): Spec => ({
    ...spec,
    task: spec.task && {
      ...spec.task,
      ...(spec.task.container && { container: { ...spec.task.container, image } }),
    },
  });

const imageOf = (task: Task): string => task.spec?.container?.image ?? '';

const images = (swarm: FakeSwarm, id: string): string[] => swarm.wanted(id).map(imageOf);

const ofImage = (image: string, state: Task['desiredState']) => (task: Task, next: string) =>
  imageOf(task) === image && next === 'RUNNING' ? state : (next as Task['desiredState']);

const status = (swarm: FakeSwarm, id: string): string | undefined =>
  swarm.service(id).updateStatus?.state;

describe('runUpdater', () => {
  test('an update goes place by place, and says when it began and when it is done', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(3, {
      update: { parallelism: '1', delay: { seconds: '10' }, monitor: { seconds: '20' } },
    });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      expect(swarm.service(service.id).updateStatus).toBeNull();
      await swarm.updateService(service.id, withImage('v2'));
      expect(images(swarm, service.id)).toEqual(['v2', 'v1', 'v1']);
      expect(swarm.service(service.id).updateStatus).toMatchObject({
        state: 'UPDATING',
        message: 'update in progress',
        completedAt: null,
      });
      expect(swarm.service(service.id).updateStatus?.startedAt).not.toBeNull();
      await swarm.pass(9_999);
      expect(images(swarm, service.id)).toEqual(['v2', 'v1', 'v1']);
      await swarm.pass(1);
      expect(images(swarm, service.id)).toEqual(['v2', 'v2', 'v1']);
      await swarm.pass(10_000);
      expect(images(swarm, service.id)).toEqual(['v2', 'v2', 'v2']);
      await swarm.pass(19_999);
      expect(status(swarm, service.id)).toBe('UPDATING');
      await swarm.pass(1);
      expect(swarm.service(service.id).updateStatus).toMatchObject({
        state: 'COMPLETED',
        message: 'update completed',
      });
      expect(swarm.service(service.id).updateStatus?.completedAt).not.toBeNull();
    });
  });

  test('as many places are updated at once as the parallelism says; all of them for 0', async () => {
    for (const [parallelism, updated] of [
      ['2', 2],
      ['0', 5],
    ] as const) {
      const swarm = new FakeSwarm();
      const service = aUpdatable(5, { update: { parallelism, delay: { seconds: '60' } } });
      await swarm.lead(orchestration, async () => {
        await swarm.create(aNode(), service);
        await swarm.updateService(service.id, withImage('v2'));
        expect(images(swarm, service.id).filter((image) => image === 'v2')).toHaveLength(updated);
      });
    }
  });

  test('hundreds of places at once go in transactions of a permitted size', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(250, { update: { parallelism: '0' } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
      expect(new Set(images(swarm, service.id))).toEqual(new Set(['v2']));
      expect(swarm.wanted(service.id)).toHaveLength(250);
      await swarm.pass(5_000);
      expect(status(swarm, service.id)).toBe('COMPLETED');
    });
  });

  test('stop-first: the new task starts once the old one has stopped', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(1);
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      const [old] = swarm.wanted(service.id);
      swarm.outcome = (task, state) => (task.id === old?.id ? 'RUNNING' : state);
      await swarm.updateService(service.id, withImage('v2'));
      const [fresh] = swarm.wanted(service.id);
      expect(fresh).toMatchObject({ desiredState: 'READY', status: { state: 'READY' } });
      expect(swarm.task(old?.id ?? '')?.desiredState).toBe('SHUTDOWN');
      await swarm.report(old?.id ?? '', 'SHUTDOWN');
      expect(swarm.task(fresh?.id ?? '')).toMatchObject({
        desiredState: 'RUNNING',
        status: { state: 'RUNNING' },
      });
    });
  });

  test('stop-first: an old task that will not stop is waited for no longer than a minute', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(1);
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      const [old] = swarm.wanted(service.id);
      swarm.outcome = (task, state) => (task.id === old?.id ? 'RUNNING' : state);
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(59_999);
      expect(swarm.wanted(service.id)[0]?.desiredState).toBe('READY');
      await swarm.pass(1);
      expect(swarm.wanted(service.id)[0]?.desiredState).toBe('RUNNING');
    });
  });

  test('start-first: the old task goes on until the new one runs', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(1, { update: { parallelism: '1', order: 'START_FIRST' } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      swarm.outcome = ofImage('v2', 'STARTING');
      await swarm.updateService(service.id, withImage('v2'));
      expect(images(swarm, service.id).toSorted()).toEqual(['v1', 'v2']);
      await swarm.pass(30_000);
      expect(images(swarm, service.id).toSorted()).toEqual(['v1', 'v2']);
      const fresh = swarm.wanted(service.id).find((task) => imageOf(task) === 'v2');
      swarm.outcome = (_, state) => state;
      await swarm.report(fresh?.id ?? '', 'RUNNING');
      expect(images(swarm, service.id)).toEqual(['v2']);
      await swarm.pass(5_000);
      expect(status(swarm, service.id)).toBe('COMPLETED');
    });
  });

  test('start-first: a new task that fails leaves the old one alone', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(1, {
      update: { parallelism: '1', order: 'START_FIRST', failureAction: 'CONTINUE' },
    });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      swarm.outcome = ofImage('v2', 'FAILED');
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(300_000);
      const old = swarm.wanted(service.id).find((task) => imageOf(task) === 'v1');
      expect(old?.status?.state).toBe('RUNNING');
      swarm.outcome = (_, state) => state;
      await swarm.pass(120_000);
      expect(images(swarm, service.id)).toEqual(['v2']);
    });
  });

  test('a failure pauses the update and names the task; the rest keep the old spec', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(3);
    swarm.outcome = ofImage('v2', 'FAILED');
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
      const bad = swarm.tasks(service.id).find((task) => task.status?.state === 'FAILED');
      expect(swarm.service(service.id).updateStatus).toMatchObject({
        state: 'PAUSED',
        message: `update paused due to failure or early termination of task ${bad?.id}`,
        completedAt: null,
      });
      await swarm.pass(300_000);
      expect(images(swarm, service.id)).toEqual(['v2', 'v1', 'v1']);
      expect(status(swarm, service.id)).toBe('PAUSED');
    });
  });

  test('a task that ends with success while it is monitored fails the update too', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(2, { update: { parallelism: '1', monitor: { seconds: '10' } } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(9_000);
      const [first] = swarm.wanted(service.id);
      await swarm.report(first?.id ?? '', 'COMPLETE');
      expect(status(swarm, service.id)).toBe('PAUSED');
    });
  });

  test('a task that fails after it was monitored is none of the update', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(2, {
      update: { parallelism: '1', delay: { seconds: '8' }, monitor: { seconds: '10' } },
    });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(12_000);
      const [first] = swarm.wanted(service.id);
      await swarm.report(first?.id ?? '', 'FAILED');
      await swarm.pass(30_000);
      expect(status(swarm, service.id)).toBe('COMPLETED');
    });
  });

  test('a task stopped with its node does not fail the update', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(2, { update: { parallelism: '0', monitor: { seconds: '10' } } });
    const [a, b] = [aNode(), aNode()];
    await swarm.lead(orchestration, async () => {
      await swarm.create(a, b, service);
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.updateNode(a.id, (node) => ({
        ...node,
        spec: node.spec && { ...node.spec, availability: 'DRAIN' },
      }));
      await swarm.pass(10_000);
      expect(status(swarm, service.id)).toBe('COMPLETED');
      expect(images(swarm, service.id)).toEqual(['v2', 'v2']);
    });
  });

  test('as large a share of failures is put up with as the ratio says', async () => {
    for (const [maxFailureRatio, state] of [
      [0.5, 'COMPLETED'],
      [0.2, 'PAUSED'],
    ] as const) {
      const swarm = new FakeSwarm();
      const service = aUpdatable(4, { update: { parallelism: '1', maxFailureRatio } });
      swarm.outcome = (task, next) =>
        task.slot === '2' ? ofImage('v2', 'FAILED')(task, next) : next;
      await swarm.lead(orchestration, async () => {
        await swarm.create(aNode(), service);
        await swarm.updateService(service.id, withImage('v2'));
        await swarm.pass(20_000);
        expect(status(swarm, service.id)).toBe(state);
      });
    }
  });

  test('continue: failures do not matter', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(3, { update: { parallelism: '1', failureAction: 'CONTINUE' } });
    swarm.outcome = ofImage('v2', 'FAILED');
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(10_000);
      expect(status(swarm, service.id)).toBe('COMPLETED');
      expect(new Set(images(swarm, service.id))).toEqual(new Set(['v2']));
    });
  });

  test('rollback: the service gets its previous spec back, and so do its tasks', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(4, {
      update: { parallelism: '2', failureAction: 'ROLLBACK', monitor: { seconds: '10' } },
      rollback: { parallelism: '1', delay: { seconds: '1' }, monitor: { seconds: '3' } },
    });
    swarm.outcome = ofImage('v2', 'FAILED');
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      const before = swarm.service(service.id).specVersion;
      await swarm.updateService(service.id, withImage('v2'));
      const rolledBack = swarm.service(service.id);
      expect(rolledBack.updateStatus?.state).toBe('ROLLBACK_STARTED');
      expect(rolledBack.updateStatus?.message).toMatch(
        /^update rolled back due to failure or early termination of task [0-9a-z]{25}$/u,
      );
      expect(rolledBack.spec?.task?.container?.image).toBe('v1');
      expect(rolledBack).toMatchObject({ specVersion: before, previousSpec: null });
      await swarm.pass(1_500);
      expect(images(swarm, service.id)).toEqual(['v1', 'v1', 'v1', 'v1']);
      expect(status(swarm, service.id)).toBe('ROLLBACK_STARTED');
      await swarm.pass(5_000);
      expect(swarm.service(service.id).updateStatus).toMatchObject({
        state: 'ROLLBACK_COMPLETED',
        message: 'rollback completed',
      });
    });
  });

  test('a rollback that fails is paused, not rolled back again', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(2, { update: { parallelism: '1', failureAction: 'ROLLBACK' } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.pass(1_000);
      swarm.outcome = (task, next) =>
        next === 'RUNNING' && task.status?.state !== 'RUNNING' ? 'FAILED' : next;
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(6_000);
      const { updateStatus } = swarm.service(service.id);
      expect(updateStatus?.state).toBe('ROLLBACK_PAUSED');
      expect(updateStatus?.message).toMatch(
        /^rollback paused due to failure or early termination of task /u,
      );
    });
  });

  test('a newer spec takes over in the middle of an update', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(3, { update: { parallelism: '1', delay: { seconds: '10' } } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(10_000);
      expect(images(swarm, service.id)).toEqual(['v2', 'v2', 'v1']);
      await swarm.updateService(service.id, withImage('v3'));
      await swarm.pass(60_000);
      expect(images(swarm, service.id)).toEqual(['v3', 'v3', 'v3']);
      expect(status(swarm, service.id)).toBe('COMPLETED');
    });
  });

  test('scaling in the middle of an update neither loses nor repeats anything', async () => {
    for (const replicas of ['2', '6']) {
      const swarm = new FakeSwarm();
      const service = aUpdatable(4, { update: { parallelism: '1', delay: { seconds: '10' } } });
      await swarm.lead(orchestration, async () => {
        await swarm.create(aNode(), service);
        await swarm.updateService(service.id, withImage('v2'));
        const [updated] = swarm.wanted(service.id);
        await swarm.updateService(service.id, (spec) => ({ ...spec, replicated: { replicas } }));
        await swarm.pass(120_000);
        expect(images(swarm, service.id)).toEqual(Array(Number(replicas)).fill('v2'));
        expect(swarm.wanted(service.id)[0]?.id).toBe(updated?.id);
        expect(status(swarm, service.id)).toBe('COMPLETED');
      });
    }
  });

  test('a new leader goes on with an update, and completes it', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(4, { update: { parallelism: '1', delay: { seconds: '10' } } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(10_000);
    });
    const before = swarm.wanted(service.id);
    expect(before.map(imageOf)).toEqual(['v2', 'v2', 'v1', 'v1']);
    await swarm.lead(orchestration, async () => {
      await swarm.pass(60_000);
      expect(images(swarm, service.id)).toEqual(['v2', 'v2', 'v2', 'v2']);
      expect(swarm.wanted(service.id).slice(0, 2)).toEqual(before.slice(0, 2));
      expect(status(swarm, service.id)).toBe('COMPLETED');
    });
  });

  test('a new leader counts failures that happened while nobody led', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(2, { update: { parallelism: '1', delay: { seconds: '10' } } });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.updateService(service.id, withImage('v2'));
    });
    const [fresh] = swarm.wanted(service.id);
    await swarm.report(fresh?.id ?? '', 'FAILED');
    await swarm.lead(orchestration, async () => {
      await swarm.pass(1);
      expect(swarm.service(service.id).updateStatus).toMatchObject({
        state: 'PAUSED',
        message: `update paused due to failure or early termination of task ${fresh?.id}`,
      });
    });
  });

  test('a finished task is replaced when its spec changes', async () => {
    const swarm = new FakeSwarm();
    const service = aService({
      spec: {
        annotations: { name: 'once' },
        task: { container: { image: 'v1' }, restart: { condition: 'NONE' } },
        replicated: { replicas: '1' },
      },
    });
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.report(swarm.wanted(service.id)[0]?.id ?? '', 'COMPLETE');
      await swarm.pass(120_000);
      expect(swarm.tasks(service.id)).toHaveLength(1);
      await swarm.updateService(service.id, withImage('v2'));
      expect(images(swarm, service.id)).toEqual(['v2']);
    });
  });

  test('what needs no new task is no update', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(2);
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      const before = swarm.wanted(service.id).map(({ id }) => id);
      await swarm.updateService(service.id, (spec) => ({
        ...spec,
        annotations: spec.annotations && { ...spec.annotations, labels: { a: 'b' } },
      }));
      await swarm.pass(60_000);
      expect(swarm.wanted(service.id).map(({ id }) => id)).toEqual(before);
      expect(swarm.service(service.id).updateStatus).toBeNull();
    });
  });

  test('a rollback that somebody asked for completes even if nothing is to be done', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(2);
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      await swarm.write((tx) => {
        const current = tx.get('service', service.id);
        if (current === undefined) return;
        const updateStatus = {
          state: 'ROLLBACK_STARTED',
          message: 'manually requested rollback',
          startedAt: null,
          completedAt: null,
        } as const;
        tx.update('service', { ...current, updateStatus });
      });
      expect(status(swarm, service.id)).toBe('ROLLBACK_COMPLETED');
    });
  });

  test('a global service is updated node by node; paused nodes keep what they have', async () => {
    const swarm = new FakeSwarm();
    const nodes = [aNode(), aNode(), aNode()];
    const service = aService({
      spec: {
        annotations: { name: 'agent' },
        task: { container: { image: 'v1' } },
        global: {},
        update: { parallelism: '1', delay: { seconds: '10' } },
      },
    });
    const onNode = (at: number): string[] =>
      swarm
        .wanted(service.id)
        .filter(({ nodeId }) => nodeId === nodes[at]?.id)
        .map(imageOf);
    await swarm.lead(orchestration, async () => {
      await swarm.create(...nodes, service);
      const availability = (value: 'PAUSE' | 'ACTIVE') => async () =>
        swarm.updateNode(nodes[2]?.id ?? '', (node) => ({
          ...node,
          spec: node.spec && { ...node.spec, availability: value },
        }));
      await availability('PAUSE')();
      await swarm.updateService(service.id, withImage('v2'));
      expect([onNode(0), onNode(1), onNode(2)].flat().toSorted()).toEqual(['v1', 'v1', 'v2']);
      await swarm.pass(25_000);
      expect([onNode(0), onNode(1), onNode(2)]).toEqual([['v2'], ['v2'], ['v1']]);
      expect(status(swarm, service.id)).toBe('COMPLETED');
      await availability('ACTIVE')();
      expect(onNode(2)).toEqual(['v2']);
    });
  });

  test('never are fewer tasks running than parallelism allows', async () => {
    const swarm = new FakeSwarm();
    const service = aUpdatable(6, { update: { parallelism: '2' } });
    const running: number[] = [];
    await swarm.lead(orchestration, async () => {
      await swarm.create(aNode(), service);
      using events = swarm.store.subscribe((event) => {
        if (event.action === 'committed') {
          const live = swarm
            .tasks(service.id)
            .filter((task) => compareStates(task.desiredState, 'RUNNING') === 0)
            .filter((task) => task.status?.state === 'RUNNING');
          running.push(live.length);
        }
        return false;
      });
      events.drain();
      await swarm.updateService(service.id, withImage('v2'));
      await swarm.pass(60_000);
    });
    expect(Math.min(...running)).toBe(4);
  });
});
