import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mask } from '../../support/mask.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { Swarm } from '../../support/swarm.ts';
import { SwarmDaemon } from '../../support/swarm-daemon.ts';

const shared = sharedEngine();
const order = ['new', 'pending', 'assigned', 'accepted', 'preparing', 'starting', 'running'];

// The tests of this file are the steps of one walk: each begins where the one before it ended.
describe.skipIf(shared === undefined)('a manager and three workers, by the swarmd CLI', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost, dockerHost, dockerHost]);
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  test('the first manager says how others join', () => {
    expect(mask(swarm.manager.printed))
      .toBe(`Swarm initialized: current node (${'ID'.padEnd(25, '-')}) is now a manager.

To add a worker to this swarm, run the following command:

    swarmd worker --join ADDRESS --token TOKEN

To add a manager to this swarm, run 'swarmd swarm join-token manager' and follow the instructions.
`);
    expect(swarm.manager.printed).toContain(swarm.manager.address);
  });

  test('node ls shows every node, the leader, and which one answers', async () => {
    expect(mask(await swarm.manager.prints('node', 'ls')).split('\n')).toEqual([
      'ID                            HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION',
      'ID----------------------- *   node-01    Ready     Active         Leader           VERSION',
      'ID-----------------------     node-02    Ready     Active                          VERSION',
      'ID-----------------------     node-03    Ready     Active                          VERSION',
      'ID-----------------------     node-04    Ready     Active                          VERSION',
      '',
    ]);
  });

  test('a worker refuses commands about the swarm', async () => {
    expect(await swarm.node(2).swarmd('node', 'ls')).toMatchObject({
      code: 1,
      stdout: '',
      stderr:
        "Error response from daemon: This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.\n",
    });
  });

  test('a join token is shown for each role, alone with --quiet, and ends when it is rotated', async () => {
    const { manager } = swarm;
    const before = { worker: await swarm.token('worker'), manager: await swarm.token('manager') };
    expect(await manager.prints('swarm', 'join-token', 'worker')).toBe(
      `To add a worker to this swarm, run the following command:\n\n    swarmd worker --join ${manager.address} --token ${before.worker}\n\n`,
    );
    expect(await manager.prints('swarm', 'join-token', 'manager')).toContain(
      `swarmd manager --join ${manager.address} --token ${before.manager}\n`,
    );

    const rotated = await manager.prints('swarm', 'join-token', '--rotate', 'worker');
    expect(rotated).toMatch(/^Successfully rotated worker join token\.\n\nTo add a worker/u);
    expect(rotated).not.toContain(before.worker);
    expect(rotated).toContain(await swarm.token('worker'));
    expect(await swarm.token('manager')).toBe(before.manager);

    await using late = await SwarmDaemon.create({ mode: 'worker', hostname: 'late', dockerHost });
    late.launch('--join', manager.address, '--token', before.worker);
    expect(await late.ended).toMatchObject({ code: 1 });
    expect(late.log.at(-1)).toContain('A valid join token is necessary to join this cluster');
  });

  test('service create prints the ID and returns once the service has converged', async () => {
    const printed = await swarm.manager.prints('service', 'create', '--name', 'nginx', 'nginx');
    const [id = '', ...progress] = printed.trimEnd().split('\n');
    expect(id).toMatch(/^[0-9a-z]{25}$/u);
    expect(progress.at(0)).toBe('overall progress: 0 out of 1 tasks');
    expect(progress.at(-1)).toBe(`verify: Service ${id} converged`);

    expect(mask(await swarm.manager.prints('service', 'ls')).split('\n')).toEqual([
      'ID             NAME      MODE         REPLICAS   IMAGE          PORTS',
      'ID----------   nginx     replicated   1/1        nginx:latest   ',
      '',
    ]);
    const [header, row] = mask(await swarm.manager.prints('service', 'ps', 'nginx')).split('\n');
    expect(header).toMatch(
      /^ID {13}NAME {6}IMAGE {10}NODE {6}DESIRED STATE {3}CURRENT STATE +ERROR +PORTS$/u,
    );
    expect(row).toMatch(
      /^ID-{10} {3}nginx\.1 {3}nginx:latest {3}node-0\d {3}Running {9}Running AGO/u,
    );
  });

  test('eight replicas spread over four nodes two by two, on their way through every state', async () => {
    const [first] = await swarm.running('nginx');
    const scaling = swarm.manager.prints('service', 'scale', '--detach', 'nginx=8');
    const seen = new Set<string>();
    await swarm.manager.until('run 8 of nginx', async () => {
      const tasks = await swarm.tasks('nginx');
      for (const { ID, Status } of tasks) if (ID !== first?.ID) seen.add(Status.State);
      return tasks.filter(({ Status }) => Status.State === 'running').length === 8;
    });
    expect(await scaling).toBe('nginx scaled to 8\n');
    expect([...seen].toSorted((a, b) => order.indexOf(a) - order.indexOf(b))).toEqual(
      expect.arrayContaining(['assigned', 'preparing', 'running']),
    );
    expect(await swarm.placement('nginx')).toEqual(
      ['node-01', 'node-02', 'node-03', 'node-04'].flatMap((name) => [name, name]),
    );
    expect((await swarm.running('nginx')).some(({ ID }) => ID === first?.ID)).toBe(true);
    const containers = await swarm.containers();
    expect(containers.map(({ state }) => state)).toEqual(Array(8).fill('running'));
    expect(await swarm.manager.prints('service', 'ls')).toMatch(/ 8\/8 /u);
  });

  test('a drained node loses its tasks to the others, and its containers are stopped', async () => {
    const { manager } = swarm;
    expect(await manager.prints('node', 'update', '--availability', 'drain', 'node-03')).toBe(
      'node-03\n',
    );
    await manager.until('move the tasks', async () => {
      const places = await swarm.placement('nginx');
      return places.length === 8 && !places.includes('node-03');
    });
    expect(mask(await manager.prints('node', 'ls')).split('\n')).toContain(
      'ID-----------------------     node-03    Ready     Drain                           VERSION',
    );
    await manager.until('stop the containers', async () => {
      const left = await swarm.containers(swarm.node(3));
      return left.every(({ state }) => state !== 'running');
    });
    // The node tells of it a moment later.
    await manager.until('hear that they were stopped', async () => {
      const table = mask(await manager.prints('node', 'ps', 'node-03'));
      return table.match(/node-03 +Shutdown +Shutdown AGO/gu)?.length === 2;
    });
  });

  test('a paused node keeps its tasks and takes no new ones; an active one takes them again', async () => {
    const { manager } = swarm;
    const on = async (name: string): Promise<number> =>
      (await swarm.placement('nginx')).filter((place) => place === name).length;
    await manager.prints('node', 'update', '--availability', 'active', 'node-03');
    await manager.prints('node', 'update', '--availability', 'pause', 'node-02');
    const before = await on('node-02');
    await manager.prints('service', 'scale', '--detach', 'nginx=12');
    await swarm.converge('nginx', 12);
    expect(await on('node-02')).toBe(before);
    expect(await on('node-03')).toBeGreaterThanOrEqual(3);

    await manager.prints('node', 'update', '--availability', 'active', 'node-02');
    await manager.prints('service', 'scale', '--detach', 'nginx=16');
    await swarm.converge('nginx', 16);
    expect(await on('node-02')).toBeGreaterThan(before);
  });

  test('service rm takes every container with it, on every node', async () => {
    const { manager } = swarm;
    expect(await manager.prints('service', 'rm', 'nginx')).toBe('nginx\n');
    expect(await manager.prints('service', 'ls')).toBe(
      'ID        NAME      MODE      REPLICAS   IMAGE     PORTS\n',
    );
    expect(await manager.swarmd('service', 'ps', 'nginx')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'no such service: nginx\n',
    });
    await manager.until('remove the containers', async () => {
      return (await swarm.containers()).length === 0;
    });
  });

  test('SIGTERM ends every daemon cleanly, and none has complained', async () => {
    const ends = await Promise.all(swarm.daemons.map(async (daemon) => daemon.stop()));
    expect(ends).toEqual(swarm.daemons.map(() => ({ code: 0, signal: null })));
    expect(swarm.complaints).toEqual([]);
  });
});
