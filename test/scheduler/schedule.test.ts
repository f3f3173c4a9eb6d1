import { describe, expect, test } from 'vitest';
import type { Node, Task } from '../../src/api/index.ts';
import type { NodeInput, TaskInput } from '../../src/api/gen/types.ts';
import { ClusterView, type Schedule, schedule } from '../../src/scheduler/index.ts';
import { aNode, aTask } from '../support/builders.ts';

const now = 1_700_000_000_000;

const node = (id: string, input: NodeInput = {}): Node => aNode({ id, ...input });
const labelled = (id: string, labels: Record<string, string>, input: NodeInput = {}): Node =>
  node(id, { spec: { annotations: { labels }, availability: 'ACTIVE' }, ...input });
const waiting = (input: TaskInput = {}): Task =>
  aTask({
    serviceId: 'web',
    specVersion: { index: 1 },
    status: { state: 'PENDING' },
    desiredState: 'RUNNING',
    ...input,
  });
const several = (count: number, input: TaskInput = {}): Task[] =>
  Array.from({ length: count }, (_, index) => waiting({ slot: index + 1, ...input }));
const running = (nodeId: string, input: TaskInput = {}): Task =>
  waiting({ nodeId, status: { state: 'RUNNING' }, ...input });

const scheduled = (nodes: readonly Node[], tasks: readonly Task[]): Schedule =>
  schedule(ClusterView.from(nodes, tasks), now);
