import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  codecOf,
  compareStates,
  isTerminal,
  type TaskStatus,
  timestampFromMs,
} from '../../src/api/index.ts';
import { TaskState } from '../../src/api/gen/docker/swarmkit/v1/TaskState.ts';
import type { TaskStatusInput } from '../../src/api/gen/types.ts';
import { SwarmError } from '../../src/runtime/index.ts';
import { advance, nextStep, type Outcome } from '../../src/worker/advance.ts';
import { type Controller, TaskExit, TemporaryFailure } from '../../src/worker/execution.ts';
import { aTask } from '../support/builders.ts';
import { silentLog } from '../support/silent-log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const states = Object.values(TaskState);
const aStatus = (input: TaskStatusInput): TaskStatus => codecOf('TaskStatus').create(input);

const nothing = async (): Promise<void> => Promise.resolve();
const quiet: Controller = {
  prepare: nothing,
  start: nothing,
  wait: nothing,
  shutdown: nothing,
  remove: nothing,
  containerStatus: async () => Promise.resolve(undefined),
  portStatus: async () => Promise.resolve(undefined),
  async *logs() {},
};
const failing = (error: Error): Controller => {
  const fail = async (): Promise<void> => {
    await nothing();
    throw error;
  };
  return { ...quiet, prepare: fail, start: fail, wait: fail, shutdown: fail };
};

async function step(
  controller: Partial<Controller>,
  status: TaskStatusInput,
  desiredState: TaskState = 'RUNNING',
): Promise<Outcome> {
  const deps = {
    clock: new VirtualClock(),
    log: silentLog,
    controller: { ...quiet, ...controller },
  };
  const { signal } = new AbortController();
  return advance(deps, aTask({ desiredState }), aStatus(status), signal);
}

describe('nextStep', () => {
  test('takes a task that is to run through every state in order', () => {
    const path: string[] = [];
    let state: TaskState = 'NEW';
    for (;;) {
      const next = nextStep(state, 'RUNNING');
      if (next.kind === 'rest') break;
      path.push(`${next.operation ?? ''}:${next.message}`);
      state = next.to;
    }
    expect(path).toEqual([
      ':accepted',
      ':preparing',
      'prepare:prepared',
      ':starting',
      'start:started',
      'wait:finished',
    ]);
  });

  test('never goes back, never stands still, and never begins what goes beyond the desired', () => {
    fc.assert(
      fc.property(fc.constantFrom(...states), fc.constantFrom(...states), (state, desired) => {
        const next = nextStep(state, desired);
        if (next.kind === 'rest') return;
        expect(isTerminal(state)).toBe(false);
        expect(compareStates(next.to, state)).toBeGreaterThan(0);
        const mayBegin = compareStates(state, desired) < 0;
        expect(mayBegin || next.operation !== undefined).toBe(true);
      }),
    );
  });

  test('a living task that is to end is shut down, whatever its state', () => {
    for (const state of states.filter((s) => !isTerminal(s))) {
      expect(nextStep(state, 'REMOVE')).toMatchObject({ operation: 'shutdown', to: 'SHUTDOWN' });
    }
  });
});

describe('advance', () => {
  test('a step that succeeds clears the error and stamps the time', async () => {
    expect(await step({}, { state: 'PREPARING', err: 'away' })).toMatchObject({
      kind: 'moved',
      status: {
        state: 'READY',
        message: 'prepared',
        err: '',
        timestamp: timestampFromMs(new VirtualClock().now()),
      },
    });
  });

  test.each<[TaskState, TaskState]>([
    ['PREPARING', 'REJECTED'],
    ['STARTING', 'FAILED'],
    ['RUNNING', 'FAILED'],
  ])('an error in %s ends the task as %s', async (state, end) => {
    const outcome = await step(failing(new Error('no such image')), { state, message: 'before' });
    expect(outcome).toMatchObject({
      kind: 'moved',
      status: { state: end, err: 'no such image', message: 'before' },
    });
  });

  test.each([
    new TemporaryFailure('away'),
    new Error('away', { cause: new TemporaryFailure('refused') }),
    new SwarmError('unavailable', 'away'),
    new SwarmError('deadline-exceeded', 'away'),
    Object.assign(new Error('away'), { name: 'AbortError' }),
  ])('an error that may pass is told, and the step is due again: %o', async (error) => {
    expect(await step(failing(error), { state: 'STARTING' })).toMatchObject({
      kind: 'retry',
      status: { state: 'STARTING', err: 'away' },
    });
  });

  test('the same failure again keeps the time of the first', async () => {
    const first = await step(failing(new TemporaryFailure('away')), { state: 'PREPARING' });
    if (first.kind !== 'retry') throw new Error('not due again');
    const clock = new VirtualClock();
    await clock.advance(5_000);
    const deps = { clock, log: silentLog, controller: failing(new TemporaryFailure('away')) };
    const again = await advance(deps, aTask(), first.status, new AbortController().signal);
    expect(again.kind === 'retry' && again.status).toBe(first.status);
  });

  test('the exit code of an error counts for more than the container’s own', async () => {
    const controller: Partial<Controller> = {
      wait: async () => Promise.reject(new TaskExit(137, 'dockerexec: unhealthy container')),
      containerStatus: async () => Promise.resolve({ containerId: 'c', pid: 7, exitCode: 0 }),
    };
    expect(await step(controller, { state: 'RUNNING' })).toMatchObject({
      status: {
        state: 'FAILED',
        err: 'task: non-zero exit (137): dockerexec: unhealthy container',
        container: { containerId: 'c', pid: 7, exitCode: 137 },
      },
    });
  });

  test('container and ports are told from STARTING on', async () => {
    const controller: Partial<Controller> = {
      containerStatus: async () => Promise.resolve({ containerId: 'c', pid: 7, exitCode: 0 }),
      portStatus: async () =>
        Promise.resolve({
          ports: [
            {
              name: '',
              protocol: 'TCP' as const,
              targetPort: 80,
              publishedPort: 8080,
              publishMode: 'HOST' as const,
            },
          ],
        }),
    };
    const early = await step(controller, { state: 'PREPARING' });
    expect(early.kind === 'moved' && early.status.container).toBeFalsy();
    const late = await step(controller, { state: 'STARTING' });
    expect(late).toMatchObject({
      status: { container: { containerId: 'c' }, portStatus: { ports: [{ publishedPort: 8080 }] } },
    });
    // What is told must be what arrives: a union member without its name is lost on the wire.
    const { status } = late as { status: TaskStatusInput };
    expect(codecOf('TaskStatus').create(status).container?.pid).toBe(7);
  });

  test('an abort is passed on, and ends no task', async () => {
    const life = new AbortController();
    const controller: Controller = {
      ...quiet,
      wait: async (signal) => {
        life.abort(new Error('updated'));
        signal.throwIfAborted();
        return Promise.resolve();
      },
    };
    const deps = { clock: new VirtualClock(), log: silentLog, controller };
    const task = aTask({ desiredState: 'RUNNING' });
    const going = advance(deps, task, aStatus({ state: 'RUNNING' }), life.signal);
    await expect(going).rejects.toThrow('updated');
  });
});
