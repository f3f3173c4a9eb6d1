import fc from 'fast-check';

/**
 * Service specs as a client may write them: every part that may be left out is there, is not, is
 * empty, or is as large as its type allows. Most are fit to be accepted, and none is made so that
 * it must be. What they name exists where {@link Names} says so.
 */

/** What specs may refer to. */
export interface Names {
  /** IDs and names. */
  readonly secrets: readonly (readonly [id: string, name: string])[];
  readonly configs: readonly (readonly [id: string, name: string])[];
  /** By whatever they are found. */
  readonly networks: readonly string[];
  readonly images: readonly string[];
}

/** A spec in the form of the Engine API, to be sent as JSON. Engine API 1.47 `ServiceSpec` */
export type JsonSpec = Readonly<Record<string, unknown>>;

const extremes = [0, 1, -1, 2 ** 31 - 1, 2 ** 32 - 1, Number.MAX_SAFE_INTEGER];
const word = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/u) },
  { weight: 1, arbitrary: fc.constantFrom('', ' ', '\u0000', 'ä\u{1f600}', 'x'.repeat(2_000)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('{{.Task.Slot}}', '{{.Node.Hostname}}', '{{.Service.Labels}}'),
  },
);
const words = fc.array(word, { maxLength: 3 });
const labels = fc.dictionary(word, word, { maxKeys: 3 });
const integer = fc.oneof(fc.nat({ max: 100 }), fc.constantFrom(...extremes));
const amount = fc.oneof(fc.nat({ max: 100 }), fc.constantFrom(0, 1, 2 ** 31 - 1));
const nanos = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom(0, 1_000_000, 1_500_000_000, 10_000_000_000, 2 ** 52) },
  { weight: 1, arbitrary: fc.constantFrom(1, -1) },
);
const flag = fc.boolean();
const oneOf = (...values: string[]): fc.Arbitrary<string> => fc.constantFrom(...values, '');

