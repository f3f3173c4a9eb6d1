import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codecOf, type Task } from '../../../src/api/index.ts';
import type { AssignmentsMessageInput, TaskInput, TaskState } from '../../../src/api/gen/types.ts';
import { AssignmentSet } from '../../../src/manager/dispatcher/assignment-set.ts';
import type { ReadView } from '../../../src/manager/store/view.ts';
import { aTask } from '../../support/builders.ts';

const secret = (id: string) => codecOf('Secret').create({ id, spec: { data: Buffer.from(id) } });
const config = (id: string) => codecOf('Config').create({ id, spec: { data: Buffer.from(id) } });

/** A view of these tasks, in which every secret and config exists but those called `gone`. */
const viewOf = (...tasks: Task[]): ReadView =>
  ({
    get: (kind: string, id: string) =>
      id === 'gone' ? undefined : kind === 'secret' ? secret(id) : config(id),
    find: () => tasks,
  }) as unknown as ReadView;
const view = viewOf();

const assigned = (id: string, input: TaskInput = {}): Task =>
  aTask({ id, nodeId: 'n1', status: { state: 'ASSIGNED' }, ...input });
const using = (...ids: string[]): TaskInput => ({
  spec: {
    container: {
      image: 'x',
      secrets: ids.filter((id) => !id.startsWith('c')).map((secretId) => ({ secretId })),
      configs: ids.filter((id) => id.startsWith('c')).map((configId) => ({ configId })),
    },
  },
});

/** The message as its agent reads it, in short: `+task a`, `-secret s`. */
function told(set: AssignmentSet): string[] | undefined {
  const message = set.nextMessage();
  if (message === undefined) return undefined;
  return codecOf('AssignmentsMessage')
    .create(message as AssignmentsMessageInput)
    .changes.map(({ action, assignment }) => {
      const { item } = assignment ?? {};
      const id = item === undefined ? '' : (assignment?.[item]?.id ?? '');
      return `${action === 'UPDATE' ? '+' : '-'}${item ?? '?'} ${id}`;
    });
}

const begun = (...tasks: Task[]): AssignmentSet => {
  const set = new AssignmentSet('n1');
  set.reset(viewOf(...tasks));
  set.nextMessage();
  return set;
};

