import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codecOf, type Task } from '../../../src/api/index.ts';
import type { NetworkAttachmentInput, TaskInput } from '../../../src/api/gen/types.ts';
import { checkTask } from '../../../src/manager/dispatcher/task-check.ts';
import { aTask } from '../../support/builders.ts';
import { unmetNeeds } from '../../support/engine-needs.ts';

const anAttachment = (): NetworkAttachmentInput => ({
  network: {
    id: 'net1',
    spec: { annotations: { name: 'back' } },
    driverState: { name: 'overlay' },
    ipam: { driver: { name: 'default' } },
  },
  addresses: ['10.0.0.5/24'],
});
const assigned = (input: TaskInput = {}): Task =>
  aTask({ nodeId: 'n1', status: { state: 'ASSIGNED' }, ...input });
const reasonOf = (input: TaskInput): string | undefined => {
  const checked = checkTask(assigned(input));
  return checked.kind === 'unfit' ? checked.reason : undefined;
};

const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.option(value, { nil: null, freq: 12 });
const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });
const text = fc.constantFrom('', ...Array<string>(15).fill('a'));
const aDriver = orNull(fc.record({ name: text }));
const aNetwork = orNull(
  fc.record({
    id: text,
    spec: orNull(
      fc.record({
        annotations: orNull(
          fc.record({
            name: text,
            labels: fc.constantFrom({}, { 'com.docker.swarm.predefined': 'true' }),
          }),
        ),
        driverConfig: aDriver,
        network: text,
      }),
    ),
    driverState: aDriver,
    ipam: orNull(fc.record({ driver: aDriver })),
  }),
);
const anyTask = fc
  .record({
    id: text,
    nodeId: text,
    annotations: orNull(fc.record({ name: text })),
    serviceAnnotations: orNull(fc.record({ name: text })),
    desiredState: fc.constantFrom('NEW', 'READY', 'RUNNING', 'SHUTDOWN', 'REMOVE'),
    status: orNull(fc.constant({ state: 'ASSIGNED' })),
    spec: orNull(
      fc.record({
        container: orNull(fc.record({ image: text })),
        attachment: rarely(fc.record({ containerId: text })),
        generic: rarely(fc.record({ kind: text, payload: orNull(fc.constant({ typeUrl: 'x' })) })),
      }),
    ),
    networks: fc.array(fc.record({ network: aNetwork, addresses: fc.constant([]) }), {
      maxLength: 3,
    }),
  })
  .map((input) => codecOf('Task').create(input as unknown as TaskInput));

describe('checkTask', () => {
  test('a complete task is passed on as it is', () => {
    const task = assigned({ networks: [anAttachment()] });
    expect(checkTask(task)).toEqual({ kind: 'fit', task });
  });

  test.each<[string, TaskInput]>([
    ['task has no ID', { id: '' }],
    ['task has no node', { nodeId: '' }],
    ['task has no spec', { spec: null }],
    ['task has no status', { status: null }],
    ['task has no desired state', { desiredState: 'NEW' }],
    ['task has no runtime, or several', { spec: {} }],
    ['container has no image', { spec: { container: { image: '' } } }],
    ['task has no name, and no service with one', { serviceAnnotations: null }],
    ['runtime plugin has no payload', { spec: { generic: { kind: 'plugin' } } }],
    ['network attachment names no container', { spec: { attachment: {} } }],
    ['network attachment has no network', { spec: { attachment: { containerId: 'c' } } }],
    ['network attachment has no network', { networks: [{ addresses: ['10.0.0.5/24'] }] }],
    ['network has no ID or no name', { networks: [{ network: { id: 'x' } }] }],
    [
      'network back has no driver',
      { networks: [{ network: { id: 'x', spec: { annotations: { name: 'back' } } } }] },
    ],
  ])('%s', (reason, input) => {
    expect(reasonOf(input)).toBe(reason);
  });

  test('a predefined network needs no driver: the Engine has it', () => {
    const labels = { 'com.docker.swarm.predefined': 'true' };
    const network = { id: 'x', spec: { annotations: { name: 'host', labels } } };
    const checked = checkTask(assigned({ networks: [{ network }] }));
    expect(checked).toMatchObject({
      kind: 'fit',
      task: { networks: [{ network: { driverState: { name: 'host' }, ipam: { driver: {} } } }] },
    });
  });

  test('a task that passes has all that a stock Engine takes for granted', () => {
    let passed = 0;
    fc.assert(
      fc.property(anyTask, (task) => {
        const checked = checkTask(task);
        if (checked.kind === 'unfit') return;
        passed += 1;
        // As the agent sees it: through the wire.
        expect(unmetNeeds(codecOf('Task').create(checked.task as TaskInput))).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
    expect(passed).toBeGreaterThan(100);
  });
});
