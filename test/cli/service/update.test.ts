import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { FakeDaemon, refusal } from '../../support/fake-daemon.ts';

const before = {
  Name: 'web',
  Labels: { tier: 'front', old: '1' },
  TaskTemplate: {
    ContainerSpec: {
      Image: 'nginx:1.24@sha256:00',
      Env: ['A=1', 'B=2'],
      Mounts: [
        { Type: 'volume', Source: 'v', Target: '/v' },
        { Type: 'tmpfs', Target: '/t' },
      ],
      CapabilityAdd: ['CAP_NET_ADMIN'],
      CapabilityDrop: ['CAP_KILL'],
      Hosts: ['1.2.3.4 foo', '1.2.3.4 bar'],
      Healthcheck: { Test: ['NONE'] },
      Secrets: [
        {
          File: { Name: 'key', UID: '0', GID: '0', Mode: 0o444 },
          SecretID: 'secret1',
          SecretName: 'key',
        },
      ],
    },
    Resources: { Limits: { NanoCPUs: 5e8 }, Reservations: {} },
    Placement: { Constraints: ['node.role==manager', 'node.labels.b==1'] },
    Networks: [{ Target: 'network1' }],
    ForceUpdate: 3,
  },
  Mode: { Replicated: { Replicas: 2 } },
  EndpointSpec: {
    Mode: 'vip',
    Ports: [
      { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' },
      { Protocol: 'udp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' },
      { Protocol: 'tcp', TargetPort: 81, PublishedPort: 81, PublishMode: 'host' },
    ],
  },
};

type Spec = typeof before;

/** What a daemon is asked to make of a service by these words. */
async function change(words: readonly string[], spec: object = before) {
  await using daemon = await FakeDaemon.start();
  daemon
    .on('GET /services/web', { ID: 'service1', Version: { Index: 7 }, Spec: spec })
    .on('GET /secrets', [{ ID: 'secret2', Spec: { Name: 'other' } }])
    .on('GET /networks/back', { Id: 'network1', Name: 'back' })
    .on('GET /networks/front', { Id: 'network0', Name: 'front' })
    .on('POST /services/service1/update', {});
  const ran = await runInProcess(words, daemon);
  const [asked] = daemon.sent('POST');
  return { ...ran, query: asked?.query, body: asked?.body as Spec };
}

const update = async (flags: string, spec?: object) =>
  change(['service', 'update', '--detach', '--no-resolve-image', ...flags.split(' '), 'web'], spec);

describe('service update', () => {
  test('sends the whole spec for the version it read, and keeps the credentials', async () => {
    expect(await change(['service', 'update', '--detach', 'web'])).toEqual({
      exitCode: 0,
      out: 'web\n',
      err: '',
      query: { version: '7', registryAuthFrom: 'spec' },
      body: before,
    });
  });

  test.each<[string, (spec: Spec) => unknown, unknown]>([
    ['--label-add x=y --label-rm old', ({ Labels }) => Labels, { tier: 'front', x: 'y' }],
    ['--label-add tier=back', ({ Labels }) => Labels, { tier: 'back', old: '1' }],
    ['--label-rm nosuch', ({ Labels }) => Labels, before.Labels],
    [
      '--env-add A=9 --env-add C=3 --env-rm B',
      (spec) => spec.TaskTemplate.ContainerSpec.Env,
      ['A=9', 'C=3'],
    ],
    [
      '--mount-add type=volume,source=a,target=/z --mount-rm /v',
      (spec) => spec.TaskTemplate.ContainerSpec.Mounts,
      [
        { Type: 'tmpfs', Target: '/t' },
        { Type: 'volume', Source: 'a', Target: '/z' },
      ],
    ],
    [
      '--constraint-rm node.role==manager --constraint-add node.hostname!=x',
      (spec) => spec.TaskTemplate.Placement.Constraints,
      ['node.hostname!=x', 'node.labels.b==1'],
    ],
    [
      '--host-rm foo --host-add baz:5.6.7.8',
      (spec) => spec.TaskTemplate.ContainerSpec.Hosts,
      ['1.2.3.4 bar', '5.6.7.8 baz'],
    ],
    [
      '--host-rm foo:9.9.9.9',
      (spec) => spec.TaskTemplate.ContainerSpec.Hosts,
      before.TaskTemplate.ContainerSpec.Hosts,
    ],
    [
      '--publish-rm 80 --publish-rm 81',
      (spec) => spec.EndpointSpec.Ports.map(({ Protocol }) => Protocol),
      ['udp'],
    ],
    [
      '--publish-rm mode=ingress,target=81',
      (spec) => spec.EndpointSpec.Ports,
      before.EndpointSpec.Ports,
    ],
    [
      '--publish-rm 8080:80 --publish-add 9090:80',
      (spec) => spec.EndpointSpec.Ports.map(({ PublishedPort }) => PublishedPort),
      [8080, 81, 9090],
    ],
    ['--replicas 5', ({ Mode }) => Mode, { Replicated: { Replicas: 5 } }],
    ['--force', (spec) => spec.TaskTemplate.ForceUpdate, 4],
    ['--image redis', (spec) => spec.TaskTemplate.ContainerSpec.Image, 'redis:latest'],
    [
      '--limit-memory 4m --limit-cpu 0',
      (spec) => spec.TaskTemplate.Resources.Limits,
      { NanoCPUs: 0, MemoryBytes: 4_194_304 },
    ],
    [
      '--health-cmd true',
      (spec) => spec.TaskTemplate.ContainerSpec.Healthcheck,
      { Test: ['CMD-SHELL', 'true'] },
    ],
    ['--health-retries 3', (spec) => spec.TaskTemplate.ContainerSpec.Healthcheck, { Retries: 3 }],
    ['--secret-rm key', (spec) => spec.TaskTemplate.ContainerSpec.Secrets, []],
    [
      '--secret-add source=other,target=key',
      (spec) => spec.TaskTemplate.ContainerSpec.Secrets.map(({ SecretName }) => SecretName),
      ['other'],
    ],
    ['--network-rm back', (spec) => spec.TaskTemplate.Networks, []],
    [
      '--network-add front',
      (spec) => spec.TaskTemplate.Networks,
      [{ Target: 'network0' }, { Target: 'network1' }],
    ],
  ])('%s', async (flags, part, expected) => {
    const ran = await update(flags);
    expect(ran).toMatchObject({ exitCode: 0, out: 'web\n', err: '' });
    expect(part(ran.body)).toEqual(expected);
  });

  test.each<[string, string[], string[]]>([
    ['--cap-add net_raw', ['CAP_NET_ADMIN', 'CAP_NET_RAW'], ['CAP_KILL']],
    ['--cap-drop net_admin', [], ['CAP_KILL']],
    ['--cap-add kill', ['CAP_NET_ADMIN'], []],
    ['--cap-add kill --cap-drop net_admin', [], []],
    ['--cap-add chown --cap-drop chown', ['CAP_CHOWN', 'CAP_NET_ADMIN'], ['CAP_KILL']],
    ['--cap-drop all', ['CAP_NET_ADMIN'], ['ALL']],
    ['--cap-add all', ['ALL'], ['CAP_KILL']],
    ['--cap-add reset --cap-add chown', ['CAP_CHOWN'], ['CAP_KILL']],
    ['--cap-drop reset', ['CAP_NET_ADMIN'], []],
  ])('%s: what was dropped and is added goes back to its default', async (flags, add, drop) => {
    const { body } = await update(flags);
    const { CapabilityAdd, CapabilityDrop } = body.TaskTemplate.ContainerSpec;
    expect({ CapabilityAdd, CapabilityDrop }).toEqual({ CapabilityAdd: add, CapabilityDrop: drop });
  });

  test('takes a command line apart as a shell would', async () => {
    const words = ['service', 'update', '-d', '--args', `sh -c 'a b' "c d"`, 'web'];
    const { body } = await change(words);
    expect(body.TaskTemplate.ContainerSpec).toMatchObject({ Args: ['sh', '-c', 'a b', 'c d'] });
    const { exitCode, err } = await change(['service', 'update', '-d', '--args', `x 'y`, 'web']);
    expect(exitCode).toBe(125);
    expect(err).toContain(`invalid argument "x 'y" for "--args" flag: unclosed quote`);
  });

  test('--rollback asks for the spec before, and goes with nothing else', async () => {
    const alone = await change(['service', 'update', '--detach', '--rollback', 'web']);
    expect(alone).toMatchObject({ exitCode: 0, out: 'web\n', body: before });
    expect(alone.query).toEqual({ version: '7', registryAuthFrom: 'spec', rollback: 'previous' });
    expect(await update('--rollback --image x')).toMatchObject({
      exitCode: 1,
      err: 'other flags may not be combined with --rollback\n',
      body: undefined,
    });
  });

  test('of a service that is not there fails', async () => {
    expect(await change(['service', 'update', 'nosuch'])).toMatchObject({
      exitCode: 1,
      err: 'Error response from daemon: service nosuch not found\n',
    });
  });
});

describe('service rollback', () => {
  test('asks for the spec before', async () => {
    const { query, out } = await change(['service', 'rollback', '-d', 'web']);
    expect(out).toBe('web\n');
    expect(query).toMatchObject({ rollback: 'previous' });
  });
});

describe('service scale', () => {
  test('changes the number of tasks and nothing else', async () => {
    const { body, out, exitCode } = await change(['service', 'scale', '-d', 'web=5']);
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'web scaled to 5\n' });
    expect(body).toEqual({ ...before, Mode: { Replicated: { Replicas: 5 } } });
  });

  test('of a job changes how many are to complete', async () => {
    const job = { ...before, Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 6 } } };
    const { body } = await change(['service', 'scale', '-d', 'web=8'], job);
    expect(body.Mode).toEqual({ ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 8 } });
  });

  test('goes on past a service that is not there', async () => {
    expect(await change(['service', 'scale', '-d', 'nosuch=3', 'web=4'])).toMatchObject({
      exitCode: 1,
      out: 'web scaled to 4\n',
      err: 'nosuch: Error response from daemon: service nosuch not found\n',
    });
  });

  test.each([
    ['web=-1', 'web: invalid replicas value -1: it is not a whole number of 0 or more\n'],
    ['web=abc', 'web: invalid replicas value abc: it is not a whole number of 0 or more\n'],
    ['web', "invalid scale specifier 'web'.\nSee 'swarmd service scale --help'.\n"],
    ['web=', "invalid scale specifier 'web='.\n"],
  ])('%s is refused', async (word, message) => {
    const { exitCode, err, body } = await change(['service', 'scale', word]);
    expect({ exitCode, body }).toEqual({ exitCode: 1, body: undefined });
    expect(err).toContain(message);
  });

  test('refuses a service that runs on every node', async () => {
    const { err } = await change(['service', 'scale', 'web=3'], {
      ...before,
      Mode: { Global: {} },
    });
    expect(err).toBe('web: scale can only be used with replicated or replicated-job mode\n');
  });
});

