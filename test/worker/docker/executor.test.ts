import { describe, expect, test } from 'vitest';
import { codecOf } from '../../../src/api/index.ts';
import { describeEngine, DockerExecutor } from '../../../src/worker/docker/executor.ts';
import { aNode } from '../../support/builders.ts';
import { aContainerTask, noDependencies } from '../../support/engine-tasks.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const { signal } = new AbortController();

function given(): { engine: FakeEngine; executor: DockerExecutor } {
  const clock = new VirtualClock();
  const engine = new FakeEngine({ clock });
  engine.images.add('busybox:latest');
  const filesDirectory = '/nonexistent';
  return {
    engine,
    executor: new DockerExecutor({ engine, clock, log: silentLog, filesDirectory }),
  };
}

describe('describeEngine', () => {
  test('a node is what its Engine says it is, its plugins in order', () => {
    const description = describeEngine({
      Name: 'host',
      Architecture: 'x86_64',
      OSType: 'linux',
      NCPU: 4,
      MemTotal: 8_000_000_000,
      ServerVersion: '20.10.24',
      Labels: ['disk=ssd', 'a=b=c', 'bare'],
      Plugins: { Volume: ['local'], Network: ['overlay', 'bridge'], Authorization: null },
      GenericResources: [
        { NamedResourceSpec: { Kind: 'gpu', Value: 'one' } },
        { DiscreteResourceSpec: { Kind: 'ssd', Value: 3 } },
      ],
    });
    expect(codecOf('NodeDescription').create(description)).toMatchObject({
      hostname: 'host',
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: {
        nanoCpus: '4000000000',
        memoryBytes: '8000000000',
        generic: [
          { namedResourceSpec: { kind: 'gpu', value: 'one' } },
          { discreteResourceSpec: { kind: 'ssd', value: '3' } },
        ],
      },
      engine: {
        engineVersion: '20.10.24',
        labels: { disk: 'ssd', a: 'b=c' },
        plugins: [
          { type: 'Network', name: 'bridge' },
          { type: 'Network', name: 'overlay' },
          { type: 'Volume', name: 'local' },
        ],
      },
    });
  });
});

describe('DockerExecutor', () => {
  test('an Engine that is away cannot be described', async () => {
    const { engine, executor } = given();
    engine.setAway(true);
    await expect(executor.describe(signal)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('placeholders name the node as its manager knows it', async () => {
    const { engine, executor } = given();
    executor.configure(aNode({ description: { hostname: 'as-told', platform: { os: 'linux' } } }));
    const task = aContainerTask(
      { hostname: '{{.Node.Hostname}}' },
      { annotations: { name: 'given' } },
    );
    await executor.controllerOf(task, noDependencies).prepare(signal);
    expect(engine.bodyOf('given').Hostname).toBe('as-told');
  });

  test.each([
    ['what is no container', aContainerTask({}, { spec: {} }), 'unsupported runtime'],
    ['a placeholder it does not know', aContainerTask({ env: ['A={{.No}}'] }), 'expanding env'],
    ['a relative mount target', aContainerTask({ mounts: [{ target: 'x' }] }), 'absolute path'],
  ])('%s is refused before anything is done', (what, task, message) => {
    const { executor } = given();
    const isAttachment = what === 'what is no container';
    const asked = isAttachment ? { ...task, spec: null } : task;
    expect(() => executor.controllerOf(asked, noDependencies)).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: expect.stringContaining(message) as string,
      }),
    );
  });

  test('the tasks of a node are found by the labels of their containers', async () => {
    const { executor } = given();
    for (const [id, nodeId] of [
      ['t1', 'n1'],
      ['t2', 'n1'],
      ['t3', 'n2'],
    ] as const) {
      await executor
        .controllerOf(aContainerTask({}, { id, nodeId }), noDependencies)
        .prepare(signal);
    }
    expect(await executor.taskIds('n1', signal)).toEqual(['t1', 't2']);
  });
});
