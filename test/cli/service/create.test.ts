import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { FakeDaemon, refusal } from '../../support/fake-daemon.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

/** What `service create` sends for these words, to a daemon that knows some objects. */
async function create(words: readonly string[], env: Record<string, string> = {}) {
  await using daemon = await FakeDaemon.start();
  daemon
    .on('POST /services/create', { ID: 'service1' })
    .on('GET /secrets', [{ ID: 'secret1', Spec: { Name: 'key' } }])
    .on('GET /configs', [{ ID: 'config1', Spec: { Name: 'conf' } }])
    .on('GET /networks/front', { Id: 'network2', Name: 'front' })
    .on('GET /networks/back', { Id: 'network1', Name: 'back' });
  const typed = ['service', 'create', '--detach', '--no-resolve-image', ...words];
  const ran = await runInProcess(typed, daemon, { env });
  return { ...ran, body: daemon.sent('POST')[0]?.body };
}

const usual = {
  TaskTemplate: {
    ContainerSpec: { Image: 'nginx:latest', Init: false },
    Resources: { Limits: {}, Reservations: {} },
  },
  Mode: { Replicated: { Replicas: 1 } },
  EndpointSpec: { Mode: 'vip' },
};

const withContainer = (container: object) => ({
  ...usual,
  TaskTemplate: {
    ...usual.TaskTemplate,
    ContainerSpec: { ...usual.TaskTemplate.ContainerSpec, ...container },
  },
});
const withTemplate = (template: object) => ({
  ...usual,
  TaskTemplate: { ...usual.TaskTemplate, ...template },
});
const withMounts = (...Mounts: object[]) => withContainer({ Mounts });
const withPorts = (...Ports: object[]) => ({ ...usual, EndpointSpec: { Mode: 'vip', Ports } });
const port = (TargetPort: number, PublishedPort = 0, more = {}) => ({
  Protocol: 'tcp',
  TargetPort,
  PublishedPort,
  PublishMode: 'ingress',
  ...more,
});
const usualUpdate = {
  Parallelism: 1,
  Delay: 0,
  FailureAction: 'pause',
  Monitor: 5e9,
  MaxFailureRatio: 0,
  Order: 'stop-first',
};