/** Up to three values of a flag. */
const given = <T>(value: fc.Arbitrary<T>) => fc.uniqueArray(value, { maxLength: 3 });

/** Flags as they are typed. */
const words = (flags: Readonly<Record<string, unknown>>, suffix = ''): readonly string[] =>
  Object.entries(flags).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [`--${name}${suffix}`, String(value)]),
  );

describe('a spec', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/u);
  const size = fc.integer({ min: 1, max: 500 });
  const pairs = given(word).map((keys) => keys.map((key, at) => `${key}=${at}`));
  /** Flags that a create and an update have in common, and their values. */
  const settings = fc.record(
    {
      replicas: size,
      hostname: word,
      workdir: word,
      'limit-cpu': fc.constantFrom('0.5', '2'),
      'reserve-memory': size.map((megabytes) => `${megabytes}m`),
      'restart-condition': fc.constantFrom('none', 'on-failure', 'any'),
      'restart-delay': size.map((seconds) => `${seconds}s`),
      'update-parallelism': size,
      'update-order': fc.constantFrom('start-first', 'stop-first'),
      'rollback-monitor': size.map((ms) => `${ms}ms`),
      'stop-signal': fc.constantFrom('INT', 'TERM'),
      'health-cmd': word,
      'health-retries': size,
      'cap-add': fc.constantFrom('net_admin', 'ALL'),
      'log-driver': fc.constantFrom('json-file', 'local'),
    },
    { requiredKeys: [] },
  );
  /** Flags of lists: `--label` here, `--label-add` there. */
  const lists = fc.record(
    {
      label: pairs,
      'container-label': pairs,
      env: pairs,
      sysctl: pairs,
      constraint: given(word.map((name) => `node.labels.${name}==1`)),
      'placement-pref': given(word.map((name) => `spread=node.labels.${name}`)),
      mount: given(word.map((name) => `type=volume,source=${name},target=/${name}`)),
      publish: given(size.map((port) => `${port + 8000}:${port}`)),
      dns: given(size.map((octet) => `10.0.0.${octet % 256}`)),
      'dns-search': given(word),
      host: given(word.map((name) => `${name}:10.0.0.1`)),
      group: given(word),
      ulimit: fc.constantFrom([], ['nofile=1:2', 'core=0']),
    },
    { requiredKeys: [] },
  );

  test('is not changed by an update with the values it was created with', async () => {
    await using daemon = await FakeDaemon.start();
    let spec: unknown;
    daemon
      .on('POST /services/create', ({ body }: { body: unknown }) => ((spec = body), { ID: 'one' }))
      .on('GET /services/one', () => ({ ID: 'one', Spec: spec }))
      .on('POST /services/one/update', {});
    await fc.assert(
      fc.asyncProperty(settings, lists, async (given_, listed) => {
        const both = ['--detach', '--no-resolve-image', ...words(given_)];
        const created = await runInProcess(
          ['service', 'create', ...both, ...words(listed), 'nginx'],
          daemon,
        );
        expect(created).toMatchObject({ err: '', exitCode: 0 });
        const updated = await runInProcess(
          ['service', 'update', ...both, ...words(listed, '-add'), 'one'],
          daemon,
        );
        expect(updated).toMatchObject({ err: '', exitCode: 0 });
        expect(daemon.asked.at(-1)?.body).toEqual(spec);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the manager', () => {
  test('has the last word on an update', async () => {
    await using daemon = await FakeDaemon.start();
    daemon
      .on('GET /services/web', { ID: 'service1', Spec: before })
      .on('POST /services/service1/update', refusal(500, 'update out of sequence'));
    expect(await runInProcess(['service', 'update', 'web'], daemon)).toEqual({
      exitCode: 1,
      out: '',
      err: 'Error response from daemon: update out of sequence\n',
    });
  });
});
