import { afterEach, expect, test, vi } from 'vitest';
import { EngineClient } from '../../src/cli/client.ts';
import { FakeDaemon } from '../support/fake-daemon.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('a client asks the daemon it was told of, whatever Engine DOCKER_HOST names', async () => {
  await using daemon = await FakeDaemon.start();
  daemon.on('GET /swarm', { ID: 'ours' });
  vi.stubEnv('DOCKER_HOST', 'tcp://192.0.2.1:2375');
  for (const host of [daemon.socketPath, `unix://${daemon.socketPath}`]) {
    expect(await new EngineClient(host).get('/swarm')).toEqual({ ID: 'ours' });
  }
});
