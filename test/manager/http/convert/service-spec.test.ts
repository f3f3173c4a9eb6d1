import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codecOf } from '../../../../src/api/index.ts';
import type {
  ContainerSpecInput,
  GenericResourceInput,
  MountInput,
  ServiceSpecInput,
  TaskSpecInput,
} from '../../../../src/api/gen/types.ts';
import { Fields } from '../../../../src/manager/http/convert/fields.ts';
import {
  serviceSpecFromEngine,
  serviceSpecToEngine,
} from '../../../../src/manager/http/convert/service.ts';
import { parseJson, stringifyJson } from '../../../../src/manager/http/json.ts';

const specCodec = codecOf('ServiceSpec');

const word = fc.stringMatching(/^[a-z0-9{}./:_ -]{0,12}$/u);
const words = fc.array(word, { maxLength: 3 });
const labels = fc.dictionary(word, word, { maxKeys: 3 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const uint32 = fc.nat({ max: 0xffff_ffff });
const nanos = fc.integer({ min: 0, max: 999_999_999 });
const duration = fc.record({ seconds: fc.nat({ max: 9_000_000_000 }).map(String), nanos });
const someTime = fc.record({
  seconds: fc.nat({ max: 9_000_000_000 }).map(String),
  nanos: fc.integer({ min: 1, max: 999_999_999 }),
});
const driver = fc.record({ name: word, options: labels });
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary);
const oneOf = <T extends string>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const file = fc.record({ name: word, uid: word, gid: word, mode: uint32 });

const mount: fc.Arbitrary<MountInput> = fc.record({
  type: oneOf('BIND', 'VOLUME', 'TMPFS', 'NPIPE', 'CLUSTER'),
  source: word,
  target: word,
  readonly: fc.boolean(),
  consistency: oneOf('DEFAULT', 'CONSISTENT', 'CACHED', 'DELEGATED'),
  bindOptions: maybe(
    fc.record({
      propagation: oneOf('RPRIVATE', 'PRIVATE', 'RSHARED', 'SHARED', 'RSLAVE', 'SLAVE'),
      nonrecursive: fc.boolean(),
      createmountpoint: fc.boolean(),
      readonlynonrecursive: fc.boolean(),
      readonlyforcerecursive: fc.boolean(),
    }),
  ),
  volumeOptions: maybe(
    fc.record({ nocopy: fc.boolean(), labels, driverConfig: maybe(driver), subpath: word }),
  ),
  tmpfsOptions: maybe(
    fc.record({ sizeBytes: int64, mode: uint32, options: oneOf('', '[["noexec"],["uid","1"]]') }),
  ),
});

const privileges = fc.record({
  credentialSpec: maybe(
    fc.oneof(
      fc.constant({ file: 'f' }),
      fc.constant({ registry: 'r' }),
      fc.constant({ config: 'c' }),
    ),
  ),
  selinuxContext: maybe(
    fc.record({ disable: fc.boolean(), user: word, role: word, type: word, level: word }),
  ),
  seccomp: maybe(
    fc.record({
      mode: oneOf('DEFAULT', 'UNCONFINED', 'CUSTOM'),
      profile: fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    }),
  ),
  apparmor: maybe(fc.record({ mode: oneOf('DEFAULT', 'DISABLED') })),
  noNewPrivileges: fc.boolean(),
});

const container: fc.Arbitrary<ContainerSpecInput> = fc.record({
  image: word,
  labels,
  command: words,
  args: words,
  env: words,
  dir: word,
  user: word,
  groups: words,
  hostname: word,
  tty: fc.boolean(),
  openStdin: fc.boolean(),
  readOnly: fc.boolean(),
  stopSignal: word,
  stopGracePeriod: maybe(duration),
  init: maybe(fc.record({ value: fc.boolean() })),
  hosts: words,
  mounts: fc.array(mount, { maxLength: 2 }),
  privileges: maybe(privileges),
  isolation: oneOf('ISOLATION_DEFAULT', 'ISOLATION_PROCESS', 'ISOLATION_HYPERV'),
  dnsConfig: maybe(fc.record({ nameservers: words, search: words, options: words })),
  healthcheck: maybe(
    fc.record({
      test: words,
      interval: duration,
      timeout: duration,
      startPeriod: duration,
      startInterval: duration,
      retries: fc.nat({ max: 1_000 }),
    }),
  ),
  secrets: fc.array(fc.record({ secretId: word, secretName: word, file }), { maxLength: 2 }),
  configs: fc.array(
    fc.oneof(
      fc.record({ configId: word, configName: word, file }),
      fc.record({ configId: word, configName: word, runtime: fc.constant({}) }),
    ),
    { maxLength: 2 },
  ),
  sysctls: labels,
  capabilityAdd: words,
  capabilityDrop: words,
  ulimits: fc.array(fc.record({ name: word, soft: int64, hard: int64 }), { maxLength: 2 }),
  oomScoreAdj: int64,
});

const resources = fc.record({
  nanoCpus: int64,
  memoryBytes: fc.integer({ min: 1 }).map(String),
  generic: fc.constant<GenericResourceInput[]>([]),
});
const generic = fc.array(
  fc.oneof(
    fc.record({ namedResourceSpec: fc.record({ kind: word, value: word }) }),
    fc.record({ discreteResourceSpec: fc.record({ kind: word, value: int64 }) }),
  ),
  { maxLength: 2 },
);

const task: fc.Arbitrary<TaskSpecInput> = fc.record({
  container: fc
    .tuple(container, int64)
    .map(([spec, pidsLimit]): ContainerSpecInput => ({ ...spec, pidsLimit })),
  resources: fc.record({
    limits: resources,
    reservations: maybe(fc.record({ nanoCpus: int64, memoryBytes: int64, generic })),
    swapBytes: maybe(fc.record({ value: int64 })),
    memorySwappiness: maybe(fc.record({ value: int64 })),
  }),
  restart: maybe(
    fc.record({
      condition: oneOf('NONE', 'ON_FAILURE', 'ANY'),
      delay: maybe(duration),
      maxAttempts: uint64,
      window: maybe(duration),
    }),
  ),
  placement: maybe(
    fc.record({
      constraints: words,
      preferences: fc.array(fc.record({ spread: fc.record({ spreadDescriptor: word }) }), {
        maxLength: 2,
      }),
      platforms: fc.array(fc.record({ architecture: word, os: word }), { maxLength: 2 }),
      maxReplicas: uint64,
    }),
  ),
  logDriver: maybe(driver),
  networks: fc.array(fc.record({ target: word, aliases: words, driverAttachmentOpts: labels }), {
    maxLength: 2,
  }),
  forceUpdate: uint64,
});

const update = fc.record({
  parallelism: uint64,
  delay: duration,
  failureAction: oneOf('PAUSE', 'CONTINUE', 'ROLLBACK'),
  monitor: maybe(someTime),
  maxFailureRatio: fc.float({ min: 0, max: 1, noNaN: true }).map(Math.abs),
  order: oneOf('STOP_FIRST', 'START_FIRST'),
});

const mode: fc.Arbitrary<Partial<ServiceSpecInput>> = fc.oneof(
  fc.record({ replicated: fc.record({ replicas: uint64 }) }),
  fc.constant({ global: {} }),
  fc.record({ replicatedJob: fc.record({ maxConcurrent: uint64, totalCompletions: uint64 }) }),
  fc.constant({ globalJob: {} }),
);

const spec: fc.Arbitrary<ServiceSpecInput> = fc
  .record({
    annotations: fc.record({ name: word, labels }),
    task,
    update: maybe(update),
    rollback: maybe(update),
    endpoint: maybe(
      fc.record({
        mode: oneOf('VIP', 'DNSRR'),
        ports: fc.array(
          fc.record({
            name: word,
            protocol: oneOf('TCP', 'UDP', 'SCTP'),
            targetPort: uint32,
            publishedPort: uint32,
            publishMode: oneOf('INGRESS', 'HOST'),
          }),
          { maxLength: 2 },
        ),
      }),
    ),
    mode,
  })
  .map(({ mode: chosen, ...rest }) => ({ ...rest, ...chosen }));

/** What the Engine API makes of a spec of the wire, and the wire of that. */
const overTheApi = (input: ServiceSpecInput): unknown => {
  const shown = stringifyJson(serviceSpecToEngine(specCodec.create(input)));
  return specCodec.create(serviceSpecFromEngine(Fields.of(parseJson(shown))));
};

const fromEngine = (body: unknown): ServiceSpecInput => serviceSpecFromEngine(Fields.of(body));
const template = { ContainerSpec: { Image: 'nginx' } };

const jobOf = (settings: object): unknown =>
  fromEngine({ TaskTemplate: template, Mode: { ReplicatedJob: settings } }).replicatedJob;

describe('a service spec', () => {
  test('keeps everything over the Engine API and back', () => {
    fc.assert(
      fc.property(spec, (input) => {
        expect(overTheApi(input)).toEqual(specCodec.create(input));
      }),
      { numRuns: 200 },
    );
  });

  test('is one replicated replica of a container if nothing else is said', () => {
    const { replicated, task: taskSpec } = fromEngine({ TaskTemplate: template });
    expect(replicated).toEqual({ replicas: '1' });
    expect(taskSpec).toMatchObject({ container: { image: 'nginx' }, networks: [] });
  });

  test('has as many completions of a job as run at once, if only those are said', () => {
    expect(jobOf({})).toEqual({ maxConcurrent: '1', totalCompletions: '1' });
    expect(jobOf({ MaxConcurrent: 3 })).toEqual({ maxConcurrent: '3', totalCompletions: '3' });
  });

  test('takes the networks of the service where its template names none', () => {
    const body = { TaskTemplate: template, Networks: [{ Target: 'net' }] };
    expect(fromEngine(body).task?.networks).toMatchObject([{ target: 'net' }]);
  });

  test('leaves a monitor of zero to its default', () => {
    const body = { TaskTemplate: template, UpdateConfig: { Monitor: 0, Delay: 5 } };
    expect(fromEngine(body).update).toMatchObject({
      monitor: null,
      delay: { seconds: '0', nanos: 5 },
    });
  });

  test.each([
    [{}, 'mismatched Runtime and *Spec fields'],
    [{ TaskTemplate: { ...template, Runtime: 'attachment' } }, 'unsupported runtime'],
    [
      { TaskTemplate: template, Mode: { Global: {}, Replicated: {} } },
      'must specify only one service mode',
    ],
    [
      { TaskTemplate: { ...template, RestartPolicy: { Condition: 'sometimes' } } },
      'invalid RestartCondition: "sometimes"',
    ],
    [
      { TaskTemplate: template, UpdateConfig: { FailureAction: 'explode' } },
      'unrecognized update failure action explode',
    ],
    [
      { TaskTemplate: template, UpdateConfig: { Order: 'sideways' } },
      'unrecognized update order sideways',
    ],
    [{ TaskTemplate: template, EndpointSpec: { Mode: 'foo' } }, 'invalid resolution mode: "foo"'],
    [
      { TaskTemplate: template, EndpointSpec: { Ports: [{ Protocol: 'icmp' }] } },
      'invalid port protocol: "icmp"',
    ],
    [
      { TaskTemplate: { ContainerSpec: { Mounts: [{ Type: 'foo' }] } } },
      'invalid MountType: "foo"',
    ],
    [
      { TaskTemplate: { ContainerSpec: { Mounts: [{ BindOptions: { Propagation: 'x' } }] } } },
      'invalid MountPropagation: "x"',
    ],
    [
      { TaskTemplate: { ContainerSpec: { Configs: [{ ConfigID: 'a' }] } } },
      'invalid Config: either File or Runtime should be set',
    ],
    [
      { TaskTemplate: { ContainerSpec: { Configs: [{ File: {}, Runtime: {} }] } } },
      'invalid Config: cannot specify both File and Runtime',
    ],
    [
      { TaskTemplate: { ...template, Resources: { SwapBytes: 5 } } },
      'memory swap provided, but no memory-limit was set',
    ],
    [
      { TaskTemplate: { ContainerSpec: { Privileges: { CredentialSpec: {} } } } },
      'invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
    ],
    [
      {
        TaskTemplate: {
          ContainerSpec: { Privileges: { CredentialSpec: { File: 'a', Config: 'b' } } },
        },
      },
      'invalid CredentialSpec: cannot specify both "config" and "file" credential specs',
    ],
  ])('is refused in moby’s words: %j', (body, message) => {
    expect(() => fromEngine(body)).toThrow(message);
  });
});
