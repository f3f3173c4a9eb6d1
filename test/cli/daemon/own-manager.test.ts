import { beforeEach, describe, expect, test } from 'vitest';
import { OwnManager } from '../../../src/cli/daemon/own-manager.ts';
import type { TlsMaterial } from '../../../src/ca/index.ts';
import { orAborted, type Subscription, SwarmError, Watch } from '../../../src/runtime/index.ts';
import { silentLog } from '../../support/silent-log.ts';
import { TestSwarm } from '../../support/test-swarm.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const swarm = new TestSwarm();
const materials = {
  manager: swarm.security('swarm-manager').current,
  worker: swarm.security('swarm-worker').current,
} as const;

/** A manager that serves at once, until it is removed, breaks, or is told to end. */
class FakeManager {
  readonly #events: string[];
  readonly #ended: Promise<'removed'>;
  remove: () => void = () => undefined;
  break: (error: Error) => void = () => undefined;

  constructor(events: string[]) {
    this.#events = events;
    this.#ended = new Promise((resolve, reject) => {
      this.remove = () => {
        resolve('removed');
      };
      this.break = reject;
    });
  }

  async serving(): Promise<void> {
    await Promise.resolve();
  }

  async run(signal: AbortSignal): Promise<'removed' | 'ended'> {
    try {
      return await orAborted(this.#ended, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      return 'ended';
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#events.push('closed');
  }
}

/** A node whose certificate, log and swarm a test plays. */
class World {
  readonly clock = new VirtualClock();
  readonly events: string[] = [];
  readonly changes = new Watch<TlsMaterial>();
  current: TlsMaterial;
  hasLog: boolean;
  /** What opening a manager ends in, until it is empty. */
  failures: Error[] = [];
  manager: FakeManager | undefined;
  failure: unknown;
  /** What the node was told last. */
  standing = 'nothing';
  readonly own: OwnManager<FakeManager>;
  readonly #life = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(role: 'manager' | 'worker', { hasLog = false }: { readonly hasLog?: boolean } = {}) {
    this.current = materials[role];
    this.hasLog = hasLog;
    this.own = new OwnManager<FakeManager>({
      clock: this.clock,
      log: silentLog,
      security: this,
      renewal: { renewNow: () => this.events.push('asks for a certificate') },
      managerLog: this,
      open: async () => this.#open(),
      changed: (manager) => {
        const without = this.current.role === 'swarm-worker' ? 'worker' : 'gone';
        const standing = manager === undefined ? without : 'serves';
        if (standing !== this.standing) this.events.push(standing);
        this.standing = standing;
      },
    });
  }

  watch(): Subscription<TlsMaterial> {
    return this.changes.subscribe();
  }

  get exists(): boolean {
    return this.hasLog;
  }

  drop(): void {
    if (this.hasLog) this.events.push('log dropped');
    this.hasLog = false;
  }

  async #open(): Promise<FakeManager> {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    this.events.push(this.hasLog ? 'comes back' : 'joins');
    this.hasLog = true;
    this.manager = new FakeManager(this.events);
    return this.manager;
  }

  async run(entry: 'first' | 'later' = 'later'): Promise<void> {
    this.#running = this.own.run(entry, this.#life.signal).catch((error: unknown) => {
      if (!this.#life.signal.aborted) this.failure = error;
    });
    await this.clock.advance(0);
  }

  async become(role: 'manager' | 'worker'): Promise<void> {
    this.current = materials[role];
    this.changes.publish(this.current);
    await this.clock.advance(0);
  }

  async end(): Promise<void> {
    this.#life.abort();
    await this.#running;
  }

  /** What happened since it was asked last. */
  get news(): readonly string[] {
    return this.events.splice(0);
  }
}

let worlds: World[] = [];
beforeEach(() => {
  worlds = [];
  return async () => {
    for (const world of worlds) await world.end();
  };
});

async function aNode(
  role: 'manager' | 'worker',
  options: { readonly hasLog?: boolean } = {},
): Promise<World> {
  const world = new World(role, options);
  worlds.push(world);
  await world.run();
  return world;
}

const removed = async (world: World): Promise<void> => {
  world.manager?.remove();
  await world.clock.advance(0);
};

const taken = new SwarmError('failed-precondition', 'port 2377 is in use');
const away = new SwarmError('unavailable', 'no manager could be reached');

