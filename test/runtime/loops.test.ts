import { describe, expect, test } from 'vitest';
import { promptTiming, runReconcileLoop, runTogether, Watch } from '../../src/runtime/index.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const untilAborted = async (signal: AbortSignal): Promise<void> => {
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
};

describe('runTogether', () => {
  test('a failing loop aborts its siblings, and its error is the one thrown', async () => {
    const ended: string[] = [];
    const group = runTogether(new AbortController().signal, [
      async () => Promise.reject(new Error('first')),
      async (signal) => {
        await untilAborted(signal);
        ended.push('sibling');
        throw new Error('second');
      },
    ]);
    await expect(group).rejects.toThrow('first');
    expect(ended).toEqual(['sibling']);
  });

  test('an aborted group ends without a failure', async () => {
    const controller = new AbortController();
    const group = runTogether(controller.signal, [untilAborted, untilAborted]);
    controller.abort();
    await expect(group).resolves.toBeUndefined();
  });

  test('a group lasts as long as its longest loop', async () => {
    const controller = new AbortController();
    let isOver = false;
    const group = runTogether(controller.signal, [async () => Promise.resolve(), untilAborted]);
    void group.then(() => (isOver = true));
    await Promise.resolve();
    expect(isOver).toBe(false);
    controller.abort();
    await group;
  });
});

/** A loop under a virtual clock, and when it reconciled. */
async function aLoop(timing: typeof promptTiming) {
  const clock = new VirtualClock();
  const watch = new Watch<string>();
  const changes = watch.subscribe();
  const controller = new AbortController();
  const rounds: number[] = [];
  const loop = runReconcileLoop(
    { clock, timing },
    async (signal) => {
      await changes.changed(signal);
      changes.drain();
    },
    async () => {
      rounds.push(clock.monotonic());
      return Promise.resolve();
    },
    controller.signal,
  );
  await clock.advance(0);
  return {
    clock,
    watch,
    rounds,
    end: async () => {
      controller.abort();
      await loop.catch(() => undefined);
    },
  };
}

describe('runReconcileLoop', () => {
  test('reconciles at once, and again as soon as something has changed', async () => {
    const { clock, watch, rounds, end } = await aLoop(promptTiming);
    await clock.advance(1_000);
    watch.publish('changed');
    await clock.advance(0);
    expect(rounds).toEqual([0, 1_000]);
    await end();
  });

  test('reconciles once for a burst that settles', async () => {
    const { clock, watch, rounds, end } = await aLoop({ ...promptTiming, settleMs: 50 });
    for (let i = 0; i < 5; i += 1) {
      watch.publish('changed');
      await clock.advance(20);
    }
    await clock.advance(100);
    expect(rounds).toHaveLength(2);
    await end();
  });

  test('does not wait for ever for a burst to settle', async () => {
    const timing = { settleMs: 50, latencyMaxMs: 200, resyncMs: 60_000 };
    const { clock, watch, rounds, end } = await aLoop(timing);
    for (let i = 0; i < 30; i += 1) {
      watch.publish('changed');
      await clock.advance(20);
    }
    expect(rounds.length).toBeGreaterThan(2);
    await end();
  });

  test('reconciles from time to time, whatever it was told', async () => {
    const { clock, rounds, end } = await aLoop({ ...promptTiming, resyncMs: 1_000 });
    await clock.advance(3_500);
    expect(rounds).toEqual([0, 1_000, 2_000, 3_000]);
    await end();
  });
});
