import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Node, Service } from '../../../src/api/index.ts';
import { aNode, aService } from '../../support/builders.ts';
import { FakeSwarm } from '../../support/fake-swarm.ts';

const loops = ['replicated', 'global', 'starts', 'updater', 'reaper', 'allocator'] as const;

type Step =
  | { readonly kind: 'scale'; readonly replicas: number }
  | { readonly kind: 'image'; readonly image: string }
  | { readonly kind: 'node'; readonly at: number; readonly change: 'drain' | 'down' | 'up' }
  | { readonly kind: 'end'; readonly at: number; readonly state: 'FAILED' | 'COMPLETE' }
  | { readonly kind: 'delete'; readonly at: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'lead' };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('scale'), replicas: fc.integer({ min: 0, max: 6 }) }),
    fc.record({ kind: fc.constant('image'), image: fc.constantFrom('v1', 'v2', 'v3') }),
    fc.record({
      kind: fc.constant('node'),
      at: fc.nat(2),
      change: fc.constantFrom('drain', 'down', 'up'),
    }),
    fc.record({
      kind: fc.constant('end'),
      at: fc.nat(5),
      state: fc.constantFrom('FAILED', 'COMPLETE'),
    }),
    fc.record({ kind: fc.constant('delete'), at: fc.nat(5) }),
    fc.record({ kind: fc.constant('wait'), ms: fc.integer({ min: 1, max: 30_000 }) }),
    fc.record({ kind: fc.constant('lead') }),
  ) as fc.Arbitrary<Step>, // The literals widen to strings.
  { maxLength: 16 },
);

const changed =
  (change: 'drain' | 'down' | 'up') =>
  (node: Node): Node => ({
    ...node,
    spec: node.spec && { ...node.spec, availability: change === 'drain' ? 'DRAIN' : 'ACTIVE' },
    status: { state: change === 'down' ? 'DOWN' : 'READY', message: '', addr: '' },
  });

async function take(
  swarm: FakeSwarm,
  service: Service,
  nodes: readonly Node[],
  step: Exclude<Step, { kind: 'lead' }>,
): Promise<void> {
  const taskAt = (at: number): string | undefined => swarm.wanted(service.id)[at]?.id;
  switch (step.kind) {
    case 'scale':
      return swarm.updateService(service.id, (spec) => ({
        ...spec,
        replicated: { replicas: String(step.replicas) },
      }));
    case 'image':
      return swarm.updateService(service.id, (spec) => ({
        ...spec,
        task: spec.task && {
          ...spec.task,
          ...(spec.task.container && { container: { ...spec.task.container, image: step.image } }),
        },
      }));
    case 'node':
      return swarm.updateNode(nodes[step.at]?.id ?? '', changed(step.change));
    case 'end': {
      const id = taskAt(step.at);
      return id === undefined ? undefined : swarm.report(id, step.state);
    }
    case 'delete': {
      const id = taskAt(step.at);
      return swarm.write((tx) => {
        if (id !== undefined) tx.remove('task', id);
      });
    }
    case 'wait':
      return swarm.pass(step.ms);
  }
}

test('whatever happens, a service comes to its number of tasks, each in its own slot, all up to date', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const swarm = new FakeSwarm();
      const nodes = [aNode(), aNode(), aNode()];
      const service = aService({
        spec: {
          annotations: { name: 'web' },
          task: { container: { image: 'v1' } },
          replicated: { replicas: '3' },
          update: { parallelism: '2', failureAction: 'CONTINUE' },
        },
      });
      await swarm.create(...nodes, service);
      const rest = [...taken];
      do {
        await swarm.lead(loops, async () => {
          for (let step = rest.shift(); step && step.kind !== 'lead'; step = rest.shift()) {
            await take(swarm, service, nodes, step);
          }
        });
      } while (rest.length > 0);
      await swarm.lead(loops, async () => {
        for (const node of nodes) await swarm.updateNode(node.id, changed('up'));
        await swarm.pass(300_000);
      });

      const { spec, updateStatus } = swarm.service(service.id);
      const tasks = swarm.wanted(service.id);
      const replicas = Number(spec?.replicated?.replicas);
      expect(tasks.map(({ status }) => status?.state)).toEqual(Array(replicas).fill('RUNNING'));
      expect(new Set(tasks.map(({ slot }) => slot)).size).toBe(replicas);
      const images = tasks.map((task) => task.spec?.container?.image);
      expect(images).toEqual(Array(replicas).fill(spec?.task?.container?.image));
      expect(['COMPLETED', undefined]).toContain(updateStatus?.state);
      const left = swarm.tasks(service.id).filter(({ desiredState }) => desiredState === 'REMOVE');
      expect(left).toEqual([]);
    }),
    { numRuns: 25 },
  );
}, 30_000);
