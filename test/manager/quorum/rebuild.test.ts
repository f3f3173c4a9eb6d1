import { afterEach, describe, expect, test } from 'vitest';
import { configsOf, createConfig, eventually, Quorum } from '../../support/quorum.ts';

let quorum = new Quorum();

afterEach(async () => {
  await quorum.stop();
  quorum = new Quorum();
});

const within = (): AbortSignal => AbortSignal.timeout(10_000);

describe('a swarm that is rebuilt from one manager', { timeout: 20_000 }, () => {
  test('keeps all that this manager has, under another Raft ID, and nobody else has a say', async () => {
    const [first, second, third] = await quorum.ofThree();
    await createConfig(first, 'kept');
    await eventually(() => configsOf(third).includes('kept'));
    const ids = [first, second, third].map(({ raft }) => raft.status().raftId);
    const { term } = third.raft.status();
    await Promise.all([first.kill(), second.kill()]);
    await third.kill();

    const alone = await quorum.start(await quorum.rebuilt(third), 'itself');
    await alone.manager.serving(within());
    await createConfig(alone, 'new');
    expect(configsOf(alone)).toEqual(['kept', 'new']);
    expect(alone.raft.members()).toHaveLength(1);
    expect(ids).not.toContain(alone.raft.status().raftId);
    expect(alone.raft.status().term).toBeGreaterThan(term);
    expect(ids.every((id) => alone.raft.isRemoved(id))).toBe(true);
    const nodes = alone.store.view((view) => view.find('node'));
    expect(
      nodes
        .map(({ id, role, spec }) => ({ id, role, desired: spec?.desiredRole }))
        .filter(({ role, desired }) => role === 'MANAGER' || desired === 'MANAGER'),
    ).toEqual([{ id: third.nodeId, role: 'MANAGER', desired: 'MANAGER' }]);
  });

  test.each(['where it was', 'elsewhere'])(
    'refuses the others when they all come back, and it is %s',
    async (where) => {
      const [first, second, third] = await quorum.ofThree();
      await Promise.all([first.kill(), second.kill()]);
      await third.kill();
      const address = where === 'elsewhere' ? (await quorum.host()).address : third.address;
      const alone = await quorum.start(await quorum.rebuilt(third, address), 'itself');
      await alone.manager.serving(within());
      const { term } = alone.raft.status();

      const back = await Promise.all([
        quorum.start(first, 'itself'),
        quorum.start(second, 'itself'),
      ]);
      const led = back.map(async ({ manager, ended }) => {
        let hasLed = false;
        const watch = async (): Promise<void> => {
          await eventually(() => (hasLed ||= manager.isLeader));
        };
        await Promise.race([ended, watch()]);
        return hasLed;
      });
      expect(await Promise.all(back.map(async ({ ended }) => ended))).toEqual([
        'removed',
        'removed',
      ]);
      expect(await Promise.all(led)).toEqual([false, false]);
      expect(alone.raft.status()).toMatchObject({ isLeader: true, term });
      await createConfig(alone, 'new');
      expect(configsOf(alone)).toEqual(['new']);
    },
  );

  test('takes managers in again, the old ones among them', async () => {
    const [first, second, third] = await quorum.ofThree();
    await Promise.all([first.kill(), second.kill()]);
    await third.kill();
    const alone = await quorum.start(await quorum.rebuilt(third), 'itself');
    await alone.manager.serving(within());
    const lost = await quorum.start(first, 'itself');
    expect(await lost.ended).toBe('removed');

    first.logs.store = undefined; // As a node does whose manager was removed.
    const stranger = await quorum.start(first, alone);
    expect(await stranger.ended).toBe('removed');
    await alone.store.update((tx) => {
      const node = tx.get('node', first.nodeId);
      if (node?.spec === undefined || node.spec === null) throw new Error('the node is gone');
      tx.update('node', { ...node, spec: { ...node.spec, desiredRole: 'MANAGER' } });
    });
    const again = await quorum.start(first, alone);
    await again.manager.serving(within());
    await eventually(() => alone.raft.members().every(({ isLearner }) => !isLearner));
    expect(alone.raft.members()).toHaveLength(2);
  });
});

describe('managers that have moved', { timeout: 20_000 }, () => {
  test('find each other, though all of them have, by what each is told of one other', async () => {
    const three = await quorum.ofThree();
    await Promise.all(three.map(async (manager) => manager.kill()));
    const moved = await Promise.all(
      three.map(async (host) => ({ ...host, address: (await quorum.host()).address })),
    );
    const [a, b, c] = moved;
    if (a === undefined || b === undefined || c === undefined) throw new Error('there are three');
    const running = [
      await quorum.start({ ...a, hints: [b.address] }, 'itself'),
      await quorum.start(b, 'itself'),
      await quorum.start({ ...c, hints: [b.address] }, 'itself'),
    ];
    const leader = await quorum.leader(running);
    await createConfig(leader, 'from-elsewhere');
    const addresses = moved.map(({ address }) => address).toSorted();
    const known = ({ raft }: (typeof running)[number]): string[] =>
      raft.members().map(({ addr }) => addr);
    await eventually(() =>
      running.every((manager) => known(manager).toSorted().join() === addresses.join()),
    );
    expect(leader.raft.members()).toHaveLength(3);
  });
});
