import { describe, expect, test } from 'vitest';
import { type Clock, CryptoRandom } from '../../../src/runtime/index.ts';
import { type Expired, NodeSessions } from '../../../src/manager/dispatcher/node-sessions.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const random = new CryptoRandom();

interface Watched {
  readonly sessions: NodeSessions;
  readonly expired: Expired[];
  readonly end: () => void;
}

function watched(clock: Clock): Watched {
  const sessions = new NodeSessions({ clock, random });
  const expired: Expired[] = [];
  const end = new AbortController();
  const watch = async (): Promise<void> => {
    for (;;) expired.push(...(await sessions.nextExpired(end.signal)));
  };
  void watch().catch(() => undefined); // It ends with the test.
  return { sessions, expired, end: () => end.abort() };
}

describe('NodeSessions', () => {
  test('a node that beats stays, and one that does not expires after its grace', async () => {
    const clock = new VirtualClock();
    const { sessions, expired, end } = watched(clock);
    const beating = sessions.open('a', 15_000);
    sessions.open('b', 15_000);
    await clock.advance(10_000);
    sessions.beat('a', beating, 15_000);
    await clock.advance(4_999);
    expect(expired).toEqual([]);
    await clock.advance(1_001);
    expect(expired).toEqual([{ nodeId: 'b', cause: 'silent' }]);
    expect(sessions.isOpen('a', beating)).toBe(true);
    await clock.advance(10_000);
    expect(expired.map(({ nodeId }) => nodeId)).toEqual(['b', 'a']);
    end();
  });

  test('a node that is waited for expires unless it registers', async () => {
    const clock = new VirtualClock();
    const { sessions, expired, end } = watched(clock);
    sessions.expect('a', 30_000);
    sessions.expect('b', 30_000);
    sessions.open('b', 60_000);
    await clock.advance(31_000);
    expect(expired).toEqual([{ nodeId: 'a', cause: 'unknown' }]);
    end();
  });

  test('a session that was replaced is invalid, and its deadline does not count', async () => {
    const clock = new VirtualClock();
    const { sessions, expired, end } = watched(clock);
    const old = sessions.open('a', 5_000);
    const current = sessions.open('a', 60_000);
    expect(() => {
      sessions.check('a', old);
    }).toThrow('session invalid');
    await clock.advance(10_000);
    expect(expired).toEqual([]);
    expect(sessions.isOpen('a', current)).toBe(true);
    end();
  });

  test('an unknown node and a wrong session are told apart', () => {
    const sessions = new NodeSessions({ clock: new VirtualClock(), random });
    expect(() => {
      sessions.check('a', 'x');
    }).toThrow(expect.objectContaining({ code: 'not-found', message: 'node not registered' }));
    sessions.open('a', 1_000);
    for (const wrong of ['', 'x']) {
      expect(() => {
        sessions.beat('a', wrong, 1_000);
      }).toThrow(expect.objectContaining({ code: 'invalid-argument', message: 'session invalid' }));
    }
    sessions.expect('b', 1_000);
    expect(() => {
      sessions.check('b', '');
    }).toThrow('session invalid');
  });

  test('a fourth registration within eight seconds of the last is refused', async () => {
    const clock = new VirtualClock();
    const sessions = new NodeSessions({ clock, random });
    for (let n = 0; n < 3; n += 1) {
      sessions.admit('a', 1_000);
      await clock.advance(7_000);
    }
    const again = () => {
      sessions.admit('a', 1_000);
    };
    expect(again).toThrow('node a exceeded rate limit count of registrations');
    sessions.admit('b', 1_000);
    await clock.advance(1_001);
    again();
  });

  test('one that registers too often is refused, and is not taken for silent', async () => {
    const clock = new VirtualClock();
    const sessions = new NodeSessions({ clock, random });
    for (let n = 0; n < 3; n += 1) sessions.admit('a', 1_000);
    sessions.open('a', 1_000);
    sessions.open('b', 1_000);
    await clock.advance(900);
    expect(() => {
      sessions.admit('a', 1_000);
    }).toThrow('exceeded rate limit');
    const { signal } = new AbortController();
    const gone: string[] = [];
    const watch = async (): Promise<void> => {
      for (const { nodeId } of await sessions.nextExpired(signal)) gone.push(nodeId);
    };
    const first = watch();
    await clock.advance(900);
    expect(gone).toEqual(['b']);
    await first;
    const second = watch();
    await clock.advance(1_000);
    expect(gone).toEqual(['b', 'a']);
    await second;
  });

  test('nodes that a new leader waits for have not registered yet', () => {
    const sessions = new NodeSessions({ clock: new VirtualClock(), random });
    sessions.expect('a', 1_000);
    for (let n = 0; n < 3; n += 1) sessions.admit('a', 1_000);
    expect(sessions.isExpected('a')).toBe(true);
  });

  test('few that hang up are awaited; a crowd that does has each its grace', async () => {
    const clock = new VirtualClock();
    const { sessions, expired, end } = watched(clock);
    const ids = Array.from({ length: 100 }, (_, n) => `n${n}`);
    const opened = ids.map((id) => [id, sessions.open(id, 15_000)] as const);
    const hangUp = (from: number, to: number): void => {
      for (const [id, session] of opened.slice(from, to)) sessions.awaitReturn(id, session, 2_000);
    };
    hangUp(0, 10);
    await clock.advance(2_000);
    expect(expired.map(({ cause }) => cause)).toEqual(Array.from({ length: 10 }, () => 'gone'));
    hangUp(10, 21); // More than a tenth.
    hangUp(21, 30);
    await clock.advance(12_000);
    expect(expired).toHaveLength(10);
    await clock.advance(2_000);
    expect(expired.slice(10).map(({ cause }) => cause)).toEqual(
      Array.from({ length: 90 }, () => 'silent'),
    );
    end();
  });

  test('who comes back after hanging up is waited for no sooner than before', async () => {
    const clock = new VirtualClock();
    const { sessions, expired, end } = watched(clock);
    const session = sessions.open('a', 15_000);
    sessions.awaitReturn('a', session, 2_000);
    sessions.awaitReturn('a', session, 500);
    await clock.advance(1_999);
    sessions.beat('a', session, 15_000);
    await clock.advance(14_000);
    expect(expired).toEqual([]);
    end();
  });

  test('time in which this process was frozen counts against nobody', async () => {
    const clock = new FrozenClock();
    const { sessions, expired, end } = watched(clock);
    sessions.open('a', 15_000);
    clock.freezeFor(60_000);
    await clock.advance(1_000);
    expect(expired).toEqual([]);
    await clock.advance(14_000);
    expect(expired).toHaveLength(1);
    end();
  });

  test('nor does it against those who hung up before', async () => {
    const clock = new FrozenClock();
    const { sessions, expired, end } = watched(clock);
    sessions.awaitReturn('a', sessions.open('a', 15_000), 2_000);
    await clock.advance(500);
    clock.freezeFor(60_000);
    await clock.advance(1_000);
    expect(expired).toEqual([]);
    await clock.advance(1_000);
    expect(expired).toEqual([{ nodeId: 'a', cause: 'gone' }]);
    end();
  });
});

/** A clock whose process may be stopped for a while, without a sleeper that wakes in time. */
class FrozenClock extends VirtualClock {
  #frozen = 0;

  freezeFor(ms: number): void {
    this.#frozen += ms;
  }

  override monotonic(): number {
    return super.monotonic() + this.#frozen;
  }
}
