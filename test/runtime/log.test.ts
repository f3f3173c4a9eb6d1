import { describe, expect, test } from 'vitest';
import { createLog, newId } from '../../src/runtime/index.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

describe('the log', () => {
  test('writes JSON with the time of the clock', () => {
    const lines: string[] = [];
    const clock = new VirtualClock();
    const log = createLog(clock, 'info', { write: (line) => lines.push(line) });
    log.info({ 'node.id': 'n1' }, 'session opened');
    log.debug('not shown');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      {
        level: 'info',
        time: new Date(clock.now()).toISOString(),
        'node.id': 'n1',
        msg: 'session opened',
      },
    ]);
  });

  test('never shows a token, a key or a secret', () => {
    const lines: string[] = [];
    const log = createLog(new VirtualClock(), 'info', { write: (line) => lines.push(line) });
    const secret = 'SWMTKN-1-secret';
    log.info({ token: secret, request: { token: secret, data: secret, unlockKey: secret } }, 'x');
    expect(lines.join('')).not.toContain(secret);
  });
});

describe('newId', () => {
  test('has 25 characters of base 36, whatever chance gives', () => {
    for (const byte of [0x00, 0x7f, 0xff]) {
      const random = { bytes: (count: number) => Buffer.alloc(count, byte), integer: () => 0 };
      expect(newId(random)).toMatch(/^[0-9a-z]{25}$/u);
    }
  });
});
