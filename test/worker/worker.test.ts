import { describe, expect, test } from 'vitest';
import type {
  AssignmentChangeInput,
  AssignmentsMessageInput,
  TaskInput,
} from '../../src/api/gen/types.ts';
import { codecOf } from '../../src/api/index.ts';
import { StatusReporter } from '../../src/worker/status-reporter.ts';
import { Worker } from '../../src/worker/worker.ts';
import { type Behaviour, FakeExecutor } from '../support/fake-executor.ts';
import { assigned, unassigned } from '../support/fake-manager.ts';
import { MemoryTaskStore } from '../support/memory-task-store.ts';
import { silentLog } from '../support/silent-log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const aTask = (id: string, input: TaskInput = {}): TaskInput => ({
  id,
  nodeId: 'node',
  spec: { container: { image: 'nginx' } },
  status: { state: 'ASSIGNED' },
  desiredState: 'RUNNING',
  ...input,
});

class WorkerWorld {
  readonly clock = new VirtualClock();
  readonly store = new MemoryTaskStore();
  readonly reporter = new StatusReporter();
  readonly executor: FakeExecutor;
  readonly worker: Worker;
  readonly #life = new AbortController();
  readonly #over: Promise<void>;

  constructor(behaviour: Behaviour = {}) {
    this.executor = new FakeExecutor(this.clock, { nginx: behaviour });
    const { clock, store, reporter, executor } = this;
    this.worker = new Worker(
      { clock, store, reporter, executor, log: silentLog },
      { nodeId: 'node' },
    );
    this.#over = this.worker.run(this.#life.signal);
  }

  async apply(type: AssignmentsMessageInput['type'], ...changes: AssignmentChangeInput[]) {
    await this.worker.apply(codecOf('AssignmentsMessage').create({ type: type ?? 0, changes }));
    await this.clock.advance(50);
  }

  stateOf(taskId: string): string | undefined {
    return [...this.worker.tasks].find(({ task }) => task.id === taskId)?.status.state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort();
    await this.#over;
  }
}

describe('Worker', () => {
  test('a complete assignment ends what it does not name; an incremental one does not', async () => {
    await using world = new WorkerWorld();
    await world.apply('COMPLETE', assigned(aTask('a')), assigned(aTask('b')));
    await world.apply('INCREMENTAL', assigned(aTask('c')));
    expect([...world.executor.containers.keys()]).toEqual(['a', 'b', 'c']);
    await world.apply('COMPLETE', assigned(aTask('b')));
    expect([...world.executor.containers.keys()]).toEqual(['b']);
  });

  test('secrets and configs are there before the task that came with them', async () => {
    await using world = new WorkerWorld();
    const container = { image: 'nginx', secrets: [{ secretId: 's' }] };
    await world.apply(
      'COMPLETE',
      assigned(aTask('a', { spec: { container } })),
      { assignment: { secret: { id: 's' } } },
      { assignment: { config: { id: 'c' } } },
    );
    expect(world.stateOf('a')).toBe('RUNNING');
  });

  test('a task that needs what nobody gave is REJECTED', async () => {
    await using world = new WorkerWorld();
    const container = { image: 'nginx', secrets: [{ secretId: 's' }] };
    await world.apply('COMPLETE', assigned(aTask('a', { spec: { container } })));
    expect(world.stateOf('a')).toBe('REJECTED');
    expect(world.reporter.pending()[0]?.status.err).toBe('secret s not found');
  });

  test('the end of an unknown task is passed over', async () => {
    await using world = new WorkerWorld();
    await world.apply('INCREMENTAL', unassigned('nobody'));
    expect(world.store.records).toEqual([]);
    expect(world.executor.calls).toEqual([]);
  });

  test('a desired state never goes back, not even after a restart', async () => {
    await using world = new WorkerWorld({ stopMs: 60_000 });
    await world.apply('COMPLETE', assigned(aTask('a')));
    await world.apply('INCREMENTAL', assigned(aTask('a', { desiredState: 'SHUTDOWN' })));
    await world.apply('INCREMENTAL', assigned(aTask('a', { desiredState: 'RUNNING' })));
    expect(world.store.records[0]?.task.desiredState).toBe('SHUTDOWN');
    await world.clock.advance(60_000);
    expect(world.stateOf('a')).toBe('SHUTDOWN');
  });

  test('the state of a task is what this node says, not what its manager does', async () => {
    await using world = new WorkerWorld();
    await world.apply('COMPLETE', assigned(aTask('a')));
    const orphan = { status: { state: 'ORPHANED' }, desiredState: 'SHUTDOWN' } as const;
    await world.apply('INCREMENTAL', assigned(aTask('a', orphan)));
    expect(world.executor.isRunning('a')).toBe(false);
    expect(world.stateOf('a')).toBe('SHUTDOWN');
  });

  test('an update during an operation that is still right lets it go on', async () => {
    await using world = new WorkerWorld({ prepareMs: 10_000 });
    await world.apply('COMPLETE', assigned(aTask('a', { desiredState: 'READY' })));
    await world.clock.advance(5_000);
    await world.apply('INCREMENTAL', assigned(aTask('a', { desiredState: 'RUNNING' })));
    await world.clock.advance(5_000);
    expect(world.stateOf('a')).toBe('RUNNING');
    expect(world.executor.calls.filter((call) => call === 'a prepare')).toHaveLength(1);
  });

  test('a task that is to end is not prepared any further', async () => {
    await using world = new WorkerWorld({ prepareMs: 600_000 });
    await world.apply('COMPLETE', assigned(aTask('a')));
    await world.apply('INCREMENTAL', assigned(aTask('a', { desiredState: 'SHUTDOWN' })));
    expect(world.stateOf('a')).toBe('SHUTDOWN');
  });

  test('a task that comes back while it is being removed is begun anew', async () => {
    await using world = new WorkerWorld({ stopMs: 10_000 });
    await world.apply('COMPLETE', assigned(aTask('a')));
    await world.apply('INCREMENTAL', unassigned('a'));
    await world.apply('INCREMENTAL', assigned(aTask('a')));
    await world.clock.advance(11_000);
    expect(world.executor.calls.filter((call) => call === 'a start')).toHaveLength(2);
    expect(world.executor.isRunning('a')).toBe(true);
    expect(world.store.records.map((r) => [r.status?.state, r.isAssigned])).toEqual([
      ['RUNNING', true],
    ]);
  });

  test('a removal is tried until the engine is back', async () => {
    await using world = new WorkerWorld();
    await world.apply('COMPLETE', assigned(aTask('a')));
    world.executor.isAway = true;
    await world.apply('INCREMENTAL', unassigned('a'));
    await world.clock.advance(60_000);
    expect(world.store.records.map(({ isAssigned }) => isAssigned)).toEqual([false]);
    world.executor.isAway = false;
    await world.clock.advance(60_000);
    expect(world.executor.containers.size).toBe(0);
    expect(world.store.records).toEqual([]);
    expect(world.reporter.pending()).toEqual([]);
  });

  test('a task removed before it began leaves nothing', async () => {
    await using world = new WorkerWorld({ prepareMs: 600_000 });
    await world.apply('COMPLETE', assigned(aTask('a')));
    await world.apply('COMPLETE');
    expect([...world.worker.tasks]).toEqual([]);
    expect(world.store.records).toEqual([]);
  });
});