const countsOf = ({ placements }: Schedule): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const {
    node: { id },
  } of placements)
    counts[id] = (counts[id] ?? 0) + 1;
  return counts;
};
const summaryOf = ({ refusals }: Schedule): string | undefined => refusals[0]?.explanation.summary;
const detailOf = ({ refusals }: Schedule): string | undefined => refusals[0]?.explanation.detail;
const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${i + 1}`);

const failed = (ago: number, input: TaskInput = {}): Task =>
  waiting({
    nodeId: 'n1',
    status: { state: 'FAILED', timestamp: { seconds: (now - ago) / 1000 } },
    ...input,
  });

const over = (...labels: string[]): TaskInput => ({
  spec: {
    placement: { preferences: labels.map((label) => ({ spread: { spreadDescriptor: label } })) },
  },
});

const sized = (id: string, az: string, rack: string, memoryBytes: number): Node =>
  labelled(id, { az, rack }, { description: { resources: { memoryBytes } } });

const on = (constraint: string): Task =>
  waiting({ spec: { placement: { constraints: [constraint] } } });

const port = (publishedPort: number, protocol: 'TCP' | 'UDP' = 'TCP'): TaskInput => ({
  endpoint: { ports: [{ publishMode: 'HOST', publishedPort, targetPort: 80, protocol }] },
});

describe('schedule: spread', () => {
  const five = ids(5).map((id) => node(id));

  test('a task goes to the node with the fewest of its service, then with the fewest of all', () => {
    const first = scheduled(five, several(18));
    expect(Object.values(countsOf(first)).toSorted((a, b) => a - b)).toEqual([3, 3, 4, 4, 4]);

    const placed = first.placements.map(({ node: { id } }) => running(id));
    const second = scheduled(five, [...placed, ...several(2, { serviceId: 'db' })]);
    expect(Object.keys(countsOf(second)).toSorted()).toEqual(['n4', 'n5']);

    const others = second.placements.map(({ node: { id } }) => running(id, { serviceId: 'db' }));
    const third = scheduled(five, [...placed, ...others, ...several(3)]);
    expect(countsOf(third)).toEqual({ n1: 1, n4: 1, n5: 1 });
  });

  test('tasks that have ended or are to stop do not count', () => {
    const ended = several(5, { nodeId: 'n1', status: { state: 'COMPLETE' } });
    const stopping = several(5, {
      nodeId: 'n1',
      status: { state: 'RUNNING' },
      desiredState: 'SHUTDOWN',
    });
    const result = scheduled([node('n1'), node('n2')], [...ended, ...stopping, ...several(2)]);
    expect(countsOf(result)).toEqual({ n1: 1, n2: 1 });
  });

  test('tasks without a version of their spec are placed one by one', () => {
    expect(countsOf(scheduled(five, several(10, { specVersion: null })))).toEqual({
      n1: 2,
      n2: 2,
      n3: 2,
      n4: 2,
      n5: 2,
    });
  });

  test('the lowest slots are placed first where there is not room for all', () => {
    const placement = { maxReplicas: 1 };
    const tasks = several(4, { spec: { placement } }).toReversed();
    const { placements } = scheduled([node('n1'), node('n2')], tasks);
    expect(placements.map(({ task }) => task.slot)).toEqual(['1', '2']);
  });

  test('a node where a service failed five times within five minutes is the last choice', () => {
    const others = several(3, { nodeId: 'n2', status: { state: 'RUNNING' } });
    const choice = (failures: Task[]): string[] =>
      Object.keys(
        countsOf(scheduled([node('n1'), node('n2')], [...others, ...failures, waiting()])),
      );

    const five4 = Array.from({ length: 5 }, () => failed(60_000));
    expect(choice(five4)).toEqual(['n2']);
    expect(choice(five4.slice(1))).toEqual(['n1']);
    expect(choice(Array.from({ length: 5 }, () => failed(301_000)))).toEqual(['n1']);
    expect(
      choice(Array.from({ length: 5 }, () => failed(0, { specVersion: { index: 9 } }))),
    ).toEqual(['n1']);
    expect(choice(Array.from({ length: 5 }, () => failed(0, { slot: 0 })))).toEqual(['n1']);
  });
});

describe('schedule: placement preferences', () => {
  test('branches get equal numbers, and nodes within a branch too', () => {
    const nodes = [
      labelled('n1', { az: 'a' }),
      ...ids(5)
        .slice(1)
        .map((id) => labelled(id, { az: 'b' })),
    ];
    expect(countsOf(scheduled(nodes, several(8, over('node.labels.az'))))).toEqual({
      n1: 4,
      n2: 1,
      n3: 1,
      n4: 1,
      n5: 1,
    });
  });

  test('what a branch has no room for goes to the others, level by level', () => {
    const nodes = [
      sized('a1', 'az1', 'r1', 500),
      sized('a2', 'az1', 'r1', 50),
      sized('b1', 'az2', 'r1', 10_000),
      sized('b2', 'az2', 'r1', 10_000),
      sized('c1', 'az2', 'r2', 10_000),
      sized('c2', 'az2', 'r2', 10_000),
    ];
    const wanted = over('node.labels.az', 'node.labels.rack');
    const tasks = several(12, {
      spec: { ...wanted.spec, resources: { reservations: { memoryBytes: 100 } } },
    });
    const counts = countsOf(scheduled(nodes, tasks));
    expect(counts).toEqual({ a1: 5, b1: 2, b2: 2, c1: 2, c2: 1 });
  });

  test('nodes without the label are a branch, and unknown descriptors are passed over', () => {
    const nodes = [node('n1'), node('n2'), labelled('n3', { az: 'a' })];
    expect(countsOf(scheduled(nodes, several(4, over('node.az', 'node.labels.az'))))).toEqual({
      n1: 1,
      n2: 1,
      n3: 2,
    });
  });

  test('tasks on nodes that take no more count for their branch', () => {
    const nodes = [
      labelled('n1', { az: 'a' }, { status: { state: 'DOWN' } }),
      labelled('n2', { az: 'a' }),
      labelled('n3', { az: 'b' }),
    ];
    const there = Array.from({ length: 2 }, () => running('n1'));
    expect(countsOf(scheduled(nodes, [...there, ...several(2, over('node.labels.az'))]))).toEqual({
      n3: 2,
    });
  });
});

describe('schedule: filters', () => {
  test('without a node there is nothing to explain', () => {
    expect(summaryOf(scheduled([], [waiting()]))).toBe('');
  });

  test('only nodes that are ready and active take tasks', () => {
    const nodes = [
      node('n1', { status: { state: 'DOWN' } }),
      node('n2', { spec: { availability: 'DRAIN' }, description: { hostname: 'worker-2' } }),
      node('n3', { spec: { availability: 'PAUSE' } }),
    ];
    const result = scheduled(nodes, [waiting()]);
    expect(summaryOf(result)).toBe('3 nodes not available for new tasks');
    expect(detailOf(result)).toContain('worker-2: availability is drain');
    expect(summaryOf(scheduled(nodes.slice(0, 1), [waiting()]))).toBe(
      '1 node not available for new tasks',
    );
    expect(countsOf(scheduled([...nodes, node('n4')], [waiting()]))).toEqual({ n4: 1 });
  });

  test('reservations are taken off as tasks are placed, and given back when they end', () => {
    const small = node('n1', { description: { hostname: 'a', resources: { memoryBytes: 300 } } });
    const spec = { resources: { reservations: { memoryBytes: 100 } } };
    const busy = running('n1', { spec });
    const result = scheduled([small], [busy, ...several(3, { spec })]);
    expect(countsOf(result)).toEqual({ n1: 2 });
    expect(summaryOf(result)).toBe('insufficient resources on 1 node');
    expect(detailOf(result)).toBe('a: insufficient memory');
    const done = { ...busy, status: { ...(busy.status as NonNullable<Task['status']>) } };
    const ended = { ...done, status: { ...done.status, state: 'SHUTDOWN' as const } };
    expect(countsOf(scheduled([small], [ended, ...several(3, { spec })]))).toEqual({ n1: 3 });
  });

  test('generic resources are handed out by name, each once', () => {
    const generic = ['a', 'b'].map((value) => ({ namedResourceSpec: { kind: 'gpu', value } }));
    const host = node('n1', { description: { resources: { generic } } });
    const request = { generic: [{ discreteResourceSpec: { kind: 'gpu', value: 1 } }] };
    const spec = { resources: { reservations: request } };
    const { placements, refusals } = scheduled([host], several(3, { spec }));
    expect(placements.map(({ genericResources: [one] }) => one?.namedResourceSpec?.value)).toEqual([
      'a',
      'b',
    ]);
    expect(refusals).toHaveLength(1);

    const [busy] = several(1, { spec, nodeId: 'n1', status: { state: 'RUNNING' } });
    const given = busy === undefined ? [] : [{ ...busy, assignedGenericResources: generic }];
    expect(scheduled([host], [...(given as Task[]), waiting({ spec })]).placements).toEqual([]);
  });

  test('constraints must be met; those that cannot be read are passed over', () => {
    const nodes = [labelled('n1', { zone: 'a' }), labelled('n2', { zone: 'b' })];
    expect(countsOf(scheduled(nodes, [on('node.labels.zone == b')]))).toEqual({ n2: 1 });
    expect(countsOf(scheduled(nodes, [on('zone')]))).toEqual({ n1: 1 });
    const refused = scheduled(nodes, [on('node.labels.zone == c')]);
    expect(summaryOf(refused)).toBe('scheduling constraints not satisfied on 2 nodes');
    expect(detailOf(refused)).toBe('node, node: constraint node.labels.zone == c not met');
  });

  test.each([
    ['amd64', 'linux', true],
    ['x86_64', 'linux', true],
    ['', 'linux', true],
    ['arm64', 'linux', false],
    ['amd64', 'windows', false],
  ])('a task for %s/%s runs on x86_64/linux: %s', (architecture, os, isPlaced) => {
    const task = waiting({ spec: { placement: { platforms: [{ architecture, os }] } } });
    const result = scheduled([node('n1')], [task]);
    expect(result.placements).toHaveLength(isPlaced ? 1 : 0);
    expect(summaryOf(result)).toBe(isPlaced ? undefined : 'unsupported platform on 1 node');
  });

  test('a host-mode port is given out once per node and protocol', () => {
    const nodes = [node('n1'), node('n2')];
    const result = scheduled(nodes, several(3, port(80)));
    expect(result.placements).toHaveLength(2);
    expect(summaryOf(result)).toBe('host-mode port already in use on 2 nodes');
    expect(detailOf(result)).toContain('host-mode port 80/tcp already in use');
    const taken = ['n1', 'n2'].map((id) => running(id, port(80)));
    expect(scheduled(nodes, [...taken, waiting(port(80))]).placements).toHaveLength(0);
    expect(scheduled(nodes, [...taken, waiting(port(80, 'UDP'))]).placements).toHaveLength(1);
    expect(scheduled(nodes, several(5, port(0))).placements).toHaveLength(5);
  });

  test('max replicas per node holds', () => {
    const result = scheduled(
      ids(2).map((id) => node(id)),
      [running('n1'), ...several(4, { spec: { placement: { maxReplicas: 2 } } })],
    );
    expect(countsOf(result)).toEqual({ n1: 1, n2: 2 });
    expect(summaryOf(result)).toBe('max replicas per node limit exceed');
  });

  test.each<[string, TaskInput, boolean]>([
    ['no plugin', {}, true],
    ['a volume driver', volume('rexray'), true],
    ['a volume driver that is not there', volume('nfs'), false],
    ['the local driver', volume('local'), true],
    ['a network', { networks: [{ network: { driverState: { name: 'overlay' } } }] }, true],
    [
      'a network that is not there',
      { networks: [{ network: { driverState: { name: 'x' } } }] },
      false,
    ],
    ['a log driver', { spec: { logDriver: { name: 'syslog' } } }, true],
    ['no log driver', { spec: { logDriver: { name: 'none' } } }, true],
    ['a log driver that is not there', { spec: { logDriver: { name: 'splunk' } } }, false],
  ])('a task may need %s', (_, input, isPlaced) => {
    const plugins = [
      { type: 'Volume', name: 'rexray:latest' },
      { type: 'Network', name: 'overlay' },
      { type: 'Log', name: 'syslog' },
    ];
    const result = scheduled(
      [node('n1', { description: { engine: { plugins } } })],
      [waiting(input)],
    );
    expect(result.placements).toHaveLength(isPlaced ? 1 : 0);
    expect(summaryOf(result)).toBe(isPlaced ? undefined : 'missing plugin on 1 node');
    const silent = node('n1', { description: { hostname: 'x' } });
    expect(scheduled([silent], [waiting(input)]).placements).toHaveLength(1);
  });

  test('the filter most nodes fail at is told first', () => {
    const spec = {
      placement: { constraints: ['node.labels.zone == a'] },
      resources: { reservations: { memoryBytes: 2 ** 40 } },
    };
    const nodes = [
      node('n1'),
      node('n2', { status: { state: 'DOWN' } }),
      node('n3', { status: { state: 'DOWN' } }),
      labelled('n4', { zone: 'b' }, { description: { resources: { memoryBytes: 2 ** 41 } } }),
    ];
    expect(summaryOf(scheduled(nodes, [waiting({ spec })]))).toBe(
      '2 nodes not available for new tasks; insufficient resources on 1 node; ' +
        'scheduling constraints not satisfied on 1 node',
    );
  });
});

describe('schedule: preassigned tasks', () => {
  test('they come before others, on their own node or not at all', () => {
    const spec = { resources: { reservations: { memoryBytes: 100 } } };
    const host = node('n1', { description: { resources: { memoryBytes: 100 } } });
    const own = waiting({ nodeId: 'n1', slot: 0, spec });
    const result = scheduled([host, node('n2')], [...several(1, { spec }), own]);
    expect(result.placements.map(({ task, node: { id } }) => [task.id === own.id, id])).toEqual([
      [true, 'n1'],
      [false, 'n2'],
    ]);

    const down = scheduled([node('n1', { status: { state: 'DOWN' } }), node('n2')], [own]);
    expect(down.placements).toEqual([]);
    expect(down.refusals[0]).toMatchObject({
      isPreassigned: true,
      explanation: { summary: '1 node not available for new tasks' },
    });
  });

  test('a task whose node does not exist is left alone', () => {
    expect(scheduled([node('n2')], [waiting({ nodeId: 'n1' })])).toMatchObject({
      placements: [],
      refusals: [],
    });
  });
});

test('a schedule changes nothing in its view, and is the same when made again', () => {
  const view = ClusterView.from(
    ids(3).map((id) => node(id)),
    several(10),
  );
  const [first, second] = [schedule(view, now), schedule(view, now)];
  expect(second.placements.map(({ task, node: { id } }) => [task.id, id])).toEqual(
    first.placements.map(({ task, node: { id } }) => [task.id, id]),
  );
  expect(view.nodes.get('n1')?.load.active).toBe(0);
});

function volume(name: string): TaskInput {
  const mounts = [
    { type: 'VOLUME' as const, target: '/x', volumeOptions: { driverConfig: { name } } },
  ];
  return { spec: { container: { image: 'x', mounts } } };
}
