import { describe, expect, test } from 'vitest';
import { SwarmError } from '../../src/runtime/index.ts';
import type { AssignmentChangeInput, TaskInput } from '../../src/api/gen/types.ts';
import { removeAllTasks } from '../../src/worker/index.ts';
import { AgentWorld } from '../support/agent-world.ts';
import { assigned, FakeManager, unassigned } from '../support/fake-manager.ts';
import { MemoryTaskStore } from '../support/memory-task-store.ts';
import { silentLog } from '../support/silent-log.ts';

const aTask = (id: string, input: TaskInput = {}): TaskInput => ({
  id,
  nodeId: 'node',
  serviceId: 'web',
  slot: '1',
  serviceAnnotations: { name: 'web' },
  spec: { container: { image: 'nginx' } },
  status: { state: 'ASSIGNED' },
  desiredState: 'RUNNING',
  ...input,
});

describe('runAgent', () => {
  test('a task that is assigned comes to run, and each of its states is told', async () => {
    const world = new AgentWorld({ nginx: { prepareMs: 200, startMs: 200 } });
    const agent = world.start();
    await world.clock.advance(100);
    world.manager.send(assigned(aTask('a')));
    await world.clock.advance(1_000);
    expect(world.manager.statesOf('a')).toEqual(['PREPARING', 'STARTING', 'RUNNING']);
    expect(world.manager.lastOf('a')).toMatchObject({
      message: 'started',
      container: { containerId: 'container-a', pid: 42 },
    });
    await agent.stop();
  });

  test('a container that fails makes its task FAILED, with its exit code', async () => {
    const world = new AgentWorld({ crash: { runMs: 500, exitCode: 3 } });
    const agent = world.start();
    world.manager.assignment = [assigned(aTask('a', { spec: { container: { image: 'crash' } } }))];
    await world.clock.advance(1_000);
    expect(world.manager.lastOf('a')).toMatchObject({
      state: 'FAILED',
      err: 'task: non-zero exit (3)',
      container: { exitCode: 3 },
    });
    await agent.stop();
  });

  test('a task that is to end is shut down; its container goes with its assignment', async () => {
    const world = new AgentWorld();
    world.manager.assignment = [assigned(aTask('a'))];
    const agent = world.start();
    await world.clock.advance(500);
    world.manager.send(assigned(aTask('a', { desiredState: 'SHUTDOWN' })));
    await world.clock.advance(500);
    expect(world.manager.lastOf('a')?.state).toBe('SHUTDOWN');
    expect([...world.executor.containers.keys()]).toEqual(['a']);
    world.manager.send(unassigned('a'));
    await world.clock.advance(500);
    expect(world.executor.containers.size).toBe(0);
    expect(world.store.records).toEqual([]);
    await agent.stop();
  });

  test('a task that is to be ready waits before it starts', async () => {
    const world = new AgentWorld();
    world.manager.assignment = [assigned(aTask('a', { desiredState: 'READY' }))];
    const agent = world.start();
    await world.clock.advance(500);
    expect(world.manager.lastOf('a')?.state).toBe('READY');
    world.manager.send(assigned(aTask('a')));
    await world.clock.advance(500);
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    await agent.stop();
  });

  test('at most eight tasks are made ready or started at once', async () => {
    const world = new AgentWorld({ nginx: { prepareMs: 100, startMs: 100 } });
    world.manager.assignment = Array.from({ length: 30 }, (_, i) => assigned(aTask(`t${i}`)));
    const agent = world.start();
    await world.clock.advance(3_000);
    expect(world.executor.busyMax).toBe(8);
    expect(world.manager.lastOf('t29')?.state).toBe('RUNNING');
    await agent.stop();
  });

  test('eight tasks that never become healthy do not keep others from starting', async () => {
    const world = new AgentWorld({ sick: { startMs: 3_600_000 } });
    world.manager.assignment = [
      ...Array.from({ length: 8 }, (_, i) =>
        assigned(aTask(`sick${i}`, { spec: { container: { image: 'sick' } } })),
      ),
      assigned(aTask('a')),
    ];
    const agent = world.start();
    await world.clock.advance(15_000);
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    await agent.stop();
  });
});

