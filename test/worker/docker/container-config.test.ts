import { describe, expect, test } from 'vitest';
import type { ContainerSpecInput, TaskInput } from '../../../src/api/gen/types.ts';
import { familiarImage } from '../../../src/worker/docker/config/image.ts';
import {
  type ContainerConfig,
  containerConfig,
} from '../../../src/worker/docker/container-config.ts';
import type { HostConfig } from '../../../src/worker/docker/engine-port.ts';
import { aTask } from '../../support/builders.ts';

/** The configuration of a task with a container spec, and with whatever else is said of it. */
function configOf(container: ContainerSpecInput, more: TaskInput = {}): ContainerConfig {
  const task = aTask({
    id: 'task1',
    nodeId: 'node1',
    serviceId: 'service1',
    ...more,
    spec: { ...more.spec, container: { image: 'nginx', ...container } },
  });
  const spec = task.spec?.container;
  if (spec === null || spec === undefined) throw new Error('a task with a container');
  return containerConfig(task, spec);
}

const hostOf = (container: ContainerSpecInput, more?: TaskInput): HostConfig =>
  configOf(container, more).body.HostConfig;

const swap = (limits: object, value: string): number | undefined =>
  hostOf({}, { spec: { resources: { limits, swapBytes: { value } } } }).MemorySwap;

/** What is said of a task that is attached to a network. */
const on = (name: string, labels: Record<string, string>): TaskInput => ({
  networks: [{ network: { id: 'n', spec: { annotations: { name, labels } } } }],
});

