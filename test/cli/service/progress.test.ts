import { describe, expect, test } from 'vitest';
import type { Shell } from '../../../src/cli/shell.ts';
import { runInProcess } from '../../support/cli.ts';
import { FakeDaemon } from '../../support/fake-daemon.ts';

interface TaskLook {
  readonly slot?: number;
  readonly node?: string;
  readonly state: string;
  readonly desired?: string;
  readonly error?: string;
  readonly iteration?: number;
}

/** What a daemon shows of a service at one look. The last of several stays. */
interface Look {
  readonly tasks: readonly TaskLook[];
  readonly update?: { readonly State: string; readonly Message?: string };
}

const taskOf = (
  { slot, node = 'node1', state, desired = 'running', error, iteration }: TaskLook,
  at: number,
) => ({
  ID: `task${at}`,
  Slot: slot,
  NodeID: node,
  DesiredState: desired,
  CreatedAt: new Date(Date.UTC(2026, 0, 1, 0, 0, at)).toISOString(),
  JobIteration: { Index: iteration ?? 0 },
  Spec: {},
  Status: { State: state, Err: error },
});

/** Waits for a service that looks like this, one look after the other. */
async function watch(
  looks: readonly Look[],
  mode: object = { Replicated: { Replicas: 2 } },
  options: Partial<Shell> & { readonly words?: readonly string[] } = {},
) {
  await using daemon = await FakeDaemon.start();
  let at = -2; // The command reads the service before it changes it.
  const look = () => looks[Math.min(Math.max(at, 0), looks.length - 1)] ?? { tasks: [] };
  const service = () => {
    at += 1;
    return {
      ID: 'service1',
      Spec: { Name: 'web', TaskTemplate: { ContainerSpec: {} }, Mode: mode },
      UpdateStatus: look().update,
      JobStatus: { JobIteration: { Index: 1 } },
    };
  };
  daemon
    .on('GET /services/web', service)
    .on('GET /services/service1', service)
    .on('POST /services/service1/update', {})
    .on('GET /tasks', () => look().tasks.map(taskOf))
    .on('GET /nodes', [
      { ID: 'node1', Status: { State: 'ready' } },
      { ID: 'node2', Status: { State: 'ready' } },
      { ID: 'lost', Status: { State: 'down' } },
    ]);
  return await runInProcess(options.words ?? ['service', 'update', 'web'], daemon, options);
}

const running = (slot: number): TaskLook => ({ slot, state: 'running' });
const both: Look = { tasks: [running(1), running(2)] };
const stable = [5, 4, 3, 2, 1].map(
  (seconds) => `verify: Waiting ${seconds} seconds to verify that tasks are stable...\n`,
);

/** The first of two places waits for another try after a failure. */
const failed = (error: string): Look => ({
  tasks: [
    { slot: 1, state: 'failed', desired: 'shutdown', error },
    { slot: 1, state: 'ready', desired: 'ready' },
    running(2),
  ],
});

/** A task of the job's present run that has done its work. */
const done = (slot: number): TaskLook => ({
  slot,
  state: 'complete',
  desired: 'complete',
  iteration: 1,
});

/** What a terminal is told to show, one view after the other. */
const screens = async (looks: readonly Look[]) => {
  const { out } = await watch(looks, undefined, { isTerminal: true });
  return out.replace('web\n', '').split('\u001B[0J').slice(0, -1);
};