describe('service create', () => {
  test('sends what nobody has to say, and prints the ID', async () => {
    expect(await create(['nginx'])).toEqual({
      exitCode: 0,
      out: 'service1\n',
      err: '',
      body: usual,
    });
  });

  test.each<[string, object]>([
    ['--name web', { ...usual, Name: 'web' }],
    ['--replicas 3', { ...usual, Mode: { Replicated: { Replicas: 3 } } }],
    ['--mode global', { ...usual, Mode: { Global: {} } }],
    [
      '--mode replicated-job --replicas 6 --max-concurrent 2',
      { ...usual, Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 6 } } },
    ],
    [
      '--mode replicated-job --replicas 6',
      { ...usual, Mode: { ReplicatedJob: { MaxConcurrent: 6, TotalCompletions: 6 } } },
    ],
    ['--mode global-job', { ...usual, Mode: { GlobalJob: {} } }],
    ['--endpoint-mode dnsrr', { ...usual, EndpointSpec: { Mode: 'dnsrr' } }],
    ['-l a=1 --label b', { ...usual, Labels: { a: '1', b: '' } }],
    ['--container-label a=1=2', withContainer({ Labels: { a: '1=2' } })],
    ['-e B=2 -e A=1 --env HERE --env GONE', withContainer({ Env: ['B=2', 'A=1', 'HERE=yes'] })],
    ['--hostname h --user u -w /w', withContainer({ Hostname: 'h', User: 'u', Dir: '/w' })],
    [
      '--init --tty --read-only --stop-signal INT --stop-grace-period 1m30s',
      withContainer({
        Init: true,
        TTY: true,
        ReadOnly: true,
        StopSignal: 'INT',
        StopGracePeriod: 90e9,
      }),
    ],
    [
      '--dns 1.1.1.1 --dns-search a.b --dns-option ndots:2 --host foo:1.2.3.4 --host bar:::1',
      withContainer({
        DNSConfig: { Nameservers: ['1.1.1.1'], Search: ['a.b'], Options: ['ndots:2'] },
        Hosts: ['1.2.3.4 foo', '::1 bar'],
      }),
    ],
    [
      '--cap-add net_admin --cap-add CAP_CHOWN --cap-drop all --group adm --sysctl a.b=1',
      withContainer({
        CapabilityAdd: ['CAP_CHOWN', 'CAP_NET_ADMIN'],
        CapabilityDrop: ['ALL'],
        Groups: ['adm'],
        Sysctls: { 'a.b': '1' },
      }),
    ],
    [
      '--ulimit nofile=10:20 --ulimit nproc=5',
      withContainer({
        Ulimits: [
          { Name: 'nofile', Soft: 10, Hard: 20 },
          { Name: 'nproc', Soft: 5, Hard: 5 },
        ],
      }),
    ],
    [
      '--health-cmd true --health-interval 5s --health-timeout 2s --health-retries 3',
      withContainer({
        Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5e9, Timeout: 2e9, Retries: 3 },
      }),
    ],
    ['--no-healthcheck', withContainer({ Healthcheck: { Test: ['NONE'] } })],
    [
      '--limit-cpu .5 --limit-memory 64m --limit-pids 9 --reserve-cpu 0.1 --reserve-memory 1g',
      withTemplate({
        Resources: {
          Limits: { NanoCPUs: 5e8, MemoryBytes: 67_108_864, Pids: 9 },
          Reservations: { NanoCPUs: 1e8, MemoryBytes: 1_073_741_824 },
        },
      }),
    ],
    [
      '--restart-condition none --restart-max-attempts 3',
      withTemplate({ RestartPolicy: { Condition: 'none', Delay: 5e9, MaxAttempts: 3 } }),
    ],
    [
      '--constraint node.role==worker --placement-pref spread=node.labels.a --replicas-max-per-node 2',
      withTemplate({
        Placement: {
          Constraints: ['node.role==worker'],
          Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.a' } }],
          MaxReplicas: 2,
        },
      }),
    ],
    [
      '--log-driver json-file --log-opt max-size=1m',
      withTemplate({ LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } } }),
    ],
    [
      '--update-delay 1s --update-order start-first --rollback-parallelism 0',
      {
        ...usual,
        UpdateConfig: { ...usualUpdate, Delay: 1e9, Order: 'start-first' },
        RollbackConfig: { ...usualUpdate, Parallelism: 0 },
      },
    ],
    ['-p 8080:80', withPorts(port(80, 8080))],
    ['-p 80', withPorts(port(80))],
    ['-p 80/udp', withPorts(port(80, 0, { Protocol: 'udp' }))],
    ['-p 8000-8001:80-81', withPorts(port(80, 8000), port(81, 8001))],
    ['-p 8000-8001:80', withPorts(port(80, 8000), port(80, 8001))],
    ['-p 80-81', withPorts(port(80), port(81))],
    ['-p mode=host,target=80', withPorts(port(80, 0, { PublishMode: 'host' }))],
    [
      '--mount type=bind,src=/a,dst=/b,ro,bind-propagation=rshared',
      withMounts({
        Type: 'bind',
        Source: '/a',
        Target: '/b',
        ReadOnly: true,
        BindOptions: { Propagation: 'rshared' },
      }),
    ],
    [
      '--mount type=volume,source=v,target=/v,volume-label=x=y,volume-driver=d,volume-opt=o=p',
      withMounts({
        Type: 'volume',
        Source: 'v',
        Target: '/v',
        VolumeOptions: { Labels: { x: 'y' }, DriverConfig: { Name: 'd', Options: { o: 'p' } } },
      }),
    ],
    [
      '--mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770',
      withMounts({
        Type: 'tmpfs',
        Target: '/t',
        TmpfsOptions: { SizeBytes: 1_048_576, Mode: 0o1770 },
      }),
    ],
    [
      '--network front --network name=back,alias=b',
      withTemplate({
        Networks: [{ Target: 'network1', Aliases: ['b'] }, { Target: 'network2' }],
      }),
    ],
    [
      '--secret source=key,target=k,mode=0400,uid=7 --config conf',
      withContainer({
        Secrets: [
          {
            File: { Name: 'k', UID: '7', GID: '0', Mode: 0o400 },
            SecretID: 'secret1',
            SecretName: 'key',
          },
        ],
        Configs: [
          {
            File: { Name: 'conf', UID: '0', GID: '0', Mode: 0o444 },
            ConfigID: 'config1',
            ConfigName: 'conf',
          },
        ],
      }),
    ],
    [
      '--generic-resource gpu=2',
      withTemplate({
        Resources: {
          Limits: {},
          Reservations: {
            GenericResources: [{ DiscreteResourceSpec: { Kind: 'gpu', Value: 2 } }],
          },
        },
      }),
    ],
  ])('%s', async (flags, body) => {
    const ran = await create([...flags.split(' '), 'nginx'], { HERE: 'yes' });
    expect(ran).toMatchObject({ exitCode: 0, err: '' });
    expect(ran.body).toEqual(body);
  });

  test('leaves what follows the image to the container', async () => {
    const { body } = await create(['nginx', 'sh', '-c', 'exec "$0"', '--name', 'x']);
    expect(body).toEqual(withContainer({ Args: ['sh', '-c', 'exec "$0"', '--name', 'x'] }));
  });

  test('splits an entry point into words as a shell would', async () => {
    const { body } = await create(['--entrypoint', `sh -c 'a b' "c \\"d"`, 'nginx']);
    expect(body).toEqual(withContainer({ Command: ['sh', '-c', 'a b', 'c "d'] }));
  });

  test('reads variables from a file, and takes those given after it', async () => {
    await using directory = await TemporaryDirectory.create();
    const file = join(directory.path, 'env');
    await writeFile(file, '# comment\nA=1\n\nB=2\nHERE\n');
    const { body } = await create(['--env-file', file, '--env', 'A=3', 'nginx'], { HERE: 'yes' });
    expect(body).toEqual(withContainer({ Env: ['A=3', 'B=2', 'HERE=yes'] }));
    expect((await create(['--env-file', `${file}x`, 'nginx'])).err).toMatch(
      /^--env-file .*ENOENT/u,
    );
  });

  test.each([
    ['docker.io/library/nginx', 'nginx:latest'],
    ['docker.io/me/web:1', 'me/web:1'],
    ['localhost:5000/web', 'localhost:5000/web:latest'],
    ['web@sha256:00', 'web@sha256:00'],
    ['UPPER', 'UPPER'],
    ['', ''],
  ])('names the image "%s" "%s"', async (image, Image) => {
    const { body } = await create([image]);
    expect(body).toEqual(withContainer({ Image }));
  });

  test.each([
    ['--publish 80:80:80', '-p, --publish', 'invalid IP address: 80'],
    ['--publish 1.2.3.4:80:80', '-p, --publish', 'hostip is not supported'],
    ['--publish 80/foo', '-p, --publish', 'invalid proto: foo'],
    ['--publish 99999:80', '-p, --publish', 'invalid hostPort: 99999'],
    ['--publish 80:x', '-p, --publish', 'invalid containerPort: x'],
    [
      '--publish 80-82:80-81',
      '-p, --publish',
      'invalid ranges specified for container and host Ports: 80-81 and 80-82',
    ],
    [
      '--publish published=99999,target=80',
      '-p, --publish',
      'invalid published port (99999): value must be an integer: value out of range',
    ],
    ['--publish published=1', '-p, --publish', "missing mandatory field 'target'"],
    ['--publish a=1,target=80', '-p, --publish', 'invalid field key: a'],
    ['--env =x', '-e, --env', 'invalid environment variable: =x'],
    ['--limit-cpu abc', '--limit-cpu', 'failed to parse abc as a rational number'],
    ['--limit-memory abc', '--limit-memory', "invalid size: 'abc'"],
    ['--mount x', '--mount', "invalid field 'x' must be a key=value pair"],
    ['--mount type=bind,source=/a', '--mount', 'target is required'],
    [
      '--mount type=bind,source=/a,target=/b,volume-nocopy',
      '--mount',
      "cannot mix 'volume-*' options with mount type 'bind'",
    ],
    ['--ulimit nofile', '--ulimit', 'invalid ulimit argument: nofile'],
    ['--ulimit foo=1', '--ulimit', 'invalid ulimit type: foo'],
    [
      '--ulimit core=3:1',
      '--ulimit',
      'ulimit soft limit must be less than or equal to hard limit: 3 > 1',
    ],
    ['--host x', '--host', 'bad format for add-host: "x"'],
    ['--dns foo', '--dns', 'IP address is not correctly formatted: foo'],
    [
      '--placement-pref pack=a',
      '--placement-pref',
      'unsupported placement preference pack (only spread is supported)',
    ],
    ['--stop-grace-period abc', '--stop-grace-period', 'it is a duration such as 90s or 1m30s'],
    ['--replicas -1', '--replicas', 'it is not a whole number of 0 or more'],
  ])('%s is refused with 125', async (words, flag, reason) => {
    const [name = '', value = ''] = words.split(' ');
    const { exitCode, err, body } = await create([`${name}=${value}`, 'nginx']);
    expect({ exitCode, body }).toEqual({ exitCode: 125, body: undefined });
    expect(err).toBe(
      `invalid argument "${value}" for "${flag}" flag: ${reason}\n\n` +
        'Usage:  swarmd service create [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n' +
        "Run 'swarmd service create --help' for more information\n",
    );
  });

  test.each([
    ['--mode foo', 'Unknown mode: foo, only replicated and global supported'],
    [
      '--mode global --replicas 3',
      'replicas can only be used with replicated or replicated-job mode',
    ],
    [
      '--mode global --replicas-max-per-node 3',
      'replicas-max-per-node can only be used with replicated or replicated-job mode',
    ],
    ['--max-concurrent 3', 'max-concurrent can only be used with replicated-job mode'],
    [
      '--mode replicated-job --update-delay 1s',
      'update and rollback configuration is not supported for jobs',
    ],
    ['--no-healthcheck --health-retries 3', '--no-healthcheck conflicts with --health-* options'],
    ['--secret nosuch', 'secret not found: nosuch'],
    ['--config nosuch', 'config not found: nosuch'],
    ['--secret key --secret source=key,target=key', 'duplicate secret target for key not allowed'],
    ['--network nosuch', 'Error response from daemon: network nosuch not found'],
    ['--network back --network back', 'service is already attached to network back'],
  ])('%s is refused with 1', async (words, message) => {
    const ran = await create([...words.split(' '), 'nginx']);
    expect(ran).toEqual({ exitCode: 1, out: '', err: `${message}\n`, body: undefined });
  });

  test.each(['--restart-condition', '--update-order', '--endpoint-mode'])(
    '%s leaves the choice to the manager to judge',
    async (flag) => {
      expect(JSON.stringify((await create([flag, 'sideways', 'nginx'])).body)).toContain(
        'sideways',
      );
    },
  );
});

