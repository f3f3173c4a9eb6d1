import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Node } from '../../../src/api/index.ts';
import { planRoles } from '../../../src/manager/roles/plan-roles.ts';
import { runRoleManager } from '../../../src/manager/roles/role-manager.ts';
import type { Store } from '../../../src/manager/store/store.ts';
import { aNode } from '../../support/builders.ts';
import { FakeRaftGroup } from '../../support/fake-raft-group.ts';
import { aStore } from '../../support/immediate-log.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

type Role = Node['role'];

const managers = ['a', 'b', 'c'];

/** Nodes, their managers' Raft group, and the role manager of whoever leads. */
class World {
  readonly clock = new VirtualClock();
  readonly store: Store = aStore(this.clock);
  readonly group = new FakeRaftGroup();
  #life = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #ledBy: string | undefined;

  static async of(managerIds: readonly string[], workerIds: readonly string[] = []) {
    const world = new World();
    await world.store.update((tx) => {
      for (const id of managerIds) tx.create('node', nodeOf(id, 'MANAGER'));
      for (const id of workerIds) tx.create('node', nodeOf(id, 'WORKER'));
    });
    for (const id of managerIds) world.group.join(id);
    return world;
  }

  /** The role manager of the leader runs from now on; it stops with the leadership. */
  async lead(): Promise<void> {
    await this.crash();
    this.#life = new AbortController();
    this.#ledBy = this.group.leader?.nodeId;
    const raft = this.group.asLeader();
    const deps = { store: this.store, clock: this.clock, raft, log: silentLog };
    const { signal } = this.#life;
    this.#running = runRoleManager(deps, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    await this.pass(0);
  }

  /** The leader's loop ends wherever it is. */
  async crash(): Promise<void> {
    this.#life.abort();
    await this.#running;
    this.#ledBy = undefined;
  }

