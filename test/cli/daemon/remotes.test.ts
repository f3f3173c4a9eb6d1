import { describe, expect, test } from 'vitest';
import { type KnownManager, Remotes } from '../../../src/cli/daemon/remotes.ts';
import { TestSwarm } from '../../support/test-swarm.ts';

const material = new TestSwarm().security('swarm-worker').current;
const managers = ['a', 'b', 'c'].map((name) => ({ nodeId: name, addr: `${name}:2377` }));

/** Managers of whom chance picks as `draw` says: a number of 0 or more and below 1. */
function remotes(draw: () => number, known: readonly KnownManager[] = managers) {
  const remembered: (readonly KnownManager[])[] = [];
  const made = new Remotes(
    {
      random: {
        bytes: (size) => Buffer.alloc(size),
        integer: (below) => Math.floor(draw() * below),
      },
      identity: () => material,
      remember: (list) => remembered.push(list),
    },
    known,
  );
  return { made, remembered };
}

const draws = 12;

/** How often each manager is picked when chance goes once through what it can say. */
function picks(made: Remotes, drawing: { at: number }): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (let at = 0; at < draws; at += 1) {
    drawing.at = at / draws;
    using connection = made.connect();
    found[connection.address] = (found[connection.address] ?? 0) + 1;
  }
  return found;
}

const alike = { 'a:2377': draws / 3, 'b:2377': draws / 3, 'c:2377': draws / 3 };

/** A call to the manager in the middle, which chance picks half way whatever its name is worth. */
function callMiddle(made: Remotes, drawing: { at: number }, outcome: 'good' | 'bad'): void {
  drawing.at = 0.5;
  using connection = made.connect();
  expect(connection.address).toBe('b:2377');
  connection.observe(outcome);
}

describe('the managers a node knows', () => {
  test('are picked alike while nothing is known of them', () => {
    const drawing = { at: 0 };
    const { made } = remotes(() => drawing.at);
    expect(picks(made, drawing)).toEqual(alike);
  });

  test('are picked rarely after a bad experience, and more often again after good ones', () => {
    const drawing = { at: 0 };
    const { made } = remotes(() => drawing.at);
    callMiddle(made, drawing, 'bad');
    expect(picks(made, drawing)['b:2377']).toBe(1);
    callMiddle(made, drawing, 'good');
    expect(picks(made, drawing)['b:2377']).toBeGreaterThan(1);
    for (let at = 0; at < 6; at += 1) callMiddle(made, drawing, 'good');
    expect(picks(made, drawing)).toEqual(alike);
  });

  test('who did not answer is not asked again before the others', () => {
    const { made } = remotes(() => 0.4, [...managers, { nodeId: 'd', addr: 'd:2377' }]);
    const asked: string[] = [];
    for (let failed: string | undefined; asked.length < 3; failed = asked.at(-1)) {
      using connection = made.connect(failed);
      asked.push(connection.address);
      connection.observe('bad');
    }
    expect(asked).toEqual(['b:2377', 'c:2377', 'a:2377']);
  });

  test('are remembered when they change, and only then', () => {
    const { made, remembered } = remotes(() => 0);
    made.learn(managers.toReversed());
    made.learn([]);
    expect(remembered).toEqual([]);
    made.learn(managers.slice(1));
    expect(remembered).toEqual([managers.slice(1)]);
    expect(made.known).toEqual(managers.slice(1));
  });

  test('lose their good name when they are gone', () => {
    const drawing = { at: 0 };
    const { made } = remotes(() => drawing.at);
    callMiddle(made, drawing, 'good');
    made.learn(managers.filter(({ nodeId }) => nodeId !== 'b'));
    made.learn(managers);
    expect(picks(made, drawing)).toEqual(alike);
  });

  test('give way to addresses to start from', () => {
    const { made } = remotes(() => 0);
    made.startFrom(['x:1']);
    expect(made.known).toEqual([{ nodeId: '', addr: 'x:1' }]);
  });

  test("give way to this node's own manager, as long as there is one", () => {
    const { made } = remotes(() => 0);
    made.preferOwn('/run/control.sock');
    using own = made.connect();
    expect(own.address).toBe('/run/control.sock');
    made.preferOwn(undefined);
    using other = made.connect();
    expect(other.address).toBe('a:2377');
  });

  test('leave out the one that failed, as long as there is another', () => {
    const { made } = remotes(() => 0);
    expect(made.hasOther('a:2377')).toBe(true);
    for (let n = 0; n < 3; n += 1) {
      using connection = made.connect('a:2377');
      expect(connection.address).toBe('b:2377');
    }
    made.learn(managers.slice(0, 1));
    expect(made.hasOther('a:2377')).toBe(false);
    using same = made.connect('a:2377');
    expect(same.address).toBe('a:2377');
    made.learn(managers);
    made.preferOwn('/run/control.sock');
    expect(made.hasOther('/run/control.sock')).toBe(false);
  });

  test('may be none at all', () => {
    const { made } = remotes(() => 0, []);
    expect(() => made.connect()).toThrow('no manager is known to this node');
  });

  test('are the others: its own manager is called by its socket, unless it is the only one known', () => {
    const drawing = { at: 0 };
    const own = { nodeId: material.nodeId, addr: 'own:2377' };
    expect(picks(remotes(() => drawing.at, [...managers, own]).made, drawing)).toEqual(alike);
    const alone = remotes(() => drawing.at, [own]).made;
    expect(picks(alone, drawing)).toEqual({ 'own:2377': draws });
  });
});