describe('a session', () => {
  test('cut by its manager is followed by another, which is told everything again', async () => {
    const world = new AgentWorld();
    world.manager.assignment = [assigned(aTask('a')), assigned(aTask('b'))];
    const agent = world.start();
    await world.clock.advance(2_000);
    const told = world.manager.updates.length;
    world.manager.cut();
    await world.clock.advance(200);
    expect(world.manager.registrations.length).toBe(2);
    expect(world.manager.registrations[1]?.sessionId).toBe('10.0.0.1:2377 session 1');
    const again = world.manager.updates.slice(told);
    expect(again.map(({ taskId, status }) => [taskId, status.state])).toEqual([
      ['a', 'RUNNING'],
      ['b', 'RUNNING'],
    ]);
    expect(world.executor.calls.filter((call) => call === 'a start')).toHaveLength(1);
    await agent.stop();
  });

  test('that cannot be had with one manager is sought with the next at once', async () => {
    const [down, up] = [new FakeManager('10.0.0.1:2377'), new FakeManager('10.0.0.2:2377')];
    down.isDown = true;
    const world = new AgentWorld({}, [down, up]);
    const agent = world.start();
    await world.clock.advance(100);
    expect(world.sessions).toEqual(['closed', 'opened 10.0.0.2:2377 session 1']);
    expect(down.outcomes).toEqual(['bad']);
    expect(up.outcomes).toEqual(['good']);
    await agent.stop();
  });

  test('that a silent manager does not open in 5 s is sought elsewhere', async () => {
    const [silent, up] = [new FakeManager('10.0.0.1:2377'), new FakeManager('10.0.0.2:2377')];
    silent.isSilent = true;
    const world = new AgentWorld({}, [silent, up]);
    const agent = world.start();
    await world.clock.advance(4_999);
    expect(world.sessions).toEqual([]);
    await world.clock.advance(101);
    expect(world.sessions).toEqual(['closed', 'opened 10.0.0.2:2377 session 1']);
    await agent.stop();
  });

  test('is asked for less and less often while no manager answers, but every 8 s', async () => {
    const world = new AgentWorld();
    world.manager.isDown = true;
    const agent = world.start();
    await world.clock.advance(60_000);
    const tries = world.sessions.length;
    expect(tries).toBeLessThan(60);
    await world.clock.advance(8_000);
    expect(world.sessions.length).toBeGreaterThan(tries);
    expect(agent.isRunning()).toBe(true);
    await agent.stop();
  });

  test.each([
    ['1', 0, 1_000],
    ['5', 452_465_418, 5_453],
    ['60', 0, 8_000],
  ])(
    'that wanted to hear of it every %s s and %i ns is sought again within %i ms',
    async (seconds, nanos, longestMs) => {
      const world = new AgentWorld();
      world.manager.heartbeatPeriod = { seconds, nanos };
      const agent = world.start();
      await world.clock.advance(1_500);
      world.manager.isDown = true;
      world.manager.cut();
      await world.clock.advance(60_000);
      for (let round = 0; round < 10; round += 1) {
        const tries = world.sessions.length;
        await world.clock.advance(longestMs + 100);
        expect(world.sessions.length).toBeGreaterThan(tries);
      }
      await agent.stop();
    },
  );

  test('beats at once, and then as often as the manager wants', async () => {
    const world = new AgentWorld();
    world.manager.heartbeatPeriod = { seconds: '2', nanos: 0 };
    const agent = world.start();
    await world.clock.advance(100);
    expect(world.manager.heartbeats).toBe(1);
    await world.clock.advance(10_000);
    expect(world.manager.heartbeats).toBe(6);
    await agent.stop();
  });

  test.each([
    ['2', 2_000],
    ['60', 5_000],
    ['0.1', 1_000],
  ])(
    'a heartbeat every %s s that is not answered leaves time to ask another manager',
    async (seconds, deadlineMs) => {
      const world = new AgentWorld();
      const [whole = '', tenths = '0'] = seconds.split('.');
      world.manager.heartbeatPeriod = { seconds: whole, nanos: Number(tenths) * 100_000_000 };
      const agent = world.start();
      await world.clock.advance(61_000);
      expect(world.manager.heartbeatDeadlines.slice(0, 2)).toEqual([5_000, deadlineMs]);
      await agent.stop();
    },
  );

  test.each([null, { seconds: '0', nanos: 0 }, { seconds: '-3', nanos: 0 }])(
    'does not beat without a pause if the manager wants it every %j',
    async (period) => {
      const world = new AgentWorld();
      world.manager.heartbeatPeriod = period;
      const agent = world.start();
      await world.clock.advance(10_000);
      expect(world.manager.heartbeats).toBe(3);
      await agent.stop();
    },
  );

  test('learns the managers, its node and the root; an empty list is ignored', async () => {
    const world = new AgentWorld();
    world.manager.greeting = {
      ...world.manager.greeting,
      node: { id: 'node', role: 'WORKER', status: { state: 'UNKNOWN' } },
      RootCA: Buffer.from('root'),
    };
    const agent = world.start();
    await world.clock.advance(100);
    world.manager.tell({ node: { id: 'node', role: 'WORKER', status: { state: 'READY' } } });
    world.manager.tell({ managers: [{ peer: null }, { peer: { addr: '10.0.0.7:2377' } }] });
    world.manager.tell({ node: { id: 'node', role: 'MANAGER' }, RootCA: Buffer.from('root') });
    await world.clock.advance(100);
    expect(world.known.learned).toEqual([['10.0.0.1:2377'], ['10.0.0.7:2377']]);
    expect(world.nodes.map(({ role }) => role)).toEqual(['WORKER', 'MANAGER']);
    expect(world.executor.configured).toEqual(world.nodes);
    expect(world.roots).toEqual(['root']);
    await agent.stop();
  });

  test('with a gap in its assignments asks for all of them again', async () => {
    const world = new AgentWorld();
    const agent = world.start();
    await world.clock.advance(100);
    world.manager.loseMessage();
    world.manager.assignment = [assigned(aTask('lost')), assigned(aTask('a'))];
    world.manager.send(assigned(aTask('a')));
    await world.clock.advance(50);
    expect(world.manager.statesOf('a')).not.toEqual([]);
    await world.clock.advance(450);
    expect(world.manager.assignmentStreams).toBe(2);
    expect(world.manager.registrations).toHaveLength(1);
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    expect(world.manager.lastOf('lost')?.state).toBe('RUNNING');
    await agent.stop();
  });

  test('goes on without a log broker', async () => {
    const world = new AgentWorld();
    world.manager.hasLogBroker = false;
    const agent = world.start();
    await world.clock.advance(10_000);
    expect(world.manager.registrations).toHaveLength(1);
    await agent.stop();
  });

  test('statuses that a manager cannot take yet are told until it can', async () => {
    const world = new AgentWorld();
    world.manager.refuse = () => new SwarmError('unavailable', 'no leader');
    world.manager.assignment = [assigned(aTask('a'))];
    const agent = world.start();
    await world.clock.advance(3_000);
    expect(world.manager.updates).toEqual([]);
    world.manager.refuse = () => undefined;
    await world.clock.advance(1_000);
    expect(world.manager.statesOf('a')).toEqual(['RUNNING']);
    expect(world.manager.registrations).toHaveLength(1);
    await agent.stop();
  });

  test('that its manager no longer knows is opened anew', async () => {
    const world = new AgentWorld();
    world.manager.refuse = () => new SwarmError('invalid-argument', 'session invalid');
    world.manager.assignment = [assigned(aTask('a'))];
    const agent = world.start();
    await world.clock.advance(50);
    world.manager.refuse = () => undefined;
    await world.clock.advance(500);
    expect(world.manager.registrations.length).toBeGreaterThan(1);
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    await agent.stop();
  });

  test('that was good is replaced at once, however often it is cut', async () => {
    const world = new AgentWorld();
    const agent = world.start();
    for (let cuts = 0; cuts < 10; cuts += 1) {
      await world.clock.advance(2_000);
      expect(world.manager.registrations).toHaveLength(cuts + 1);
      world.manager.cut();
      await world.clock.advance(100);
      expect(world.manager.registrations).toHaveLength(cuts + 2);
    }
    await agent.stop();
  });

  test('a status that a manager refuses holds up no other', async () => {
    const world = new AgentWorld();
    world.manager.refuse = (ids) =>
      ids.includes('foreign') ? new SwarmError('permission-denied', 'not yours') : undefined;
    world.manager.assignment = [assigned(aTask('foreign')), assigned(aTask('a'))];
    const agent = world.start();
    await world.clock.advance(1_000);
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    await agent.stop();
  });

  test('the statuses of 200 tasks that come up go in 40 calls, and the first is not late', async () => {
    const world = new AgentWorld({ nginx: { prepareMs: 20, startMs: 50 } });
    const ids = Array.from({ length: 200 }, (_, i) => `t${i}`);
    world.manager.assignment = ids.map((id) => assigned(aTask(id)));
    const agent = world.start();
    await world.clock.advance(20);
    expect(world.manager.statesOf('t0')).toEqual(['PREPARING']);
    await world.clock.advance(2_000);
    expect(ids.every((id) => world.manager.lastOf(id)?.state === 'RUNNING')).toBe(true);
    expect(world.executor.busyMax).toBe(8);
    expect(world.manager.batches.length).toBeLessThanOrEqual(40);
    expect(Math.max(...world.manager.batches)).toBe(200);

    // All of them again, to the next manager: in as few calls as that.
    const before = world.manager.batches.length;
    world.manager.cut();
    await world.clock.advance(1_000);
    expect(world.manager.batches.slice(before)).toEqual([200]);
    await agent.stop();
  });
});

