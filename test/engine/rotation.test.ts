import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sharedEngine } from '../support/shared-engine.ts';
import { Swarm } from '../support/swarm.ts';
import type { SwarmDaemon } from '../support/swarm-daemon.ts';

const shared = sharedEngine();

describe.skipIf(shared === undefined)('a root rotation', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;
  let manager: SwarmDaemon;

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost]);
    ({ manager } = swarm);
    await swarm.join(dockerHost, 'manager');
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  test('gives every node a new certificate and root, and the swarm new tokens; no container is touched', async () => {
    const create = ['service', 'create', '-d', '--no-resolve-image', '--name', 'web'];
    await manager.docker([...create, '--replicas', '4', 'busybox', 'sleep', '1000']);
    await swarm.converge('web', 4);
    const before = await swarm.containers();
    const [oldRoot, oldToken] = [await manager.prints('swarm', 'ca'), await swarm.token()];

    const rotated = await manager.swarmd('swarm', 'ca', '--rotate');
    expect(rotated).toMatchObject({ code: 0, stderr: '' });
    const root = await manager.prints('swarm', 'ca');
    expect(root).not.toBe(oldRoot);
    expect(rotated.stdout).toContain('  rotated CA certificates: 3/3 nodes\n');
    expect(rotated.stdout.endsWith(root)).toBe(true);
    const statuses = await manager.docker(['node', 'ls', '--format', '{{.Status}} {{.TLSStatus}}']);
    expect(statuses.stdout).toBe('Ready Ready\n'.repeat(3));

    expect(await swarm.token()).not.toBe(oldToken);
    const refused = await swarm.create({ mode: 'worker', dockerHost });
    refused.launch('--join', manager.address, '--token', oldToken);
    expect((await refused.ended).code).toBe(1);
    expect(refused.log.join('\n')).toMatch(/^remote CA does not match fingerprint/mu);
    await swarm.join(dockerHost);
    expect(await swarm.nodes()).toHaveLength(4);
    expect(await swarm.containers()).toEqual(before);
  });

  test('waits for a node that is down, and is complete once that is back', async () => {
    const last = swarm.node(2);
    await last.kill();
    await manager.docker(['swarm', 'ca', '--rotate', '--detach']);
    const isRotating = async (): Promise<boolean> =>
      (await manager.get<{ readonly RootRotationInProgress: boolean }>('/swarm'))
        .RootRotationInProgress;
    await manager.until('give the others their certificates', async () => {
      const { stdout } = await manager.swarmd('node', 'ls', '--format', '{{.TLSStatus}}');
      return stdout.match(/Needs Rotation/gu)?.length === 3;
    });
    expect(await isRotating()).toBe(true);
    await last.start();
    await manager.until('end the rotation', async () => !(await isRotating()));
    const complaints = swarm.complaints.filter((line) => !line.includes('match fingerprint'));
    expect(complaints).toEqual([]);
  });
});
