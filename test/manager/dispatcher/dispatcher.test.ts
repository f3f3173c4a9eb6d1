import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type AgentWord,
  type CallContext,
  codecOf,
  type Node,
  type ObjectKind,
  type ObjectOfKind,
  type Task,
} from '../../../src/api/index.ts';
import type {
  AssignmentsMessageInput,
  SessionMessageInput,
  TaskInput,
  TaskStatusInput,
} from '../../../src/api/gen/types.ts';
import { Dispatcher } from '../../../src/manager/dispatcher/dispatcher.ts';
import type { ManagerPeer } from '../../../src/manager/dispatcher/session-message.ts';
import type { Store } from '../../../src/manager/store/store.ts';
import { CryptoRandom } from '../../../src/runtime/index.ts';
import { aCluster, aNode, aTask } from '../../support/builders.ts';
import { aStore, ManualLog } from '../../support/immediate-log.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const now = { description: { hostname: 'worker' } };

let clock: VirtualClock;
let store: Store;
let dispatcher: Dispatcher;
let managers: ManagerPeer[];
let ends: AbortController[];
let stop: () => Promise<void>;

const settle = async (): Promise<void> => clock.advance(0);

async function start(): Promise<void> {
  const random = new CryptoRandom();
  dispatcher = new Dispatcher({
    store,
    clock,
    random,
    log: silentLog,
    self: { nodeId: 'leader' },
    managers: () => managers,
  });
  await lead();
}

/** Begins a term of the leader; `stop` ends it. */
async function lead(): Promise<void> {
  const end = new AbortController();
  const running = dispatcher.run(end.signal);
  stop = async () => {
    end.abort();
    await running;
  };
  await settle();
}

beforeEach(() => {
  clock = new VirtualClock();
  store = aStore(clock);
  managers = [{ nodeId: 'm1', addr: '10.0.0.1:2377' }];
  ends = [];
});

afterEach(async () => {
  for (const end of ends) end.abort();
  await stop();
});

async function put<K extends ObjectKind>(kind: K, ...objects: ObjectOfKind[K][]): Promise<void> {
  await store.update((tx) => {
    for (const object of objects) {
      const old = tx.get(kind, object.id);
      if (old === undefined) tx.create(kind, object);
      else tx.update(kind, { ...object, meta: old.meta });
    }
  });
  await settle();
}

const nodeOf = (id: string): Node | undefined => store.view((view) => view.get('node', id));
const taskOf = (id: string): Task | undefined => store.view((view) => view.get('task', id));

function contextOf(nodeId: string): CallContext & { readonly end: () => void } {
  const end = new AbortController();
  ends.push(end);
  return {
    caller: {
      kind: 'node',
      nodeId,
      role: 'swarm-worker',
      clusterId: 'c1',
      remoteIp: '10.0.0.9',
    },
    signal: end.signal,
    end: () => {
      end.abort(new Error('gone'));
    },
  };
}

/** A stream as its caller sees it: what came so far, and how it ended. */
class Received<T> {
  readonly messages: T[] = [];
  failure: unknown;

  constructor(stream: AsyncIterable<T>) {
    const read = async (): Promise<void> => {
      try {
        for await (const message of stream) this.messages.push(message);
      } catch (error) {
        this.failure = error;
      }
    };
    void read(); // It cannot reject.
  }

  get last(): T | undefined {
    return this.messages.at(-1);
  }
}

interface Agent {
  readonly context: CallContext & { readonly end: () => void };
  readonly session: Received<SessionMessageInput>;
  readonly sessionId: string;
}

async function register(nodeId: string, sessionId = ''): Promise<Agent> {
  const context = contextOf(nodeId);
  const request = codecOf('SessionRequest').create({ ...now, sessionId });
  const session = new Received(dispatcher.session(request, context));
  await settle();
  return { context, session, sessionId: session.last?.sessionId ?? '' };
}

const assignmentsOf = (agent: Agent): Received<AssignmentsMessageInput> =>
  new Received(dispatcher.assignments({ sessionId: agent.sessionId }, agent.context));
const beat = async (agent: Agent) =>
  dispatcher.heartbeat({ sessionId: agent.sessionId }, agent.context);
/** An agent's goodbye, or a manager's word that its connection has closed. */
const say = async (agent: Agent, agentWord: AgentWord) =>
  dispatcher.heartbeat({ sessionId: agent.sessionId }, { ...agent.context, agentWord });
