import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mask } from '../../support/mask.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { Swarm } from '../../support/swarm.ts';
import type { SwarmDaemon } from '../../support/swarm-daemon.ts';

const shared = sharedEngine();
const id = 'ID'.padEnd(25, '-');
const shortId = 'ID'.padEnd(12, '-');

/** A table whose columns are as wide as an age that has changed meanwhile. */
const withoutWidths = (text: string): string => text.replaceAll(/ {3,}/gu, '   ');

/** What the stock CLI prints, masked; a failure shows its exit code too. */
async function says(daemon: SwarmDaemon, line: string): Promise<string> {
  const { stdout, stderr, code } = await daemon.docker(line.split(' '));
  return mask(code === 0 ? stdout : `[exit ${code}] ${stdout}${stderr}`);
}

// The tests of this file are the steps of one walk: each begins where the one before it ended.
describe.skipIf(shared === undefined)('the stock docker CLI on our socket', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;
  let manager: SwarmDaemon;

  const docker = async (line: string): Promise<string> => says(manager, line);

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost]);
    ({ manager } = swarm);
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  test('docker info tells of the swarm', async () => {
    const part = await docker(
      'info --format {{.Name}}/{{.Swarm.LocalNodeState}}/{{.Swarm.ControlAvailable}}/{{.Swarm.Nodes}}/{{.Swarm.Managers}}',
    );
    expect(part).toBe('node-01/active/true/2/1\n');
  });

  test('docker swarm join-token', async () => {
    expect(await docker('swarm join-token worker')).toBe(
      'To add a worker to this swarm, run the following command:\n\n    docker swarm join --token TOKEN ADDRESS\n\n',
    );
    expect(await docker('swarm join-token -q manager')).toBe('TOKEN\n');
    expect(await docker('swarm join-token foo')).toBe('[exit 1] unknown role foo\n');
  });

  test('docker node ls, inspect and update', async () => {
    expect((await docker('node ls')).split('\n')).toEqual([
      'ID                            HOSTNAME   STATUS    AVAILABILITY   MANAGER STATUS   ENGINE VERSION',
      `${id} *   node-01    Ready     Active         Leader           VERSION`,
      `${id}     node-02    Ready     Active                          VERSION`,
      '',
    ]);
    expect(await docker('node update --label-add zone=a --label-add disk=ssd node-02')).toBe(
      'node-02\n',
    );
    expect(await docker('node update --label-rm disk node-02')).toBe('node-02\n');
    expect(await docker('node inspect --format {{.Spec.Labels}} node-02')).toBe('map[zone:a]\n');
    expect(await docker('node ls -q --filter node.label=zone=a')).toBe(`${id}\n`);
    expect(await docker('node inspect self --pretty')).toMatch(
      /^ID:\t\t\tID-+\nHostname: {14}\tnode-01\nJoined at: {13}\t.* utc\nStatus:\n State:\t\t\tReady\n Availability: {9}\tActive\n Address:\t\t127\.0\.0\.1\nManager Status:\n Address:\t\tADDRESS\n Raft Status:\t\tReachable\n Leader:\t\tYes\n/u,
    );
  });

  test.each([
    ['node update --availability sleeping node-02', 'invalid Availability: "sleeping"'],
    ['node update --role king node-02', 'invalid Role: "king"'],
    ['node ls --filter foo=bar', "invalid filter 'foo'"],
    ['node rm nosuch', 'node nosuch not found'],
    ['node ps nosuch', 'node nosuch not found'],
    ['service rm nosuch', 'service nosuch not found'],
    ['service update --image nginx:1.25 nosuch', 'service nosuch not found'],
    ['service rollback nosuch', 'service nosuch not found'],
    [
      'swarm init',
      'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
    ],
  ])('docker %s is refused in the words of the original', async (line, message) => {
    expect(await docker(line)).toBe(`[exit 1] Error response from daemon: ${message}\n`);
  });

  // The original says "rpc error: code = … desc = …" before these.
  test.each([
    ['node demote node-01', 'attempting to demote the last manager of the swarm'],
    ['node rm node-02', "is not down and can't be removed"],
    ['node rm --force node-01', 'is a cluster manager and is a member of the raft cluster'],
    [
      'service create -d --no-resolve-image --name _bad nginx',
      'name must be valid as a DNS name component',
    ],
    [
      'service create -d --no-resolve-image UPPER',
      'ContainerSpec: "UPPER" is not a valid repository/tag',
    ],
    [
      'service create -d --no-resolve-image --constraint node.role nginx',
      'constraint expected one operator from ==, !=',
    ],
  ])('docker %s is refused, and it is said why', async (line, reason) => {
    const answer = await docker(line);
    expect(answer).toMatch(/^\[exit 1\] Error response from daemon: /u);
    expect(answer).toContain(reason);
  });

  test('docker service create waits until the service has converged', async () => {
    const printed = await docker('service create --no-resolve-image --name web --replicas 2 nginx');
    const lines = printed.trimEnd().split('\n');
    expect(lines.at(0)).toBe(id);
    expect(lines.at(1)).toBe('overall progress: 0 out of 2 tasks');
    expect(lines).toContain('overall progress: 2 out of 2 tasks');
    expect(lines.at(-1)).toBe(`verify: Service ${id} converged`);
  });

  test('docker service ls, ps and inspect', async () => {
    expect((await docker('service ls')).split('\n')).toEqual([
      'ID             NAME      MODE         REPLICAS   IMAGE          PORTS',
      `${shortId}   web       replicated   2/2        nginx:latest   `,
      '',
    ]);
    const [header, ...rows] = (await docker('service ps web')).trimEnd().split('\n');
    expect(header).toMatch(
      /^ID {13}NAME {6}IMAGE {10}NODE {6}DESIRED STATE {3}CURRENT STATE +ERROR {5}PORTS$/u,
    );
    expect(rows.map((row) => row.replace(/node-0\d/u, 'NODE'))).toEqual([
      expect.stringMatching(
        /^ID-{10} {3}web\.1 {5}nginx:latest {3}NODE {6}|NODE {3}Running {7,9}Running AGO/u,
      ),
      expect.stringMatching(
        /^ID-{10} {3}web\.2 {5}nginx:latest {3}NODE {6}|NODE {3}Running {7,9}Running AGO/u,
      ),
    ]);
    expect(await docker('service inspect --pretty web')).toMatch(
      /^\nID:\t\tID-+\nName:\t\tweb\nService Mode:\tReplicated\n Replicas:\t2\nPlacement:\nUpdateConfig:\n Parallelism:\t1\n On failure:\tpause\n Monitoring Period: 5s\n Max failure ratio: 0\n Update order: {6}stop-first\nRollbackConfig:\n/u,
    );
    const own = await manager.swarmd('service', 'inspect', '--pretty', 'web');
    expect(mask(own.stdout)).toBe(await docker('service inspect --pretty web'));
  });

  test('our own CLI shows the same tables', async () => {
    for (const line of ['service ls', 'service ps web', 'node ls', 'node ps self', 'node ls -q']) {
      const { stdout } = await manager.swarmd(...line.split(' '));
      expect(mask(stdout)).toBe(await docker(line));
    }
  });

  test('our own CLI makes secrets and configs that docker shows, and shows them as docker does', async () => {
    const secret = ['secret', 'create', '--label', 'zone=a', 'pw', '-'];
    expect(await manager.run(secret, { input: 's3cret' })).toMatchObject({
      stdout: expect.stringMatching(/^[0-9a-z]{25}\n$/u) as string,
      code: 0,
    });
    await manager.run(['config', 'create', 'conf', '-'], { input: 'listen 80\n' });
    expect(await docker('config inspect --pretty conf')).toMatch(/\nData:\nlisten 80\n\n$/u);
    for (const line of [
      'secret ls',
      'secret ls -q --filter label=zone=a',
      'secret ls --format json',
      'secret inspect pw',
      'secret inspect --pretty pw',
      'config ls',
      'config inspect conf',
      'config inspect --pretty conf',
    ]) {
      const own = await manager.prints(...line.split(' '));
      expect(own).toMatch(/pw|conf|^[0-9a-z]{25}\n$/u);
      expect(withoutWidths(mask(own))).toBe(withoutWidths(await docker(line)));
    }
  });

  test('our own CLI gives secrets and configs to a service, which holds them', async () => {
    const settings = ['-d', '--no-resolve-image', '--name', 'user', '--replicas', '0'];
    const payloads = ['--secret', 'pw', '--config', 'source=conf,target=/etc/n.conf'];
    await manager.prints('service', 'create', ...settings, ...payloads, 'nginx');
    expect(await docker('service inspect --pretty user')).toContain(
      'Configs:\n Target:\t/etc/n.conf\n  Source:\tconf\nSecrets:\n Target:\tpw\n  Source:\tpw\n',
    );
    const held = await manager.swarmd('secret', 'rm', 'nosuch', 'pw');
    expect(held).toMatchObject({ code: 1, stdout: '' });
    expect(held.stderr).toBe((await manager.docker(['secret', 'rm', 'nosuch', 'pw'])).stderr);
    await manager.prints('service', 'rm', 'user');
    expect(await manager.prints('secret', 'rm', 'pw')).toBe('pw\n');
    expect(await manager.prints('config', 'rm', 'conf')).toBe('conf\n');
    expect(await docker('secret ls -q')).toBe('');
  });

  test.each([
    ['service create -d --no-resolve-image --name web nginx', 'service web already exists'],
    [
      'service scale web=-1',
      'web: invalid replicas value -1: strconv.ParseUint: parsing "-1": invalid syntax',
    ],
    ['service scale web', "invalid scale specifier 'web'."],
    ['service ps nosuch', 'no such service: nosuch'],
    ['service inspect nosuch', 'no such service: nosuch'],
    ['service logs nosuch', 'no such task or service: nosuch'],
  ])('docker %s fails with exit code 1', async (line, message) => {
    const answer = await docker(line);
    expect(answer).toMatch(/^\[exit 1\] /u);
    expect(answer).toContain(message);
  });

  test('docker service scale', async () => {
    expect(await docker('service scale -d web=4 nosuch=3')).toBe(
      '[exit 1] web scaled to 4\nnosuch: Error response from daemon: service nosuch not found\n',
    );
    await swarm.converge('web', 4);
    expect(await swarm.placement('web')).toEqual(['node-01', 'node-01', 'node-02', 'node-02']);
    expect(await docker('service ls --format {{.Name}}:{{.Replicas}}')).toBe('web:4/4\n');
  });

  test('drain and active', async () => {
    expect(await docker('node update --availability drain node-02')).toBe('node-02\n');
    await manager.until('move the tasks', async () => {
      return (await swarm.placement('web')).join() === Array(4).fill('node-01').join();
    });
    expect((await docker('node ls')).split('\n')).toContain(
      `${id}     node-02    Ready     Drain                           VERSION`,
    );
    const shutDown = /^ID-{10} {4}\\_ web\.\d .* Shutdown +Shutdown AGO/gmu;
    await manager.until('hear that the others were stopped', async () => {
      return (await docker('service ps web')).match(shutDown)?.length === 2;
    });
    expect(await docker('node update --availability active node-02')).toBe('node-02\n');
  });

  test('docker service rm', async () => {
    expect(await docker('service rm web')).toBe('web\n');
    expect(await docker('service ls')).toBe(
      'ID        NAME      MODE      REPLICAS   IMAGE     PORTS\n',
    );
    await manager.until('remove the containers', async () => {
      return (await swarm.containers()).length === 0;
    });
  });

  test('no daemon has complained', () => {
    expect(swarm.complaints).toEqual([]);
  });
});

