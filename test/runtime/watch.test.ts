import { describe, expect, test } from 'vitest';
import { Watch } from '../../src/runtime/index.ts';

const never = new AbortController().signal;

describe('a watch', () => {
  test('gives each subscriber what was published since it last looked, in order', () => {
    const watch = new Watch<number>();
    using early = watch.subscribe();
    watch.publish(1);
    using late = watch.subscribe();
    watch.publish(2);
    expect(early.drain()).toEqual([1, 2]);
    expect(late.drain()).toEqual([2]);
    expect(early.drain()).toEqual([]);
  });

  test('gives a subscriber only what it wants', () => {
    const watch = new Watch<number>();
    using even = watch.subscribe((n) => n % 2 === 0);
    for (const n of [1, 2, 3, 4]) watch.publish(n);
    expect(even.drain()).toEqual([2, 4]);
  });

  test('tells a subscriber that is too slow to read everything anew, once', () => {
    const watch = new Watch<number>();
    using slow = watch.subscribe(undefined, 2);
    for (const n of [1, 2, 3, 4]) watch.publish(n);
    expect(slow.drain()).toBe('resync');
    watch.publish(5);
    expect(slow.drain()).toEqual([5]);
  });

  test('wakes a subscriber that waits, and does not let one wait that has something', async () => {
    const watch = new Watch<number>();
    using subscription = watch.subscribe();
    const woken = subscription.changed(never);
    watch.publish(1);
    await woken;
    await subscription.changed(never); // Not drained yet.
    expect(subscription.drain()).toEqual([1]);
  });

  test('lets a wait be aborted, and wait again', async () => {
    const watch = new Watch<number>();
    using subscription = watch.subscribe();
    const controller = new AbortController();
    const waiting = subscription.changed(controller.signal);
    controller.abort(new Error('over'));
    await expect(waiting).rejects.toThrow('over');
    const again = subscription.changed(never);
    watch.publish(1);
    await again;
  });

  test('has nothing for a subscriber that left', () => {
    const watch = new Watch<number>();
    const subscription = watch.subscribe();
    subscription[Symbol.dispose]();
    watch.publish(1);
    expect(subscription.drain()).toEqual([]);
  });
});
