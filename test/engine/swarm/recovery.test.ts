import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sharedEngine } from '../../support/shared-engine.ts';
import { untilStanding } from '../../support/standing.ts';
import { type NodeObject, Swarm, type TaskContainer } from '../../support/swarm.ts';
import { freePort, type SwarmDaemon } from '../../support/swarm-daemon.ts';
import { expectUntouched } from '../../support/untouched.ts';

const shared = sharedEngine();

/** A node's state, and what it is as a manager. */
const standingOf = ({ Status, ManagerStatus }: NodeObject): string =>
  `${Status.State} ${ManagerStatus?.Reachability ?? 'worker'}`;

/** Flips bits of a manager's log, far enough back that its sentinel does not have what is lost. */
async function damage({ stateDir }: SwarmDaemon): Promise<void> {
  const database = join(stateDir, 'raft', 'db');
  const name = (await readdir(database)).find((file) => file.endsWith('.log')) ?? '';
  const bytes = await readFile(join(database, name));
  const place = bytes.length >> 2;
  bytes.writeUInt8(bytes.readUInt8(place) ^ 255, place);
  await writeFile(join(database, name), bytes);
}

// The tests of this file are the steps of one walk: each begins where the one before it ended.
describe.skipIf(shared === undefined)('a swarm that has lost its majority', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;
  let before: readonly TaskContainer[];
  let moved = '';

  const kept = async (...of: readonly SwarmDaemon[]): Promise<void> =>
    expectUntouched(swarm, before, of);

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost, dockerHost, dockerHost]);
    await swarm.manager.prints('node', 'promote', 'node-02', 'node-03');
    await untilStanding(swarm.manager, standingOf, {
      'node-02': 'ready reachable',
      'node-03': 'ready reachable',
    });
    await swarm.manager.prints(
      'service',
      'create',
      '--detach',
      '--name=web',
      '--mode=global',
      'hold',
    );
    await swarm.converge('web', 4);
    before = await swarm.containers();
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  test('is not rebuilt while it has one', async () => {
    const refused = await swarm.node(3).swarmd('swarm', 'init', '--force-new-cluster');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('this swarm has a leader: nothing is to be rebuilt');
  });

  test('goes on with one manager, somewhere else, with all that it had', async () => {
    const [first, second, third] = [swarm.node(1), swarm.node(2), swarm.node(3)];
    const token = await swarm.token('worker');
    await Promise.all([first.kill(), second.kill()]);
    await third.until('have no leader', async () =>
      (await third.swarmd('service', 'ls')).stderr.includes('does not have a leader'),
    );
    moved = `127.0.0.1:${await freePort()}`;
    const addresses = ['--listen-addr', moved, '--advertise-addr', moved];
    await third.prints('swarm', 'init', '--force-new-cluster', ...addresses);
    swarm.manager = third;
    expect(await swarm.token('worker')).toBe(token);
    expect(await third.prints('service', 'ls')).toContain('web');
    await untilStanding(third, standingOf, {
      'node-01': 'down worker',
      'node-02': 'down worker',
      'node-03': 'ready reachable',
    });
    await kept(third);
  });

  test('its workers find it with their old identity and no token', async () => {
    const worker = swarm.node(4);
    await worker.kill();
    await worker.start('--join', moved);
    await untilStanding(swarm.node(3), standingOf, { 'node-04': 'ready worker' });
    await kept(swarm.node(3), worker);
    expect(worker.printed).toBe('');
  });

  test('managers of old that come back all together are refused, and are workers', async () => {
    const old = [swarm.node(1), swarm.node(2)];
    for (const daemon of old) daemon.launch('--join', moved);
    await untilStanding(swarm.node(3), standingOf, {
      'node-01': 'ready worker',
      'node-02': 'ready worker',
      'node-03': 'ready reachable',
    });
    for (const daemon of old) {
      await daemon.until('be a worker', async () => !(await daemon.info()).ControlAvailable);
      expect(daemon.log.filter((line) => line.includes('removed from the raft group'))).not.toEqual(
        [],
      );
    }
    await swarm.converge('web', 4);
    await kept(swarm.node(3), swarm.node(4));
  });

  test('they are promoted again, and one whose log is damaged joins anew by one command', async () => {
    const [first, third] = [swarm.node(1), swarm.node(3)];
    await third.prints('node', 'promote', 'node-01', 'node-02');
    await untilStanding(third, standingOf, {
      'node-01': 'ready reachable',
      'node-02': 'ready reachable',
    });
    for (const daemon of [first, swarm.node(2)]) {
      await daemon.until('serve as a manager', async () => (await daemon.info()).ControlAvailable);
    }
    await first.kill();
    await damage(first);
    first.launch();
    expect(await first.ended).toMatchObject({ code: 1 });
    const said = first.log.at(-1) ?? '';
    const command = /"swarmd (?<args>recover [^"]* --rejoin)"/u.exec(said)?.groups?.['args'] ?? '';
    expect(await first.prints(...command.split(' '))).toContain(
      'this manager joins the others anew',
    );
    await first.start();
    await untilStanding(third, standingOf, { 'node-01': 'ready reachable' });
  });

  test('offline it goes on with one manager, too', async () => {
    const third = swarm.node(3);
    await Promise.all([swarm.node(1).kill(), swarm.node(2).kill(), third.kill()]);
    const said = await third.prints(
      'recover',
      '--state-dir',
      third.stateDir,
      '--force-new-cluster',
    );
    expect(said).toContain('The 2 others are refused for ever as managers');
    await third.start('--listen-addr', moved);
    await untilStanding(third, standingOf, {
      'node-03': 'ready reachable',
      'node-04': 'ready worker',
    });
    await kept(third, swarm.node(4));
  });
});
