import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codecOf, type CallContext } from '../../../src/api/index.ts';
import type {
  AssignmentsMessage,
  AssignmentsMessageInput,
  ServiceSpecInput,
  Task,
} from '../../../src/api/gen/types.ts';
import { runAllocator } from '../../../src/manager/allocator/allocator.ts';
import { Dispatcher } from '../../../src/manager/dispatcher/dispatcher.ts';
import { firstCluster } from '../../../src/manager/first-cluster.ts';
import { Fields } from '../../../src/manager/http/convert/fields.ts';
import { serviceSpecFromEngine } from '../../../src/manager/http/convert/service.ts';
import { parseJson } from '../../../src/manager/http/json.ts';
import { runGlobal } from '../../../src/manager/orchestrator/global.ts';
import { runJobs } from '../../../src/manager/orchestrator/jobs/jobs.ts';
import { runReplicated } from '../../../src/manager/orchestrator/replicated.ts';
import { runScheduling } from '../../../src/manager/scheduling.ts';
import { CryptoRandom, newId, runTogether, SwarmError } from '../../../src/runtime/index.ts';
import { aNode } from '../../support/builders.ts';
import { aControlClient, type ControlClient } from '../../support/control-client.ts';
import { tasksIn, unmetNeeds } from '../../support/engine-needs.ts';
import { jsonSpecs, type JsonSpec, type Names } from '../../support/service-specs.ts';
import { silentLog } from '../../support/silent-log.ts';

const random = new CryptoRandom();
const nodeId = 'worker';
const leader = { nodeId: 'leader', addr: '10.0.0.1:2377' };

const names: Names = {
  secrets: [
    ['s1', 'pw'],
    ['s2', 'key'],
  ],
  configs: [['c1', 'conf']],
  networks: ['bridge', 'host', 'none'],
  images: ['nginx', 'user/app:1.2', `nginx@sha256:${'a'.repeat(64)}`],
};

/** A node with room for everything. */
const description = {
  hostname: 'worker',
  platform: { architecture: 'x86_64', os: 'linux' },
  resources: {
    nanoCpus: String(10 ** 15),
    memoryBytes: String(2 ** 50),
    generic: [{ discreteResourceSpec: { kind: 'gpu', value: '1000000' } }],
  },
  engine: {
    engineVersion: '20.10.24',
    plugins: ['Log', 'Volume', 'Network'].flatMap((type) =>
      ['local', 'json-file', 'bridge', 'host', 'null'].map((plugin) => ({ type, name: plugin })),
    ),
  },
};

/** A swarm that has what specs may refer to, and one node that takes everything. */
async function aSwarm(): Promise<ControlClient> {
  const swarm = await aControlClient();
  const founding = { clusterId: '', nodeId, availability: 'ACTIVE', rootCa: {} } as const;
  const first = firstCluster({
    ...founding,
    certificate: Buffer.alloc(0),
    newId: () => newId(random),
  });
  await swarm.write((tx) => {
    for (const one of first) if (one.kind === 'network') tx.create('network', one.object);
    tx.create('node', aNode({ id: nodeId, description }));
    for (const [id, name] of names.secrets) {
      const spec = { annotations: { name }, data: Buffer.from(name) };
      tx.create('secret', codecOf('Secret').create({ id, spec }));
    }
    for (const [id, name] of names.configs) {
      tx.create('config', codecOf('Config').create({ id, spec: { annotations: { name } } }));
    }
  });
  return swarm;
}

/** As it is read at the other end of the wire. */
const overTheWire = (message: AssignmentsMessageInput): AssignmentsMessage => {
  const codec = codecOf('AssignmentsMessage');
  return codec.decode(codec.encode(codec.create(message)));
};

/**
 * Has a swarm create services, as far as it accepts them, and then remove them; gives the tasks
 * that the node's agent was sent meanwhile.
 */
