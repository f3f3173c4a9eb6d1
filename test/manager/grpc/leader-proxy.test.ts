import { describe, expect, test } from 'vitest';
import {
  type CallContext,
  type CallOptions,
  type Caller,
  type Handlers,
  localClient,
  type RpcClient,
} from '../../../src/api/index.ts';
import type { ServedContext } from '../../../src/manager/grpc/calls.ts';
import { type Leader, onLeader } from '../../../src/manager/grpc/leader-proxy.ts';
import { orAborted, SwarmError } from '../../../src/runtime/index.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const forEver = new AbortController().signal;

const worker: Caller = {
  kind: 'node',
  nodeId: 'w1',
  role: 'swarm-worker',
  clusterId: 'c1',
  remoteIp: '10.0.0.2',
};

/** A manager that says who it is, and writes down what it was told. */
class Manager {
  readonly told: (CallOptions['metadata'] | undefined)[] = [];
  failure: SwarmError | undefined;
  health: 'SERVING' | 'NOT_SERVING' = 'SERVING';
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  readonly handlers: {
    NodeCA: Partial<Handlers<'NodeCA'>>;
    Dispatcher: Partial<Handlers<'Dispatcher'>>;
    Health: Partial<Handlers<'Health'>>;
    Control: Partial<Handlers<'Control'>>;
  } = {
    Control: {
      removeConfig: async () => this.#refused(),
      getConfig: async () => this.#refused(),
    },
    Health: { check: async () => Promise.resolve({ status: this.health }) },
    NodeCA: {
      issueNodeCertificate: async () => {
        await Promise.resolve();
        if (this.failure !== undefined) throw this.failure;
        return { nodeId: this.#name };
      },
    },
    Dispatcher: {
      session: (): AsyncIterable<{ sessionId: string }> => this.#sessions(),
    },
  };

  async #refused(): Promise<never> {
    throw this.failure ?? new SwarmError('not-found', 'config c1 not found');
  }

  /** This manager as another one reaches it. */
  get connection(): RpcClient {
    const client = localClient(this.handlers, worker);
    return {
      ...client,
      unary: async (service, method, request, options) => {
        if (service !== 'Health') this.told.push(options.metadata);
        return client.unary(service, method, request, options);
      },
      serverStream: (service, method, request, options) => {
        this.told.push(options.metadata);
        return client.serverStream(service, method, request, options);
      },
    };
  }

  async *#sessions(): AsyncGenerator<{ sessionId: string }> {
    yield { sessionId: `${this.#name} 1` };
    yield { sessionId: `${this.#name} 2` };
  }
}

function setup(leader: () => Leader, onBehalfOf: 'caller' | 'self' = 'caller') {
  const clock = new VirtualClock();
  const self = new Manager('self');
  const handlers = onLeader({ leader, clock, onBehalfOf, patienceMs: 3_000 }, self.handlers);
  const context: CallContext = { caller: worker, signal: new AbortController().signal };
  const issue = async (served: Partial<ServedContext> = {}): Promise<string> => {
    const request = {
      role: 'WORKER',
      csr: Buffer.alloc(0),
      token: '',
      availability: 'ACTIVE',
    } as const;
    const answer = await handlers.NodeCA?.issueNodeCertificate?.(request, {
      ...context,
      ...served,
    });
    return answer?.nodeId ?? '';
  };
  return { clock, self, handlers, context, issue };
}

const passedOn = {
  forwarded_cert: 'true',
  forwarded_cert_cn: 'w1',
  forwarded_cert_org: 'c1',
  forwarded_cert_ou: 'swarm-worker',
  remote_addr: '10.0.0.2:0',
  redirect: '10.0.0.2',
};