describe('the wait for a service', () => {
  test('tells what is new, a line each, and ends when the service has been stable', async () => {
    const { exitCode, out, err } = await watch([
      { tasks: [] },
      { tasks: [{ slot: 1, state: 'preparing' }] },
      { tasks: [running(1), { slot: 2, state: 'starting' }] },
      both,
    ]);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toBe(
      [
        'web\n',
        'overall progress: 0 out of 2 tasks\n',
        'overall progress: 1 out of 2 tasks\n',
        ...stable,
        'verify: Service web converged\n',
      ].join(''),
    );
  });

  test('says why a place does not come up, once for every change', async () => {
    const { out } = await watch([
      failed('task: non-zero exit (1)'),
      failed('task: non-zero exit (1)'),
      failed('task: non-zero\nexit (2)'),
      failed('task: non-zero exit (1)'),
      both,
    ]);
    expect(out.split('\n').slice(0, 4)).toEqual([
      'web',
      'overall progress: 1 out of 2 tasks',
      '1/2: task: non-zero exit (1)',
      '1/2: task: non-zero exit (2)',
    ]);
    expect(out).not.toMatch(/exit \(2\)\n1\/2/u);
  });

  test('starts anew when a task fails that was running', async () => {
    const crash: Look = {
      tasks: [{ slot: 1, state: 'failed', desired: 'shutdown', error: 'crash' }, running(2)],
    };
    const { out, exitCode } = await watch([both, crash, crash, both, crash, both]);
    expect(exitCode).toBe(0);
    expect(out).toBe(
      [
        'web\n',
        ...[1, 2].flatMap(() => [
          stable[0],
          'verify: Detected task failure\n',
          '1/2: crash\n',
          'overall progress: 1 out of 2 tasks\n',
        ]),
        ...stable,
        'verify: Service web converged\n',
      ].join(''),
    );
  });

  test('counts no task on a node that is down', async () => {
    const look: Look = { tasks: [{ slot: 1, state: 'running', node: 'lost' }, running(2)] };
    expect((await watch([look, both])).out).toContain('overall progress: 1 out of 2 tasks\n');
  });

  test('goes by nodes where a service runs on every node', async () => {
    const { out, exitCode } = await watch(
      [
        { tasks: [{ state: 'starting' }, { state: 'running', node: 'node2' }] },
        { tasks: [{ state: 'running' }, { state: 'running', node: 'node2' }] },
      ],
      { Global: {} },
    );
    expect(exitCode).toBe(0);
    expect(out).toContain('overall progress: 1 out of 2 tasks\n');
  });

  test('is over at once when the swarm has watched an update itself', async () => {
    const { out } = await watch([
      { ...both, update: { State: 'updating' } },
      { ...both, update: { State: 'completed' } },
    ]);
    expect(out).toBe('web\noverall progress: 2 out of 2 tasks\nverify: Service web converged\n');
  });

  test.each([
    ['paused', 'service update paused: because'],
    ['rollback_paused', 'service rollback paused: because'],
    ['rollback_completed', 'service rolled back: because'],
  ])('fails when an update ends as %s', async (State, message) => {
    const { exitCode, err } = await watch([{ ...both, update: { State, Message: 'because' } }]);
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: `${message}\n` });
  });

  test('takes a rollback that was asked for as a success', async () => {
    const { exitCode, out } = await watch(
      [
        { tasks: [running(1)], update: { State: 'rollback_started', Message: 'by hand' } },
        { ...both, update: { State: 'rollback_completed', Message: 'done' } },
      ],
      undefined,
      { words: ['service', 'rollback', 'web'] },
    );
    expect(exitCode).toBe(0);
    expect(out).toBe(
      [
        'web',
        'rollback: by hand',
        'overall progress: rolling back update: 1 out of 2 tasks',
        'verify: Service web converged',
        '',
      ].join('\n'),
    );
  });

  test('follows a job to the end of its present run', async () => {
    const earlier = { ...done(1), iteration: 0 };
    const { out, exitCode } = await watch(
      [
        { tasks: [earlier, { ...done(2), state: 'running' }] },
        { tasks: [earlier, done(2)] },
        { tasks: [earlier, done(1), done(2)] },
      ],
      { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 2 } },
    );
    expect(exitCode).toBe(0);
    expect(out).toBe(
      'web\njob progress: 0 out of 2 complete\njob progress: 1 out of 2 complete\njob complete\n',
    );
  });

  test('shows nothing with --quiet, and does not happen with --detach', async () => {
    const quiet = await watch([{ tasks: [] }, both], undefined, {
      words: ['service', 'update', '-q', 'web'],
    });
    expect(quiet).toEqual({ exitCode: 0, out: 'web\n', err: '' });
    const detached = await watch([{ tasks: [] }], undefined, {
      words: ['service', 'update', '-d', 'web'],
    });
    expect(detached).toEqual({ exitCode: 0, out: 'web\n', err: '' });
  });

  test('ends with success on Ctrl-C, and says that the swarm goes on', async () => {
    const interrupted = new AbortController();
    let waits = 0;
    const clock = {
      now: () => 0,
      monotonic: () => 0,
      sleep: async (_: number, signal: AbortSignal) => {
        waits += 1;
        if (waits === 3) interrupted.abort(new Error('SIGINT'));
        signal.throwIfAborted();
        return Promise.resolve();
      },
      turn: async () => Promise.resolve(),
    };
    const options = { clock, signal: interrupted.signal };
    const { exitCode, out, err } = await watch([{ tasks: [] }], undefined, options);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(out).toBe(
      'web\noverall progress: 0 out of 2 tasks\n' +
        'Operation continuing in background.\nUse `swarmd service ps web` to check progress.\n',
    );
  });
});

describe('on a terminal', () => {
  test('each view is drawn over the one before, with a bar for each place', async () => {
    const [first, second] = await screens([
      { tasks: [{ slot: 1, state: 'preparing' }] },
      { tasks: [running(1), { slot: 2, state: 'pending', error: 'no suitable node' }] },
      both,
    ]);
    expect(first).toBe(
      [
        'overall progress: 0 out of 2 tasks',
        `1/2: preparing [${'='.repeat(24)}>${' '.repeat(12)}]`,
        '2/2: ',
      ]
        .map((line) => `\u001B[2K${line} \n`)
        .join(''),
    );
    expect(second).toBe(
      `\u001B[3A${[
        'overall progress: 1 out of 2 tasks',
        `1/2: running   [${'='.repeat(36)}>]`,
        '2/2: no suitable node',
      ]
        .map((line) => `\u001B[2K${line} \n`)
        .join('')}`,
    );
  });

  test('a bar shows why the task before failed, as far as there is room', async () => {
    const error = 'x'.repeat(200);
    const [first] = await screens([
      { tasks: [{ slot: 1, state: 'rejected', desired: 'shutdown', error }, running(2)] },
      both,
    ]);
    expect(first).toContain(`1/2: ${'x'.repeat(75)} \n`);
  });
});
