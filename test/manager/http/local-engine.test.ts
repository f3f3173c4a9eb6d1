import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { request as startRequest } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import { anEngineApi } from '../../support/engine-api.ts';

/** Everything that comes on a connection until its other side ends. */
async function restOf(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

describe('what is not about the swarm', () => {
  test('is the local Engine’s to answer, in a version it knows', async () => {
    await using api = await anEngineApi();
    const known = await api.call('GET', '/v1.47/containers/json?all=1', undefined, { 'X-A': 'b' });
    expect([known.status, known.value]).toEqual([200, []]);
    expect(api.docker.lastHeaders()['x-a']).toBe('b');
    const unknown = await api.call('DELETE', '/nosuch');
    expect([unknown.status, unknown.value]).toEqual([404, { message: 'engine has no /nosuch' }]);
    expect(api.docker.seen).toEqual([
      'GET /_ping',
      'GET /v1.41/containers/json?all=1',
      'DELETE /nosuch',
    ]);
  });

  test('may be sent in any amount', async () => {
    await using api = await anEngineApi();
    const context = randomBytes(20 * 1_024 * 1_024);
    const sized = await api.call('POST', '/v1.41/build', context);
    const hash = createHash('sha256').update(context).digest('hex');
    expect(sized.text).toBe(hash);
    const chunked = await api.call('POST', '/v1.41/build', context, {
      'Transfer-Encoding': 'chunked',
    });
    expect(chunked.text).toBe(hash);
  });

  test('is asked for on a connection that the Engine is not to close, as it might too early', async () => {
    await using api = await anEngineApi();
    await api.call('POST', '/v1.41/build', Buffer.from('x'), { Connection: 'close' });
    expect(api.docker.lastHeaders().connection).toBe('keep-alive');
  });

  test('leaves no connection behind', async () => {
    await using api = await anEngineApi();
    await api.call('POST', '/v1.41/build', Buffer.from('x'));
    await api.call('GET', '/containers/json');
    await api.call('GET', '/info');
    await vi.waitFor(async () => {
      expect(await api.docker.connectionCount()).toBe(0);
    });
  });

  test('comes as it happens, and ends when the client leaves', async () => {
    await using api = await anEngineApi();
    const first = await new Promise<string>((resolve, reject) => {
      const { socketPath } = api;
      const request = startRequest({ socketPath, path: '/events', agent: false });
      request.once('error', reject);
      request.once('response', (response) => {
        response.once('data', (chunk: Buffer) => {
          resolve(chunk.toString());
          request.destroy();
        });
        response.on('error', () => undefined);
      });
      request.end();
    });
    expect(first).toBe('{"first":true}\n');
    await api.docker.eventsClosed;
  });

  test('is unavailable while the Engine is away, and the answer says where it was sought', async () => {
    await using api = await anEngineApi();
    await api.docker[Symbol.asyncDispose]();
    const answer = await api.call('GET', '/v1.41/containers/json');
    expect(answer.status).toBe(503);
    expect(answer.text).toMatch(/cannot reach the local Docker Engine at unix:.*docker\.sock/u);
    expect((await api.call('GET', '/v1.41/nodes')).status).toBe(200);
  });
});

describe('a connection that is taken over', () => {
  const body = '{"Tty":false}';
  const exec = (id: string): string =>
    [
      `POST /v1.47/exec/${id}/start HTTP/1.1`,
      'Host: docker',
      'Connection: Upgrade',
      'Upgrade: tcp',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      '',
      '',
    ].join('\r\n');

  test('carries bytes both ways, and one side may end before the other', async () => {
    await using api = await anEngineApi();
    const socket = connect({ path: api.socketPath, allowHalfOpen: true });
    socket.write(exec('1'));
    socket.write(body);
    socket.write('input');
    socket.end();
    const text = await restOf(socket);
    expect(text).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n/u);
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe('hello INPUT bye');
    expect(api.docker.seen).toContain('POST /v1.41/exec/1/start');
    socket.destroy();
  });

  test('is closed after a refusal, so that no later request of it goes astray', async () => {
    await using api = await anEngineApi();
    const socket = connect({ path: api.socketPath });
    socket.write(`${exec('missing')}${body}`);
    const text = await restOf(socket);
    expect(text).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/u);
    expect(text).toMatch(/connection: close/iu);
    expect(text).toContain('{"message":"No such exec instance: missing"}');
  });

  test('is refused while the Engine is away', async () => {
    await using api = await anEngineApi();
    await api.docker[Symbol.asyncDispose]();
    const socket = connect({ path: api.socketPath });
    socket.write(`${exec('1')}${body}`);
    expect(await restOf(socket)).toMatch(/^HTTP\/1\.1 503 /u);
  });

  test('ends with the server', async () => {
    const socket = await (async () => {
      await using api = await anEngineApi();
      const taken = connect({ path: api.socketPath });
      taken.write(`${exec('1')}${body}`);
      await new Promise((resolve) => taken.once('data', resolve));
      return taken;
    })();
    socket.on('error', () => undefined);
    if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
    expect(socket.destroyed).toBe(true);
  });
});
