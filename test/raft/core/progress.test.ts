import { describe, expect, test } from 'vitest';
import { Progress } from '../../../src/raft/core/progress.ts';

const aProgress = (nextIndex: number, limits = {}): Progress =>
  new Progress(
    { nextIndex, isLearner: false },
    { inflightMessagesMax: 2, inflightBytesMax: 100, ...limits },
  );

describe('Progress', () => {
  test('a probe holds back after one message with entries, until it is answered', () => {
    const progress = aProgress(5);
    progress.sentEntries(3, 10);
    expect([progress.isPaused, progress.nextIndex]).toEqual([true, 5]);
    progress.acknowledge(7);
    expect([progress.isPaused, progress.nextIndex, progress.matchIndex]).toEqual([false, 8, 7]);
  });

  test('replication runs ahead of the answers, up to the limit of messages', () => {
    const progress = aProgress(1);
    progress.becomeReplicate();
    progress.sentEntries(2, 10);
    expect([progress.isPaused, progress.nextIndex]).toEqual([false, 3]);
    progress.sentEntries(1, 10);
    expect([progress.isPaused, progress.nextIndex]).toEqual([true, 4]);
  });

  test('replication stops at the limit of bytes, and goes on when they are acknowledged', () => {
    const progress = aProgress(1, { inflightMessagesMax: 10 });
    progress.becomeReplicate();
    progress.sentEntries(1, 60);
    progress.sentEntries(1, 60);
    expect(progress.isPaused).toBe(true);
    progress.acknowledge(1);
    progress.inflights.freeThrough(1);
    expect([progress.isPaused, progress.inflights.count]).toEqual([false, 1]);
  });

  test('nothing is sent while a snapshot is on its way; afterwards it goes on behind it', () => {
    const progress = aProgress(1);
    progress.becomeSnapshot(10);
    expect(progress.isPaused).toBe(true);
    progress.becomeProbe();
    expect([progress.isPaused, progress.nextIndex]).toEqual([false, 11]);
  });

  test('a snapshot that failed is forgotten: probing begins behind what is known', () => {
    const progress = aProgress(1);
    progress.becomeSnapshot(10);
    progress.pendingSnapshot = 0;
    progress.becomeProbe();
    expect(progress.nextIndex).toBe(1);
  });

  test('§5.3: a rejection steps back to the hint, but never behind what is known to match', () => {
    const progress = aProgress(10);
    expect(progress.stepBack(9, 4)).toBe(true);
    expect(progress.nextIndex).toBe(5);
    progress.acknowledge(4);
    expect(progress.stepBack(4, 1)).toBe(true);
    expect(progress.nextIndex).toBe(5);
  });

  test('a rejection that answers an older message is not news', () => {
    const progress = aProgress(10);
    expect(progress.stepBack(7, 3)).toBe(false);
    progress.acknowledge(9);
    progress.becomeReplicate();
    expect(progress.stepBack(8, 3)).toBe(false);
  });

  test('an acknowledgement never takes the match index back', () => {
    const progress = aProgress(1);
    progress.acknowledge(5);
    expect(progress.acknowledge(4)).toBe(false);
    expect(progress.matchIndex).toBe(5);
  });
});
