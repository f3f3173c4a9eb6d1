import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CallContext, codecOf, localClient, type RpcClient } from '../../src/api/index.ts';
import type {
  LogSelectorInput,
  PublishLogsMessageInput,
  SubscribeLogsMessage,
  SubscriptionMessage,
} from '../../src/api/gen/types.ts';
import { LogBroker } from '../../src/manager/log-broker.ts';
import type { Store } from '../../src/manager/store/store.ts';
import { CryptoRandom } from '../../src/runtime/index.ts';
import { aTask } from '../support/builders.ts';
import { aStore } from '../support/immediate-log.ts';
import { silentLog } from '../support/silent-log.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const clock = new VirtualClock();
const settle = async (): Promise<void> => clock.advance(0);

let store: Store;
let broker: LogBroker;
let end: AbortController;
let running: Promise<void>;

beforeEach(() => {
  store = aStore(clock);
  broker = new LogBroker({ store, random: new CryptoRandom(), log: silentLog });
  end = new AbortController();
  running = broker.run(end.signal);
});

afterEach(async () => {
  end.abort();
  await running;
});

const callerOf = (nodeId: string): CallContext['caller'] => ({
  kind: 'node',
  nodeId,
  role: 'swarm-worker',
  clusterId: 'c1',
  remoteIp: '10.0.0.9',
});
const clientOf = (nodeId: string): RpcClient =>
  localClient({ LogBroker: broker, Logs: broker }, callerOf(nodeId));

/** A stream as its reader sees it. */
class Reading<T> {
  readonly messages: T[] = [];
  failure: Error | undefined;
  isEnded = false;

  constructor(stream: AsyncIterable<T>) {
    const take = async (): Promise<void> => {
      try {
        for await (const message of stream) this.messages.push(message);
      } catch (error) {
        this.failure = error as Error;
      }
      this.isEnded = true;
    };
    void take(); // It cannot reject.
  }
}

interface Reader {
  readonly stream: Reading<SubscribeLogsMessage>;
  readonly leave: () => void;
}

async function read(selector: LogSelectorInput | null, follow = false): Promise<Reader> {
  const own = new AbortController();
  const stream = new Reading(
    clientOf('manager').serverStream(
      'Logs',
      'SubscribeLogs',
      { selector, options: { follow, tail: -11, streams: ['LOG_STREAM_STDERR'] } },
      { signal: own.signal },
    ),
  );
  await settle();
  return { stream, leave: () => own.abort(new Error('left')) };
}

interface Listener {
  readonly stream: Reading<SubscriptionMessage>;
  readonly leave: () => Promise<void>;
}

async function listen(nodeId: string): Promise<Listener> {
  const own = new AbortController();
  const messages = clientOf(nodeId).serverStream(
    'LogBroker',
    'ListenSubscriptions',
    {},
    { signal: own.signal },
  );
  const stream = new Reading(messages);
  await settle();
  const leave = async (): Promise<void> => {
    own.abort(new Error('left'));
    await settle();
  };
  return { stream, leave };
}

async function publish(nodeId: string, ...messages: PublishLogsMessageInput[]): Promise<unknown> {
  async function* stream(): AsyncGenerator<PublishLogsMessageInput> {
    for (const message of messages) yield await Promise.resolve(message);
  }
  const signal = new AbortController().signal;
  return clientOf(nodeId).clientStream('LogBroker', 'PublishLogs', stream(), { signal });
}

const line = (subscriptionId: string, nodeId: string, text: string): PublishLogsMessageInput => ({
  subscriptionId,
  messages: [{ context: { nodeId, taskId: 't' }, data: Buffer.from(text) }],
});
const closing = (subscriptionId: string): PublishLogsMessageInput => ({
  subscriptionId,
  close: true,
});
const textsOf = ({ stream }: Reader): string[] =>
  stream.messages.flatMap(({ messages }) => messages.map(({ data }) => data.toString()));
const idOf = ({ stream }: Listener): string => stream.messages.at(-1)?.id ?? '';

async function put(...tasks: ReturnType<typeof aTask>[]): Promise<void> {
  await store.update((tx) => {
    for (const task of tasks) {
      const old = tx.get('task', task.id);
      if (old === undefined) tx.create('task', task);
      else tx.update('task', { ...task, meta: old.meta });
    }
  });
  await settle();
}

