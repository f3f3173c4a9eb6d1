import { createServer } from 'node:http';
import { join } from 'node:path';
import { TemporaryDirectory } from '../../test/support/temporary-directory.ts';

/** What a Docker Engine says of itself. Engine API 1.41 `SystemInfo` */
const info = {
  ID: 'idle',
  Name: 'idle',
  ServerVersion: '20.10.24',
  Architecture: 'x86_64',
  OSType: 'linux',
  NCPU: 2,
  MemTotal: 8_000_000_000,
  Plugins: { Network: ['bridge', 'host', 'null'], Volume: ['local'], Log: ['json-file'] },
  Swarm: { LocalNodeState: 'inactive' },
};

const answers: Readonly<Record<string, unknown>> = {
  '/_ping': 'OK',
  '/version': { Version: '20.10.24', ApiVersion: '1.41' },
  '/info': info,
  '/containers/json': [],
};

/** The Engine of a node that runs nothing. */
export interface IdleEngine extends AsyncDisposable {
  readonly dockerHost: string;
}

export async function startIdleEngine(): Promise<IdleEngine> {
  const directory = await TemporaryDirectory.create();
  const socketPath = join(directory.path, 'docker.sock');
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/^\/v[0-9.]+/u, '').replace(/\?.*$/u, '');
    response.setHeader('Api-Version', '1.41');
    response.setHeader('Content-Type', 'application/json');
    if (path === '/events') response.flushHeaders(); // Nothing ever happens.
    else response.end(JSON.stringify(answers[path] ?? {}));
  });
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  return {
    dockerHost: `unix://${socketPath}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      await directory[Symbol.asyncDispose]();
    },
  };
}