async function tasksSent(
  swarm: ControlClient,
  specs: readonly ServiceSpecInput[],
): Promise<{ readonly tasks: readonly Task[]; readonly accepted: number }> {
  const { store, clock } = swarm;
  const deps = { store, clock, random, log: silentLog };
  const dispatcher = new Dispatcher({ ...deps, self: leader, managers: () => [leader] });
  const end = new AbortController();
  const caller = { kind: 'node', nodeId, role: 'swarm-worker', clusterId: 'c' } as const;
  const context: CallContext = { caller: { ...caller, remoteIp: '' }, signal: end.signal };
  const leading = runTogether(end.signal, [
    ...[runReplicated, runGlobal, runJobs, runAllocator, runScheduling].map(
      (loop) => async (signal: AbortSignal) => loop(deps, signal),
    ),
    async (signal) => dispatcher.run(signal),
  ]);
  await clock.advance(0);
  const request = codecOf('SessionRequest').create({ description });
  const sessions = dispatcher.session(request, context)[Symbol.asyncIterator]();
  const opened = await sessions.next();
  const sessionId = opened.done === true ? '' : (opened.value.sessionId ?? '');
  const tasks: Task[] = [];
  const reading = (async () => {
    for await (const message of dispatcher.assignments({ sessionId }, context)) {
      tasks.push(...tasksIn(overTheWire(message)));
    }
  })().catch(() => undefined);

  const created: string[] = [];
  for (const spec of specs) {
    const { service } = await swarm.call('CreateService', { spec }).catch(refused);
    if (service) created.push(service.id);
  }
  await clock.advance(1_000);
  for (const serviceId of created) await swarm.call('RemoveService', { serviceId });
  await clock.advance(1_000);

  end.abort(new Error('gone'));
  await Promise.all([leading, reading]);
  return { tasks, accepted: created.length };
}

/** An answer that says no is an answer; anything else is a mistake of ours. */
function refused(error: unknown): { readonly service: null } {
  if (error instanceof SwarmError && error.code !== 'internal') return { service: null };
  throw error;
}

/** The spec as our HTTP face reads it, or nothing if it refuses. */
function read(spec: JsonSpec, number: number): readonly ServiceSpecInput[] {
  const text = JSON.stringify({ ...spec, Name: `web${number}` });
  try {
    return [serviceSpecFromEngine(Fields.of(parseJson(text)))];
  } catch (error) {
    refused(error);
    return [];
  }
}

/** Networks are named by IDs from here on. */
function withNetworkIds(swarm: ControlClient, spec: ServiceSpecInput): ServiceSpecInput {
  const networks = swarm.store.view((view) => view.find('network'));
  const idOf = (name: string | undefined): string =>
    networks.find(({ spec: its }) => its?.annotations?.name === name)?.id ?? '';
  const resolved = (wanted: ServiceSpecInput['networks'] = []) =>
    wanted.map((one) => ({ ...one, target: idOf(one.target) }));
  const task = spec.task ? { ...spec.task, networks: resolved(spec.task.networks) } : null;
  return { ...spec, task, networks: resolved(spec.networks) };
}

const nothing = fc.constant(null);
const maybe = <T>(part: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 12, arbitrary: part }, { weight: 1, arbitrary: nothing });

