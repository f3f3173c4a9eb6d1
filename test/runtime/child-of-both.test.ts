import { describe, expect, test } from 'vitest';
import { childOfBoth } from '../../src/runtime/index.ts';

describe('childOfBoth', () => {
  test.each([0, 1])('it aborts with parent %i, and for its reason', (index) => {
    const parents = [new AbortController(), new AbortController()] as const;
    using child = childOfBoth(parents[0].signal, parents[1].signal);
    expect(child.signal.aborted).toBe(false);
    parents[index === 0 ? 0 : 1].abort('reason');
    expect(child.signal.reason).toBe('reason');
    expect(parents[index === 0 ? 1 : 0].signal.aborted).toBe(false);
  });

  test('a parent that has aborted already aborts it at once', () => {
    const other = new AbortController().signal;
    expect(childOfBoth(other, AbortSignal.abort('before')).signal.reason).toBe('before');
  });

  test('once disposed of it follows no more', () => {
    const parents = [new AbortController(), new AbortController()] as const;
    const child = childOfBoth(parents[0].signal, parents[1].signal);
    child[Symbol.dispose]();
    for (const parent of parents) parent.abort();
    expect(child.signal.aborted).toBe(false);
  });
});
