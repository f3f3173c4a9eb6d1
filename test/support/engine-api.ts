import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingHttpHeaders, request as startRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceHandlers } from '../../src/api/index.ts';
import { type EngineApiDeps, serveEngineApi } from '../../src/manager/http/server.ts';
import { SystemClock } from '../../src/runtime/index.ts';
import { aControlClient, type ControlClient } from './control-client.ts';
import { countingRandom } from './counting-random.ts';
import { type FakeDockerApi, fakeDockerApi } from './fake-docker-api.ts';
import { FakeNode } from './fake-node.ts';
import { silentLog } from './silent-log.ts';

/** An answer of the API. */
interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  /** The body as JSON. */
  readonly value: unknown;
}

/** A server of the Engine API over a swarm in memory and a fake Docker Engine. */
export interface EngineApi extends AsyncDisposable {
  readonly socketPath: string;
  readonly deps: EngineApiDeps;
  readonly node: FakeNode;
  readonly swarm: ControlClient;
  /** `undefined` where the test wants none. */
  readonly docker: FakeDockerApi;
  /** @param body sent as JSON, if it is not a Buffer */
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
}

/** Starts both on sockets in a directory of their own. */
export async function anEngineApi(handlers: ServiceHandlers = {}): Promise<EngineApi> {
  const directory = await mkdtemp(join(tmpdir(), 'engine-api-'));
  const socketPath = join(directory, 'swarmd.sock');
  const dockerPath = join(directory, 'docker.sock');
  const docker = await fakeDockerApi(dockerPath);
  const swarm = await aControlClient();
  const node = new FakeNode({ Control: swarm.control, ...handlers });
  const stop = new AbortController();
  let ended: Promise<void> = Promise.resolve();
  const deps: EngineApiDeps = {
    node,
    engine: () => ({ kind: 'socket', path: dockerPath }),
    program: { version: '0.1.0', os: 'linux', arch: 'amd64' },
    clock: new SystemClock(),
    random: countingRandom(),
    log: silentLog,
  };
  await new Promise<void>((resolve, reject) => {
    ended = serveEngineApi(deps, { socketPath, onListening: resolve }, stop.signal);
    ended.catch(reject);
  });
  return {
    socketPath,
    deps,
    node,
    swarm,
    docker,
    call: async (method, path, body, headers = {}) =>
      call({ socketPath, method, path, headers }, body),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
      await docker[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

async function call(
  {
    socketPath,
    method,
    path,
    headers,
  }: {
    readonly socketPath: string;
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
  },
  body: unknown,
): Promise<Answer> {
  const sent =
    body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const type = sent === undefined ? {} : { 'Content-Type': 'application/json' };
  return new Promise<Answer>((resolve, reject) => {
    const request = startRequest({
      socketPath,
      method,
      path,
      headers: { ...type, ...headers },
      agent: false,
    });
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: bytes,
          text: bytes.toString(),
          get value(): unknown {
            return JSON.parse(bytes.toString()) as unknown;
          },
        });
      });
    });
    request.end(sent);
  });
}
