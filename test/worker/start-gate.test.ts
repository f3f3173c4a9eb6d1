import { expect, test } from 'vitest';
import { StartGate } from '../../src/worker/task-manager.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

test('a place given to one who is turning away is not lost', async () => {
  const clock = new VirtualClock();
  const gate = new StartGate(clock);
  const { signal } = new AbortController();
  const impatient = new AbortController();
  const work = new AbortController();
  const worked = new Promise<void>((resolve) => {
    work.signal.addEventListener('abort', () => resolve());
  });
  const holders = Array.from({ length: 8 }, async () => gate.pass(async () => worked, signal));
  const waiting = gate.pass(async () => Promise.resolve(), impatient.signal);
  const turnedAway = expect(waiting).rejects.toThrow('gone');

  impatient.abort(new Error('gone'));
  work.abort(); // Its holder lets the impatient one in before that one has noticed.
  await turnedAway;
  await Promise.all(holders);

  let inside = 0;
  const all = Array.from({ length: 8 }, async () =>
    gate.pass(async () => {
      inside += 1;
      await clock.sleep(1, signal);
    }, signal),
  );
  await clock.advance(0);
  expect(inside).toBe(8);
  await clock.advance(1);
  await Promise.all(all);
});