describe('the description of a node', () => {
  test('is told in a new session when it has changed, and only then', async () => {
    const world = new AgentWorld();
    const agent = world.start();
    await world.clock.advance(60_000);
    expect(world.manager.registrations).toHaveLength(1);
    world.executor.description = { ...world.executor.description, hostname: 'renamed' };
    await world.clock.advance(21_000);
    expect(world.manager.registrations.map((r) => r.description?.hostname)).toEqual([
      'node-01',
      'renamed',
    ]);
    world.tlsInfo = { trustRoot: Buffer.from('root 2') };
    await world.clock.advance(21_000);
    expect(world.manager.registrations[2]?.description?.tlsInfo?.trustRoot.toString()).toBe(
      'root 2',
    );
    await agent.stop();
  });

  test('is a minimal one while the engine is away, and the tasks wait for it', async () => {
    const world = new AgentWorld();
    world.executor.isAway = true;
    world.manager.assignment = [assigned(aTask('a'))];
    const agent = world.start();
    await world.clock.advance(10_000);
    expect(world.manager.registrations[0]?.description).toMatchObject({
      platform: { os: 'linux' },
      resources: null,
      engine: { engineVersion: 'unreachable' },
    });
    expect(world.manager.lastOf('a')).toMatchObject({
      state: 'PREPARING',
      err: 'Cannot connect to the Docker daemon',
    });
    world.executor.isAway = false;
    await world.clock.advance(5_000);
    const last = world.manager.registrations.at(-1)?.description;
    expect(last?.hostname).toBe('node-01');
    expect(last?.engine?.engineVersion).not.toBe('unreachable');
    expect(world.manager.lastOf('a')).toMatchObject({ state: 'RUNNING', err: '' });
    await agent.stop();
  });
});

