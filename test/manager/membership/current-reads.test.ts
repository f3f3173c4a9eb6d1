import { describe, expect, test } from 'vitest';
import type { CallContext, Handlers } from '../../../src/api/index.ts';
import { withCurrentReads } from '../../../src/manager/membership/current-reads.ts';
import { SwarmError } from '../../../src/runtime/index.ts';

const context = { signal: new AbortController().signal } as CallContext; // All that is looked at.

/** A control API that answers as told, and counts the rounds of its leader. */
function setup({ failure, leads = true }: { failure?: SwarmError; leads?: boolean }) {
  const seen = { rounds: 0 };
  const answer = async (): Promise<object> => {
    if (failure !== undefined) throw failure;
    return {};
  };
  const control = { getConfig: answer, removeConfig: answer } as unknown as Handlers<'Control'>;
  const current = withCurrentReads(control, async () => {
    seen.rounds += 1;
    if (!leads) throw new SwarmError('unavailable', 'raft: no elected cluster leader');
  });
  return { current, seen };
}

describe('what a leader answers is current', () => {
  test('a read waits for a majority, unless an old answer will do', async () => {
    const { current, seen } = setup({});
    await current.getConfig({ configId: 'c1' }, context);
    expect(seen.rounds).toBe(1);
    await current.getConfig({ configId: 'c1' }, { ...context, isStale: true });
    expect(seen.rounds).toBe(1);
    const deposed = setup({ leads: false });
    await expect(deposed.current.getConfig({ configId: 'c1' }, context)).rejects.toThrow(
      'no elected cluster leader',
    );
  });

  test('a change that is done needs no round of its own', async () => {
    const { current, seen } = setup({});
    await current.removeConfig({ configId: 'c1' }, context);
    expect(seen.rounds).toBe(0);
  });

  test('one that leads no more refuses no change for what it believes is stored', async () => {
    const failure = new SwarmError('not-found', 'config c1 not found');
    const { current, seen } = setup({ failure });
    await expect(current.removeConfig({ configId: 'c1' }, context)).rejects.toThrow('not found');
    expect(seen.rounds).toBe(1);
    const deposed = setup({ failure, leads: false });
    await expect(deposed.current.removeConfig({ configId: 'c1' }, context)).rejects.toThrow(
      'no elected cluster leader',
    );
  });

  test('what is never done, or whose outcome is unknown, needs none', async () => {
    for (const code of ['unimplemented', 'unavailable'] as const) {
      const { current, seen } = setup({ failure: new SwarmError(code, 'no') });
      await expect(current.removeConfig({ configId: 'c1' }, context)).rejects.toThrow('no');
      expect(seen.rounds).toBe(0);
    }
  });
});
