import { afterEach, describe, expect, test } from 'vitest';
import { configsOf, createConfig, eventually, Quorum } from '../../support/quorum.ts';

let quorum = new Quorum();

afterEach(async () => {
  await quorum.stop();
  quorum = new Quorum();
});

const call = { signal: AbortSignal.timeout(60_000), deadlineMs: 10_000 };

describe('several managers', { timeout: 20_000 }, () => {
  test('a second manager joins, gets a vote, and has what the first has', async () => {
    const first = await quorum.found();
    await createConfig(first, 'before');
    const second = await quorum.join(first);
    await createConfig(first, 'after');
    await eventually(() => configsOf(second).length === 2);
    expect(configsOf(second)).toEqual(['after', 'before']);
    expect(first.raft.members()).toMatchObject([
      { nodeId: first.nodeId, isLeader: true, isLearner: false, isReachable: true },
      { nodeId: second.nodeId, isLeader: false, isLearner: false, isReachable: true },
    ]);
  });

  test('a write through a follower is the leader’s to make', async () => {
    const [first, second, third] = await quorum.ofThree();
    await createConfig(second, 'a');
    await createConfig(third, 'b');
    expect(configsOf(first)).toEqual(['a', 'b']);
    const { configs } = await third.client.unary('Control', 'ListConfigs', {}, call);
    expect(configs).toHaveLength(2);
  });

  test('the leader is killed: another leads, and writes go on', async () => {
    const [first, second, third] = await quorum.ofThree();
    await createConfig(second, 'before');
    await first.kill();
    await createConfig(second, 'after');
    await createConfig(third, 'last');
    await quorum.leader([second, third]);
    await eventually(() => configsOf(second).length === 3 && configsOf(third).length === 3);
    expect(configsOf(third)).toEqual(['after', 'before', 'last']);
  });
});
