import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codecOf, compareStates, type TaskStatus } from '../../src/api/index.ts';
import { TaskState } from '../../src/api/gen/docker/swarmkit/v1/TaskState.ts';
import { StatusReporter } from '../../src/worker/status-reporter.ts';

const aStatus = (state: TaskState, err = ''): TaskStatus =>
  codecOf('TaskStatus').create({ state, err });
const statesOf = (reporter: StatusReporter): string[] =>
  reporter.pending().map(({ taskId, status }) => `${taskId} ${status.state}`);

describe('StatusReporter', () => {
  test('only the newest status of a task is told', () => {
    const reporter = new StatusReporter();
    reporter.report({ taskId: 'a', status: aStatus('ACCEPTED') });
    reporter.report({ taskId: 'b', status: aStatus('RUNNING') });
    reporter.report({ taskId: 'a', status: aStatus('RUNNING') });
    expect(statesOf(reporter)).toEqual(['a RUNNING', 'b RUNNING']);
  });

  test('what changes while it is told is told again', () => {
    const reporter = new StatusReporter();
    reporter.report({ taskId: 'a', status: aStatus('STARTING') });
    const sent = reporter.pending();
    reporter.report({ taskId: 'a', status: aStatus('STARTING', 'away') });
    reporter.accepted(sent);
    expect(reporter.pending()[0]?.status.err).toBe('away');
    reporter.accepted(reporter.pending());
    expect(reporter.pending()).toEqual([]);
  });

  test('after a registration everything known is told again, save what is forgotten', () => {
    const reporter = new StatusReporter();
    for (const taskId of ['a', 'b']) reporter.report({ taskId, status: aStatus('RUNNING') });
    reporter.accepted(reporter.pending());
    reporter.forget('a');
    reporter.reportAll();
    expect(statesOf(reporter)).toEqual(['b RUNNING']);
  });

  test('one call carries a thousand statuses at most', () => {
    const reporter = new StatusReporter();
    for (let i = 0; i < 1_500; i += 1) {
      reporter.report({ taskId: `t${i}`, status: aStatus('RUNNING') });
    }
    expect(reporter.pending()).toHaveLength(1_000);
    reporter.accepted(reporter.pending());
    expect(reporter.pending()).toHaveLength(500);
  });

  test('states never go back, and the last one told is the highest', () => {
    const states = fc.constantFrom(...Object.values(TaskState));
    fc.assert(
      fc.property(fc.array(fc.record({ state: states, isAccepted: fc.boolean() })), (steps) => {
        const reporter = new StatusReporter();
        const told: TaskState[] = [];
        for (const { state, isAccepted } of steps) {
          reporter.report({ taskId: 'a', status: aStatus(state) });
          const [report] = reporter.pending();
          if (!isAccepted || report === undefined) continue;
          told.push(report.status.state);
          reporter.accepted([report]);
        }
        told.push(...reporter.pending().map(({ status }) => status.state));
        expect(told).toEqual(told.toSorted(compareStates));
        const highest = steps.map(({ state }) => state).toSorted(compareStates);
        expect(told.at(-1)).toBe(highest.at(-1));
      }),
    );
  });

  test('a wait for something to tell ends at once if there is something', async () => {
    const reporter = new StatusReporter();
    const { signal } = new AbortController();
    reporter.report({ taskId: 'a', status: aStatus('RUNNING') });
    await reporter.changed(signal);
    reporter.accepted(reporter.pending());
    let isOver = false;
    const wait = reporter.changed(signal).then(() => (isOver = true));
    await Promise.resolve();
    expect(isOver).toBe(false);
    reporter.reportAll();
    await wait;
  });
});