describe('SubscribeLogs', () => {
  test('a selector must select something', async () => {
    expect((await read(null)).stream.failure).toMatchObject({
      code: 'invalid-argument',
      message: 'log selector must be provided',
    });
    expect((await read({})).stream.failure).toMatchObject({
      code: 'invalid-argument',
      message: 'log selector must not be empty',
    });
  });

  test('every node with a task of the service is asked, and the end comes when all are done', async () => {
    const tasks = ['n1', 'n2', 'n2'].map((nodeId) => aTask({ serviceId: 's1', nodeId }));
    await put(...tasks, aTask({ serviceId: 's2', nodeId: 'n3' }));
    const [one, two, three] = [await listen('n1'), await listen('n2'), await listen('n3')];
    const reader = await read({ serviceIds: ['s1'] });
    expect(one.stream.messages).toMatchObject([
      {
        id: idOf(two),
        selector: { serviceIds: ['s1'], nodeIds: [], taskIds: [] },
        options: { tail: '-11', streams: ['LOG_STREAM_STDERR'], follow: false },
        close: false,
      },
    ]);
    expect(three.stream.messages).toEqual([]);
    const id = idOf(one);
    await publish('n1', line(id, 'n1', 'a'), line(id, 'n1', 'b'), closing(id));
    await settle();
    expect(textsOf(reader)).toEqual(['a', 'b']);
    expect(reader.stream.isEnded).toBe(false);
    await publish('n2', line(id, 'n2', 'c'));
    await settle();
    expect(textsOf(reader)).toEqual(['a', 'b', 'c']);
    expect(reader.stream).toMatchObject({ isEnded: true, failure: undefined });
    expect(one.stream.messages.at(-1)).toMatchObject({ id, close: true });
  });

  test('a task that has not run yet has no logs, and that is no failure', async () => {
    await put(aTask({ serviceId: 's1', nodeId: 'n1', status: { state: 'ASSIGNED' } }));
    const reader = await read({ serviceIds: ['s1'] });
    expect(reader.stream).toMatchObject({ messages: [], isEnded: true, failure: undefined });
  });

  test('what could not be had is told at the end', async () => {
    await put(
      aTask({ id: 't1', nodeId: '', status: { state: 'PENDING' } }),
      aTask({ id: 't2', nodeId: 'n2' }),
      aTask({ id: 't3', nodeId: 'n1' }),
    );
    const listener = await listen('n1');
    const reader = await read({ taskIds: ['t1', 't2', 't3'] });
    await listener.leave();
    expect(reader.stream.failure?.message).toBe(
      'warning: incomplete log stream. some logs could not be retrieved for the following ' +
        'reasons: node n2 is not available, node n1 disconnected unexpectedly, ' +
        'task t1 has not been scheduled',
    );
  });

  test('a node that was done before it left left nothing out', async () => {
    await put(aTask({ id: 't1', nodeId: 'n1' }), aTask({ id: 't2', nodeId: 'n2' }));
    const [one, two] = [await listen('n1'), await listen('n2')];
    const reader = await read({ nodeIds: ['n1', 'n2'] });
    await publish('n1', closing(idOf(one)));
    await one.leave();
    await publish('n2', closing(idOf(two)));
    await settle();
    expect(reader.stream).toMatchObject({ isEnded: true, failure: undefined });
  });

  test('one that follows goes on, and asks the nodes of tasks to come, each once', async () => {
    const [one, two] = [await listen('n1'), await listen('n2')];
    const reader = await read({ serviceIds: ['s1'] }, true);
    const task = aTask({ id: 't1', serviceId: 's1', status: { state: 'PENDING' } });
    await put(task);
    await put({ ...task, nodeId: 'n1' });
    await put(aTask({ serviceId: 's1', nodeId: 'n1' }), aTask({ serviceId: 's1', nodeId: 'n2' }));
    expect(one.stream.messages).toHaveLength(1);
    expect(two.stream.messages).toHaveLength(1);
    const id = idOf(one);
    await publish('n1', line(id, 'n1', 'a'), closing(id));
    await publish('n2', line(id, 'n2', 'b'), closing(id));
    await settle();
    expect(textsOf(reader)).toEqual(['a', 'b']);
    expect(reader.stream.isEnded).toBe(false);
    reader.leave();
    await settle();
    expect(one.stream.messages.at(-1)).toMatchObject({ id, close: true });
    await expect(publish('n1', line(id, 'n1', 'c'))).rejects.toMatchObject({ code: 'not-found' });
  });

  test('a reader that does not read makes the nodes wait', async () => {
    const listener = await listen('n1');
    const request = codecOf('SubscribeLogsRequest').create({ selector: { nodeIds: ['n1'] } });
    const signal = new AbortController().signal;
    const slow = broker.subscribeLogs(request, { caller: callerOf('m'), signal });
    const first = slow.next();
    await settle();
    const id = idOf(listener);
    let sent = 0;
    async function* lines(): AsyncGenerator<PublishLogsMessageInput> {
      for (; sent < 1_000; sent += 1) yield await Promise.resolve(line(id, 'n1', String(sent)));
    }
    const done = clientOf('n1').clientStream('LogBroker', 'PublishLogs', lines(), { signal });
    await first;
    await settle();
    expect(sent).toBeLessThan(100);
    let received = 1;
    for await (const { messages } of slow) received += messages?.length ?? 0;
    await done;
    expect(received).toBe(1_000);
  });

  test('when the broker ends, so does every stream', async () => {
    const listener = await listen('n1');
    const reader = await read({ nodeIds: ['n1'] });
    end.abort();
    await running;
    await settle();
    for (const { failure } of [reader.stream, listener.stream]) {
      expect(failure?.message).toBe('broker is not running');
    }
    expect((await read({ nodeIds: ['n1'] })).stream.failure?.message).toBe('broker is not running');

    end = new AbortController();
    running = broker.run(end.signal);
    await listen('n1');
    expect((await read({ nodeIds: ['n1'] })).stream).toMatchObject({ isEnded: false });
  });
});

