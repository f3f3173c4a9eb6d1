import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { sharedEngine } from '../../support/shared-engine.ts';
import { containersOf } from '../../support/swarm.ts';
import { SwarmDaemon } from '../../support/swarm-daemon.ts';
import { mask } from '../../support/mask.ts';

const shared = sharedEngine();
const dockerHost = shared?.dockerHost ?? '';

const filesOf = (daemon: SwarmDaemon): readonly string[] =>
  existsSync(daemon.stateDir) ? readdirSync(daemon.stateDir) : [];

describe.skipIf(shared === undefined)('swarmd daemon', () => {
  test('a node founds a swarm when told to, others join it, and all leave it empty', async () => {
    const create = async (hostname: string): Promise<SwarmDaemon> => {
      const daemon = await SwarmDaemon.create({ mode: 'daemon', hostname, dockerHost });
      await daemon.start();
      return daemon;
    };
    await using first = await create('one');
    await using second = await create('two');
    await using third = await create('three');

    expect(await first.info()).toMatchObject({
      LocalNodeState: 'inactive',
      ControlAvailable: false,
    });
    expect(await first.swarmd('node', 'ls')).toMatchObject({
      code: 1,
      stderr:
        'Error response from daemon: This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.\n',
    });
    expect(await first.swarmd('swarm', 'leave')).toMatchObject({
      code: 1,
      stderr: 'Error response from daemon: This node is not part of a swarm\n',
    });

    const init = await first.prints(
      'swarm',
      'init',
      '--dispatcher-heartbeat',
      '1s',
      '--listen-addr',
      first.address,
    );
    expect(mask(init)).toContain('swarmd worker --join ADDRESS --token TOKEN');
    const [token = ''] = /SWMTKN-\S+/u.exec(init) ?? [];
    expect(await second.prints('swarm', 'join', '--token', token, first.address)).toBe(
      'This node joined a swarm as a worker.\n',
    );
    expect(await second.swarmd('swarm', 'join', '--token', token, first.address)).toMatchObject({
      code: 1,
      stderr:
        'Error response from daemon: This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.\n',
    });
    expect(await third.docker(['swarm', 'join', '--token', token, first.address])).toMatchObject({
      code: 0,
      stdout: 'This node joined a swarm as a worker.\n',
    });
    await first.docker([
      'service',
      'create',
      '-d',
      '--no-resolve-image',
      '--mode',
      'global',
      '--name',
      'all',
      'hold',
    ]);
    const nodeIds = await Promise.all(
      [first, second, third].map(async (each) => (await each.info()).NodeID),
    );
    const running = async (nodeId: string): Promise<number> =>
      (await containersOf(dockerHost, nodeId)).filter(({ state }) => state === 'running').length;
    await first.until('run a task on each', async () => {
      const counts = await Promise.all(nodeIds.map(running));
      return counts.join() === '1,1,1';
    });

    // It comes back at the address it was told, not at the one it would choose.
    await first.kill();
    await first.start();
    await first.until('lead again', async () => (await first.info()).ControlAvailable);
    expect(await first.prints('swarm', 'join-token', 'worker')).toContain(first.address);
    await first.until('have all nodes again', async () => {
      const { stdout } = await first.docker(['node', 'ls', '--format', '{{.Status}}']);
      return stdout === 'Ready\nReady\nReady\n';
    });

    // A worker that leaves takes its containers with it and forgets everything.
    expect(await second.prints('swarm', 'leave')).toBe('Node left the swarm.\n');
    expect(await containersOf(dockerHost, nodeIds[1] ?? '')).toEqual([]);
    expect(filesOf(second)).toEqual([]);
    expect(await second.info()).toMatchObject({ LocalNodeState: 'inactive', NodeID: '' });
    await first.until('notice it', async () => {
      const { stdout } = await first.docker([
        'node',
        'ls',
        '--format',
        '{{.Hostname}} {{.Status}}',
      ]);
      return stdout.includes('two Down');
    });

    expect(await third.docker(['swarm', 'leave'])).toMatchObject({
      code: 0,
      stdout: 'Node left the swarm.\n',
    });
    expect(filesOf(third)).toEqual([]);

    // The last manager must be forced: with it the swarm ends.
    const refused = await first.swarmd('swarm', 'leave');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain(
      'Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message.',
    );
    expect(await first.prints('swarm', 'leave', '--force')).toBe('Node left the swarm.\n');
    expect(await containersOf(dockerHost, nodeIds[0] ?? '')).toEqual([]);
    expect(filesOf(first)).toEqual([]);
    expect(await first.info()).toMatchObject({
      LocalNodeState: 'inactive',
      ControlAvailable: false,
    });

    // What has left may begin anew, in another swarm.
    expect(await second.docker(['swarm', 'init', '--listen-addr', second.address])).toMatchObject({
      code: 0,
    });
    const again = await second.prints('swarm', 'join-token', '-q', 'worker');
    expect(again.trim()).not.toBe(token);
    expect(await first.prints('swarm', 'join', '--token', again.trim(), second.address)).toContain(
      'as a worker',
    );
    for (const daemon of [first, second, third]) {
      expect(await daemon.stop()).toEqual({ code: 0, signal: null });
      expect(daemon.complaints).toEqual([]);
    }
  });
});
