import { codecOf, type Cluster, type Node, type Service, type Task } from '../../src/api/index.ts';
import type { ClusterInput, NodeInput, ServiceInput, TaskInput } from '../../src/api/gen/types.ts';

let ids = 0;
const anId = (kind: string): string => {
  ids += 1;
  return `${kind}${String(ids).padStart(25 - kind.length, '0')}`;
};

/** A node that is ready and takes tasks. */
export const aNode = (input: NodeInput = {}): Node =>
  codecOf('Node').create({
    id: anId('node'),
    role: 'WORKER',
    spec: { membership: 'ACCEPTED', availability: 'ACTIVE', desiredRole: 'WORKER' },
    description: {
      hostname: 'node',
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: '4000000000', memoryBytes: String(8 * 2 ** 30) },
      engine: { engineVersion: '20.10.24' },
    },
    status: { state: 'READY' },
    ...input,
  });

/** A replicated service of one container. */
export const aService = (input: ServiceInput = {}): Service =>
  codecOf('Service').create({
    id: anId('service'),
    specVersion: { index: '0' },
    spec: {
      annotations: { name: `web${ids}` },
      task: { container: { image: 'nginx:latest' } },
      replicated: { replicas: '1' },
    },
    ...input,
  });

/** A task that runs. */
export const aTask = (input: TaskInput = {}): Task =>
  codecOf('Task').create({
    id: anId('task'),
    slot: '1',
    spec: { container: { image: 'nginx:latest' } },
    serviceAnnotations: { name: 'web' },
    status: { state: 'RUNNING' },
    desiredState: 'RUNNING',
    ...input,
  });

/** The one cluster object. */
export const aCluster = (input: ClusterInput = {}): Cluster =>
  codecOf('Cluster').create({
    id: anId('cluster'),
    spec: {
      annotations: { name: 'default' },
      orchestration: { taskHistoryRetentionLimit: '5' },
      dispatcher: { heartbeatPeriod: { seconds: '5', nanos: 0 } },
    },
    ...input,
  });
