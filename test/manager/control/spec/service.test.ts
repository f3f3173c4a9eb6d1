import { describe, expect, test } from 'vitest';
import { codecOf, type ServiceSpec } from '../../../../src/api/index.ts';
import type {
  ContainerSpecInput,
  ServiceSpecInput,
  TaskSpecInput,
} from '../../../../src/api/gen/types.ts';
import { isImageReference } from '../../../../src/manager/control/spec/image.ts';
import { validateServiceSpec } from '../../../../src/manager/control/spec/service.ts';

const spec = (input: ServiceSpecInput): ServiceSpec =>
  codecOf('ServiceSpec').create({
    annotations: { name: 'web' },
    task: { container: { image: 'nginx' } },
    replicated: { replicas: '1' },
    ...input,
  });
const withTask = (input: TaskSpecInput): ServiceSpec =>
  spec({ task: { container: { image: 'nginx' }, ...input } });
const withContainer = (input: ContainerSpecInput): ServiceSpec =>
  withTask({ container: { image: 'nginx', ...input } });
const seconds = (count: number) => ({ seconds: String(count), nanos: 0 });
const withoutMode = (): ServiceSpec =>
  codecOf('ServiceSpec').create({
    annotations: { name: 'web' },
    task: { container: { image: 'nginx' } },
  });
const jobMode = (): ServiceSpecInput => ({
  annotations: { name: 'web' },
  task: { container: { image: 'nginx' } },
});
const cpus = (nanoCpus: number) => withTask({ resources: { limits: { nanoCpus } } });
const file = (secretName: string, name: string) => ({
  secretId: `id-${secretName}`,
  secretName,
  file: { name },
});
const port = (publishedPort: number, publishMode: 'HOST' | 'INGRESS') => ({
  targetPort: 80,
  publishedPort,
  publishMode,
});

const refused: ReadonlyArray<readonly [text: string, spec: ServiceSpec | null]> = [
  ['invalid argument', null],
  ['meta: name must be provided', spec({ annotations: {} })],
  ['name must be valid as a DNS name component', spec({ annotations: { name: 'a_' } })],
  ['name must be valid as a DNS name component', spec({ annotations: { name: '-a' } })],
  ['name must be valid as a DNS name component', spec({ annotations: { name: 'a.b' } })],
  ['name must be 63 characters or fewer', spec({ annotations: { name: 'a'.repeat(64) } })],
  ['invalid cpu value 0.0005: Must be at least 0.001', cpus(500_000)],
  ['invalid cpu value -1: Must be at least 0.001', cpus(-1e9)],
  [
    'invalid memory value 1048576: Must be at least 4MiB',
    withTask({ resources: { reservations: { memoryBytes: 2 ** 20 } } }),
  ],
  [
    'invalid generic resource gpu: only a number of it can be reserved, not one by its name',
    withTask({
      resources: {
        reservations: { generic: [{ namedResourceSpec: { kind: 'gpu', value: 'a' } }] },
      },
    }),
  ],
  [
    'TaskSpec: restart-delay cannot be negative',
    withTask({ restart: { delay: { seconds: '0', nanos: -1 } } }),
  ],
  ['TaskSpec: restart-window cannot be negative', withTask({ restart: { window: seconds(-5) } })],
  ['invalid argument', withTask({ restart: { delay: { seconds: String(2n ** 60n), nanos: 0 } } })],
  [
    'constraint expected one operator from ==, !=',
    withTask({ placement: { constraints: ['node.role'] } }),
  ],
  ['TaskSpec: missing runtime', spec({ task: {} })],
  ['ContainerSpec: image reference must be provided', withContainer({ image: '' })],
  ['ContainerSpec: "UPPER" is not a valid repository/tag', withContainer({ image: 'UPPER' })],
  [
    'ContainerSpec: duplicate mount point: /x',
    withContainer({ mounts: [{ target: '/x' }, { target: '/x', type: 'TMPFS' }] }),
  ],
  [
    'ContainerSpec: duplicate mount point: /web',
    withContainer({ mounts: [{ target: '/web' }, { target: '/{{.Service.Name}}' }] }),
  ],
  [
    'ContainerSpec: Interval in HealthConfig cannot be less than 1ms',
    withContainer({ healthcheck: { interval: { seconds: '0', nanos: 999_999 } } }),
  ],
  [
    'ContainerSpec: StartInterval in HealthConfig cannot be less than 1ms',
    withContainer({ healthcheck: { startInterval: seconds(-1) } }),
  ],
  [
    'ContainerSpec: Retries in HealthConfig cannot be negative',
    withContainer({ healthcheck: { retries: -1 } }),
  ],
  ['malformed secret reference', withContainer({ secrets: [{ secretId: 'a' }] })],
  [
    'malformed secret reference, no target provided',
    withContainer({ secrets: [{ secretId: 'a', secretName: 'a' }] }),
  ],
  [
    'malformed file secret reference, invalid target file name provided',
    withContainer({ secrets: [file('a', '')] }),
  ],
  [
    "secret references 'a' and 'b' have a conflicting target: 'f'",
    withContainer({ secrets: [file('a', 'f'), file('b', 'f')] }),
  ],
  [
    'malformed config reference, no target provided',
    withContainer({ configs: [{ configId: 'a', configName: 'a' }] }),
  ],
  [
    "CredentialSpec references config 'c', but that config isn't in config references with RuntimeTarget",
    withContainer({
      privileges: { credentialSpec: { config: 'c' } },
      configs: [{ configId: 'c', configName: 'c', file: { name: 'c' } }],
    }),
  ],
  ['Unrecognized service mode', withoutMode()],
  [
    'Number of replicas must be non-negative',
    spec({ replicated: { replicas: String(2n ** 64n - 1n) } }),
  ],
  ['Number of replicas is too large', spec({ replicated: { replicas: String(2n ** 53n) } })],
  [
    'Jobs may not have an update config',
    codecOf('ServiceSpec').create({ ...jobMode(), globalJob: {}, update: {} }),
  ],
  ['TaskSpec: update-delay cannot be negative', spec({ update: { delay: seconds(-1) } })],
  ['TaskSpec: update-monitor cannot be negative', spec({ update: { monitor: seconds(-1) } })],
  [
    'TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1',
    spec({ update: { maxFailureRatio: 1.5 } }),
  ],
  [
    'TaskSpec: rollback-maxfailureratio cannot be less than 0 or bigger than 1',
    spec({ rollback: { maxFailureRatio: -0.5 } }),
  ],
  [
    "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    spec({ endpoint: { mode: 'DNSRR', ports: [port(80, 'INGRESS')] } }),
  ],
  [
    'EndpointSpec: duplicate published ports provided',
    spec({ endpoint: { ports: [port(80, 'HOST'), port(80, 'HOST')] } }),
  ],
  [
    'Generic runtime is missing payload',
    codecOf('ServiceSpec').create({
      annotations: { name: 'web' },
      task: { generic: { kind: 'wasm' } },
      global: {},
    }),
  ],
];