describe('an agent whose manager fails', () => {
  test('goes to another one at once, and says everything again', async () => {
    const managers = ['10.0.0.1:2377', '10.0.0.2:2377', '10.0.0.3:2377'].map(
      (address) => new FakeManager(address),
    );
    const world = new AgentWorld({}, managers);
    for (const manager of managers) manager.assignment = [assigned(aTask('a'))];
    const agent = world.start();
    await world.clock.advance(2_000);
    world.manager.isDown = true;
    world.manager.cut();
    await world.clock.advance(0);
    const other = managers.slice(1).find(({ registrations }) => registrations.length > 0);
    expect(other).toBeDefined();
    await world.clock.advance(20);
    expect(other?.lastOf('a')?.state).toBe('RUNNING');
    expect(world.executor.calls.filter((call) => call === 'a start')).toHaveLength(1);
    await agent.stop();
  });

  test('waits between its tries while none answers: 100 ms at first, never more than 8 s', async () => {
    const managers = [new FakeManager('10.0.0.1:2377'), new FakeManager('10.0.0.2:2377')];
    const world = new AgentWorld({}, managers);
    const agent = world.start();
    await world.clock.advance(2_000);
    for (const manager of managers) manager.isDown = true;
    for (const manager of managers) manager.cut();
    await world.clock.advance(100);
    expect(world.sessions.length).toBeGreaterThanOrEqual(3);
    await world.clock.advance(60_000);
    const tries = world.sessions.length;
    expect(tries).toBeLessThan(60);
    await world.clock.advance(8_000);
    expect(world.sessions.length).toBeGreaterThan(tries);
    await agent.stop();
  });
});

