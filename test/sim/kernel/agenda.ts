import type { Life } from './kernel.ts';

/** Something that is to happen, unless it is cancelled. */
export interface Timer {
  cancel(): void;
}

/** Something that is to happen at a time; of several at one time, in the order they were made. */
export class Event implements Timer {
  readonly time: number;
  readonly order: number;
  readonly life: Life | undefined;
  /** Absent once it is cancelled, or has happened. */
  run: (() => void) | undefined;
  readonly #agenda: Agenda;

  constructor(
    agenda: Agenda,
    as: { time: number; order: number; life: Life | undefined; run: () => void },
  ) {
    this.#agenda = agenda;
    this.time = as.time;
    this.order = as.order;
    this.life = as.life;
    this.run = as.run;
  }

  cancel(): void {
    if (this.run === undefined) return;
    this.run = undefined;
    this.#agenda.forget();
  }
}

/** So few cancelled events do no harm. */
const cancelledMin = 1_000;

/**
 * All that is to happen, soonest first: a binary heap. Most waits are cancelled long before their
 * time; once such events are the greater part they are swept out.
 */
export class Agenda {
  #heap: Event[] = [];
  #cancelled = 0;

  /** An event has been cancelled. */
  forget(): void {
    this.#cancelled += 1;
    if (this.#cancelled < cancelledMin || this.#cancelled * 2 < this.#heap.length) return;
    this.#cancelled = 0;
    const heap = this.#heap.filter(({ run }) => run !== undefined);
    this.#heap = heap;
    for (let at = (heap.length >> 1) - 1; at >= 0; at -= 1) this.#sink(at, heap[at] as Event); // In range.
  }

  peek(): Event | undefined {
    return this.#heap[0];
  }

  /** Takes away what {@link peek} gave. */
  pop(): void {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return;
    if (first.run === undefined) this.#cancelled -= 1;
    first.run = undefined;
    if (heap.length > 0) this.#sink(0, last);
  }

  push(event: Event): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Event; // In range.
      if (!isBefore(event, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  /** Puts an event where it belongs, from a place whose children are in order. */
  #sink(from: number, event: Event): void {
    const heap = this.#heap;
    const { length } = heap;
    let index = from;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      let below = heap[child] as Event; // In range, as is the next.
      if (child + 1 < length && isBefore(heap[child + 1] as Event, below)) {
        child += 1;
        below = heap[child] as Event;
      }
      if (!isBefore(below, event)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = event;
  }
}

const isBefore = (a: Event, b: Event): boolean =>
  a.time < b.time || (a.time === b.time && a.order < b.order);