  /** Time passes, under one leader after the other. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    for (let changes = 0; changes < 10; changes += 1) {
      if (this.#ledBy === undefined || this.#ledBy === this.group.leader?.nodeId) return;
      await this.lead();
      await this.clock.advance(0);
    }
  }

  async want(id: string, desiredRole: Role): Promise<void> {
    await this.store.update((tx) => {
      const node = tx.get('node', id);
      if (node?.spec) tx.update('node', { ...node, spec: { ...node.spec, desiredRole } });
    });
    await this.pass(0);
  }

  async remove(id: string): Promise<void> {
    await this.store.update((tx) => {
      if (tx.get('node', id) !== undefined) tx.remove('node', id);
    });
    await this.pass(0);
  }

  roleOf(id: string): Role | undefined {
    return this.store.view((view) => view.get('node', id))?.role;
  }

  get members(): readonly string[] {
    return this.group.members.map(({ nodeId }) => nodeId);
  }
}

const nodeOf = (id: string, role: Role): Node =>
  aNode({ id, role, spec: { membership: 'ACCEPTED', desiredRole: role } });

let world: World;
beforeEach(async () => {
  world = await World.of(managers, ['w']);
  await world.lead();
  return async () => world.crash();
});

describe('promotion', () => {
  test('gives the role at once: the node joins the group by itself', async () => {
    await world.want('w', 'MANAGER');
    expect(world.roleOf('w')).toBe('MANAGER');
    expect(world.members).toEqual(managers);
  });

  test('that was asked for while nobody led is done by the next leader', async () => {
    await world.crash();
    await world.want('w', 'MANAGER');
    expect(world.roleOf('w')).toBe('WORKER');
    await world.lead();
    expect(world.roleOf('w')).toBe('MANAGER');
  });
});

describe('demotion', () => {
  test('takes the member out of the group before its node becomes a worker', async () => {
    world.group.outcome = 'stuck';
    await world.want('b', 'WORKER');
    await world.pass(600_000);
    expect(world.roleOf('b')).toBe('MANAGER');
    world.group.outcome = 'committed';
    await world.pass(10_000);
    expect(world.members).toEqual(['a', 'c']);
    expect(world.roleOf('b')).toBe('WORKER');
  });

  test('of the leader: it hands over first, and the next leader lets it go', async () => {
    await world.want('a', 'WORKER');
    expect(world.group.history).toEqual(['hand over to b', 'remove a']);
    expect(world.members).toEqual(['b', 'c']);
    expect(world.roleOf('a')).toBe('WORKER');
  });

  test('of the leader hands over to one that stays', async () => {
    await world.crash();
    await world.want('a', 'WORKER');
    await world.want('b', 'WORKER');
    await world.lead();
    expect(world.group.history).toEqual(['remove b', 'hand over to c', 'remove a']);
    expect(world.members).toEqual(['c']);
  });

  test('of the leader tries another successor when the first does not take over', async () => {
    world.group.outcome = 'refused';
    await world.want('a', 'WORKER');
    await world.pass(250);
    expect(world.group.history).toEqual(['hand over to b', 'hand over to c']);
  });

  test('waits while the others would have no quorum, and is done once they have one', async () => {
    world.group.setReachable('c', false);
    await world.want('b', 'WORKER');
    await world.pass(20_000);
    expect(world.members).toEqual(managers);
    expect(world.roleOf('b')).toBe('MANAGER');
    world.group.setReachable('c', true);
    await world.pass(5_000);
    expect(world.members).toEqual(['a', 'c']);
    expect(world.roleOf('b')).toBe('WORKER');
  });

  test('of two, one of them dead: the dead one goes first, which frees the other', async () => {
    world.group.setReachable('c', false);
    await world.crash();
    await world.want('b', 'WORKER');
    await world.want('c', 'WORKER');
    await world.lead();
    expect(world.group.history).toEqual(['remove c', 'remove b']);
  });

  test('of the last manager never comes about', async () => {
    for (const id of managers) await world.want(id, 'WORKER');
    await world.pass(60_000);
    expect(world.members).toHaveLength(1);
    expect(world.roleOf(world.members[0] ?? '')).toBe('MANAGER');
  });

  test('that fails is tried again soon, and then every five seconds', async () => {
    world.group.outcome = 'refused';
    await world.want('b', 'WORKER');
    await world.pass(60_000);
    const [before] = world.group.attempts.splice(0);
    expect(before).toBeDefined();
    await world.pass(10_000);
    expect(world.group.attempts).toHaveLength(2);
    world.group.outcome = 'committed';
    await world.pass(5_000);
    expect(world.members).toEqual(['a', 'c']);
  });

  test('that a new leader cannot judge yet is tried again after a quarter of a second', async () => {
    world.group.setReachable('c', false);
    await world.want('b', 'WORKER');
    world.group.setReachable('c', true);
    await world.pass(249);
    expect(world.members).toEqual(managers);
    await world.pass(1);
    expect(world.members).toEqual(['a', 'c']);
  });

  test('that hangs for five seconds is looked at anew', async () => {
    world.group.outcome = 'stuck';
    await world.want('b', 'WORKER');
    world.group.outcome = 'committed';
    await world.pass(10_000);
    expect(world.members).toEqual(['a', 'c']);
    expect(world.roleOf('b')).toBe('WORKER');
  });

  test('that is taken back before the member is out leaves everything as it was', async () => {
    world.group.outcome = 'refused';
    await world.want('b', 'WORKER');
    await world.want('b', 'MANAGER');
    world.group.outcome = 'committed';
    await world.pass(60_000);
    expect(world.members).toEqual(managers);
    expect(world.roleOf('b')).toBe('MANAGER');
  });

  test('that a leader left half done is finished by the next one', async () => {
    world.group.outcome = 'stuck';
    await world.want('b', 'WORKER');
    await world.crash();
    world.group.outcome = 'committed';
    world.group.elect();
    await world.lead();
    expect(world.members).toEqual(['a', 'c']);
    expect(world.roleOf('b')).toBe('WORKER');
  });
});

describe('the group', () => {
  test('loses the member whose node was removed from the swarm', async () => {
    await world.remove('b');
    expect(world.members).toEqual(['a', 'c']);
  });

  test('loses a worker that joined late, with the certificate of a manager it no longer is', async () => {
    world.group.join('w');
    await world.pass(60_000);
    expect(world.members).toEqual(managers);
    expect(world.roleOf('w')).toBe('WORKER');
  });

  test('keeps everybody who is to be a manager', async () => {
    await world.pass(600_000);
    expect(world.group.history).toEqual([]);
    expect(world.members).toEqual(managers);
  });
});

const ids = ['a', 'b', 'c', 'd', 'e'];
const anId = fc.constantFrom(...ids);
interface NodeEvent {
  readonly kind: 'promote' | 'demote' | 'rm' | 'die' | 'return' | 'rejoin';
  readonly id: string;
}
type Event = NodeEvent | { readonly kind: 'crash' | 'elect' | 'refuse' | 'stick' | 'pass' };

const anEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('promote', 'demote', 'rm', 'die', 'return', 'rejoin'),
    id: anId,
  }),
  fc.record({ kind: fc.constantFrom('crash', 'elect', 'refuse', 'stick', 'pass') }),
);

const atRandom = { numRuns: 100 };

async function happenToNode(swarm: World, { kind, id }: NodeEvent): Promise<void> {
  const { group } = swarm;
  switch (kind) {
    case 'promote':
      return swarm.want(id, 'MANAGER');
    case 'demote':
      return swarm.want(id, 'WORKER');
    case 'rm':
      return swarm.remove(id);
    case 'die':
    case 'return':
      if (id !== group.leader?.nodeId) group.setReachable(id, kind === 'return');
      return undefined;
    case 'rejoin':
      if (swarm.roleOf(id) === 'MANAGER') group.join(id);
      return undefined;
  }
}

async function happen(swarm: World, event: Event): Promise<void> {
  if ('id' in event) return happenToNode(swarm, event);
  const { group } = swarm;
  switch (event.kind) {
    case 'crash':
      return swarm.crash();
    case 'elect':
      group.elect();
      return swarm.lead();
    case 'refuse':
    case 'stick':
      group.outcome = event.kind === 'refuse' ? 'refused' : 'stuck';
      return undefined;
    case 'pass':
      group.outcome = 'committed';
      return swarm.pass(5_000);
  }
}

describe('whatever happens', () => {
  test('a removal never costs a quorum, and in the end every node has its role', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anEvent, { maxLength: 30 }), async (events) => {
        const swarm = await World.of(['a', 'b', 'c'], ['d', 'e']);
        await swarm.lead();
        const hadThroughout: boolean[] = [];
        for (const event of events) {
          const hadQuorum = swarm.group.hasQuorum;
          await happen(swarm, event);
          // Who dies or joins without being heard of is no doing of the role manager's.
          if (event.kind === 'die' || event.kind === 'rejoin') continue;
          if (hadQuorum) hadThroughout.push(swarm.group.hasQuorum);
        }
        expect(hadThroughout).not.toContain(false);
        for (const id of ids) swarm.group.setReachable(id, true);
        swarm.group.outcome = 'committed';
        await swarm.lead();
        await swarm.pass(120_000);
        const { group } = swarm;
        expect(group.members.length).toBeGreaterThan(0);
        const nodes = swarm.store.view((view) => view.find('node'));
        const plan = planRoles({
          nodes,
          members: group.members,
          self: group.asLeader().status().raftId,
          mayRemove: (raftId) => group.asLeader().canRemove(raftId),
        });
        expect({ roles: plan.roles, group: plan.group }).toEqual({ roles: [], group: undefined });
        // Who is held back is the last manager, and nobody else.
        const last = group.members.length === 1 ? group.members : [];
        expect(plan.held).toEqual(plan.held.length === 0 ? [] : last);
        await swarm.crash();
      }),
      atRandom,
    );
  });
});
