import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deadAfterMs, deadManagerLabel } from '../../../src/manager/roles/plan-dead-managers.ts';
import { runDeadManagers } from '../../../src/manager/roles/dead-managers.ts';
import { codecOf } from '../../../src/api/index.ts';
import { aNode } from '../../support/builders.ts';
import { FakeRaftGroup } from '../../support/fake-raft-group.ts';
import { aStore } from '../../support/immediate-log.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const minute = 60_000;

let clock: VirtualClock;
let store: ReturnType<typeof aStore>;
let group: FakeRaftGroup;
let life: AbortController;

const join = async (nodeId: string): Promise<void> => {
  group.join(nodeId);
  const spec = { desiredRole: 'MANAGER' } as const;
  await store.update((tx) => {
    tx.create('node', aNode({ id: nodeId, role: 'MANAGER', spec }));
  });
};

const demoted = (): string[] =>
  store
    .view((view) => view.find('node'))
    .filter(({ spec }) => spec?.desiredRole === 'WORKER')
    .map(({ id }) => id);

const after = (text: string): number | undefined => deadAfterMs({ [deadManagerLabel]: text });

/** A swarm of managers `a`, `b`, `c` that calls a silent manager dead after some time. */
async function begin(labels: Readonly<Record<string, string>>): Promise<void> {
  await store.update((tx) => {
    const spec = { annotations: { name: 'default', labels: { ...labels } } };
    tx.create('cluster', codecOf('Cluster').create({ id: 'cluster', spec }));
  });
  for (const nodeId of ['a', 'b', 'c']) await join(nodeId);
  void runDeadManagers({ store, raft: group.asLeader(), clock, log: silentLog }, life.signal).catch(
    () => undefined,
  );
}

beforeEach(() => {
  clock = new VirtualClock();
  store = aStore(clock);
  group = new FakeRaftGroup();
  life = new AbortController();
});
afterEach(() => {
  life.abort();
});

describe('managers that are dead', () => {
  test('are left alone, unless the swarm says otherwise', async () => {
    await begin({});
    await join('d');
    group.setReachable('b', false);
    await clock.advance(100 * minute);
    expect(demoted()).toEqual([]);
  });

  test('are demoted once they are replaced, and not before', async () => {
    await begin({ [deadManagerLabel]: String(minute) });
    group.setReachable('b', false);
    await clock.advance(10 * minute);
    expect(demoted()).toEqual([]);
    await join('d');
    await clock.advance(2_000);
    expect(demoted()).toEqual(['b']);
  });

  test('are not dead before their time, and begin anew when they are heard from', async () => {
    await begin({ [deadManagerLabel]: String(minute) });
    await join('d');
    group.setReachable('b', false);
    await clock.advance(minute - 5_000);
    group.setReachable('b', true);
    await clock.advance(2_000);
    group.setReachable('b', false);
    await clock.advance(minute - 5_000);
    expect(demoted()).toEqual([]);
    await clock.advance(10_000);
    expect(demoted()).toEqual(['b']);
  });

  test('are kept where the others have no majority', async () => {
    await begin({ [deadManagerLabel]: String(minute) });
    group.setReachable('b', false);
    group.setReachable('c', false);
    await clock.advance(10 * minute);
    expect(demoted()).toEqual([]);
  });

  test('go one after the other', async () => {
    await begin({ [deadManagerLabel]: String(minute) });
    await join('d');
    await join('e');
    for (const nodeId of ['b', 'c']) group.setReachable(nodeId, false);
    await clock.advance(10 * minute);
    expect(demoted()).toEqual(['b']);
  });

  test('are so after half a minute at the earliest, whatever the label says', () => {
    expect([after('60000'), after('5'), after('0'), after('soon'), deadAfterMs({})]).toEqual([
      60_000,
      30_000,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
