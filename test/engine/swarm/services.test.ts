import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sharedEngine } from '../../support/shared-engine.ts';
import type { TaskObject } from '../../support/service-tasks.ts';
import { Swarm } from '../../support/swarm.ts';
import type { SwarmDaemon } from '../../support/swarm-daemon.ts';

const shared = sharedEngine();

interface UpdateStatus {
  readonly State?: string;
  readonly Message?: string;
}

const imagesOf = (tasks: readonly TaskObject[]): readonly string[] =>
  tasks.map(({ Spec }) => Spec.ContainerSpec.Image);

describe.skipIf(shared === undefined)('what a service promises', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;
  let manager: SwarmDaemon;

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost]);
    ({ manager } = swarm);
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  /** Creates a service by the stock CLI and waits for nothing. */
  const create = async (name: string, ...args: readonly string[]): Promise<void> => {
    const usual = ['-d', '--no-resolve-image', '--stop-grace-period', '1s', '--name', name];
    const line = ['service', 'create', ...usual, ...args];
    const { code, stderr } = await manager.docker(line);
    if (code !== 0) throw new Error(stderr);
  };

  const updateStatus = async (service: string): Promise<UpdateStatus> => {
    const { UpdateStatus: status = {} } = await manager.get<{
      readonly UpdateStatus?: UpdateStatus;
    }>(`/services/${service}`);
    return status;
  };

  const docker = async (...args: readonly string[]): Promise<string> =>
    (await manager.docker(args)).stdout;

  const containerOf = async (service: string): Promise<string> => {
    const [task] = await swarm.converge(service, 1);
    return task?.Status.ContainerStatus?.ContainerID ?? '';
  };

  test('logs: both CLIs show every task’s lines, on both streams, with where they are from', async () => {
    await create(
      'talk',
      '--replicas',
      '2',
      'busybox',
      'sh',
      '-c',
      'echo out; echo err >&2; exec sleep 1000',
    );
    await swarm.converge('talk', 2);
    for (const logs of [
      await manager.docker(['service', 'logs', 'talk']),
      await manager.swarmd('service', 'logs', 'talk'),
    ]) {
      expect(logs.code).toBe(0);
      expect(logs.stdout.trim().split('\n').toSorted()).toEqual([
        expect.stringMatching(/^talk\.1\.[0-9a-z]{12}@node-0[12] +\| out$/u),
        expect.stringMatching(/^talk\.2\.[0-9a-z]{12}@node-0[12] +\| out$/u),
      ]);
      expect(logs.stderr.trim().split('\n').toSorted()).toEqual([
        expect.stringMatching(/^talk\.1\.[0-9a-z]{12}@node-0[12] +\| err$/u),
        expect.stringMatching(/^talk\.2\.[0-9a-z]{12}@node-0[12] +\| err$/u),
      ]);
    }
    const last = await manager.docker(['service', 'logs', '--raw', '--tail', '1', 'talk']);
    expect(`${last.stdout}${last.stderr}`).toMatch(/^((out|err)\n){2}$/u);
    await docker('service', 'rm', 'talk');
  });

  test('logs --follow goes on until it is ended, and hears of what is said later', async () => {
    await create(
      'clock',
      'busybox',
      'sh',
      '-c',
      'i=0; while :; do i=$((i+1)); echo tick $i; sleep 1; done',
    );
    await swarm.converge('clock', 1);
    const followed = await manager.docker(['service', 'logs', '--raw', '-f', 'clock'], {
      timeoutMs: 4_000,
    });
    expect(followed.stdout.split('\n').slice(0, 3)).toEqual(['tick 1', 'tick 2', 'tick 3']);
  });

  test('an update goes through the tasks as many at a time as it says, with a pause between', async () => {
    await create(
      'roll',
      '--replicas',
      '4',
      '--update-parallelism',
      '2',
      '--update-delay',
      '1s',
      '--update-monitor',
      '100ms',
      '--rollback-monitor',
      '100ms',
      'nginx:1.24',
    );
    await swarm.converge('roll', 4);
    const begun = manager.docker([
      'service',
      'update',
      '-d',
      '--no-resolve-image',
      '--image',
      'nginx:1.25',
      'roll',
    ]);
    const steps = new Set<number>();
    await manager.until('complete the update', async () => {
      const updated = imagesOf(await swarm.running('roll')).filter(
        (image) => image === 'nginx:1.25',
      );
      const outOfOrder = (await swarm.running('roll')).length;
      expect(outOfOrder).toBeGreaterThanOrEqual(2);
      steps.add(updated.length);
      return (await updateStatus('roll')).State === 'completed';
    });
    expect((await begun).stdout).toBe('roll\n');
    expect([...steps]).toContain(2);
    expect(await updateStatus('roll')).toMatchObject({
      State: 'completed',
      Message: 'update completed',
    });
    expect(imagesOf(await swarm.converge('roll', 4))).toEqual(Array(4).fill('nginx:1.25'));
    const history = (await swarm.tasks('roll')).filter(
      ({ DesiredState }) => DesiredState === 'shutdown',
    );
    expect(imagesOf(history)).toEqual(Array(4).fill('nginx:1.24'));

    expect(await docker('service', 'rollback', '-d', 'roll')).toBe('roll\n');
    await manager.until(
      'roll back',
      async () => (await updateStatus('roll')).State === 'rollback_completed',
    );
    expect(imagesOf(await swarm.converge('roll', 4))).toEqual(Array(4).fill('nginx:1.24'));
  });

  test('an update that fails pauses, and leaves the other tasks alone', async () => {
    await create(
      'pausing',
      '--replicas',
      '3',
      '--restart-delay',
      '100ms',
      // Without a delay the next task is replaced as soon as this one has started, before it failed.
      '--update-delay',
      '1m',
      '--update-monitor',
      '2s',
      'hold',
    );
    await swarm.converge('pausing', 3);
    await docker(
      'service',
      'update',
      '-d',
      '--no-resolve-image',
      '--args',
      'sh -c "exit 7"',
      '--image',
      'busybox',
      'pausing',
    );
    await manager.until('pause', async () => (await updateStatus('pausing')).State === 'paused');
    expect((await updateStatus('pausing')).Message).toMatch(
      /^update paused due to failure or early termination of task [0-9a-z]{25}$/u,
    );
    expect(imagesOf(await swarm.running('pausing'))).toEqual(['hold:latest', 'hold:latest']);
    expect(
      (await swarm.tasks('pausing')).some(({ Status }) => Status.Err === 'task: non-zero exit (7)'),
    ).toBe(true);
    await docker('service', 'rm', 'pausing');
  });

  test('an update that fails rolls back if it is told to', async () => {
    await create(
      'back',
      '--replicas',
      '2',
      '--restart-delay',
      '100ms',
      '--update-monitor',
      '2s',
      '--update-failure-action',
      'rollback',
      '--rollback-monitor',
      '100ms',
      'hold',
    );
    await swarm.converge('back', 2);
    await docker(
      'service',
      'update',
      '-d',
      '--no-resolve-image',
      '--args',
      'sh -c "exit 7"',
      '--image',
      'busybox',
      'back',
    );
    await manager.until(
      'roll back',
      async () => (await updateStatus('back')).State === 'rollback_completed',
    );
    expect(imagesOf(await swarm.converge('back', 2))).toEqual(['hold:latest', 'hold:latest']);
  });

  test.each([
    ['docker kill', ['kill'], 'task: non-zero exit (137)'],
    ['docker rm -f', ['rm', '-f'], /No such container|non-zero exit \(137\)|marked for removal/u],
  ])('a task whose container ends by %s is replaced, and says why', async (_, command, reason) => {
    const name = command.join('');
    await create(name, '--restart-delay', '100ms', 'hold');
    const container = await containerOf(name);
    await docker(...command, container);
    await manager.until('replace it', async () => {
      const [task] = await swarm.running(name);
      return task !== undefined && task.Status.ContainerStatus?.ContainerID !== container;
    });
    const old = (await swarm.tasks(name)).find(
      ({ Status }) => Status.ContainerStatus?.ContainerID === container,
    );
    expect(old).toMatchObject({ DesiredState: 'shutdown', Status: { State: 'failed' } });
    expect(old?.Status.Err).toMatch(reason);
  });

  test('restart conditions: none leaves it, on-failure forgives a good end, max-attempts ends it', async () => {
    const args = ['--restart-delay', '100ms', '--restart-condition'];
    await create('none', ...args, 'none', 'busybox', 'false');
    await create('good', ...args, 'on-failure', 'busybox', 'true');
    await create('tries', ...args, 'on-failure', '--restart-max-attempts', '2', 'busybox', 'false');
    await manager.until('try three times', async () => {
      const tasks = await swarm.tasks('tries');
      return tasks.length === 3 && tasks.every(({ Status }) => Status.State === 'failed');
    });
    const statesOf = async (name: string): Promise<string> =>
      (await swarm.tasks(name)).map(({ Status }) => Status.State).join();
    await manager.until('end the others', async () => {
      return (await statesOf('none')) === 'failed' && (await statesOf('good')) === 'complete';
    });
    expect(await swarm.tasks('tries')).toHaveLength(3);
  });

  test('a healthy container is running only once it is healthy; one that stays sick is replaced', async () => {
    await create('healthy', '--restart-delay', '100ms', 'nginx:healthy');
    const id = await containerOf('healthy');
    expect(await docker('inspect', '--format', '{{.State.Health.Status}}', id)).toBe('healthy\n');

    await docker('exec', id, 'rm', '/www/health');
    await manager.until('replace it', async () => {
      const tasks = await swarm.tasks('healthy');
      return tasks.some(
        ({ Status }) => Status.ContainerStatus?.ContainerID === id && Status.State !== 'running',
      );
    });
    const sick = (await swarm.tasks('healthy')).find(
      ({ Status }) => Status.ContainerStatus?.ContainerID === id,
    );
    expect(sick?.Status).toMatchObject({
      State: 'failed',
      Err: 'task: non-zero exit (0): dockerexec: unhealthy container',
    });
    expect(await containerOf('healthy')).not.toBe(id);
  });

  test.each([
    [
      'a constraint no node meets',
      ['--constraint', 'node.hostname==nowhere'],
      '"no suitable node (scheduling constraints not satisfied on 2 nodes)"',
    ],
    [
      'more memory than a node has',
      ['--reserve-memory', '900GB'],
      '"no suitable node (insufficient resources on 2 nodes)"',
    ],
    [
      'a platform no node has',
      ['--constraint', 'node.platform.os==plan9'],
      '"no suitable node (scheduling constraints not satisfied on 2 nodes)"',
    ],
  ])('%s: the task is pending, and service ps says why', async (title, args, reason) => {
    const name = title.replaceAll(' ', '-');
    await create(name, ...args, 'hold');
    await manager.until('explain it', async () => {
      const ps = await docker(
        'service',
        'ps',
        '--no-trunc',
        '--format',
        '{{.CurrentState}} {{.Error}}',
        name,
      );
      return ps.startsWith('Pending ') && ps.trim().endsWith(reason);
    });
    expect(await manager.prints('service', 'ps', '--no-trunc', name)).toContain(reason);
    await docker('service', 'rm', name);
  });

  test('an image nobody has is rejected, and tried again', async () => {
    await create('absent', '--restart-delay', '200ms', 'nosuchimage:1');
    await manager.until('try again', async () => {
      const tasks = await swarm.tasks('absent');
      return tasks.filter(({ Status }) => Status.State === 'rejected').length >= 2;
    });
    expect(
      (await swarm.tasks('absent')).some(
        ({ Status }) => Status.Err === 'No such image: nosuchimage:1',
      ),
    ).toBe(true);
    await docker('service', 'rm', 'absent');
  });

  test('a host-mode port answers, and a second task does not fit beside it', async () => {
    await create(
      'port',
      '--publish',
      'published=8099,target=80,mode=host',
      '--constraint',
      'node.hostname==node-01',
      '--replicas',
      '2',
      'nginx',
    );
    await manager.until('say so', async () => {
      const ps = await docker('service', 'ps', '--no-trunc', '--format', '{{.Error}}', 'port');
      return ps.includes('host-mode port already in use on 1 node');
    });
    await swarm.converge('port', 1);
    const answer = await manager.docker([
      'run',
      '--rm',
      '--network',
      'host',
      'busybox',
      'wget',
      '-q',
      '-O',
      '-',
      `http://${shared?.address ?? ''}:8099/`,
    ]);
    expect(answer.stdout).toContain('Welcome to nginx');
    expect(
      await docker(
        'service',
        'ls',
        '--filter',
        'name=port',
        '--format',
        '{{.Replicas}} {{.Ports}}',
      ),
    ).toMatch(/^1\/2 /u);
    await docker('service', 'rm', 'port');
  });

  test('secrets and configs are files in the container, and an update changes them', async () => {
    const secret = await manager.docker(['secret', 'create', 'pw', '-'], { input: 's3cret\n' });
    expect(secret.stdout).toMatch(/^[0-9a-z]{25}\n$/u);
    await manager.docker(['config', 'create', 'conf', '-'], { input: 'listen 80\n' });
    await create(
      'app',
      '--update-monitor',
      '100ms',
      '--secret',
      'pw',
      '--secret',
      'source=pw,target=/run/x,mode=0400,uid=1,gid=2',
      '--config',
      'source=conf,target=/etc/n.conf',
      'hold',
    );
    const id = await containerOf('app');
    expect(
      await docker(
        'exec',
        id,
        'sh',
        '-c',
        'cat /run/secrets/pw /run/x /etc/n.conf; stat -c "%a %u %g" /run/secrets/pw /run/x /etc/n.conf',
      ),
    ).toBe('s3cret\ns3cret\nlisten 80\n444 0 0\n400 1 2\n444 0 0\n');
    const used = await manager.docker(['secret', 'rm', 'pw']);
    expect(used).toMatchObject({ code: 1 });
    expect(used.stderr).toContain("secret 'pw' is in use by the following service: app");

    await manager.docker(['secret', 'create', 'pw2', '-'], { input: 'new' });
    await docker(
      'service',
      'update',
      '-d',
      '--secret-rm',
      'pw',
      '--secret-add',
      'source=pw2,target=pw',
      'app',
    );
    await manager.until(
      'replace the task',
      async () => (await updateStatus('app')).State === 'completed',
    );
    expect(await docker('exec', await containerOf('app'), 'cat', '/run/secrets/pw')).toBe('new');
    await docker('service', 'rm', 'app');
  });

  test('templates are filled in for each task', async () => {
    await create(
      'tpl',
      '--env',
      'X={{.Service.Name}}/{{.Task.Slot}}/{{.Node.Hostname}}',
      '--hostname',
      'h-{{.Task.Slot}}',
      'hold',
    );
    const [task] = await swarm.converge('tpl', 1);
    const printed = await docker('exec', await containerOf('tpl'), 'sh', '-c', 'hostname; echo $X');
    expect(printed).toBe(`h-1\ntpl/1/${swarm.hostnameOf(task?.NodeID ?? '')}\n`);
  });

  test('a global service has one task on each node, on a new node too', async () => {
    await create('everywhere', '--mode', 'global', 'hold');
    await swarm.converge('everywhere', 2);
    const added = await swarm.join(dockerHost);
    await swarm.converge('everywhere', 3);
    expect(await swarm.placement('everywhere')).toEqual(['node-01', 'node-02', 'node-03']);
    await added.prints('swarm', 'leave');
    await manager.until(
      'call it down',
      async () => (await swarm.nodeOf(added)).Status.State === 'down',
    );
    expect(await manager.prints('node', 'rm', 'node-03')).toBe('node-03\n');
    await swarm.converge('everywhere', 2);
    expect(
      await docker(
        'service',
        'ls',
        '--filter',
        'name=everywhere',
        '--format',
        '{{.Mode}} {{.Replicas}}',
      ),
    ).toBe('global 2/2\n');
  });

  test('in the end nothing is left, and no daemon has complained', async () => {
    await swarm.clear();
    expect(await swarm.containers()).toEqual([]);
    expect(swarm.complaints).toEqual([]);
  });
});