const report = async (
  agent: Agent,
  ...updates: [taskId: string, status: TaskStatusInput | null][]
) => {
  const request = codecOf('UpdateTaskStatusRequest').create({
    sessionId: agent.sessionId,
    updates: updates.map(([taskId, status]) => ({ taskId, status })),
  });
  return dispatcher.updateTaskStatus(request, agent.context);
};
const onNode = (id: string, input: TaskInput = {}): Task =>
  aTask({ id, nodeId: 'n1', status: { state: 'ASSIGNED' }, ...input });

describe('Dispatcher.session', () => {
  test('the first message tells the agent of itself, the managers, the keys and the root', async () => {
    await put(
      'cluster',
      aCluster({
        rootCa: { caCert: Buffer.from('root') },
        networkBootstrapKeys: [{ subsystem: 'networking:gossip', key: Buffer.from('k') }],
      }),
    );
    await put('node', aNode({ id: 'n1', status: { state: 'UNKNOWN' } }));
    await start();
    const { session } = await register('n1');
    expect(session.messages).toHaveLength(1);
    expect(session.last).toMatchObject({
      sessionId: expect.stringMatching(/^[0-9a-z]{25}$/u) as string,
      node: { id: 'n1', status: { state: 'READY', addr: '10.0.0.9' } },
      managers: [{ peer: { nodeId: 'm1', addr: '10.0.0.1:2377' }, weight: 10 }],
      networkBootstrapKeys: [{ subsystem: 'networking:gossip' }],
      RootCA: Buffer.from('root'),
    });
    expect(nodeOf('n1')).toMatchObject({
      status: { state: 'READY', message: '', addr: '10.0.0.9' },
      description: { hostname: 'worker' },
    });
  });

  test('a node that the swarm does not have is refused', async () => {
    await start();
    const { session } = await register('stranger');
    expect(session.failure).toMatchObject({ code: 'unknown', message: 'node not found' });
  });

  test('a caller that is no node is refused', async () => {
    await start();
    const context = { ...contextOf('n1'), caller: { kind: 'anyone', remoteIp: '' } } as const;
    await expect(dispatcher.heartbeat({ sessionId: '' }, context)).rejects.toMatchObject({
      code: 'permission-denied',
    });
  });

  test('a second registration ends the first, and the same session may be resumed', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const first = await register('n1');
    const second = await register('n1');
    expect(second.sessionId).not.toBe(first.sessionId);
    expect(first.session.failure).toMatchObject({
      code: 'invalid-argument',
      message: 'session invalid',
    });
    const resumed = await register('n1', second.sessionId);
    expect(resumed.sessionId).toBe(second.sessionId);
    expect(second.session.failure).toBeUndefined();
  });

  test('too many registrations are refused', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    for (let n = 0; n < 3; n += 1) await register('n1');
    const { session } = await register('n1');
    expect(session.failure).toMatchObject({
      code: 'unavailable',
      message: 'node n1 exceeded rate limit count of registrations',
    });
  });

  test('a change of keys, root, managers or the node itself is told whole', async () => {
    const cluster = aCluster();
    await put('cluster', cluster);
    await put('node', aNode({ id: 'n1' }));
    await start();
    const { session, sessionId } = await register('n1');

    await put('cluster', { ...cluster, networkBootstrapKeys: [{ ...aKey }] });
    expect(session.last?.networkBootstrapKeys).toHaveLength(1);

    managers = [...managers, { nodeId: 'm2', addr: '10.0.0.2:2377' }];
    dispatcher.managersChanged();
    await settle();
    expect(session.last?.managers).toHaveLength(2);

    const node = nodeOf('n1') as Node;
    await put('node', { ...node, role: 'MANAGER' });
    expect(session.last).toMatchObject({ sessionId, node: { role: 'MANAGER' } });
    expect(session.messages).toHaveLength(4);
    expect(session.messages.every((message) => (message.managers?.length ?? 0) > 0)).toBe(true);
  });

  test('an agent is never told that there is no manager', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const { session } = await register('n1');
    managers = [];
    await put('node', { ...(nodeOf('n1') as Node), role: 'MANAGER' });
    expect(session.last).toMatchObject({ node: { role: 'MANAGER' }, managers: [{ weight: 10 }] });
  });

  test('a network attachment that an Engine could not follow is left out', async () => {
    const complete = {
      network: {
        id: 'ingress',
        spec: { ingress: true },
        driverState: { name: 'overlay' },
        ipam: { driver: { name: 'default' } },
      },
      addresses: ['10.0.0.2/24'],
    };
    await put('node', aNode({ id: 'n1', attachments: [{ addresses: ['10.0.0.3/24'] }, complete] }));
    await start();
    const { session } = await register('n1');
    expect(session.last?.node?.attachments).toMatchObject([{ network: { id: 'ingress' } }]);
  });

  test('a session whose node is removed ends', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    await store.update((tx) => {
      tx.remove('node', 'n1');
    });
    await settle();
    expect(agent.session.failure).toMatchObject({ code: 'not-found' });
    await expect(beat(agent)).rejects.toMatchObject({ message: 'node not registered' });
  });

  test('when the dispatcher ends, agents are told the managers once more and sent away', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    const assignments = assignmentsOf(agent);
    await settle();
    managers = [...managers, { nodeId: 'm2', addr: '10.0.0.2:2377' }];
    await stop();
    await settle();
    expect(agent.session.last?.managers).toHaveLength(2);
    expect(agent.session.failure).toMatchObject({
      code: 'aborted',
      message: 'node must disconnect',
    });
    expect(assignments.failure).toMatchObject({ code: 'aborted' });
    await expect(beat(agent)).rejects.toMatchObject({
      code: 'aborted',
      message: 'dispatcher is stopped',
    });
    expect(nodeOf('n1')?.status?.state).toBe('READY');
  });
});

