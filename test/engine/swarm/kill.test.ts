import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SystemClock } from '../../../src/runtime/index.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { Swarm, type TaskContainer } from '../../support/swarm.ts';

const shared = sharedEngine();
const clock = new SystemClock();
const { signal: never } = new AbortController();

/** What must not change of a container that nobody touched. */
const identity = ({ id, taskId, startedAt }: TaskContainer): string =>
  `${taskId} ${id} ${startedAt}`;

interface ServiceObject {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: {
    readonly Name: string;
    readonly Mode: { readonly Replicated: { readonly Replicas: number } };
  };
}

const specOf = (name: string, replicas: number): object => ({
  Name: name,
  TaskTemplate: { ContainerSpec: { Image: 'hold' }, RestartPolicy: { Delay: 0 } },
  Mode: { Replicated: { Replicas: replicas } },
});

// The tests of this file go on in one swarm: each begins where the one before it ended.
describe.skipIf(shared === undefined)('daemons that are killed', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost, dockerHost]);
    await swarm.manager.ask('/services/create', { method: 'POST', body: specOf('web', 6) });
    await swarm.converge('web', 6);
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  /** How often agents beat; how long they may take to come back goes with it. */
  const setHeartbeat = async (period: string): Promise<void> => {
    await swarm.manager.prints('swarm', 'update', '--dispatcher-heartbeat', period);
    await clock.sleep(1_500, never); // Until agents that beat every second were told.
  };

  const identities = async (): Promise<readonly string[]> =>
    (await swarm.containers()).map(identity);

  test('a manager that is killed in a burst of writes has kept every one it acknowledged', async () => {
    const { manager } = swarm;
    const before = await identities();
    const acknowledged = new Map<string, number>();
    const life = new AbortController();
    const write = async (worker: number): Promise<void> => {
      for (let i = 0; !life.signal.aborted; i += 1) {
        const name = `burst-${worker}-${i}`;
        const body = { ...specOf(name, 0) };
        const created = await manager
          .ask('/services/create', { method: 'POST', body })
          .catch(() => undefined);
        if (created?.status !== 201) return;
        acknowledged.set(name, 0);
        const service = await manager
          .get<ServiceObject>(`/services/${name}`)
          .catch(() => undefined);
        if (service === undefined) return;
        const path = `/services/${service.ID}/update?version=${service.Version.Index}`;
        const labels = { Labels: { scaled: 'yes' } };
        const updated = await manager
          .ask(path, { method: 'POST', body: { ...specOf(name, 0), ...labels } })
          .catch(() => undefined);
        if (updated?.status === 200) acknowledged.set(name, 1);
      }
    };
    const writers = [0, 1, 2, 3].map(write);
    await manager.until('acknowledge forty services', async () => acknowledged.size >= 40);
    await manager.kill();
    life.abort();
    await Promise.all(writers);

    await manager.start();
    const services = await manager.get<
      readonly (ServiceObject & {
        readonly Spec: { readonly Labels?: Readonly<Record<string, string>> };
      })[]
    >('/services');
    const found = new Map(services.map(({ Spec }) => [Spec.Name, Spec.Labels?.['scaled']]));
    const lost = [...acknowledged].filter(([name]) => !found.has(name));
    const undone = [...acknowledged].filter(
      ([name, version]) => version === 1 && found.get(name) !== 'yes',
    );
    expect({ lost, undone }).toEqual({ lost: [], undone: [] });

    await manager.until('have all nodes again', async () => {
      return (await swarm.nodes()).every(({ Status }) => Status.State === 'ready');
    });
    await swarm.converge('web', 6);
    expect(await identities()).toEqual(before);
  });

  test('a worker that is killed and comes back finds its containers as they were', async () => {
    const before = await identities();
    const worker = swarm.node(2);
    await setHeartbeat('20s'); // It has 8 s to come back: this machine may be busy.
    await worker.kill();
    expect(await identities()).toEqual(before);
    await worker.start();
    await swarm.manager.until('hear of it', async () => {
      const { Status } = await swarm.nodeOf(worker);
      return Status.State === 'ready' && (await swarm.running('web')).length === 6;
    });
    expect(await identities()).toEqual(before);
    expect((await swarm.nodeOf(worker)).Status.Message ?? '').toBe('');
    await setHeartbeat('1s');

    // Its tasks are looked after as before: one that dies is replaced.
    const [first] = await swarm.containers(worker);
    await worker.docker(['kill', first?.id ?? '']);
    await swarm.manager.until('replace the task', async () => {
      const containers = await swarm.containers(worker);
      const running = containers.filter(({ state }) => state === 'running');
      return running.length === 2 && !running.some(({ id }) => id === first?.id);
    });
  });

  test('without a manager the workers go on, and restart nothing when it is back', async () => {
    await swarm.converge('web', 6);
    const before = await identities();
    await swarm.manager.kill();
    // Longer than any agent's longest pause between two tries.
    await clock.sleep(20_000, never);
    expect(await identities()).toEqual(before);
    for (const worker of swarm.daemons.slice(1)) {
      expect(await worker.info()).toMatchObject({ LocalNodeState: 'active' });
    }
    await swarm.manager.start();
    await swarm.manager.until('have all nodes again', async () => {
      return (await swarm.nodes()).every(({ Status }) => Status.State === 'ready');
    });
    expect((await swarm.running('web')).length).toBe(6);
    expect(await identities()).toEqual(before);
  });

  test('the tasks of a dead worker run elsewhere; what it still runs ends when it is back', async () => {
    const { manager } = swarm;
    const worker = swarm.node(3);
    const orphans = (await swarm.containers(worker)).filter(({ state }) => state === 'running');
    expect(orphans).toHaveLength(2);
    await setHeartbeat('5s'); // Its silence alone would be noticed after 10 s at the soonest.
    const died = clock.monotonic();
    await worker.kill();
    await manager.until('call the node down', async () => {
      return (await swarm.nodeOf(worker)).Status.State === 'down';
    });
    expect((await swarm.nodeOf(worker)).Status.Message).toBe('agent stopped and did not come back');
    await manager.until('replace its tasks', async () => {
      return (
        (await swarm.placement('web')).join() === 'node-01,node-01,node-01,node-02,node-02,node-02'
      );
    });
    expect(clock.monotonic() - died).toBeLessThan(10_000); // Not by its silence, then.
    // Nobody is there to stop them.
    expect(
      (await swarm.containers(worker)).filter(({ state }) => state === 'running'),
    ).toHaveLength(2);

    await worker.start();
    await manager.until('stop what is too much', async () => {
      const left = await swarm.containers(worker);
      return left.every(({ state }) => state !== 'running');
    });
    expect(await swarm.nodeOf(worker)).toMatchObject({ Status: { State: 'ready' } });
    expect(await swarm.placement('web')).toHaveLength(6);
  });

  test('no daemon has complained', () => {
    expect(swarm.complaints).toEqual([]);
  });
});
