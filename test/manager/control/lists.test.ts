import { expect, test } from 'vitest';
import { codecOf } from '../../../src/api/index.ts';
import { aService, aTask } from '../../support/builders.ts';
import { aControlClient } from '../../support/control-client.ts';

test('services and tasks are listed whole: nothing is left for a decoder to complete', async () => {
  const swarm = await aControlClient();
  await swarm.write((tx) => {
    tx.create('service', aService({ spec: { annotations: { name: 'web' }, replicated: {} } }));
    tx.create('task', aTask({ id: 't1', serviceId: 's1', spec: { container: { image: 'i' } } }));
  });
  const services = await swarm.call('ListServices', {});
  expect(services).toEqual(codecOf('ListServicesResponse').create(services));
  const tasks = await swarm.call('ListTasks', {});
  expect(tasks).toEqual(codecOf('ListTasksResponse').create(tasks));
  expect([services.services.length, tasks.tasks.length]).toEqual([1, 1]);
});