describe('the manager of a node', () => {
  test('joins when the node gets the certificate of one, and goes when it loses it', async () => {
    const world = await aNode('worker');
    expect(world.news).toEqual(['worker']);
    await world.become('manager');
    expect(world.news).toEqual(['joins', 'serves']);
    await world.become('worker');
    expect(world.news).toEqual(['worker', 'closed', 'log dropped']);
    await world.become('manager');
    expect(world.news).toEqual(['joins', 'serves']);
  });

  test('comes back by its log', async () => {
    const world = await aNode('manager', { hasLog: true });
    expect(world.news).toEqual(['comes back', 'serves']);
  });

  test('whose promotion a crash cut short joins when the node starts again', async () => {
    const world = await aNode('manager');
    expect(world.news).toEqual(['joins', 'serves']);
  });

  test('whose demotion a crash cut short leaves no log when the node starts again', async () => {
    const world = await aNode('worker', { hasLog: true });
    expect(world.news).toEqual(['log dropped', 'worker']);
  });

  test('goes on while its certificate is renewed', async () => {
    const world = await aNode('manager', { hasLog: true });
    await world.become('manager');
    await world.become('manager');
    expect(world.news).toEqual(['comes back', 'serves']);
  });

  test('ends with the node, and keeps its log', async () => {
    const world = await aNode('manager', { hasLog: true });
    await world.end();
    expect(world.news).toEqual(['comes back', 'serves', 'gone', 'closed']);
    expect(world.hasLog).toBe(true);
  });
});

describe('a manager that was removed from the group', () => {
  test('drops its log, and is gone for good once its node is a worker', async () => {
    const world = await aNode('manager', { hasLog: true });
    await removed(world);
    expect(world.news).toEqual(['comes back', 'serves', 'gone', 'closed', 'log dropped']);
    await world.become('worker');
    await world.clock.advance(60_000);
    expect(world.news).toEqual(['worker']);
  });

  test('asks for its role after 16 s, and joins as a new member after 16 more', async () => {
    const world = await aNode('manager', { hasLog: true });
    await removed(world);
    world.events.splice(0);
    await world.clock.advance(15_999);
    expect(world.news).toEqual([]);
    await world.clock.advance(1);
    expect(world.news).toEqual(['asks for a certificate']);
    await world.clock.advance(15_999);
    expect(world.news).toEqual([]);
    await world.clock.advance(1);
    expect(world.news).toEqual(['joins', 'serves']);
  });
});

describe('a manager that cannot begin', () => {
  test('is tried again with growing pauses, and says why, while the node goes on', async () => {
    const world = await aNode('worker');
    world.failures = [taken, away];
    await world.become('manager');
    expect(world.own.error).toBe('port 2377 is in use');
    await world.clock.advance(100);
    expect(world.own.error).toBe('no manager could be reached');
    await world.clock.advance(199);
    expect(world.news.filter((event) => event === 'joins')).toEqual([]);
    await world.clock.advance(1);
    expect(world.news.slice(-2)).toEqual(['joins', 'serves']);
    expect(world.own.error).toBe('');
    expect(world.failure).toBeUndefined();
  });

  test('is given up when the node is demoted again', async () => {
    const world = await aNode('worker');
    world.failures = Array.from({ length: 100 }, () => taken);
    await world.become('manager');
    await world.become('worker');
    world.failures = [];
    await world.clock.advance(60_000);
    expect(world.news.filter((event) => event === 'joins')).toEqual([]);
  });

  test('by the log it has ends the node: nothing else could be done about it', async () => {
    const world = new World('manager', { hasLog: true });
    worlds.push(world);
    world.failures = [taken];
    await world.run();
    expect(world.failure).toBe(taken);
  });

  test('ends the node if somebody waits for it to join, and it would not go better later', async () => {
    const world = new World('manager');
    worlds.push(world);
    world.failures = [away, taken];
    await world.run('first');
    expect(world.failure).toBeUndefined();
    await world.clock.advance(100);
    expect(world.failure).toBe(taken);
  });

  test('for it broke later ends the node, though it was promoted in place', async () => {
    const world = await aNode('worker');
    await world.become('manager');
    const broken = new SwarmError('internal', 'the disk is full');
    world.manager?.break(broken);
    await world.clock.advance(0);
    expect(world.failure).toBe(broken);
  });
});
