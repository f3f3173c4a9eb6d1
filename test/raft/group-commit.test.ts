import { describe, expect, test } from 'vitest';
import { GroupCommit } from '../../src/raft/group-commit.ts';

/** A batch to which proposals come in turns of the event loop, as many as each of them brings. */
class Batch {
  turns = 0;
  #arriving: readonly number[] = [];
  #size = 0;
  #now = 0;
  readonly #turnMs: number;
  readonly #commit = new GroupCommit({
    monotonic: () => this.#now,
    turn: async () => {
      this.#now += this.#turnMs;
      this.#size += this.#arriving[this.turns] ?? 0;
      this.turns += 1;
      return Promise.resolve();
    },
  });

  constructor(turnMs = 0.01) {
    this.#turnMs = turnMs;
  }

  /** @returns how large the batch is, that begins with so many proposals, once it is saved */
  async of(first: number, ...arriving: readonly number[]): Promise<number> {
    this.turns = 0;
    this.#size = first;
    this.#arriving = arriving;
    await this.#commit.gather(() => this.#size);
    return this.#size;
  }
}

describe('group commit', () => {
  test('who was always alone does not wait', async () => {
    const batch = new Batch();
    for (let n = 0; n < 5; n += 1) expect(await batch.of(1, 1)).toBe(1);
    expect(batch.turns).toBe(0);
  });

  test('those who come one after the other share a batch, if they did so before', async () => {
    const batch = new Batch();
    expect(await batch.of(8)).toBe(8);
    expect(await batch.of(1, 1, 0, 2, 0, 0, 1, 3)).toBe(8);
    expect(batch.turns).toBe(7);
  });

  test('two groups that wait for each other become one', async () => {
    const batch = new Batch();
    expect([await batch.of(7), await batch.of(1)]).toEqual([7, 1]);
    expect(await batch.of(3, 1, 1, 1, 1, 1)).toBe(7);
    expect(await batch.of(1, 7)).toBe(8);
  });

  test('it is closed when nobody comes for six turns, and two such batches are forgotten', async () => {
    const batch = new Batch();
    await batch.of(8);
    expect(await batch.of(1, 0, 1)).toBe(2);
    expect(batch.turns).toBe(2 + 6);
    await batch.of(1);
    expect(batch.turns).toBe(6);
    expect(await batch.of(1, 1)).toBe(2);
    expect(batch.turns).toBe(1);
  });

  test('it waits for a millisecond at most, however long a turn takes', async () => {
    const batch = new Batch(0.4);
    await batch.of(8);
    expect(await batch.of(1, 1, 1, 1, 1, 1)).toBe(4);
    expect(batch.turns).toBe(3);
  });
});