const aKey = codecOf('EncryptionKey').create({ subsystem: 'networking:ipsec' });

describe('Dispatcher.heartbeat', () => {
  test('the agent is told a period close to the one configured', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const { period } = await beat(await register('n1'));
    const ms = Number(period?.seconds) * 1_000 + (period?.nanos ?? 0) / 1e6;
    expect(Math.abs(ms - 5_000)).toBeLessThanOrEqual(500);
  });

  test('a silent node is down after three periods and must register anew', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    await beat(agent);
    await clock.advance(13_000);
    expect(nodeOf('n1')?.status?.state).toBe('READY');
    await clock.advance(4_000);
    expect(nodeOf('n1')?.status).toMatchObject({ state: 'DOWN', message: 'heartbeat failure' });
    expect(agent.session.failure).toMatchObject({ code: 'not-found' });
    await expect(beat(agent)).rejects.toMatchObject({ code: 'not-found' });
    await register('n1');
    expect(nodeOf('n1')?.status?.state).toBe('READY');
  });

  test('a node whose stream broke stays as long as it beats', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    agent.context.end();
    for (let n = 0; n < 6; n += 1) {
      await clock.advance(5_000);
      await beat(agent);
    }
    expect(nodeOf('n1')?.status?.state).toBe('READY');
  });

  test('a worker whose connection closed and that does not come back in 2 s is down', async () => {
    await put('node', aNode({ id: 'n1' }), aNode({ id: 'n2' }), aNode({ id: 'n3' }));
    await start();
    const agents = [await register('n1'), await register('n2'), await register('n3')];
    const [, beating, returning] = agents;
    for (const agent of agents) await say(agent, 'closed');
    await clock.advance(1_900);
    if (beating !== undefined) await beat(beating);
    await register('n3', returning?.sessionId);
    expect(nodeOf('n1')?.status?.state).toBe('READY');
    await clock.advance(100);
    expect(nodeOf('n1')?.status).toMatchObject({
      state: 'DOWN',
      message: 'agent stopped and did not come back',
    });
    await clock.advance(10_000);
    expect(nodeOf('n2')?.status?.state).toBe('READY');
    expect(nodeOf('n3')?.status?.state).toBe('READY');
  });

  test('an agent that starts anew within 2 s has not gone, though it forgot its session', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    await say(agent, 'closed');
    await clock.advance(1_900);
    await register('n1');
    await expect(say(agent, 'closed')).rejects.toMatchObject({ message: 'session invalid' });
    await clock.advance(10_000);
    expect(nodeOf('n1')?.status?.state).toBe('READY');
  });

  test('a longer heartbeat period gives longer to come back', async () => {
    const dispatcherConfig = { heartbeatPeriod: { seconds: '30' } };
    await put('cluster', aCluster({ spec: { dispatcher: dispatcherConfig } }));
    await put('node', aNode({ id: 'n1' }));
    await start();
    await say(await register('n1'), 'closed');
    await clock.advance(11_900);
    expect(nodeOf('n1')?.status?.state).toBe('READY');
    await clock.advance(100);
    expect(nodeOf('n1')?.status?.state).toBe('DOWN');
  });

  test('a worker that stops in order has a heartbeat period to come back', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    await say(agent, 'stops');
    await say(agent, 'closed');
    await clock.advance(4_900);
    expect(nodeOf('n1')?.status?.state).toBe('READY');
    await clock.advance(100);
    expect(nodeOf('n1')?.status?.state).toBe('DOWN');
  });

  test('a node that leaves is down at once', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    await say(await register('n1'), 'leaves');
    await clock.advance(0);
    expect(nodeOf('n1')?.status).toMatchObject({
      state: 'DOWN',
      message: 'node has left the swarm',
    });
  });

  test('a manager that goes has its whole grace: it takes longer to come back', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    const caller = { ...agent.context.caller, role: 'swarm-manager' } as const;
    const asManager = { ...agent, context: { ...agent.context, caller } } as Agent;
    await say(asManager, 'closed');
    await clock.advance(13_000);
    expect(nodeOf('n1')?.status?.state).toBe('READY');
  });

  test('a word that is not known is a heartbeat like any other', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    for (let n = 0; n < 4; n += 1) {
      await clock.advance(6_000);
      await say(agent, 'constructor' as AgentWord);
    }
    expect(nodeOf('n1')?.status?.state).toBe('READY');
  });

  test('a leader that leads again knows of no session', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    await stop();
    await clock.advance(60_000);
    await lead();
    await expect(beat(agent)).rejects.toMatchObject({ message: 'session invalid' });
    expect(nodeOf('n1')?.status?.state).toBe('UNKNOWN');
    await register('n1');
    expect(nodeOf('n1')?.status?.state).toBe('READY');
  });

  test('a node that registers while a new leader doubts all nodes stays ready', async () => {
    const nodes = Array.from({ length: 400 }, (_, index) => aNode({ id: `n${index}` }));
    await put('node', ...nodes.slice(0, 200));
    await put('node', ...nodes.slice(200));
    const log = new ManualLog(store);
    store.attach(log);
    await start();
    expect(log.pending).toBe(1); // The first half of the nodes; the second waits for it.
    await register('n399');
    while (log.pending > 0) {
      log.commit();
      await settle();
    }
    expect(nodeOf('n398')?.status?.state).toBe('UNKNOWN');
    expect(nodeOf('n399')?.status?.state).toBe('READY');
  });

  test('a heartbeat notices that the managers have changed', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = await register('n1');
    managers = [{ nodeId: 'm2', addr: '10.0.0.2:2377' }];
    await beat(agent);
    await settle();
    expect(agent.session.last?.managers).toEqual([{ peer: managers[0], weight: 10 }]);
  });

  test('a new leader waits twice as long for those that were there', async () => {
    await put('node', aNode({ id: 'n1' }), aNode({ id: 'n2' }));
    await put('node', aNode({ id: 'n3', status: { state: 'DOWN', message: 'before' } }));
    await start();
    expect(nodeOf('n1')?.status).toMatchObject({
      state: 'UNKNOWN',
      message: 'Node moved to "unknown" state due to leadership change in cluster',
    });
    expect(nodeOf('n3')?.status).toMatchObject({ state: 'DOWN', message: 'before' });
    await clock.advance(20_000);
    const agent = await register('n1');
    expect(nodeOf('n1')?.status?.state).toBe('READY');
    await beat(agent);
    await clock.advance(11_000);
    expect(nodeOf('n1')?.status?.state).toBe('READY');
    expect(nodeOf('n2')?.status).toMatchObject({
      state: 'DOWN',
      message: 'heartbeat failure for node in "unknown" state',
    });
  });

  test('however short the period, a new leader waits longer than any agent pauses', async () => {
    const dispatcherConfig = { heartbeatPeriod: { seconds: '1' } };
    await put('cluster', aCluster({ spec: { dispatcher: dispatcherConfig } }));
    await put('node', aNode({ id: 'n1' }));
    await start();
    await clock.advance(9_900);
    expect(nodeOf('n1')?.status?.state).toBe('UNKNOWN');
    await clock.advance(100);
    expect(nodeOf('n1')?.status?.state).toBe('DOWN');
  });
});