describe('a service spec', () => {
  test.each(refused)('is refused: %s', (text, broken) => {
    expect(() => {
      validateServiceSpec(broken);
    }).toThrow(expect.objectContaining({ code: 'invalid-argument', message: text }));
  });

  test.each([
    ['of nothing but an image', spec({})],
    ['with a name of the longest kind', spec({ annotations: { name: `a-_-${'b'.repeat(59)}` } })],
    [
      'with zero in place of a duration or amount',
      withTask({
        resources: { limits: { nanoCpus: 0, memoryBytes: 0 } },
        restart: { delay: seconds(0) },
        container: { image: 'nginx', healthcheck: { interval: seconds(0) } },
      }),
    ],
    [
      'with unpublished ports of one kind',
      spec({ endpoint: { ports: [port(0, 'HOST'), port(0, 'HOST')] } }),
    ],
    [
      'with one port over two protocols',
      spec({ endpoint: { ports: [port(53, 'HOST'), { ...port(53, 'HOST'), protocol: 'UDP' }] } }),
    ],
    [
      'with credentials from a config the runtime uses',
      withContainer({
        privileges: { credentialSpec: { config: 'c' } },
        configs: [{ configId: 'c', configName: 'c', runtime: {} }],
      }),
    ],
    ['that runs to completion', codecOf('ServiceSpec').create({ ...jobMode(), globalJob: {} })],
  ])('is accepted %s', (_, good) => {
    expect(() => {
      validateServiceSpec(good);
    }).not.toThrow();
  });

  test('is not one of an attached container', () => {
    const attachment = codecOf('ServiceSpec').create({
      annotations: { name: 'web' },
      task: { attachment: {} },
      global: {},
    });
    expect(() => {
      validateServiceSpec(attachment);
    }).toThrow(expect.objectContaining({ code: 'unimplemented' }));
  });

  test('with a name that is made to be slow to match is refused before the test times out', () => {
    expect(() => {
      validateServiceSpec(spec({ annotations: { name: `${'a'.repeat(100_000)}!` } }));
    }).toThrow('name must be valid');
  });
});

describe('an image reference', () => {
  const sha256 = 'a'.repeat(64);
  test.each([
    'nginx',
    'nginx:1.25',
    'user/app',
    'registry:5000/team/app:v1',
    'localhost/app',
    'Registry.Example.com/app',
    'a__b/c-d.e',
    `nginx@sha256:${sha256}`,
    `host.example/app:1@sha256:${sha256}`,
    '[::1]:5000/app',
  ])('may be %s', (image) => {
    expect(isImageReference(image)).toBe(true);
  });

  test.each([
    '',
    'UPPER',
    'a/UPPER',
    'a:b:c',
    'nginx:',
    '-a',
    'a//b',
    'a___b',
    'nginx@sha256:abc',
    `nginx@sha256:${sha256.toUpperCase()}`,
    sha256,
    'a b',
    'a'.repeat(300),
  ])('may not be %j', (image) => {
    expect(isImageReference(image)).toBe(false);
  });
});
