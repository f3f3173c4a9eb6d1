import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkHistory } from './check.ts';
import type { Answer, Call, Operation } from './history.ts';
import { randomHistory } from './random-history.ts';
import { carryOut, emptyRegister, isSameAnswer, type Register, versionsOf } from './register.ts';

type Times = readonly [calledAt: number, answeredAt: number];
const done: Answer = { kind: 'done' };

function asked(call: Call, answer: Answer | undefined, [calledAt, answeredAt]: Times) {
  return { key: 'k', call, answer, calledAt, answeredAt };
}
const create = (value: string, times: Times, answer: Answer | undefined = done): Operation =>
  asked({ kind: 'create', value }, answer, times);
const update = (
  [version, value]: readonly [number, string],
  times: Times,
  answer: Answer = done,
): Operation => asked({ kind: 'update', version, value }, answer, times);
const read = (found: readonly [string, number] | undefined, times: Times): Operation => {
  const absent: Answer = { kind: 'absent' };
  const answer: Answer =
    found === undefined ? absent : { kind: 'found', value: found[0], version: found[1] };
  return asked({ kind: 'read' }, answer, times);
};
const remove = (times: Times, answer: Answer | undefined = done): Operation =>
  asked({ kind: 'remove' }, answer, times);
/** The same, of unknown outcome. */
const unknown = (known: Operation): Operation => ({ ...known, answer: undefined });

const verdictOf = (...history: readonly Operation[]): string => checkHistory(history).kind;

describe('a history is linearizable', () => {
  test('when nothing happened', () => {
    expect(verdictOf()).toBe('linearizable');
  });

  test('when each operation comes after the one before and says what it left', () => {
    expect(
      verdictOf(
        read(undefined, [0, 1]),
        create('a', [2, 3]),
        create('b', [4, 5], { kind: 'exists' }),
        read(['a', 7], [6, 7]),
        update([7, 'c'], [8, 9]),
        update([7, 'd'], [10, 11], { kind: 'stale' }),
        read(['c', 9], [12, 13]),
        remove([14, 15]),
        remove([16, 17], { kind: 'absent' }),
        update([9, 'e'], [18, 19], { kind: 'absent' }),
        read(undefined, [20, 21]),
        create('f', [22, 23]),
        read(['f', 12], [24, 25]),
      ),
    ).toBe('linearizable');
  });

  test('when reads of the same time as a write disagree about it, in some order', () => {
    const history = [create('a', [0, 10]), read(['a', 1], [2, 3]), read(undefined, [1, 4])];
    expect(verdictOf(...history)).toBe('linearizable');
  });

  test('when objects of different names contradict each other in time, for they do not meet', () => {
    const other = { ...read(undefined, [2, 3]), key: 'other' };
    expect(verdictOf(create('a', [0, 1]), other)).toBe('linearizable');
  });

  test('when an operation of unknown outcome happened, never happened, or happened much later', () => {
    const before = [create('a', [0, 1]), read(['a', 1], [2, 3])];
    const lost = unknown(update([1, 'b'], [4, 5]));
    expect(verdictOf(...before, lost, read(['a', 1], [6, 7]))).toBe('linearizable');
    expect(verdictOf(...before, lost, read(['b', 2], [6, 7]))).toBe('linearizable');
    expect(verdictOf(...before, lost, read(['a', 1], [6, 7]), read(['b', 2], [8, 9]))).toBe(
      'linearizable',
    );
  });
});

describe('a history is rejected', () => {
  test('when a read does not see a write that was acknowledged before it', () => {
    expect(verdictOf(create('a', [0, 1]), read(undefined, [2, 3]))).toBe('violation');
    expect(
      verdictOf(
        create('a', [0, 1]),
        read(['a', 1], [2, 3]),
        update([1, 'b'], [4, 5]),
        read(['a', 1], [6, 7]),
      ),
    ).toBe('violation');
  });

  test('when two updates of the same version are both acknowledged', () => {
    const history = [create('a', [0, 1]), read(['a', 1], [2, 3])];
    expect(verdictOf(...history, update([1, 'b'], [4, 9]), update([1, 'c'], [5, 8]))).toBe(
      'violation',
    );
  });

  test('when two creations of one name are both acknowledged, with no removal between them', () => {
    expect(verdictOf(create('a', [0, 9]), create('b', [1, 8]))).toBe('violation');
    expect(verdictOf(create('a', [0, 9]), unknown(remove([1, 2])), create('b', [1, 8]))).toBe(
      'linearizable',
    );
  });

  test('when a write was seen and is gone again', () => {
    const write = create('a', [0, 20]);
    const reads = [read(['a', 1], [2, 3]), read(undefined, [5, 6])];
    expect(verdictOf(write, ...reads)).toBe('violation');
    expect(verdictOf(unknown(write), ...reads)).toBe('violation');
  });

  test('when a value is read that nobody wrote, or before it was written', () => {
    expect(verdictOf(read(['x', 1], [0, 1]))).toBe('violation');
    expect(verdictOf(read(['a', 1], [0, 1]), create('a', [2, 3]))).toBe('violation');
    expect(verdictOf(read(['a', 1], [0, 1]), unknown(create('a', [2, 3])))).toBe('violation');
  });

  test('when an operation of unknown outcome would have had to happen twice', () => {
    const lost = unknown(create('a', [0, 1]));
    expect(verdictOf(lost, read(['a', 1], [2, 3]), remove([4, 5]), read(['a', 1], [6, 7]))).toBe(
      'violation',
    );
  });

  test('when one value has two versions, or a version goes back', () => {
    expect(verdictOf(create('a', [0, 1]), read(['a', 1], [2, 3]), read(['a', 2], [4, 5]))).toBe(
      'violation',
    );
    expect(
      verdictOf(
        create('a', [0, 1]),
        read(['a', 9], [2, 3]),
        update([9, 'b'], [4, 5]),
        read(['b', 8], [6, 7]),
      ),
    ).toBe('violation');
  });

  test('when a refusal has no reason', () => {
    expect(verdictOf(create('a', [0, 1], { kind: 'exists' }))).toBe('violation');
    expect(verdictOf(create('a', [0, 1]), remove([2, 3], { kind: 'absent' }))).toBe('violation');
    expect(
      verdictOf(
        create('a', [0, 1]),
        read(['a', 1], [2, 3]),
        update([1, 'b'], [4, 5], { kind: 'stale' }),
      ),
    ).toBe('violation');
  });

  test('with the operation that cannot be explained, and what came before it', () => {
    const wrong = read(undefined, [2, 3]);
    const verdict = checkHistory([create('a', [0, 1]), wrong, read(['a', 1], [4, 5])]);
    expect(verdict).toMatchObject({ kind: 'violation', operation: wrong });
    expect(verdict.kind === 'violation' && verdict.explanation.split('\n')).toEqual([
      '[2.0, 3.0] read k → absent: before it there may have been: a',
      '  [0.0, 1.0] create k = a → done',
      '→ [2.0, 3.0] read k → absent',
    ]);
  });
});