describe('Dispatcher.assignments', () => {
  test('a session is needed', async () => {
    await start();
    const stream = new Received(dispatcher.assignments({ sessionId: '' }, contextOf('n1')));
    await settle();
    expect(stream.failure).toMatchObject({ message: 'node not registered' });
  });

  test('tasks arrive as soon as they are assigned, and go when they are removed', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('t1'), onNode('t2', { nodeId: '', status: { state: 'PENDING' } }));
    await start();
    const stream = assignmentsOf(await register('n1'));
    await settle();
    expect(stream.messages).toMatchObject([
      { type: 'COMPLETE', resultsIn: '1', changes: [{ assignment: { task: { id: 't1' } } }] },
    ]);
    await put('task', onNode('t2'));
    expect(stream.last).toMatchObject({
      type: 'INCREMENTAL',
      appliesTo: '1',
      resultsIn: '2',
      changes: [{ action: 'UPDATE', assignment: { task: { id: 't2' } } }],
    });
    await store.update((tx) => {
      tx.remove('task', 't1');
    });
    await settle();
    expect(stream.last?.changes).toEqual([
      { action: 'REMOVE', assignment: { task: { id: 't1' } } },
    ]);
    expect(stream.messages).toHaveLength(3);
  });

  test('what is committed together arrives in one message', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const stream = assignmentsOf(await register('n1'));
    await settle();
    await put('task', ...Array.from({ length: 50 }, (_, index) => onNode(`t${index}`)));
    expect(stream.messages).toHaveLength(2);
    expect(stream.last?.changes).toHaveLength(50);
  });

  test('a task that no agent could bear is rejected with the reason, and never sent', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('old', { networks: [{}] }));
    await start();
    const agent = await register('n1');
    const stream = assignmentsOf(agent);
    await settle();
    expect(stream.last?.changes).toEqual([]);
    await put('task', onNode('new', { networks: [{}] }), onNode('good'));
    expect(stream.last?.changes).toMatchObject([{ assignment: { task: { id: 'good' } } }]);
    for (const id of ['old', 'new']) {
      expect(taskOf(id)?.status).toMatchObject({
        state: 'REJECTED',
        err: 'network attachment has no network',
      });
    }
    expect(stream.messages).toHaveLength(2);
  });

  test('a session that has ended gets nothing more', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const stream = assignmentsOf(await register('n1'));
    await settle();
    await register('n1');
    await put('task', onNode('t1'));
    expect(stream.failure).toMatchObject({ message: 'session invalid' });
    expect(stream.messages).toHaveLength(1);
  });

  test('agents of the old protocol are sent all tasks each time', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('t1'), onNode('bad', { networks: [{}] }));
    await start();
    const agent = await register('n1');
    const stream = new Received(dispatcher.tasks({ sessionId: agent.sessionId }, agent.context));
    await settle();
    await put('task', onNode('t2'));
    expect(stream.messages.map(({ tasks }) => tasks?.map(({ id }) => id))).toEqual([
      ['t1'],
      ['t1', 't2'],
    ]);
  });
});

