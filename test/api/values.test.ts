import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { status } from '@grpc/grpc-js';
import {
  compareStates,
  count,
  durationFromMs,
  durationFromNanos,
  fromStatus,
  goErrorText,
  isEqual,
  isTerminal,
  mayAdvance,
  nanosOf,
  stateNumber,
  taskName,
  timestampFromMs,
  toMs,
  toStatus,
  versionOf,
} from '../../src/api/index.ts';
import type { TaskState } from '../../src/api/gen/types.ts';
import { AssertionError, type ErrorCode, SwarmError } from '../../src/runtime/index.ts';
import { aService, aTask } from '../support/builders.ts';

const life: readonly TaskState[] = [
  'NEW',
  'PENDING',
  'ASSIGNED',
  'ACCEPTED',
  'PREPARING',
  'READY',
  'STARTING',
  'RUNNING',
  'COMPLETE',
  'SHUTDOWN',
  'FAILED',
  'REJECTED',
  'REMOVE',
  'ORPHANED',
];

describe('task states', () => {
  test('are ordered as a task lives through them', () => {
    expect(life.toSorted(compareStates)).toEqual(life);
    expect(life.map(stateNumber)).toEqual(life.map(stateNumber).toSorted((a, b) => a - b));
    expect(stateNumber('RUNNING')).toBe(512);
  });

  test('end with any that comes after RUNNING', () => {
    expect(life.filter(isTerminal)).toEqual(life.slice(8));
  });

  test('go forward or stay, and never back', () => {
    for (const [from, a] of life.entries()) {
      for (const [to, b] of life.entries()) expect(mayAdvance(a, b)).toBe(to >= from);
    }
  });
});

describe('time', () => {
  const ms = fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 });

  test('whole milliseconds survive both forms', () => {
    fc.assert(
      fc.property(ms, (time) => {
        expect(toMs(timestampFromMs(time))).toBe(time);
        expect(toMs(durationFromMs(time))).toBe(time);
      }),
    );
  });

  test('the nanoseconds of a timestamp are never negative; those of a duration have its sign', () => {
    expect(timestampFromMs(-1)).toEqual({ seconds: '-1', nanos: 999_000_000 });
    expect(durationFromMs(-1_500)).toEqual({ seconds: '-1', nanos: -500_000_000 });
    fc.assert(
      fc.property(ms, (time) => {
        expect(timestampFromMs(time).nanos).toBeGreaterThanOrEqual(0);
        expect(durationFromMs(time).nanos * Math.sign(time)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test('nanoseconds survive, as far as Go’s durations reach', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (nanos) => {
        expect(nanosOf(durationFromNanos(nanos))).toBe(nanos);
      }),
    );
  });

  test('an absent field has none', () => {
    expect(toMs(null)).toBeUndefined();
    expect(toMs(undefined)).toBeUndefined();
  });
});

describe('isEqual', () => {
  test('compares lists and maps by content, and buffers by bytes', () => {
    expect(isEqual({ a: [1, { b: null }] }, { a: [1, { b: null }] })).toBe(true);
    expect(isEqual({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true);
    expect(isEqual([1, 2], [2, 1])).toBe(false);
    expect(isEqual(Buffer.from('a'), new Uint8Array([97]))).toBe(true);
    expect(isEqual(Buffer.from('a'), Buffer.from('b'))).toBe(false);
  });

  test('tells what is absent from what is empty', () => {
    expect(isEqual({ a: undefined }, {})).toBe(false);
    expect(isEqual({ a: undefined }, { b: undefined })).toBe(false);
    expect(isEqual(null, {})).toBe(false);
    expect(isEqual([], {})).toBe(false);
    expect(isEqual('1', 1)).toBe(false);
    expect(isEqual(Buffer.alloc(0), [])).toBe(false);
  });

  test('holds for a value and its copy, and both ways round', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        expect(isEqual(a, structuredClone(a))).toBe(true);
        expect(isEqual(a, b)).toBe(isEqual(b, a));
        expect(isEqual([a], { 0: a })).toBe(false);
      }),
    );
  });
});

describe('objects', () => {
  test('a task is named for its service and slot, or its node, or itself', () => {
    const service = { serviceAnnotations: { name: 'web' } };
    expect(taskName(aTask({ ...service, id: 't', slot: '3' }))).toBe('web.3.t');
    expect(taskName(aTask({ ...service, id: 't', slot: '0', nodeId: 'n' }))).toBe('web.n.t');
    expect(taskName(aTask({ ...service, annotations: { name: 'own' } }))).toBe('own');
  });

  test('an object that was never stored has version 0', () => {
    expect(versionOf(aService())).toBe(0);
    expect(versionOf(aService({ meta: { version: { index: '7' } } }))).toBe(7);
  });

  test('a number too large to calculate with is a bug', () => {
    expect(count(undefined)).toBe(0);
    expect(count('42')).toBe(42);
    expect(() => count(String(2n ** 53n))).toThrow(AssertionError);
  });
});

const codes: Readonly<Record<ErrorCode, number>> = {
  cancelled: 1,
  unknown: 2,
  'invalid-argument': 3,
  'deadline-exceeded': 4,
  'not-found': 5,
  'already-exists': 6,
  'permission-denied': 7,
  'resource-exhausted': 8,
  'failed-precondition': 9,
  aborted: 10,
  'out-of-range': 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  'data-loss': 15,
  unauthenticated: 16,
};

describe('status', () => {
  test('every code has gRPC’s number, there and back', () => {
    for (const [name, number] of Object.entries(codes)) {
      const code = name as ErrorCode; // A key of the table above.
      expect(toStatus(new SwarmError(code, 'text'))).toEqual({ code: number, details: 'text' });
      expect(fromStatus({ code: number, details: 'text' })).toMatchObject({
        code,
        message: 'text',
      });
    }
  });

  test('what is no error of ours is sent as unknown, and read as unknown', () => {
    expect(toStatus(new Error('bug'))).toEqual({ code: status.UNKNOWN, details: 'bug' });
    expect(fromStatus(new Error('odd'))).toMatchObject({ code: 'unknown', message: 'odd' });
    expect(fromStatus({ code: 99, details: 'new' })).toMatchObject({ code: 'unknown' });
  });

  test('an error of ours is passed through as it is', () => {
    const error = new SwarmError('aborted', 'text');
    expect(fromStatus(error)).toBe(error);
  });

  test('is shown as a Go client shows it', () => {
    expect(goErrorText(new SwarmError('not-found', 'service x not found'))).toBe(
      'rpc error: code = NotFound desc = service x not found',
    );
    expect(goErrorText(new SwarmError('cancelled', 'gone'))).toContain('code = Canceled');
  });
});