describe.skipIf(shared === undefined)('containers beside the swarm, through our socket', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;
  let manager: SwarmDaemon;

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost]);
    ({ manager } = swarm);
  });

  afterAll(async () => {
    await manager.docker(['rm', '-f', 'beside']);
    await swarm[Symbol.asyncDispose]();
  });

  test('docker run attaches to what a container prints, and gives its exit code', async () => {
    expect(await manager.docker(['run', '--rm', 'busybox', 'echo', 'hi'])).toMatchObject({
      stdout: 'hi\n',
      code: 0,
    });
    const failed = await manager.docker([
      'run',
      '--rm',
      'busybox',
      'sh',
      '-c',
      'echo bad >&2; exit 3',
    ]);
    expect(failed).toMatchObject({ stdout: '', stderr: 'bad\n', code: 3 });
  });

  test('docker run -i and exec -i carry both directions until the input ends', async () => {
    const input = `${'x'.repeat(100_000)}\n`;
    const ran = await manager.docker(['run', '--rm', '-i', 'busybox', 'wc', '-c'], { input });
    expect(ran).toMatchObject({ stdout: '100001\n', code: 0 });

    await manager.docker(['run', '-d', '--name', 'beside', 'hold']);
    const executed = await manager.docker(['exec', '-i', 'beside', 'cat'], { input });
    expect(executed).toMatchObject({ stdout: input, code: 0 });
    expect(await manager.docker(['exec', 'beside', 'false'])).toMatchObject({ code: 1 });
  });

  test('docker ps, logs, cp, events and rm reach the Engine', async () => {
    expect(
      await manager.docker(['ps', '--filter', 'name=beside', '--format', '{{.Names}} {{.Image}}']),
    ).toMatchObject({
      stdout: 'beside hold\n',
    });
    const copied = await manager.docker(['cp', 'beside:/etc/passwd', '-']);
    expect(copied.code).toBe(0);
    expect(copied.stdout).toContain('root:x:0:0:root:/root:/bin/sh');
    const events = manager.docker(
      [
        'events',
        // The container may end before this listens.
        '--since',
        '10m',
        '--filter',
        'container=beside',
        '--filter',
        'event=die',
        '--format',
        '{{.Action}}',
      ],
      { timeoutMs: 4_000 },
    );
    await manager.docker(['kill', 'beside']);
    expect((await events).stdout).toBe('die\n');
    expect(await manager.docker(['rm', 'beside'])).toMatchObject({ stdout: 'beside\n', code: 0 });
  });

  test('no daemon has complained', () => {
    expect(swarm.complaints).toEqual([]);
  });
});