describe('containerConfig', () => {
  test("the container has the task's name", () => {
    expect(configOf({}, { slot: '2' }).name).toBe('web.2.task1');
    expect(configOf({}, { slot: '0' }).name).toBe('web.node1.task1');
  });

  test('system labels override those of the task, and these those of the container', () => {
    const { Labels } = configOf(
      { labels: { a: 'container', b: 'container', 'com.docker.swarm.task.id': 'x' } },
      { annotations: { labels: { b: 'task' } } },
    ).body;
    expect(Labels).toEqual({
      a: 'container',
      b: 'task',
      'com.docker.swarm.task': '',
      'com.docker.swarm.task.id': 'task1',
      'com.docker.swarm.task.name': 'web.1.task1',
      'com.docker.swarm.node.id': 'node1',
      'com.docker.swarm.service.id': 'service1',
      'com.docker.swarm.service.name': 'web',
    });
  });

  test('a command is the entrypoint, and arguments are the command', () => {
    expect(configOf({ args: ['a'] }).body).toMatchObject({ Cmd: ['a'] });
    expect(configOf({ args: ['a'] }).body.Entrypoint).toBeUndefined();
    expect(configOf({ command: ['c'], args: ['a'] }).body).toMatchObject({
      Entrypoint: ['c'],
      Cmd: ['a'],
    });
  });

  test('what the process is like goes into the container', () => {
    const body = configOf({
      env: ['A=1'],
      dir: '/srv',
      user: 'nobody',
      groups: ['staff'],
      hostname: 'h',
      tty: true,
      openStdin: true,
      readOnly: true,
      stopSignal: 'SIGINT',
      init: { value: true },
      sysctls: { 'net.core.somaxconn': '1024' },
      capabilityAdd: ['CAP_NET_ADMIN'],
      capabilityDrop: ['ALL'],
      oomScoreAdj: '-500',
    }).body;
    expect(body).toMatchObject({
      Env: ['A=1'],
      WorkingDir: '/srv',
      User: 'nobody',
      Hostname: 'h',
      Tty: true,
      OpenStdin: true,
      StopSignal: 'SIGINT',
      HostConfig: {
        GroupAdd: ['staff'],
        ReadonlyRootfs: true,
        Init: true,
        Sysctls: { 'net.core.somaxconn': '1024' },
        CapAdd: ['CAP_NET_ADMIN'],
        CapDrop: ['ALL'],
        OomScoreAdj: -500,
      },
    });
  });

  test('the generic resources it was given are in its environment, a variable for each kind', () => {
    const { Env } = configOf(
      { env: ['A=1'] },
      {
        assignedGenericResources: [
          { namedResourceSpec: { kind: 'gpu', value: 'one' } },
          { namedResourceSpec: { kind: 'gpu', value: 'two' } },
          { discreteResourceSpec: { kind: 'ssd', value: '3' } },
        ],
      },
    ).body;
    expect(Env).toEqual(['A=1', 'DOCKER_RESOURCE_GPU=one,two', 'DOCKER_RESOURCE_SSD=3']);
  });

  test('it is held to its limits, and not to its reservations', () => {
    const host = hostOf(
      { pidsLimit: '99', ulimits: [{ name: 'nofile', soft: '1024', hard: '2048' }] },
      {
        spec: {
          resources: {
            limits: { memoryBytes: '1048576', nanoCpus: '500000000' },
            reservations: { memoryBytes: '999', nanoCpus: '999' },
            swapBytes: { value: '4096' },
            memorySwappiness: { value: '50' },
          },
        },
      },
    );
    expect(host).toMatchObject({
      Memory: 1_048_576,
      MemorySwap: 1_052_672,
      MemorySwappiness: 50,
      NanoCpus: 500_000_000,
      PidsLimit: 99,
      Ulimits: [{ Name: 'nofile', Soft: 1024, Hard: 2048 }],
    });
  });

  test('swap without a limit is -1, and none without a memory limit', () => {
    expect(swap({ memoryBytes: '100' }, '-1')).toBe(-1);
    expect(swap({ memoryBytes: '100' }, '0')).toBe(100);
    expect(swap({}, '100')).toBeUndefined();
  });

  test('a grace period is in whole seconds, and never shorter than asked', () => {
    expect(configOf({}).body.StopTimeout).toBeUndefined();
    expect(configOf({ stopGracePeriod: { seconds: '0', nanos: 1 } }).body.StopTimeout).toBe(1);
    expect(configOf({ stopGracePeriod: { seconds: '30', nanos: 0 } }).body.StopTimeout).toBe(30);
  });

  test('the times of a health check are in nanoseconds', () => {
    const { Healthcheck } = configOf({
      healthcheck: {
        test: ['CMD', 'true'],
        interval: { seconds: '1', nanos: 500 },
        timeout: { seconds: '2' },
        retries: 4,
        startPeriod: { seconds: '5' },
      },
    }).body;
    expect(Healthcheck).toEqual({
      Test: ['CMD', 'true'],
      Interval: 1_000_000_500,
      Timeout: 2_000_000_000,
      Retries: 4,
      StartPeriod: 5_000_000_000,
      StartInterval: 0,
    });
  });

  test('a line of a hosts file is turned round', () => {
    expect(hostOf({ hosts: ['10.0.0.1 db alias', 'nonsense'] }).ExtraHosts).toEqual([
      'db:10.0.0.1',
    ]);
  });

  test('DNS settings and log driver go to the host', () => {
    const host = hostOf(
      { dnsConfig: { nameservers: ['9.9.9.9'], search: ['lan'], options: ['ndots:1'] } },
      { logDriver: { name: 'journald', options: { tag: 'x' } } },
    );
    expect(host).toMatchObject({
      Dns: ['9.9.9.9'],
      DnsSearch: ['lan'],
      DnsOptions: ['ndots:1'],
      LogConfig: { Type: 'journald', Config: { tag: 'x' } },
    });
  });

  test('privileges become security options', () => {
    const { SecurityOpt } = hostOf({
      privileges: {
        credentialSpec: { file: 'spec.json', source: 'file' },
        selinuxContext: { user: 'u', level: 'l' },
        seccomp: { mode: 'CUSTOM', profile: Buffer.from('{}') },
        apparmor: { mode: 'DISABLED' },
        noNewPrivileges: true,
      },
    });
    expect(SecurityOpt).toEqual([
      'credentialspec=file://spec.json',
      'label=user:u',
      'label=level:l',
      'seccomp={}',
      'apparmor=unconfined',
      'no-new-privileges=true',
    ]);
  });

  test('only ports in host mode are bound; without a number the Engine chooses', () => {
    const ports = [
      { protocol: 'TCP', targetPort: 80, publishedPort: 8080, publishMode: 'HOST' },
      { protocol: 'UDP', targetPort: 53, publishedPort: 0, publishMode: 'HOST' },
    ] as const;
    const { body } = configOf({}, { endpoint: { ports: [...ports] } });
    expect(body.ExposedPorts).toEqual({ '80/tcp': {}, '53/udp': {} });
    expect(body.HostConfig.PortBindings).toEqual({
      '80/tcp': [{ HostPort: '8080' }],
      '53/udp': [{ HostPort: '' }],
    });
  });
});