/** What becomes of the image nginx where a registry answers with this. */
async function resolved(distribution: unknown) {
  await using daemon = await FakeDaemon.start();
  daemon.on('POST /services/create', { ID: 'service1', Warnings: ['mind this'] });
  if (distribution !== undefined) daemon.on('GET /distribution/nginx:latest/json', distribution);
  const ran = await runInProcess(['service', 'create', '-d', 'nginx'], daemon);
  const body = daemon.sent('POST')[0]?.body as typeof usual & {
    TaskTemplate: { Placement?: unknown };
  };
  return { ...ran, template: body.TaskTemplate };
}

describe('the image of a new service', () => {
  test('is pinned to what its registry has now, and to the platforms it is for', async () => {
    const { template, err } = await resolved({
      Descriptor: { digest: 'sha256:00' },
      Platforms: [
        { architecture: 'amd64', os: 'linux' },
        { architecture: 'arm', os: 'linux' },
        { architecture: 'unknown', os: 'unknown' },
      ],
    });
    expect(template.ContainerSpec.Image).toBe('nginx:latest@sha256:00');
    expect(template.Placement).toEqual({
      Platforms: [
        { Architecture: 'amd64', OS: 'linux' },
        { Architecture: '', OS: 'linux' },
      ],
    });
    expect(err).toBe('mind this\n');
  });

  test('stays as it is where no registry answers, and the user is told', async () => {
    const { template, err, exitCode } = await resolved(refusal(403, 'no'));
    expect(template.ContainerSpec.Image).toBe('nginx:latest');
    expect(exitCode).toBe(0);
    expect(err).toContain('image nginx:latest could not be accessed on a registry to record\n');
  });
});
