/** A priority queue: the least element first. Equal elements come in no particular order. */
export class Heap<T> {
  readonly #items: T[];
  readonly #compare: (a: T, b: T) => number;

  /** Takes O(n) for n items. */
  constructor(compare: (a: T, b: T) => number, items: Iterable<T> = []) {
    this.#compare = compare;
    this.#items = [...items];
    for (let index = (this.#items.length >> 1) - 1; index >= 0; index -= 1) this.#sink(index);
  }

  get size(): number {
    return this.#items.length;
  }

  /** Every element, in no particular order. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }

  /** The least element, which stays. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** O(log n). */
  push(item: T): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1);
  }

  /** Takes the least element out. O(log n). */
  pop(): T | undefined {
    const least = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) {
      this.#items[0] = last;
      this.#sink(0);
    }
    return least;
  }

  /** Puts the least element where it belongs after its order has changed. O(log n). */
  settle(): void {
    if (this.#items.length > 1) this.#sink(0);
  }

  #rise(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isLess(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #sink(start: number): void {
    let index = start;
    for (;;) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      let least = index;
      if (this.#isLess(left, least)) least = left;
      if (this.#isLess(right, least)) least = right;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #isLess(a: number, b: number): boolean {
    if (a >= this.#items.length) return false;
    return this.#compare(this.#items[a] as T, this.#items[b] as T) < 0; // Both are in range.
  }

  #swap(a: number, b: number): void {
    const held = this.#items[a] as T; // Both are in range.
    this.#items[a] = this.#items[b] as T;
    this.#items[b] = held;
  }
}