/** Raw messages: what no client of the Engine API can say, and somebody with a certificate can. */
const rawSpecs = fc.record({
  task: maybe(
    fc.record(
      {
        container: maybe(
          fc.record(
            {
              image: fc.constantFrom(...Array<string>(12).fill('nginx'), ''),
              secrets: fc.constantFrom(
                [],
                [],
                [{}],
                [{ secretId: 's1', secretName: 'pw' }],
                ...['', 'a', 'a'].map((file) => [
                  { secretId: 's1', secretName: 'pw', file: { name: file } },
                ]),
              ),
              healthcheck: fc.constantFrom({}, { test: ['CMD'] }),
              privileges: fc.constantFrom({}, { credentialSpec: {} }, { seccomp: {} }),
              mounts: fc.constantFrom([], [{}], [{ type: 'VOLUME', volumeOptions: {} }]),
              dnsConfig: fc.constant({}),
              pullOptions: fc.constant({}),
            },
            { requiredKeys: ['image'] },
          ),
        ),
        generic: fc.constantFrom(
          ...Array<undefined>(12).fill(undefined),
          {},
          { kind: 'plugin' },
          { kind: 'plugin', payload: {} },
          { kind: 'plugin', payload: { type_url: 'x', value: Buffer.from('x') } },
        ),
        attachment: fc.constantFrom(
          ...Array<undefined>(8).fill(undefined),
          {},
          { containerId: 'c' },
        ),
        resources: fc.constantFrom(
          {},
          ...Array.from({ length: 8 }, () => ({})),
          { reservations: { generic: [{}] } },
          { reservations: { generic: [{ discreteResourceSpec: { kind: 'gpu', value: '1' } }] } },
        ),
        restart: fc.constant({}),
        placement: fc.constantFrom({}, { preferences: [{}] }, { platforms: [{}] }),
        logDriver: fc.constant({}),
        networks: fc.constantFrom([], [], [{ target: 'bridge' }], [{ target: 'host' }], [{}]),
      },
      { requiredKeys: ['container'] },
    ),
  ),
  mode: fc.constantFrom(
    {},
    { replicated: {} },
    { global: {} },
    { replicatedJob: {} },
    { globalJob: {} },
    ...['1', '1', '2', '3', '5'].map((replicas) => ({ replicated: { replicas } })),
  ),
  networks: fc.constantFrom([], [], [{ target: 'host' }]),
  endpoint: maybe(
    fc.constantFrom({}, {}, {}, {}, { ports: [{}] }, { ports: [{ publishMode: 'HOST' }] }),
  ),
  update: maybe(fc.constant({})),
});

describe('what a stock Engine is sent', { timeout: 60_000 }, () => {
  test('has all that it takes for granted, whatever service the Engine API accepts', async () => {
    const seen = { asked: 0, accepted: 0, tasks: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(jsonSpecs(names), { minLength: 10, maxLength: 30 }),
        async (specs) => {
          const swarm = await aSwarm();
          const wanted = specs.flatMap(read).map((spec) => withNetworkIds(swarm, spec));
          const { tasks, accepted } = await tasksSent(swarm, wanted);
          seen.asked += specs.length;
          seen.accepted += accepted;
          seen.tasks += tasks.length;
          expect(tasks.flatMap(unmetNeeds)).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
    // Most are accepted and most of what is accepted is sent: otherwise nothing is shown.
    expect(seen.accepted).toBeGreaterThan(seen.asked / 4);
    expect(seen.tasks).toBeGreaterThan(seen.accepted / 2);
  });

  test('has all that it takes for granted, whatever message the control API accepts', async () => {
    const seen = { accepted: 0, tasks: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(rawSpecs, { minLength: 10, maxLength: 30 }), async (specs) => {
        const swarm = await aSwarm();
        const wanted = specs.map(({ mode, ...spec }, number) => {
          const named = { ...spec, ...mode, annotations: { name: `raw${number}` } };
          // Over the wire, where of several runtimes or modes one is left.
          const codec = codecOf('ServiceSpec');
          const bytes = codec.encode(codec.create(named as unknown as ServiceSpecInput));
          return withNetworkIds(swarm, codec.decode(bytes));
        });
        const { tasks, accepted } = await tasksSent(swarm, wanted);
        seen.accepted += accepted;
        seen.tasks += tasks.length;
        expect(tasks.flatMap(unmetNeeds)).toEqual([]);
      }),
      { numRuns: 25 },
    );
    expect(seen.accepted).toBeGreaterThan(20);
    expect(seen.tasks).toBeGreaterThan(seen.accepted / 2);
  });
});