describe('ListenSubscriptions', () => {
  test('a node that comes late hears of what is already wanted of it', async () => {
    await put(aTask({ serviceId: 's1', nodeId: 'n1' }));
    const reader = await read({ serviceIds: ['s1'] }, true);
    const listener = await listen('n1');
    expect(listener.stream.messages).toHaveLength(1);
    await publish('n1', line(idOf(listener), 'n1', 'a'));
    await settle();
    expect(textsOf(reader)).toEqual(['a']);
  });

  test('a node that listens again before its old stream ends has not left', async () => {
    const old = await listen('n1');
    await listen('n1');
    const reader = await read({ nodeIds: ['n1'] });
    await old.leave();
    expect(reader.stream.isEnded).toBe(false);
  });
});

describe('PublishLogs', () => {
  test.each<[string, string, (id: string) => PublishLogsMessageInput[]]>([
    ['invalid-argument', 'missing subscription ID', () => [{}]],
    ['not-found', 'unknown subscription ID', () => [closing('x')]],
    [
      'invalid-argument',
      'different subscription IDs in the same session',
      (id) => [line(id, 'n1', 'a'), line('x', 'n1', 'b')],
    ],
    ['permission-denied', 'invalid NodeID: expected=n1;received=n2', (id) => [line(id, 'n2', 'a')]],
    [
      'permission-denied',
      'invalid NodeID: expected=n1;received=',
      (id) => [{ subscriptionId: id, messages: [{}] }],
    ],
  ])('%s: %s', async (code, message, messages) => {
    const listener = await listen('n1');
    await read({ nodeIds: ['n1'] });
    await expect(publish('n1', ...messages(idOf(listener)))).rejects.toMatchObject({
      code,
      message,
    });
  });

  test('a node that was not asked is not heard', async () => {
    const listener = await listen('n1');
    await read({ nodeIds: ['n1'] });
    const id = idOf(listener);
    await expect(publish('n2', line(id, 'n2', 'a'))).rejects.toMatchObject({ code: 'not-found' });
  });

  test('why a node broke off is told to the reader', async () => {
    const listener = await listen('n1');
    const reader = await read({ nodeIds: ['n1'] });
    const id = idOf(listener);
    await publish('n1', line(id, 'n1', 'a'), line(id, 'n9', 'b')).catch(() => undefined);
    await settle();
    expect(textsOf(reader)).toEqual(['a']);
    expect(reader.stream.failure?.message).toContain('invalid NodeID: expected=n1;received=n9');
  });
});
