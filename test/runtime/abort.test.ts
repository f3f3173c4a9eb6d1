import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { childOf, firstOf, onAbort, orAborted, SystemClock } from '../../src/runtime/index.ts';

describe('childOf', () => {
  test('a child aborts with its parent, for the same reason', () => {
    const parent = new AbortController();
    using child = childOf(parent.signal);
    parent.abort(new Error('over'));
    expect(child.signal.aborted).toBe(true);
    expect(child.signal.reason).toBe(parent.signal.reason);
  });

  test('a child of what has aborted is aborted', () => {
    using child = childOf(AbortSignal.abort(new Error('over')));
    expect(child.signal.aborted).toBe(true);
  });

  test('aborting a child leaves its parent and its siblings alone', () => {
    const parent = new AbortController();
    using first = childOf(parent.signal);
    using second = childOf(parent.signal);
    first.abort();
    expect([first, second].map(({ signal }) => signal.aborted)).toEqual([true, false]);
    expect(parent.signal.aborted).toBe(false);
  });

  test('a child that was disposed of no longer follows', () => {
    const parent = new AbortController();
    const child = childOf(parent.signal);
    child[Symbol.dispose]();
    parent.abort();
    expect(child.signal.aborted).toBe(false);
  });

  test('a parent has one listener, however many children it has had', () => {
    const parent = new AbortController();
    for (let i = 0; i < 1_000; i += 1) takeAndLeave(parent.signal);
    expect(getEventListeners(parent.signal, 'abort')).toHaveLength(1);
  });
});

describe('onAbort', () => {
  test('is done once its signal aborts, and not if it was disposed of before', () => {
    const controller = new AbortController();
    const done: string[] = [];
    onAbort(controller.signal, () => done.push('kept'));
    onAbort(controller.signal, () => done.push('left'))[Symbol.dispose]();
    expect(done).toEqual([]);
    controller.abort();
    expect(done).toEqual(['kept']);
  });

  test('the same may be waited for twice, and each be left by itself', () => {
    const controller = new AbortController();
    let count = 0;
    const act = (): void => {
      count += 1;
    };
    onAbort(controller.signal, act);
    onAbort(controller.signal, act)[Symbol.dispose]();
    controller.abort();
    expect(count).toBe(1);
  });

  test('whatever waits, a signal has one listener: more than ten are called a leak', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const clock = new SystemClock();
    const waits = Array.from({ length: 20 }, async () => [
      clock.sleep(60_000, signal),
      orAborted(new Promise<void>(() => undefined), signal),
    ]);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort(new Error('over'));
    for (const outcome of await Promise.allSettled((await Promise.all(waits)).flat())) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'over' } });
    }
  });
});

function takeAndLeave(signal: AbortSignal): void {
  using child = childOf(signal);
  expect(child.signal.aborted).toBe(false);
}

describe('firstOf', () => {
  test('gives the first result, after the other waits have ended', async () => {
    const ended: string[] = [];
    const result = await firstOf(
      new AbortController().signal,
      async () => Promise.resolve('quick'),
      async (signal) => {
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve, { once: true });
        });
        ended.push('slow');
        return 'slow';
      },
    );
    expect(result).toBe('quick');
    expect(ended).toEqual(['slow']);
  });

  test('throws what the first wait to end threw', async () => {
    await expect(
      firstOf(new AbortController().signal, async () => Promise.reject(new Error('broken'))),
    ).rejects.toThrow('broken');
  });
});

async function failsLater(): Promise<void> {
  await turn();
  throw new Error('later');
}

describe('orAborted', () => {
  test('a promise that nobody waits for any more may fail: that ends no process', async () => {
    const unheard: unknown[] = [];
    const hear = (reason: unknown): void => {
      unheard.push(reason);
    };
    process.on('unhandledRejection', hear);
    const over = new Error('over');
    const controller = new AbortController();
    const late = Promise.reject(new Error('late'));
    await expect(orAborted(late, AbortSignal.abort(over))).rejects.toBe(over);
    const waiting = orAborted(failsLater(), controller.signal);
    controller.abort(over);
    await expect(waiting).rejects.toBe(over);
    await turn();
    await turn();
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
  });

  test('gives what the promise gives', async () => {
    expect(await orAborted(Promise.resolve(1), new AbortController().signal)).toBe(1);
  });

  test('throws the reason of a signal that aborts first', async () => {
    const controller = new AbortController();
    const waiting = orAborted(new Promise<void>(() => undefined), controller.signal);
    controller.abort(new Error('over'));
    await expect(waiting).rejects.toThrow('over');
  });
});
