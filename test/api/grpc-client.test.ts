import { mkdtempSync, rmSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectRpc, type RpcConnection, serviceDefinition } from '../../src/api/index.ts';
import type {
  GetNodeRequest,
  GetNodeResponseInput,
  PublishLogsMessage,
  PublishLogsResponseInput,
  SessionMessageInput,
  SessionRequest,
} from '../../src/api/gen/types.ts';

const folder = mkdtempSync(join(tmpdir(), 'rpc-'));
const path = join(folder, 'control.sock');
const server = new Server();
let client: RpcConnection;

/** What became of streams on the server's side. */
let cancelled: Array<() => void> = [];
const published: string[] = [];
const answers = new Map<string, () => void>();

const options = { signal: new AbortController().signal, deadlineMs: 5_000 };

/** Answers a node of the ID asked for; fails, or never answers, those with such names. */
function getNode(
  { request }: ServerUnaryCall<GetNodeRequest, GetNodeResponseInput>,
  callback: sendUnaryData<GetNodeResponseInput>,
): void {
  if (request.nodeId === 'missing')
    callback({ code: status.NOT_FOUND, details: 'node missing not found' });
  else if (request.nodeId === 'silent') answers.get('silent')?.();
  else callback(null, { node: { id: request.nodeId } });
}

/** Tells of three sessions; then fails, ends or stays open, as the caller's session says. */
function session(call: ServerWritableStream<SessionRequest, SessionMessageInput>): void {
  for (const sessionId of ['a', 'b', 'c']) call.write({ sessionId });
  call.on('cancelled', () => {
    for (const tell of cancelled) tell();
  });
  if (call.request.sessionId === 'fail') {
    call.emit('error', { code: status.ABORTED, details: 'session ended' });
  }
  if (call.request.sessionId === 'end') call.end();
}

function publishLogs(
  call: ServerReadableStream<PublishLogsMessage, PublishLogsResponseInput>,
  callback: sendUnaryData<PublishLogsResponseInput>,
): void {
  call.on('data', ({ subscriptionId }: PublishLogsMessage) => {
    published.push(subscriptionId);
    if (subscriptionId === 'refused')
      callback({ code: status.PERMISSION_DENIED, details: 'not yours' });
  });
  call.on('end', () => {
    callback(null, {});
  });
  call.on('error', () => undefined);
}

beforeAll(async () => {
  server.addService(serviceDefinition('Control'), { GetNode: getNode });
  server.addService(serviceDefinition('Dispatcher'), { Session: session });
  server.addService(serviceDefinition('LogBroker'), { PublishLogs: publishLogs });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
  client = connectRpc({ kind: 'socket', path });
});

afterAll(() => {
  client[Symbol.dispose]();
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});

describe('a unary call', () => {
  test('is answered in complete form', async () => {
    const { node } = await client.unary('Control', 'GetNode', { nodeId: 'n' }, options);
    expect(node).toMatchObject({ id: 'n', role: 'WORKER', attachments: [] });
  });

  test('fails with the code and the text of whoever answered', async () => {
    await expect(
      client.unary('Control', 'GetNode', { nodeId: 'missing' }, options),
    ).rejects.toMatchObject({ code: 'not-found', message: 'node missing not found' });
    await expect(client.unary('Control', 'ListNodes', {}, options)).rejects.toMatchObject({
      code: 'unimplemented',
    });
  });

  test('fails when its deadline has passed', async () => {
    await expect(
      client.unary('Control', 'GetNode', { nodeId: 'silent' }, { ...options, deadlineMs: 50 }),
    ).rejects.toMatchObject({ code: 'deadline-exceeded' });
  });

  test('throws the reason of a signal that aborts, before the call or in it', async () => {
    const call = new AbortController();
    answers.set('silent', () => {
      call.abort(new Error('no longer wanted'));
    });
    const silent = client.unary(
      'Control',
      'GetNode',
      { nodeId: 'silent' },
      { ...options, signal: call.signal },
    );
    await expect(silent).rejects.toThrow('no longer wanted');
    await expect(
      client.unary('Control', 'GetNode', { nodeId: 'n' }, { ...options, signal: call.signal }),
    ).rejects.toThrow('no longer wanted');
  });

  test('fails as unavailable where nobody listens', async () => {
    using nobody = connectRpc({ kind: 'socket', path: join(folder, 'none.sock') });
    await expect(nobody.unary('Control', 'GetNode', {}, options)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});

const sessions = async (sessionId: string) => {
  const seen: string[] = [];
  const stream = client.serverStream('Dispatcher', 'Session', { sessionId }, options);
  for await (const message of stream) seen.push(message.sessionId);
  return seen;
};

describe('a stream of answers', () => {
  test('ends when the other side ends it', async () => {
    expect(await sessions('end')).toEqual(['a', 'b', 'c']);
  });

  test('fails with the code and the text of the other side', async () => {
    await expect(sessions('fail')).rejects.toMatchObject({
      code: 'aborted',
      message: 'session ended',
    });
  });

  test('that is left is cancelled', async () => {
    const told = new Promise<void>((resolve) => {
      cancelled = [resolve];
    });
    const stream = client.serverStream('Dispatcher', 'Session', { sessionId: 'open' }, options);
    for await (const { sessionId } of stream) {
      expect(sessionId).toBe('a');
      break;
    }
    await told;
  });

  test('throws the reason of a signal that aborts while it waits', async () => {
    const call = new AbortController();
    const told = new Promise<void>((resolve) => {
      cancelled = [resolve];
    });
    const read = async () => {
      const { signal } = call;
      const request = { sessionId: 'open' };
      for await (const { sessionId } of client.serverStream('Dispatcher', 'Session', request, {
        signal,
      })) {
        if (sessionId === 'c') call.abort(new Error('no longer wanted'));
      }
    };
    await expect(read()).rejects.toThrow('no longer wanted');
    await told;
  });
});

describe('a stream of requests', () => {
  test('is answered when it has ended', async () => {
    const requests = (async function* () {
      for (let n = 0; n < 500; n += 1) yield { subscriptionId: String(n) };
    })();
    published.length = 0;
    expect(await client.clientStream('LogBroker', 'PublishLogs', requests, options)).toEqual({});
    expect(published).toEqual(Array.from({ length: 500 }, (_, n) => String(n)));
  });

  test('that is refused asks for no more', async () => {
    let asked = 0;
    const requests = (async function* () {
      for (;;) {
        asked += 1;
        yield { subscriptionId: 'refused' };
        await turn();
      }
    })();
    await expect(
      client.clientStream('LogBroker', 'PublishLogs', requests, options),
    ).rejects.toMatchObject({ code: 'permission-denied', message: 'not yours' });
    await turn();
    const before = asked;
    await client.unary('Control', 'GetNode', { nodeId: 'n' }, options);
    expect(asked).toBe(before);
  });
});