describe('Dispatcher.updateTaskStatus', () => {
  test('a report is written, with who wrote it and when', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('t1'));
    await start();
    const agent = await register('n1');
    await report(agent, ['t1', { state: 'RUNNING', message: 'started', appliedBy: 'liar' }]);
    await settle();
    expect(taskOf('t1')?.status).toMatchObject({
      state: 'RUNNING',
      message: 'started',
      appliedBy: 'leader',
      appliedAt: { seconds: String(clock.now() / 1_000) },
    });
  });

  test('a task never goes back, and the same is not written twice', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('t1'));
    await start();
    const agent = await register('n1');
    const [failed, running] = [{ state: 'FAILED', err: 'x' }, { state: 'RUNNING' }] as const;
    await report(agent, ['t1', failed], ['t1', running]);
    await settle();
    await report(agent, ['t1', running]);
    await settle();
    const written = taskOf('t1');
    expect(written?.status).toMatchObject(failed);
    await report(agent, ['t1', failed]);
    await settle();
    expect(taskOf('t1')).toBe(written);
  });

  test('reports that come together are written together', async () => {
    await put('node', aNode({ id: 'n1' }));
    const ids = Array.from({ length: 100 }, (_, index) => `t${index}`);
    await put('task', ...ids.map((id) => onNode(id)));
    await start();
    const agent = await register('n1');
    using commits = store.subscribe(({ action }) => action === 'committed');
    for (const id of ids) await report(agent, [id, { state: 'RUNNING' }]);
    await settle();
    expect(ids.every((id) => taskOf(id)?.status?.state === 'RUNNING')).toBe(true);
    expect(commits.drain().length).toBeLessThan(100);
  });

  test('a task of another node is not touched, nor anything else in that call', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('t1'), onNode('t2', { nodeId: 'n2' }));
    await start();
    const agent = await register('n1');
    const both = report(agent, ['t1', { state: 'RUNNING' }], ['t2', { state: 'RUNNING' }]);
    await expect(both).rejects.toMatchObject({
      code: 'permission-denied',
      message: 'cannot update a task not assigned this node',
    });
    await settle();
    expect(taskOf('t1')?.status?.state).toBe('ASSIGNED');
  });

  test('what cannot be a report is passed over', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('t1'));
    await start();
    const agent = await register('n1');
    await report(
      agent,
      ['t1', null],
      ['gone', { state: 'RUNNING' }],
      ['t1', { state: 'ORPHANED' }],
    );
    await report(agent, ['t1', { state: 999 as never }]);
    await settle();
    expect(taskOf('t1')?.status?.state).toBe('ASSIGNED');
  });

  test('a report too large for a transaction is cut, and harms nobody', async () => {
    await put('node', aNode({ id: 'n1' }));
    await put('task', onNode('t1'), onNode('t2'));
    await start();
    const agent = await register('n1');
    const text = 'x'.repeat(3_000_000);
    await report(
      agent,
      ['t1', { state: 'FAILED', err: text, message: text }],
      ['t2', { state: 'RUNNING' }],
    );
    await settle();
    expect(taskOf('t1')?.status?.state).toBe('FAILED');
    expect(taskOf('t2')?.status?.state).toBe('RUNNING');
  });

  test('a session is needed', async () => {
    await put('node', aNode({ id: 'n1' }));
    await start();
    const agent = { ...(await register('n1')), sessionId: 'x' };
    await expect(report(agent)).rejects.toMatchObject({ message: 'session invalid' });
  });
});

