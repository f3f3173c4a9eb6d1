import { describe, expect, test } from 'vitest';
import { localClient } from '../../../src/api/index.ts';
import { Dispatcher } from '../../../src/manager/dispatcher/dispatcher.ts';
import { CryptoRandom, SwarmError } from '../../../src/runtime/index.ts';
import { type ManagerConnection, type Managers, runAgent } from '../../../src/worker/index.ts';
import { aNode, aTask } from '../../support/builders.ts';
import { FakeExecutor } from '../../support/fake-executor.ts';
import { aStore } from '../../support/immediate-log.ts';
import { MemoryTaskStore } from '../../support/memory-task-store.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const addresses = ['10.0.0.1:2377', '10.0.0.2:2377', '10.0.0.3:2377'] as const;
const nodeIds = Array.from({ length: 10 }, (_, n) => `n${n}`);

/** Three managers on one store, of whom one leads, and ten nodes with a task each. */
class Quorum {
  readonly clock = new VirtualClock();
  readonly store = aStore(this.clock);
  readonly executors = new Map(nodeIds.map((id) => [id, new FakeExecutor(this.clock)]));
  /** Every state that a node was ever in, as it came. */
  readonly states: string[] = [];
  readonly #dispatchers: readonly Dispatcher[];
  readonly #agents = new Map<string, { readonly end: () => Promise<void> }>();
  #leading: { readonly end: () => Promise<void> } | undefined;
  /** Nodes that no manager hears any more. */
  readonly #deaf = new Set<string>();

  constructor() {
    const managers = (): { nodeId: string; addr: string }[] =>
      addresses.map((addr) => ({ nodeId: addr, addr }));
    this.#dispatchers = addresses.map(
      (nodeId) =>
        new Dispatcher({
          store: this.store,
          clock: this.clock,
          random: new CryptoRandom(),
          log: silentLog,
          self: { nodeId },
          managers,
        }),
    );
  }

  /** Ends the term of the leader, and begins one of another. */
  async lead(index: number): Promise<void> {
    await this.#leading?.end();
    const life = new AbortController();
    const running = this.#dispatchers[index]?.run(life.signal);
    this.#leading = {
      end: async () => {
        life.abort();
        await running;
      },
    };
  }

  async begin(): Promise<void> {
    await this.store.update((tx) => {
      for (const id of nodeIds) {
        tx.create('node', aNode({ id }));
        const container = { image: 'nginx' };
        const task = { id: `t-${id}`, nodeId: id, desiredState: 'RUNNING' } as const;
        tx.create('task', aTask({ ...task, spec: { container }, status: { state: 'ASSIGNED' } }));
      }
    });
    await this.lead(0);
    for (const id of nodeIds) this.start(id);
    await this.clock.advance(5_000);
  }

  start(nodeId: string): void {
    const life = new AbortController();
    const executor = this.executors.get(nodeId) ?? new FakeExecutor(this.clock);
    const running = runAgent(
      {
        clock: this.clock,
        random: new CryptoRandom(),
        log: silentLog,
        executor,
        store: new MemoryTaskStore(),
        managers: this.#managersOf(nodeId),
        observer: {
          nodeChanged: () => undefined,
          rootCaChanged: () => undefined,
          sessionOpened: () => undefined,
          sessionClosed: () => undefined,
        },
        facts: {
          tlsInfo: () => ({}),
          tlsChanged: async (signal) => this.clock.sleep(Number.MAX_SAFE_INTEGER, signal),
        },
      },
      { nodeId, statePath: '/nowhere' },
      life.signal,
    );
    this.#agents.set(nodeId, {
      end: async () => {
        life.abort();
        await running;
      },
    });
  }

  /** Cuts a node off. */
  deafen(nodeId: string): void {
    this.#deaf.add(nodeId);
  }

  stateOf(nodeId: string): string | undefined {
    return this.store.view((view) => view.get('node', nodeId)?.status?.state);
  }

  /** How many nodes are in each state. */
  get census(): Readonly<Record<string, number>> {
    const census: Record<string, number> = {};
    for (const id of nodeIds) {
      const state = this.stateOf(id) ?? '';
      census[state] = (census[state] ?? 0) + 1;
    }
    return census;
  }

  async end(): Promise<void> {
    for (const { end } of this.#agents.values()) await end();
    await this.#leading?.end();
  }

  #managersOf(nodeId: string): Managers {
    let turn = Number(nodeId.slice(1));
    return {
      connect: (failed) => {
        do turn = (turn + 1) % addresses.length;
        while (addresses[turn] === failed);
        return this.#connection(nodeId, turn);
      },
      hasOther: () => true,
      learn: () => undefined,
    };
  }

  #connection(nodeId: string, index: number): ManagerConnection {
    const dispatcher = this.#dispatchers[index];
    const client = localClient(dispatcher === undefined ? {} : { Dispatcher: dispatcher }, {
      kind: 'node',
      nodeId,
      role: 'swarm-worker',
      clusterId: 'c',
      remoteIp: '10.0.1.1',
    });
    return {
      ...client,
      unary: async (...call) => {
        if (this.#deaf.has(nodeId)) throw new SwarmError('unavailable', 'no route to host');
        return client.unary(...call);
      },
      serverStream: (...call) => {
        if (this.#deaf.has(nodeId)) throw new SwarmError('unavailable', 'no route to host');
        return client.serverStream(...call);
      },
      address: addresses[index] ?? '',
      observe: () => undefined,
      [Symbol.dispose]: () => undefined,
    };
  }
}

describe('after a change of leader', () => {
  test('agents are back within a second; no task is restarted, no node called down', async () => {
    const quorum = new Quorum();
    await quorum.begin();
    expect(quorum.census).toEqual({ READY: nodeIds.length });
    using changes = quorum.store.subscribe(
      (event) =>
        event.action === 'updated' &&
        event.kind === 'node' &&
        event.object.status?.state === 'DOWN',
    );
    for (const leader of [1, 2, 0]) {
      await quorum.lead(leader);
      await quorum.clock.advance(1_000);
      expect(quorum.census).toEqual({ READY: nodeIds.length });
      await quorum.clock.advance(32_000); // Longer than anybody is waited for.
    }
    expect(changes.drain()).toEqual([]);
    for (const [id, executor] of quorum.executors) {
      const starts = executor.calls.filter((call) => call.endsWith(' start'));
      expect(starts).toEqual([`t-${id} start`]);
    }
    await quorum.end();
  });

  test('what ended while nobody led is told to the next leader', async () => {
    const quorum = new Quorum();
    await quorum.begin();
    quorum.executors.get('n3')?.kill('t-n3', 7);
    await quorum.lead(1);
    await quorum.clock.advance(1_000);
    const status = quorum.store.view((view) => view.get('task', 't-n3')?.status);
    expect(status).toMatchObject({ state: 'FAILED', container: { exitCode: 7 } });
    await quorum.end();
  });

  test('a node that does not come back is unknown, and down after twice its grace', async () => {
    const quorum = new Quorum();
    await quorum.begin();
    quorum.deafen('n5');
    await quorum.lead(2);
    await quorum.clock.advance(29_000);
    expect(quorum.stateOf('n5')).toBe('UNKNOWN');
    await quorum.clock.advance(2_000);
    expect(quorum.stateOf('n5')).toBe('DOWN');
    expect(quorum.census).toEqual({ READY: nodeIds.length - 1, DOWN: 1 });
    await quorum.end();
  });
});
