import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Heap } from '../../src/runtime/index.ts';

const ascending = (a: number, b: number): number => a - b;

const drained = (heap: Heap<number>): number[] => {
  const items: number[] = [];
  while (heap.size > 0) items.push(heap.pop() ?? Number.NaN);
  return items;
};

describe('Heap', () => {
  test('elements come out in order, however they came in', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.array(fc.integer()), (first, more) => {
        const heap = new Heap(ascending, first);
        for (const item of more) heap.push(item);
        expect(drained(heap)).toEqual([...first, ...more].toSorted(ascending));
      }),
    );
  });

  test('the least element finds its place after it has changed', () => {
    const heap = new Heap<{ load: number }>((a, b) => a.load - b.load);
    for (const load of [1, 2, 3]) heap.push({ load });
    const least = heap.peek();
    if (least !== undefined) least.load = 5;
    heap.settle();
    expect([heap.pop()?.load, heap.pop()?.load, heap.pop()?.load]).toEqual([2, 3, 5]);
  });

  test('an empty heap gives nothing', () => {
    expect(new Heap(ascending).pop()).toBeUndefined();
  });
});