describe('random histories', () => {
  const integers = fc.infiniteStream(fc.nat(1_000_000));
  test('of one copy of the objects are accepted', () => {
    fc.assert(
      fc.property(integers, (stream) => {
        const shape = { operations: 60, clients: 5, keys: 2, unknownPerMille: 150 };
        expect(checkHistory(randomHistory(shape, belowOf(stream)))).toEqual({
          kind: 'linearizable',
        });
      }),
      { numRuns: 100 },
    );
  });

  test('are judged as by one who tries every order', () => {
    const counts = { linearizable: 0, violation: 0 };
    fc.assert(
      fc.property(integers, fc.boolean(), (stream, isSpoilt) => {
        const below = belowOf(stream);
        const shape = { operations: 6, clients: 3, keys: 1, unknownPerMille: 250 };
        const history = randomHistory(shape, below);
        const judged = isSpoilt ? withAnswersSwapped(history, below) : history;
        const { kind } = checkHistory(judged);
        counts[kind] += 1;
        expect(kind).toBe(hasSomeOrder(judged) ? 'linearizable' : 'violation');
      }),
      { numRuns: 1_500, seed: 1 },
    );
    expect(Math.min(counts.linearizable, counts.violation)).toBeGreaterThan(25);
  });

  test('of 10,000 operations are judged in seconds', { timeout: 20_000 }, () => {
    let state = 1;
    const below = (limit: number): number => {
      state = (state * 48_271) % 2_147_483_647;
      return state % limit;
    };
    for (const keys of [2, 20]) {
      const shape = { operations: 10_000, clients: 8, keys, unknownPerMille: 5 };
      const history = randomHistory(shape, below);
      expect(checkHistory(history).kind).toBe('linearizable');
      const last = history.findLast(({ answer }) => answer?.kind === 'found');
      const spoilt = history.filter((each) => each !== last);
      const never: Answer = { kind: 'found', value: 'never', version: 1e9 };
      if (last !== undefined) spoilt.push({ ...last, answer: never });
      expect(checkHistory(spoilt).kind).toBe('violation');
    }
  });
});

/** Draws from a stream of large integers. */
const belowOf = (stream: Iterator<number>) => (limit: number) =>
  Number(stream.next().value) % limit;

/** Gives two operations of the same kind each other's answer. */
function withAnswersSwapped(
  history: readonly Operation[],
  below: (limit: number) => number,
): readonly Operation[] {
  const one = history[below(history.length)];
  const others = history.filter((each) => each.call.kind === one?.call.kind);
  const other = others[below(others.length)];
  return history.map((each) => {
    if (one === undefined || other === undefined) return each;
    if (each === one) return { ...each, answer: other.answer };
    return each === other ? { ...each, answer: one.answer } : each;
  });
}

/** Tries every order that does not put an operation before one that was answered before its call. */
function hasSomeOrder(history: readonly Operation[]): boolean {
  const known = versionsOf(history);
  if ('contradiction' in known) return false;
  const { versions } = known;
  const tryFrom = (register: Register, left: readonly Operation[]): boolean => {
    if (left.every(({ answer }) => answer === undefined)) return true;
    return left.some((operation) => {
      const { call, answer, calledAt } = operation;
      const isTooEarly = left.some(
        (other) => other.answer !== undefined && other.answeredAt < calledAt,
      );
      if (isTooEarly) return false;
      const rest = left.filter((other) => other !== operation);
      const outcome = carryOut(register, call, versions);
      if (outcome === 'impossible') return false;
      if (answer !== undefined && !isSameAnswer(outcome.answer, answer)) return false;
      return tryFrom(outcome.register, rest);
    });
  };
  return tryFrom(emptyRegister, history);
}