describe('onLeader', () => {
  test('the leader answers by itself', async () => {
    const { issue } = setup(() => ({ kind: 'self' }));
    expect(await issue()).toBe('self');
  });

  test('a follower passes a call on, with who made it', async () => {
    const other = new Manager('other');
    const { issue } = setup(() => ({
      kind: 'other',
      connection: other.connection,
      until: forEver,
    }));
    expect(await issue()).toBe('other');
    expect(other.told).toEqual([passedOn]);
  });

  test('what this node itself asks is asked as this manager', async () => {
    const other = new Manager('other');
    const { issue } = setup(
      () => ({ kind: 'other', connection: other.connection, until: forEver }),
      'self',
    );
    await issue();
    expect(other.told).toEqual([{ redirect: '10.0.0.2' }]);
  });

  test('a follower passes a stream on, message by message', async () => {
    const other = new Manager('other');
    const { handlers, context } = setup(() => ({
      kind: 'other',
      connection: other.connection,
      until: forEver,
    }));
    const heard: (string | undefined)[] = [];
    const request = { description: null, sessionId: '' };
    for await (const { sessionId } of handlers.Dispatcher?.session?.(request, context) ?? []) {
      heard.push(sessionId);
    }
    expect(heard).toEqual(['other 1', 'other 2']);
    expect(other.told).toEqual([passedOn]);
  });

  test('a call that was passed on is not passed on again', async () => {
    const other = new Manager('other');
    const { issue } = setup(() => ({
      kind: 'other',
      connection: other.connection,
      until: forEver,
    }));
    await expect(issue({ redirectedFrom: '10.0.0.7:5' })).rejects.toThrow(
      'more than one redirect to leader from: [10.0.0.7:5]',
    );
    expect(other.told).toEqual([]);
  });

  test('a call waits for a leader', async () => {
    let leader: Leader = { kind: 'none', since: 0 };
    const { issue, clock } = setup(() => leader);
    const answer = issue();
    await clock.advance(2_000);
    leader = { kind: 'self' };
    await clock.advance(100);
    expect(await answer).toBe('self');
  });

  test('long without a leader, a call fails at once', async () => {
    const { issue, clock } = setup(() => ({ kind: 'none', since: 0 }));
    await clock.advance(3_001);
    await expect(issue()).rejects.toThrow(
      "The swarm does not have a leader. It's possible that too few managers are online. " +
        'Make sure more than half of the managers are online.',
    );
  });

  test('a call that the leader cut goes to the next leader, once', async () => {
    const [first, second] = [new Manager('first'), new Manager('second')];
    first.failure = new SwarmError('unavailable', 'Connection dropped');
    let leader = first;
    const { issue, clock } = setup(() => ({
      kind: 'other',
      connection: leader.connection,
      until: forEver,
    }));
    first.failure = new SwarmError('unavailable', 'connection error: desc = "EOF"');
    const answer = issue();
    await clock.advance(10);
    leader = second;
    await clock.advance(100);
    expect(await answer).toBe('second');

    leader = first;
    const failing = issue().catch((error: unknown) => String(error));
    await clock.advance(1_000);
    expect(await failing).toContain('connection error');
    expect(first.told).toHaveLength(3);
  });

  test('what the next leader refuses is told, unless the one before may have done it', async () => {
    const first = new Manager('first');
    const second = new Manager('second');
    let asked = 0;
    const { clock, handlers, context } = setup(() => ({
      kind: 'other',
      // Found for the call, and then for the next one.
      connection: (asked++ % 2 === 0 ? first : second).connection,
      until: forEver,
    }));
    const told = async (call: Promise<unknown> | undefined): Promise<unknown> => {
      const outcome = Promise.resolve(call).catch((error: unknown) => error);
      await clock.advance(1_000);
      return outcome;
    };
    const cut = new SwarmError('unavailable', 'the connection is closing');
    first.failure = cut;
    const { removeConfig, getConfig } = handlers.Control ?? {};
    expect(await told(removeConfig?.({ configId: 'c1' }, context))).toBe(cut);
    expect(await told(getConfig?.({ configId: 'c1' }, context))).toMatchObject({
      code: 'not-found',
    });
    first.failure = new SwarmError('unavailable', 'no connection established: ECONNREFUSED');
    expect(await told(removeConfig?.({ configId: 'c1' }, context))).toMatchObject({
      code: 'not-found',
    });
  });

  test('the next leader is called once it is well', async () => {
    const [first, second] = [new Manager('first'), new Manager('second')];
    first.failure = new SwarmError('unavailable', 'connection error: desc = "EOF"');
    second.health = 'NOT_SERVING';
    let leader = first;
    const { issue, clock } = setup(() => ({
      kind: 'other',
      connection: leader.connection,
      until: forEver,
    }));
    const answer = issue();
    await clock.advance(10);
    leader = second;
    await clock.advance(500);
    expect(second.told).toEqual([]);
    second.health = 'SERVING';
    await clock.advance(100);
    expect(await answer).toBe('second');
  });

  test('a call to a leader that answers nothing goes to the next one', async () => {
    const second = new Manager('second');
    const term = new AbortController();
    const frozen: RpcClient = {
      ...second.connection,
      unary: async (_service, _method, _request, { signal }) =>
        orAborted(new Promise<never>(() => undefined), signal),
    };
    let leader: Leader = { kind: 'other', connection: frozen, until: term.signal };
    const { issue, clock } = setup(() => leader);
    const answer = issue();
    await clock.advance(10);
    leader = { kind: 'other', connection: second.connection, until: forEver };
    term.abort(new SwarmError('unavailable', 'the leader has changed: its connection is closing'));
    await clock.advance(100);
    expect(await answer).toBe('second');
  });

  test('what was not begun by one that does not lead goes to the leader', async () => {
    const other = new Manager('other');
    const { issue, clock, self } = setup(() => leader);
    let leader: Leader = { kind: 'self' };
    self.failure = new SwarmError('unavailable', 'raft: no elected cluster leader');
    const answer = issue();
    leader = { kind: 'other', connection: other.connection, until: forEver };
    await clock.advance(100);
    expect(await answer).toBe('other');
  });

  test('what a leader lost in the middle of it is not made again: it may come true', async () => {
    const { issue, self } = setup(() => ({ kind: 'self' }));
    self.failure = new SwarmError(
      'unavailable',
      'raft: failed to process the request: node lost leader status',
    );
    await expect(issue()).rejects.toThrow('lost leader status');
  });

  test('what the leader refuses is refused', async () => {
    const other = new Manager('other');
    other.failure = new SwarmError('invalid-argument', 'A valid join token is necessary');
    const { issue } = setup(() => ({
      kind: 'other',
      connection: other.connection,
      until: forEver,
    }));
    await expect(issue()).rejects.toThrow('A valid join token is necessary');
    expect(other.told).toHaveLength(1);
  });
});
