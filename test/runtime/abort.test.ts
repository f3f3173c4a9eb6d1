import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { childOf, firstOf, orAborted } from '../../src/runtime/index.ts';

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

describe('orAborted', () => {
  test('gives what the promise gives', async () => {
    expect(await orAborted(Promise.resolve(1), new AbortController().signal)).toBe(1);
  });

  test('throws the reason of a signal that aborts first, and leaves no listener', async () => {
    const controller = new AbortController();
    const waiting = orAborted(new Promise<void>(() => undefined), controller.signal);
    controller.abort(new Error('over'));
    await expect(waiting).rejects.toThrow('over');
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });
});