describe('Dispatcher.updateVolumeStatus', () => {
  test('a volume that a node has let go may be unpublished there; one that is gone is not missed', async () => {
    const states = ['n1', 'n2'].map((nodeId) => ({
      nodeId,
      state: 'PENDING_NODE_UNPUBLISH' as const,
    }));
    await put('node', aNode({ id: 'n1' }));
    await put('volume', codecOf('Volume').create({ id: 'v1', publishStatus: states }));
    await start();
    const { sessionId, context } = await register('n1');
    await dispatcher.updateVolumeStatus(
      {
        sessionId,
        updates: [
          { id: 'v1', unpublished: true },
          { id: 'gone', unpublished: true },
        ],
      },
      context,
    );
    const volume = store.view((view) => view.get('volume', 'v1'));
    expect(volume?.publishStatus.map(({ state }) => state)).toEqual([
      'PENDING_UNPUBLISH',
      'PENDING_NODE_UNPUBLISH',
    ]);
  });
});

describe('orphaning', () => {
  const dayMs = 24 * 60 * 60_000;

  test('the tasks of a node that is down for a day are given up, over a change of leader', async () => {
    await put('node', aNode({ id: 'n1', status: { state: 'DOWN' } }));
    await put(
      'task',
      onNode('running', { status: { state: 'RUNNING' } }),
      onNode('failed', { status: { state: 'FAILED' } }),
      onNode('pending', { status: { state: 'PENDING' } }),
      onNode('elsewhere', { nodeId: 'n2', status: { state: 'RUNNING' } }),
    );
    await clock.advance(dayMs / 2);
    await start();
    await clock.advance(dayMs / 2 - 1_000);
    expect(taskOf('running')?.status?.state).toBe('RUNNING');
    await clock.advance(61_000);
    const states = ['running', 'failed', 'pending', 'elsewhere'].map(
      (id) => taskOf(id)?.status?.state,
    );
    expect(states).toEqual(['ORPHANED', 'FAILED', 'PENDING', 'RUNNING']);
  });
});
