import { request as startRequest } from 'node:http';
import { describe, expect, test } from 'vitest';
import { codecOf } from '../../../src/api/index.ts';
import type { LogMessage, LogMessageInput } from '../../../src/api/gen/types.ts';
import { lineOf } from '../../../src/manager/http/logs.ts';
import { anEngineApi, type EngineApi } from '../../support/engine-api.ts';
import { aService } from '../../support/builders.ts';
import { SwarmError } from '../../../src/runtime/index.ts';

const message = (input: LogMessageInput = {}): LogMessage =>
  codecOf('LogMessage').create({
    context: { nodeId: 'n', serviceId: 's', taskId: 't' },
    timestamp: { seconds: '1700000000', nanos: 5_000 },
    stream: 'LOG_STREAM_STDOUT',
    data: Buffer.from('hello\n'),
    ...input,
  });

describe('a line of a log', () => {
  test('begins with its time and details where they are wanted', () => {
    const attrs = [
      { key: 'tag', value: 'a b' },
      { key: 'com.docker.swarm.node.id', value: 'forged' },
    ];
    const line = lineOf(message({ attrs }), { withTimestamps: true, withDetails: true });
    expect(line.toString()).toBe(
      '2023-11-14T22:13:20.000005000Z com.docker.swarm.node.id=n,com.docker.swarm.service.id=s,com.docker.swarm.task.id=t,tag=a+b hello\n',
    );
  });

  test('is the text alone otherwise', () => {
    const line = lineOf(message(), { withTimestamps: false, withDetails: false });
    expect(line.toString()).toBe('hello\n');
  });
});

interface Subscribed {
  selector: unknown;
  options: unknown;
}

/** A swarm with a service `web`, whose log is two lines and then an error. */
async function aLoggingApi(asked: Subscribed[], tty = false): Promise<EngineApi> {
  const api = await anEngineApi({
    Logs: {
      async *subscribeLogs(request) {
        asked.push(request);
        yield { messages: [message(), message({ stream: 'LOG_STREAM_STDERR' })] };
        await Promise.resolve();
        throw new SwarmError('unknown', 'warning: incomplete log stream');
      },
    },
  });
  const spec = { annotations: { name: 'web' }, task: { container: { image: 'nginx', tty } } };
  await api.swarm.write((tx) => {
    tx.create('service', aService({ id: 'service-1', spec: { ...spec, replicated: {} } }));
  });
  return api;
}

const frame = (stream: number, text: string): string =>
  `${String.fromCharCode(stream, 0, 0, 0, 0, 0, 0, text.length)}${text}`;

describe('GET /services/{id}/logs', () => {
  test('streams frames, and tells a late error as one of the system', async () => {
    const asked: Subscribed[] = [];
    await using api = await aLoggingApi(asked);
    const answer = await api.call('GET', '/v1.42/services/web/logs?stdout=1&stderr=1&tail=10');
    expect(answer.headers['content-type']).toBe('application/vnd.docker.multiplexed-stream');
    expect(answer.text).toBe(
      frame(1, 'hello\n') +
        frame(2, 'hello\n') +
        frame(
          3,
          'Error grabbing logs: rpc error: code = Unknown desc = warning: incomplete log stream\n',
        ),
    );
    expect(asked).toMatchObject([
      {
        selector: { serviceIds: ['service-1'] },
        options: {
          streams: ['LOG_STREAM_STDOUT', 'LOG_STREAM_STDERR'],
          follow: false,
          tail: '-11',
          since: null,
        },
      },
    ]);
  });

  test('is named a raw stream to clients before 1.42, and is one for a terminal', async () => {
    await using api = await aLoggingApi([]);
    const old = await api.call('GET', '/v1.41/services/web/logs?stdout=1');
    expect(old.headers['content-type']).toBe('application/vnd.docker.raw-stream');
    expect(old.body.readUInt8(0)).toBe(1);
    await using terminal = await aLoggingApi([], true);
    const { text, headers } = await terminal.call('GET', '/v1.42/services/web/logs?stdout=1');
    expect(headers['content-type']).toBe('application/vnd.docker.raw-stream');
    expect(text.startsWith('hello\nhello\n')).toBe(true);
  });

  test.each([
    ['', "must specify at least one of 'stdout' or 'stderr'"],
    ['stdout=1&tail=x', 'tail value must be a positive integer or "all"'],
    ['stdout=1&tail=-3', 'negative tail values not supported'],
  ])('refuses what it cannot mean: %s', async (query, reason) => {
    await using api = await aLoggingApi([]);
    const answer = await api.call('GET', `/services/web/logs?${query}`);
    expect([answer.status, answer.value]).toEqual([400, { message: reason }]);
  });

  test('since is seconds with up to nine digits behind the point', async () => {
    const asked: Subscribed[] = [];
    await using api = await aLoggingApi(asked);
    await api.call('GET', '/services/web/logs?stdout=1&since=1700000000.5&follow=true&tail=all');
    expect(asked[0]?.options).toMatchObject({
      since: { seconds: '1700000000', nanos: 500_000_000 },
      follow: true,
      tail: '0',
    });
  });
});

test('a reader that leaves ends its subscription', async () => {
  const left = new AbortController();
  await using api = await anEngineApi({
    Logs: {
      async *subscribeLogs(_request, { signal }) {
        yield { messages: [message()] };
        await whenAborted(signal);
        left.abort();
      },
    },
  });
  await api.swarm.write((tx) => {
    tx.create('service', aService({ id: 'service-1' }));
  });
  const path = '/services/service-1/logs?stdout=1&follow=1';
  const request = startRequest({ socketPath: api.socketPath, path, agent: false });
  request.on('error', () => undefined);
  request.once('response', (response) => {
    response.on('error', () => undefined);
    response.once('data', () => request.destroy());
  });
  request.end();
  await whenAborted(left.signal);
  expect(left.signal.aborted).toBe(true);
});

async function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
}