describe('an agent that ends', () => {
  test.each([
    [false, 'stops'],
    [true, 'leaves'],
  ])('says goodbye: if its node leaves is %s, it %s', async (isLeaving, word) => {
    const world = new AgentWorld();
    world.isLeaving = isLeaving;
    const agent = world.start();
    await world.clock.advance(1_000);
    expect(world.manager.goodbyes).toEqual([]);
    await agent.stop();
    expect(world.manager.goodbyes).toEqual([word]);
  });

  test('without a session, or whose manager is away, ends all the same', async () => {
    const world = new AgentWorld();
    const first = world.start();
    await world.clock.advance(1_000);
    world.manager.isDown = true;
    await first.stop();
    const second = world.start();
    await world.clock.advance(1_000);
    await second.stop();
    expect(world.manager.goodbyes).toEqual([]);
  });

  test('leaves its containers running, and takes them up again without a manager', async () => {
    const world = new AgentWorld({ short: { runMs: 60_000, exitCode: 7 } });
    world.manager.assignment = [
      assigned(aTask('a')),
      assigned(aTask('b', { spec: { container: { image: 'short' } } })),
    ];
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    expect(world.executor.isRunning('a')).toBe(true);

    world.manager.isDown = true;
    world.executor.calls.length = 0;
    const second = world.start();
    await world.clock.advance(65_000);
    expect(world.executor.calls).toContain('a wait');
    expect(world.executor.calls).not.toContain('a start');
    expect(world.store.records.map((r) => r.status?.state)).toEqual(['RUNNING', 'FAILED']);

    world.manager.isDown = false;
    await world.clock.advance(10_000);
    expect(world.manager.lastOf('b')).toMatchObject({
      state: 'FAILED',
      container: { exitCode: 7 },
    });
    expect(world.manager.statesOf('a').filter((state) => state === 'RUNNING')).toHaveLength(2);

    await second.stop();
    world.executor.calls.length = 0;
    const third = world.start();
    await world.clock.advance(1_000);
    expect(world.executor.calls).not.toContain('b shutdown');
    await third.stop();
  });

  test('tells its executor of the node again before it takes up its tasks', async () => {
    const world = new AgentWorld();
    world.manager.greeting = { node: { id: 'node', description: { hostname: 'here' } } };
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    world.manager.isDown = true;
    const second = world.start();
    expect(world.executor.configured.map((node) => node.description?.hostname)).toEqual([
      'here',
      'here',
    ]);
    await second.stop();
  });

  test('finishes without a manager what it had begun, once there is a container', async () => {
    const world = new AgentWorld({ nginx: { startMs: 5_000 } });
    world.manager.assignment = [assigned(aTask('a'))];
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    world.manager.isDown = true;
    const second = world.start();
    await world.clock.advance(10_000);
    expect(world.executor.isRunning('a')).toBe(true);
    await second.stop();
  });

  test('makes no container from memory alone: it may be old', async () => {
    const world = new AgentWorld({ nginx: { prepareMs: 5_000 } });
    world.manager.assignment = [assigned(aTask('a')), assigned(aTask('b'))];
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    world.manager.isDown = true;
    world.manager.assignment = [assigned(aTask('a'))];
    const second = world.start();
    await world.clock.advance(60_000);
    expect([...world.executor.containers.keys()]).toEqual([]);
    world.manager.isDown = false;
    await world.clock.advance(20_000);
    expect([...world.executor.containers.keys()]).toEqual(['a']);
    await second.stop();
  });

  test('waits for its secrets after a restart, which only a manager has', async () => {
    const world = new AgentWorld({ nginx: { prepareMs: 5_000 } });
    const spec = { container: { image: 'nginx', secrets: [{ secretId: 's' }] } };
    const assignment: AssignmentChangeInput[] = [
      { assignment: { secret: { id: 's' } } },
      assigned(aTask('a', { spec })),
    ];
    world.manager.assignment = assignment;
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    world.manager.isDown = true;
    const second = world.start();
    await world.clock.advance(20_000);
    expect(world.store.records[0]?.status).toMatchObject({ state: 'PREPARING', err: '' });
    world.manager.isDown = false;
    await world.clock.advance(20_000);
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    await second.stop();
  });

  test('goes on removing what was no longer assigned', async () => {
    const world = new AgentWorld({ nginx: { stopMs: 10_000 } });
    world.manager.assignment = [assigned(aTask('a'))];
    const first = world.start();
    await world.clock.advance(1_000);
    world.manager.send(unassigned('a'));
    await world.clock.advance(1_000);
    await first.stop();
    expect(world.executor.isRunning('a')).toBe(true);
    world.manager.isDown = true;
    const second = world.start();
    await world.clock.advance(15_000);
    expect(world.executor.containers.size).toBe(0);
    await second.stop();
  });
});