/** A record of which any part may be missing, or null, as JSON has it. */
const some = (parts: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<JsonSpec> =>
  fc.record(
    Object.fromEntries(
      Object.entries(parts).map(([name, part]) => [name, fc.option(part, { freq: 12 })]),
    ),
    { requiredKeys: [] },
  );
/** A few of those, none of them the same in what distinguishes them. */
const distinct = (part: fc.Arbitrary<JsonSpec>, by: string): fc.Arbitrary<unknown> =>
  fc.uniqueArray(part, { maxLength: 3, selector: (one) => one[by] ?? '' });

const driver = some({ Name: fc.constantFrom('local', 'json-file', ''), Options: labels });

const mount = fc
  .tuple(
    fc.constantFrom('/a', '/b/c', '/run/x', ''),
    some({
      Type: oneOf('bind', 'volume', 'tmpfs', 'npipe'),
      Source: fc.oneof(word, fc.constantFrom('/tmp', '/nosuch', 'v-{{.Task.Slot}}')),
      ReadOnly: flag,
      Consistency: oneOf('default', 'cached', 'delegated'),
      BindOptions: some({
        Propagation: oneOf('rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'),
        NonRecursive: flag,
      }),
      VolumeOptions: some({ NoCopy: flag, Labels: labels, DriverConfig: driver, Subpath: word }),
      TmpfsOptions: some({ SizeBytes: integer, Mode: amount }),
    }),
  )
  .map(([Target, mounted]) => ({ ...mounted, Target }));

const privileges = some({
  CredentialSpec: fc.constantFrom({ File: 'f' }, { Registry: 'r' }),
  SELinuxContext: some({ Disable: flag, User: word, Role: word, Type: word, Level: word }),
  Seccomp: some({ Mode: oneOf('default', 'unconfined', 'custom'), Profile: fc.constant('e30=') }),
  AppArmor: some({ Mode: oneOf('default', 'disabled') }),
  NoNewPrivileges: flag,
});

const healthcheck = some({
  Test: fc.constantFrom([], ['NONE'], ['CMD'], ['CMD', 'true'], ['CMD-SHELL', 'exit 1'], ['']),
  Interval: nanos,
  Timeout: nanos,
  StartPeriod: nanos,
  Retries: amount,
});

const file = (name: string): fc.Arbitrary<JsonSpec> =>
  some({ UID: fc.constantFrom('0', '1000', 'nobody', ''), GID: word, Mode: amount }).map(
    (target) => ({ ...target, Name: name }),
  );

/** References to some of what there is, each with a file of its own. */
function references(
  kind: 'Secret' | 'Config',
  names: Names['secrets'],
): fc.Arbitrary<readonly JsonSpec[]> {
  const each = names.map(([id, name]) =>
    fc
      .oneof(
        { weight: 4, arbitrary: file(`${name}-file`).map((File): JsonSpec => ({ File })) },
        { weight: 1, arbitrary: fc.constant(kind === 'Config' ? { Runtime: {} } : {}) },
      )
      .map((target) => ({ [`${kind}ID`]: id, [`${kind}Name`]: name, ...target })),
  );
  return fc
    .tuple(fc.subarray(names.map((_, at) => at)), fc.tuple(...each))
    .map(([chosen, all]) => all.filter((_, at) => chosen.includes(at)));
}

const container = ({ secrets, configs, images }: Names): fc.Arbitrary<JsonSpec> =>
  fc
    .tuple(
      fc.constantFrom(...images),
      some({
        Labels: labels,
        Command: words,
        Args: words,
        Hostname: word,
        Env: fc.array(fc.oneof(word, fc.constantFrom('A=1', 'B={{.Task.ID}}', '=')), {
          maxLength: 3,
        }),
        Dir: fc.constantFrom('/', 'relative', ''),
        User: word,
        Groups: words,
        Privileges: privileges,
        Init: flag,
        StopSignal: fc.constantFrom('SIGTERM', '9', 'nonsense'),
        TTY: flag,
        OpenStdin: flag,
        ReadOnly: flag,
        Mounts: distinct(mount, 'Target'),
        StopGracePeriod: nanos,
        Healthcheck: healthcheck,
        Hosts: fc.constantFrom([], ['10.0.0.1 a b'], ['nonsense'], [' ']),
        DNSConfig: some({ Nameservers: fc.constant(['10.0.0.1']), Search: words, Options: words }),
        Secrets: references('Secret', secrets),
        Configs: references('Config', configs),
        Isolation: oneOf('default', 'process', 'hyperv'),
        Sysctls: labels,
        CapabilityAdd: fc.constantFrom([], ['CAP_SYS_ADMIN'], ['ALL'], ['nonsense']),
        CapabilityDrop: fc.constantFrom([], ['ALL']),
        Ulimits: fc.array(some({ Name: word, Hard: integer, Soft: integer }), { maxLength: 2 }),
        OomScoreAdj: fc.constantFrom(0, -1_000, 1_000),
      }),
    )
    .map(([Image, spec]) => ({ ...spec, Image }));

const resources = some({
  Limits: some({
    NanoCPUs: fc.constantFrom(0, 1_000_000, 500_000_000),
    MemoryBytes: fc.constantFrom(0, 4 * 2 ** 20, 2 ** 26),
    Pids: integer,
  }),
  Reservations: some({
    NanoCPUs: fc.constantFrom(0, 1_000_000),
    MemoryBytes: fc.constantFrom(0, 4 * 2 ** 20),
    GenericResources: fc.constantFrom(
      [],
      [{}],
      [{ DiscreteResourceSpec: { Kind: 'gpu', Value: 1 } }],
    ),
  }),
  MemorySwappiness: fc.constantFrom(0, 60),
}).chain((parts) =>
  // Swap needs a limit of memory beside it.
  fc.constantFrom(
    parts,
    { ...parts, Limits: { MemoryBytes: 2 ** 26 }, SwapBytes: -1 },
    { ...parts, Limits: { MemoryBytes: 2 ** 26, Pids: 5 }, SwapBytes: 2 ** 20 },
  ),
);

const placement = some({
  Constraints: fc.constantFrom([], ['node.role==worker'], ['node.labels.a!=b'], ['node.id!=x']),
  Preferences: fc.constantFrom(
    [],
    [{}],
    [{ Spread: {} }],
    [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
  ),
  MaxReplicas: fc.constantFrom(0, 100),
  Platforms: fc.constantFrom([], [{}], [{ OS: 'linux' }], [{ Architecture: 'amd64', OS: 'linux' }]),
});

const attachments = (names: readonly string[]): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.constant([]),
    fc
      .tuple(fc.constantFrom(...names), some({ Aliases: words, DriverOpts: labels }))
      .map(([Target, options]) => [{ ...options, Target }]),
  );

const update = some({
  Parallelism: amount,
  Delay: nanos,
  FailureAction: oneOf('pause', 'continue', 'rollback'),
  Monitor: nanos,
  MaxFailureRatio: fc.constantFrom(0, 0.5, 1),
  Order: oneOf('stop-first', 'start-first'),
});

const endpoint = some({
  Mode: oneOf('vip', 'dnsrr'),
  Ports: distinct(
    some({
      Name: word,
      Protocol: oneOf('tcp', 'udp', 'sctp'),
      TargetPort: fc.constantFrom(0, 1, 80, 65_535),
      PublishedPort: fc.constantFrom(...Array<number>(30).fill(0), 30_001, 30_002),
    }).map((port) => ({ ...port, PublishMode: 'host' })),
    'PublishedPort',
  ),
});

/** Every mode a service has, and none, which is a replicated one. */
const mode = (replicas: number): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.constant({ Replicated: { Replicas: replicas } }),
    fc.constantFrom(
      {},
      { Global: {} },
      { GlobalJob: {} },
      { ReplicatedJob: {} },
      { ReplicatedJob: { MaxConcurrent: replicas, TotalCompletions: replicas } },
    ),
  );

/** Specs of services with names of their own, in the form of the Engine API. */
export const jsonSpecs = (
  names: Names,
  { replicas = 2 }: { readonly replicas?: number } = {},
): fc.Arbitrary<JsonSpec> =>
  fc
    .record({
      template: fc.tuple(
        container(names),
        some({
          Resources: resources,
          RestartPolicy: some({
            Condition: oneOf('none', 'on-failure', 'any'),
            Delay: nanos,
            MaxAttempts: amount,
            Window: nanos,
          }),
          Placement: placement,
          LogDriver: driver,
          Networks: attachments(names.networks),
          ForceUpdate: amount,
          Runtime: oneOf('container'),
        }),
      ),
      labels: fc.option(labels),
      mode: mode(replicas),
      rest: some({ UpdateConfig: update, RollbackConfig: update, EndpointSpec: endpoint }),
    })
    .map(({ template: [ContainerSpec, rest], labels: Labels, mode: Mode, rest: more }) => ({
      ...(JSON.stringify(Mode).includes('Job') ? { EndpointSpec: more['EndpointSpec'] } : more),
      Labels,
      Mode,
      TaskTemplate: { ...rest, ContainerSpec },
    }));
