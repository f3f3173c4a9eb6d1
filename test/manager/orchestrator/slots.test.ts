import { describe, expect, test } from 'vitest';
import type { TaskInput, TaskSpecInput } from '../../../src/api/gen/types.ts';
import type { Service, Task } from '../../../src/api/index.ts';
import {
  isInvalidNode,
  isTaskDirty,
  newTask,
  numbered,
  onNode,
} from '../../../src/manager/orchestrator/slots.ts';
import { aCluster, aNode, aService, aTask } from '../../support/builders.ts';

const serviceOf = (task: TaskSpecInput, rest: object = {}): Service =>
  aService({
    specVersion: { index: '20' },
    spec: { annotations: { name: 'web' }, task, replicated: { replicas: '1' }, ...rest },
  });

const taskOf = (spec: TaskSpecInput, rest: TaskInput = {}): Task =>
  aTask({ spec, specVersion: { index: '10' }, endpoint: { spec: {} }, ...rest });

describe('isTaskDirty', () => {
  const node = aNode({ spec: { annotations: { labels: { zone: 'a' } } } });

  test('an equal spec version settles it', () => {
    const task = taskOf({ container: { image: 'a' } }, { specVersion: { index: '20' } });
    expect(isTaskDirty(serviceOf({ container: { image: 'b' } }), task, node)).toBe(false);
  });

  test('another image, command or force counter makes a task dirty; the same spec does not', () => {
    const task = taskOf({ container: { image: 'a' } });
    const dirtyFor = (spec: TaskSpecInput): boolean => isTaskDirty(serviceOf(spec), task, node);
    expect(dirtyFor({ container: { image: 'a' } })).toBe(false);
    expect(dirtyFor({ container: { image: 'b' } })).toBe(true);
    expect(dirtyFor({ container: { image: 'a', command: ['x'] } })).toBe(true);
    expect(dirtyFor({ container: { image: 'a' }, forceUpdate: '1' })).toBe(true);
  });

  test('a placement that its node satisfies is forgiven, together with nothing else', () => {
    const task = taskOf({ container: { image: 'a' } });
    const dirtyFor = (image: string, ...constraints: string[]): boolean =>
      isTaskDirty(serviceOf({ container: { image }, placement: { constraints } }), task, node);
    expect(dirtyFor('a', 'node.labels.zone == a')).toBe(false);
    expect(dirtyFor('a', 'node.labels.zone == b')).toBe(true);
    expect(dirtyFor('b', 'node.labels.zone == a')).toBe(true);
    const service = serviceOf({ container: { image: 'a' }, placement: { constraints: ['a==b'] } });
    expect(isTaskDirty(service, task, undefined)).toBe(true);
  });

  test('pull options are forgiven once the image is there and while the task is wanted', () => {
    const service = serviceOf({ container: { image: 'a', pullOptions: { registryAuth: 'x' } } });
    const dirtyIn = (status: Task['desiredState'], desiredState: Task['desiredState']): boolean =>
      isTaskDirty(
        service,
        taskOf({ container: { image: 'a' } }, { status: { state: status }, desiredState }),
        node,
      );
    expect(dirtyIn('RUNNING', 'RUNNING')).toBe(false);
    expect(dirtyIn('READY', 'READY')).toBe(false);
    expect(dirtyIn('PREPARING', 'RUNNING')).toBe(true);
    expect(dirtyIn('FAILED', 'RUNNING')).toBe(true);
    expect(dirtyIn('RUNNING', 'SHUTDOWN')).toBe(true);
  });

  test('another endpoint makes a task dirty; none is the same as an empty one', () => {
    const task = taskOf({ container: { image: 'a' } });
    const dirtyFor = (endpoint?: object): boolean =>
      isTaskDirty(serviceOf({ container: { image: 'a' } }, { endpoint }), task, node);
    expect(dirtyFor()).toBe(false);
    expect(dirtyFor({ mode: 'DNSRR' })).toBe(true);
    expect(dirtyFor({ ports: [{ targetPort: 80, publishMode: 'HOST' }] })).toBe(true);
  });
});

describe('newTask', () => {
  const service = serviceOf({ container: { image: 'a' } }, { endpoint: { mode: 'DNSRR' } });
  const cluster = aCluster({ spec: { taskDefaults: { logDriver: { name: 'syslog' } } } });
  const given = { id: 'id', nowMs: 1_000, cluster };

  test('a task carries what its service says, and the cluster its log driver', () => {
    expect(newTask(service, numbered(7), given)).toMatchObject({
      id: 'id',
      serviceId: service.id,
      slot: '7',
      nodeId: '',
      spec: service.spec?.task,
      specVersion: { index: '20' },
      endpoint: { spec: { mode: 'DNSRR' } },
      logDriver: { name: 'syslog' },
      desiredState: 'RUNNING',
      status: { state: 'NEW', timestamp: { seconds: '1', nanos: 0 } },
    });
  });

  test("a service's own log driver comes first; a global task has its node at once", () => {
    const own = serviceOf({ container: { image: 'a' }, logDriver: { name: 'none' } });
    const task = newTask(own, onNode('n'), given);
    expect(task).toMatchObject({ slot: '0', nodeId: 'n', logDriver: { name: 'none' } });
  });
});

describe('isInvalidNode', () => {
  test('a node that is gone, down or drained is; a silent or paused one is not', () => {
    expect(isInvalidNode(undefined)).toBe(true);
    expect(isInvalidNode(aNode({ status: { state: 'DOWN' } }))).toBe(true);
    expect(isInvalidNode(aNode({ spec: { availability: 'DRAIN' } }))).toBe(true);
    expect(isInvalidNode(aNode({ spec: { availability: 'PAUSE' } }))).toBe(false);
    expect(isInvalidNode(aNode({ status: { state: 'UNKNOWN' } }))).toBe(false);
    expect(isInvalidNode(aNode({ status: { state: 'DISCONNECTED' } }))).toBe(false);
  });
});
