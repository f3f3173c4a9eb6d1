import { describe, expect, test } from 'vitest';
import { type Caller, codecOf, localClient, type ServiceHandlers } from '../../src/api/index.ts';

const caller: Caller = { kind: 'anyone', remoteIp: '192.0.2.1' };
const options = { signal: new AbortController().signal, deadlineMs: 1_000 };

const client = (handlers: ServiceHandlers) => localClient(handlers, caller);

describe('localClient', () => {
  test('completes requests and responses as decoding would', async () => {
    const { node } = await client({
      Control: {
        getNode: async (request) => {
          expect(request).toEqual({ nodeId: '' });
          return { node: { id: 'n' } };
        },
      },
    }).unary('Control', 'GetNode', {}, options);
    expect(node).toMatchObject({ id: 'n', role: 'WORKER', attachments: [], spec: null });
  });

  test('shares nothing with the handler', async () => {
    const labels = { a: 'b' };
    const { node } = await client({
      Control: { getNode: async () => ({ node: { spec: { annotations: { labels } } } }) },
    }).unary('Control', 'GetNode', {}, options);
    labels.a = 'changed';
    expect(node?.spec?.annotations?.labels).toEqual({ a: 'b' });
  });

  test('passes on lists of the objects of the store as they are', async () => {
    const task = codecOf('Task').create({ id: 't' });
    const { tasks } = await client({
      Control: { listTasks: async () => ({ tasks: [task] }) },
    }).unary('Control', 'ListTasks', {}, options);
    expect(tasks[0]).toBe(task);
  });

  test('tells the handler who calls, and lets it use itself', async () => {
    const control = {
      name: 'self',
      async getNode(this: { name: string }, _: unknown, context: { caller: Caller }) {
        expect(context.caller).toBe(caller);
        return { node: { id: this.name } };
      },
    };
    const { node } = await client({ Control: control }).unary('Control', 'GetNode', {}, options);
    expect(node?.id).toBe('self');
  });

  test('has no method that nobody answers', async () => {
    await expect(client({}).unary('Control', 'GetNode', {}, options)).rejects.toMatchObject({
      code: 'unimplemented',
    });
    await expect(
      client({ Control: {} }).unary('Control', 'GetNode', {}, options),
    ).rejects.toMatchObject({ code: 'unimplemented' });
  });

  test('a call whose signal has aborted is not made', async () => {
    const control = {
      getNode: async () => {
        throw new Error('called');
      },
    };
    await expect(
      client({ Control: control }).unary(
        'Control',
        'GetNode',
        {},
        { ...options, signal: AbortSignal.abort(new Error('gone')) },
      ),
    ).rejects.toThrow('gone');
  });

  test('a stream that is left ends its handler', async () => {
    let ended = '';
    const stream = client({
      Dispatcher: {
        async *session(request, { signal }) {
          try {
            for (let n = 0; ; n += 1) yield { sessionId: `${request.sessionId}${n}` };
          } finally {
            ended = signal.aborted ? 'aborted' : 'returned';
          }
        },
      },
    }).serverStream('Dispatcher', 'Session', { sessionId: 's' }, options);
    const seen: string[] = [];
    for await (const { sessionId, managers } of stream) {
      expect(managers).toEqual([]);
      seen.push(sessionId);
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(['s0', 's1', 's2']);
    expect(ended).not.toBe('');
  });

  test('a stream of requests reaches the handler message by message', async () => {
    const received: string[] = [];
    await client({
      LogBroker: {
        publishLogs: async (requests) => {
          for await (const { subscriptionId, messages } of requests) {
            received.push(`${subscriptionId}${messages.length}`);
          }
          return {};
        },
      },
    }).clientStream(
      'LogBroker',
      'PublishLogs',
      (async function* () {
        yield { subscriptionId: 'a' };
        yield { subscriptionId: 'b', messages: [{}] };
      })(),
      options,
    );
    expect(received).toEqual(['a0', 'b1']);
  });
});