describe('a lost task store', () => {
  test('comes back with the assignment; unknown containers go, known ones are adopted', async () => {
    const world = new AgentWorld();
    world.manager.assignment = [assigned(aTask('kept')), assigned(aTask('stray'))];
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();

    world.store = new MemoryTaskStore();
    world.executor.calls.length = 0;
    world.manager.assignment = [assigned(aTask('kept', { status: { state: 'RUNNING' } }))];
    world.manager.isDown = true;
    const second = world.start();
    await world.clock.advance(30_000);
    expect([...world.executor.containers.keys()]).toEqual(['kept', 'stray']);
    world.manager.isDown = false;
    await world.clock.advance(10_000);
    expect([...world.executor.containers.keys()]).toEqual(['kept']);
    expect(world.executor.isRunning('kept')).toBe(true);
    expect(world.executor.calls).not.toContain('kept start');
    expect(world.executor.calls.filter((call) => call.startsWith('stray'))).toEqual([
      'stray shutdown',
      'stray remove',
    ]);
    await second.stop();
  });

  test('does not run a task again that its manager says is over, nor after a restart', async () => {
    const world = new AgentWorld();
    world.manager.assignment = [assigned(aTask('a', { status: { state: 'FAILED' } }))];
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    world.manager.isDown = true;
    const second = world.start();
    await world.clock.advance(1_000);
    expect(world.executor.calls).not.toContain('a prepare');
    await second.stop();
  });

  test('leaves nothing running of a task that the managers have given up', async () => {
    const world = new AgentWorld();
    world.manager.assignment = [assigned(aTask('a'))];
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    world.store = new MemoryTaskStore();
    const orphan = aTask('a', { status: { state: 'ORPHANED' }, desiredState: 'SHUTDOWN' });
    world.manager.assignment = [assigned(orphan)];
    const second = world.start();
    await world.clock.advance(1_000);
    expect(world.executor.isRunning('a')).toBe(false);
    await second.stop();
  });
});

describe('a poisoned assignment', () => {
  const bare: TaskInput = {
    nodeId: 'node',
    status: { state: 'ASSIGNED' },
    desiredState: 'RUNNING',
  };
  test.each<[string, TaskInput]>([
    ['has no spec', { ...bare, id: 'poison' }],
    ['has no runtime', { ...bare, id: 'poison', spec: {} }],
    ['has no status', { id: 'poison', desiredState: 'RUNNING' }],
    ['has a state of the future', { ...aTask('poison'), desiredState: 999 as 800 }],
  ])('of a task that %s is REJECTED, and the others run', async (_, poison) => {
    const world = new AgentWorld();
    world.manager.assignment = [{}, { assignment: {} }, assigned(poison), assigned(aTask('a'))];
    const first = world.start();
    await world.clock.advance(1_000);
    await first.stop();
    const second = world.start();
    await world.clock.advance(1_000);
    expect(world.manager.lastOf('poison')).toMatchObject({
      state: 'REJECTED',
      message: 'resolving controller failed',
    });
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    expect(second.isRunning()).toBe(true);
    await second.stop();
  });

  test('of a task without an ID is passed over', async () => {
    const world = new AgentWorld();
    world.manager.assignment = [assigned(bare), assigned(aTask('a'))];
    const agent = world.start();
    await world.clock.advance(1_000);
    expect(world.manager.lastOf('a')?.state).toBe('RUNNING');
    expect(world.store.records).toHaveLength(1);
    await agent.stop();
  });
});

describe('removeAllTasks', () => {
  test('stops and removes every container of the node, known or not', async () => {
    const world = new AgentWorld({ nginx: { stopMs: 2_000 } });
    world.manager.assignment = [assigned(aTask('a')), assigned(aTask('b'))];
    const agent = world.start();
    await world.clock.advance(1_000);
    await agent.stop();
    await world.store.forget('b');
    const done = removeAllTasks(
      { clock: world.clock, log: silentLog, executor: world.executor, store: world.store },
      world.config,
      new AbortController().signal,
    );
    await world.clock.advance(5_000);
    await done;
    expect(world.executor.containers.size).toBe(0);
    expect(world.executor.calls).toContain('b shutdown');
    expect(world.store.records).toEqual([]);
  });
});