describe('the network of a container', () => {
  test('it is the default bridge, or a network every Engine has', () => {
    expect(hostOf({}).NetworkMode).toBeUndefined();
    for (const name of ['host', 'none', 'bridge']) {
      expect(hostOf({}, on(name, { 'com.docker.swarm.predefined': 'true' })).NetworkMode).toBe(
        name,
      );
    }
  });

  test('an overlay network is refused, by its name', () => {
    expect(() => hostOf({}, on('backend', {}))).toThrow('network backend is an overlay network');
  });

  test('a port on the routing mesh is refused, with the way out', () => {
    const ports = [{ targetPort: 80, publishMode: 'INGRESS' as const }];
    expect(() => hostOf({}, { endpoint: { ports } })).toThrow('publish it with mode=host');
  });
});

describe('the mounts of a container', () => {
  test('all kinds are asked for as the Engine knows them', () => {
    const { Mounts } = hostOf({
      mounts: [
        {
          type: 'BIND',
          source: '/data',
          target: '/a',
          readonly: true,
          bindOptions: { propagation: 'RSHARED', nonrecursive: true },
        },
        {
          type: 'VOLUME',
          source: 'vol',
          target: '/b',
          volumeOptions: {
            nocopy: true,
            labels: { l: '1' },
            driverConfig: { name: 'nfs', options: { o: 'rw' } },
            subpath: 'sub',
          },
        },
        {
          type: 'TMPFS',
          target: '/c',
          tmpfsOptions: { sizeBytes: '1024', mode: 0o700, options: '[["noexec"],["uid","1"]]' },
        },
      ],
    });
    expect(Mounts).toMatchObject([
      {
        Type: 'bind',
        Source: '/data',
        Target: '/a',
        ReadOnly: true,
        BindOptions: { Propagation: 'rshared', NonRecursive: true },
      },
      {
        Type: 'volume',
        Source: 'vol',
        Target: '/b',
        VolumeOptions: {
          NoCopy: true,
          Labels: { l: '1' },
          DriverConfig: { Name: 'nfs', Options: { o: 'rw' } },
          Subpath: 'sub',
        },
      },
      {
        Type: 'tmpfs',
        Target: '/c',
        TmpfsOptions: { SizeBytes: 1024, Mode: 0o700, Options: [['noexec'], ['uid', '1']] },
      },
    ]);
  });

  test.each([
    [{ type: 'BIND', source: '/x', target: 'y' }, 'mount target, must be an absolute path: y'],
    [{ type: 'BIND', source: 'x', target: '/y' }, 'bind mount source, must be an absolute path: x'],
    [{ type: 'VOLUME', source: '/x', target: '/y' }, 'source, must not be an absolute path: /x'],
    [{ type: 'TMPFS', source: 'x', target: '/y' }, 'invalid tmpfs source, source must be empty'],
    [{ type: 'NPIPE', target: 'y' }, 'invalid npipe source, source must not be empty'],
    [{ type: 'CLUSTER', source: 'x', target: '/y' }, 'cluster volumes are not supported'],
  ] as const)('%j is refused', (mount, message) => {
    expect(() => hostOf({ mounts: [mount] })).toThrow(message);
  });
});

describe('what makes no sense', () => {
  test('a task without an image is refused', () => {
    expect(() => configOf({ image: '' })).toThrow('dockerexec: image required');
  });

  test('a number too large for the Engine is refused, and no bug', () => {
    expect(() => configOf({ pidsLimit: '9223372036854775807' })).toThrow('invalid pids limit');
  });
});

describe('familiarImage', () => {
  const id = `sha256:${'a'.repeat(64)}`;
  test.each([
    ['nginx', 'nginx:latest'],
    ['nginx:1.25', 'nginx:1.25'],
    ['docker.io/library/nginx', 'nginx:latest'],
    ['index.docker.io/library/nginx:1', 'nginx:1'],
    ['docker.io/me/app', 'me/app:latest'],
    ['registry:5000/app', 'registry:5000/app:latest'],
    [`nginx@${id}`, `nginx@${id}`],
    [id, id],
  ])('%s is %s', (image, familiar) => {
    expect(familiarImage(image)).toBe(familiar);
  });
});
