import { describe, expect, test } from 'vitest';
import type { NetworkInput } from '../../../src/api/gen/types.ts';
import { codecOf, type Network, type Service } from '../../../src/api/index.ts';
import { aService, aTask } from '../../support/builders.ts';
import { FakeSwarm } from '../../support/fake-swarm.ts';

const aNetwork = (driver: string, input: NetworkInput = {}): Network =>
  codecOf('Network').create({
    id: `network-${driver}`,
    spec: { annotations: { name: driver }, driverConfig: { name: driver } },
    ...input,
  });

const publishing = (ports: object[], networks: string[] = []): Service =>
  aService({
    spec: {
      annotations: { name: 'web' },
      task: { networks: networks.map((target) => ({ target, aliases: ['alias'] })) },
      endpoint: { mode: 'VIP', ports },
      replicated: { replicas: '1' },
    },
  });

const aNewTask = (service: Service, input: object = {}): ReturnType<typeof aTask> =>
  aTask({
    serviceId: service.id,
    spec: service.spec?.task as object, // Read only.
    status: { state: 'NEW' },
    ...input,
  });

const swarmOf = (): FakeSwarm => {
  const swarm = new FakeSwarm();
  swarm.isAlive = false;
  return swarm;
};

/** A swarm whose allocator has just been given a service with one task, which is to be on a network. */
async function withTaskOn(
  network: Network,
  look: (given: {
    readonly swarm: FakeSwarm;
    readonly service: Service;
    readonly task: ReturnType<typeof aTask>;
  }) => Promise<void>,
): Promise<void> {
  const swarm = swarmOf();
  const service = publishing([], [network.id]);
  const task = aNewTask(service);
  await swarm.lead(['allocator'], async () => {
    await swarm.write((tx) => {
      tx.create('network', network);
    });
    await swarm.create(service, task);
    await look({ swarm, service, task });
  });
}

describe('runAllocator', () => {
  test('a task goes from NEW to PENDING', async () => {
    const swarm = swarmOf();
    const service = aService();
    const task = aNewTask(service);
    await swarm.lead(['allocator'], async () => {
      await swarm.create(service, task);
      expect(swarm.task(task.id)?.status).toMatchObject({
        state: 'PENDING',
        message: 'pending task scheduling',
      });
    });
  });

  test('a created service has its tasks PENDING with nothing but its replicas said', async () => {
    const swarm = swarmOf();
    const service = aService();
    await swarm.lead(['replicated', 'allocator'], async () => {
      await swarm.create(service);
      expect(swarm.tasks(service.id).map(({ status }) => status?.state)).toEqual(['PENDING']);
    });
  });

  test('ports published on hosts are copied to the endpoint, and to each task', async () => {
    const swarm = swarmOf();
    const ports = [{ targetPort: 80, publishedPort: 8080, publishMode: 'HOST' }];
    const service = publishing(ports);
    const task = aNewTask(service);
    await swarm.lead(['allocator'], async () => {
      await swarm.create(service, task);
      const { endpoint } = swarm.service(service.id);
      expect(endpoint).toMatchObject({ spec: { mode: 'VIP', ports }, ports, virtualIps: [] });
      expect(swarm.task(task.id)?.endpoint).toEqual(endpoint);
      await swarm.updateService(service.id, (spec) => ({
        ...spec,
        endpoint: { mode: 'VIP', ports: [] },
      }));
      expect(swarm.service(service.id).endpoint?.ports).toEqual([]);
    });
  });

  test("a network of a node's own is attached whole, without an address", async () => {
    for (const driver of ['host', 'bridge', 'null']) {
      const network = aNetwork(driver);
      await withTaskOn(network, async ({ swarm, service, task }) => {
        expect(swarm.task(task.id)).toMatchObject({
          status: { state: 'PENDING' },
          networks: [
            {
              network: { id: network.id, driverState: { name: driver } },
              addresses: [],
              aliases: ['alias'],
            },
          ],
        });
        expect(swarm.service(service.id).endpoint?.virtualIps).toEqual([
          { networkId: network.id, addr: '' },
        ]);
      });
    }
  });

  test('a task waits for a network that cannot be given yet, and goes on once it is', async () => {
    const network = aNetwork('overlay');
    await withTaskOn(network, async ({ swarm, task }) => {
      expect(swarm.task(task.id)?.status?.state).toBe('NEW');
      await swarm.write((tx) => {
        const current = tx.get('network', network.id);
        if (current) tx.update('network', { ...current, spec: aNetwork('bridge').spec });
      });
      expect(swarm.task(task.id)?.status?.state).toBe('PENDING');
    });
  });

  test('a task waits for an address on a network that a stock manager has made', async () => {
    const network = aNetwork('overlay', { driverState: { name: 'overlay' } });
    await withTaskOn(network, async ({ swarm, service, task }) => {
      expect(swarm.task(task.id)).toMatchObject({ status: { state: 'NEW' }, networks: [] });
      expect(swarm.service(service.id).endpoint).toBeNull();
    });
  });

  test('tasks that are not wanted, are further on, or have lost their service stay as they are', async () => {
    const swarm = swarmOf();
    const service = aService();
    const tasks = [
      aNewTask(service, { desiredState: 'SHUTDOWN' }),
      aNewTask(service, { status: { state: 'RUNNING' } }),
      aNewTask(service, { serviceId: 'gone' }),
    ];
    await swarm.lead(['allocator'], async () => {
      await swarm.create(service, ...tasks);
      const states = tasks.map(({ id }) => swarm.task(id)?.status?.state);
      expect(states).toEqual(['NEW', 'RUNNING', 'NEW']);
    });
  });

  test('a new leader allocates what it finds', async () => {
    const swarm = swarmOf();
    const service = publishing([{ targetPort: 80, publishMode: 'HOST' }]);
    const task = aNewTask(service);
    await swarm.create(service, task);
    await swarm.lead(['allocator'], async () => {
      expect(swarm.task(task.id)?.status?.state).toBe('PENDING');
      expect(swarm.service(service.id).endpoint?.ports).toHaveLength(1);
    });
  });

  test('a network attachment without a service is allocated by itself', async () => {
    const swarm = swarmOf();
    const network = aNetwork('bridge');
    const task = aTask({ spec: { networks: [{ target: network.id }] }, status: { state: 'NEW' } });
    await swarm.lead(['allocator'], async () => {
      await swarm.write((tx) => {
        tx.create('network', network);
      });
      await swarm.create(task);
      expect(swarm.task(task.id)).toMatchObject({
        status: { state: 'PENDING' },
        networks: [{ network: { id: network.id } }],
      });
    });
  });
});
