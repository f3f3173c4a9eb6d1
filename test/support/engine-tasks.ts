import type { Task } from '../../src/api/index.ts';
import type { ContainerSpecInput, TaskInput } from '../../src/api/gen/types.ts';
import { SwarmError } from '../../src/runtime/index.ts';
import type { TaskDependencies } from '../../src/worker/execution.ts';
import { aTask } from './builders.ts';

/** A task that depends on nothing. */
export const noDependencies: TaskDependencies = {
  secret: (id) => {
    throw new SwarmError('not-found', `secret ${id} not found`);
  },
  config: (id) => {
    throw new SwarmError('not-found', `config ${id} not found`);
  },
};

/** A task with a container of busybox. */
export const aContainerTask = (container: ContainerSpecInput, more: TaskInput = {}): Task =>
  aTask({
    nodeId: 'node1',
    ...more,
    spec: {
      ...more.spec,
      container: { image: 'busybox:latest', stopGracePeriod: { seconds: '1' }, ...container },
    },
  });