describe('AssignmentSet', () => {
  test('the first message is complete, even if it is empty; the others are chained to it', () => {
    const set = new AssignmentSet('n1');
    expect(set.nextMessage()).toEqual({
      type: 'COMPLETE',
      appliesTo: '',
      resultsIn: '1',
      changes: [],
    });
    expect(set.nextMessage()).toBeUndefined();
    set.put(assigned('a'), view);
    expect(set.nextMessage()).toMatchObject({
      type: 'INCREMENTAL',
      appliesTo: '1',
      resultsIn: '2',
    });
    set.remove('a');
    expect(set.nextMessage()).toMatchObject({ appliesTo: '2', resultsIn: '3' });
  });

  test('it starts with every task from ASSIGNED on, and what those need that have not ended', () => {
    const set = new AssignmentSet('n1');
    const tasks = [
      assigned('new', { status: { state: 'NEW' }, ...using('s0') }),
      assigned('pending', { status: { state: 'PENDING' }, ...using('s0') }),
      assigned('other', { nodeId: 'n2', ...using('s0') }),
      assigned('running', { status: { state: 'RUNNING' }, ...using('s1', 'c1') }),
      assigned('failed', { status: { state: 'FAILED' }, ...using('s2', 'c1') }),
    ];
    set.reset(viewOf(...tasks));
    expect(told(set)).toEqual(['+secret s1', '+config c1', '+task running', '+task failed']);
  });

  test('a task reaches the agent with everything in it', () => {
    const set = new AssignmentSet('n1');
    const task = assigned('a');
    set.put(task, view);
    expect(set.nextMessage()?.changes?.[0]?.assignment?.task).toEqual(task);
  });

  test('what the agent reported itself is not told to it', () => {
    const set = begun(assigned('a'));
    set.put(assigned('a', { status: { state: 'RUNNING' }, meta: { version: { index: 9 } } }), view);
    expect(told(set)).toBeUndefined();
  });

  test('a change of what is wanted is told', () => {
    const set = begun(assigned('a', { status: { state: 'RUNNING' } }));
    set.put(assigned('a', { status: { state: 'RUNNING' }, desiredState: 'SHUTDOWN' }), view);
    expect(told(set)).toEqual(['+task a']);
  });

  test('a secret goes with the first task that needs it, and goes when the last has ended', () => {
    const set = begun(assigned('a', using('s', 'c')));
    set.put(assigned('b', using('s')), view);
    expect(told(set)).toEqual(['+task b']);
    set.put(assigned('a', { status: { state: 'FAILED' }, ...using('s', 'c') }), view);
    expect(told(set)).toEqual(['-config c']);
    set.remove('b');
    expect(told(set)).toEqual(['-secret s', '-task b']);
    set.remove('a');
    expect(told(set)).toEqual(['-task a']);
  });

  test('a secret that is no longer there is left out', () => {
    const set = begun();
    set.put(assigned('a', using('gone')), view);
    expect(told(set)).toEqual(['+task a']);
  });

  test('changes between two messages collapse', () => {
    const set = begun();
    set.put(assigned('a'), view);
    set.put(assigned('a', { desiredState: 'SHUTDOWN' }), view);
    set.put(assigned('b'), view);
    set.remove('b');
    const message = set.nextMessage();
    expect(message?.changes).toHaveLength(2);
    expect(message?.changes?.[0]?.assignment?.task?.desiredState).toBe('SHUTDOWN');
  });

  test('a task that no agent could bear is never sent, and is given back with the reason', () => {
    const set = begun();
    set.put(assigned('a', { networks: [{ addresses: ['10.0.0.2/24'] }], ...using('s') }), view);
    expect(told(set)).toBeUndefined();
    expect(set.takeUnfit()).toMatchObject([
      { task: { id: 'a' }, reason: 'network attachment has no network' },
    ]);
    expect(set.takeUnfit()).toEqual([]);
  });

  test('after a reset the agent is told of what is gone, too', () => {
    const set = begun(assigned('a'), assigned('b'));
    set.reset(viewOf(assigned('b', { status: { state: 'RUNNING' } }), assigned('c')));
    expect(told(set)?.toSorted()).toEqual(['+task c', '-task a']);
  });

  test('an agent that applies every message has exactly what it must have', () => {
    const states: TaskState[] = ['ASSIGNED', 'RUNNING', 'FAILED'];
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c'),
      to: fc.constantFrom('ASSIGNED', 'RUNNING', 'FAILED', 'removed', 'send'),
    });
    const needs: Record<string, string[]> = { a: ['s1', 'c1'], b: ['s1', 's2'], c: ['c1'] };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const set = new AssignmentSet('n1');
        const tasks = new Map<string, TaskState>();
        const agent = new Set<string>();
        const send = (): void => {
          for (const change of told(set) ?? []) {
            if (change.startsWith('+')) agent.add(change.slice(1));
            else agent.delete(change.slice(1));
          }
        };
        for (const { id, to } of steps) {
          const from = tasks.get(id);
          if (to === 'send') send();
          else if (to === 'removed') {
            tasks.delete(id);
            set.remove(id);
          } else if (from === undefined || states.indexOf(to) >= states.indexOf(from)) {
            const state = to as TaskState;
            tasks.set(id, state);
            set.put(assigned(id, { status: { state }, ...using(...(needs[id] ?? [])) }), view);
          }
        }
        send();
        const wanted = [...tasks].flatMap(([id, state]) => [
          `task ${id}`,
          ...(state === 'FAILED' ? [] : (needs[id] ?? [])).map((need) =>
            need.startsWith('c') ? `config ${need}` : `secret ${need}`,
          ),
        ]);
        expect([...agent].toSorted()).toEqual([...new Set(wanted)].toSorted());
      }),
    );
  });
});
