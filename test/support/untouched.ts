import { expect } from 'vitest';
import type { Swarm, TaskContainer } from './swarm.ts';
import type { SwarmDaemon } from './swarm-daemon.ts';

/** Nodes have the containers that they had, started when they were. */
export async function expectUntouched(
  swarm: Swarm,
  before: readonly TaskContainer[],
  of: readonly SwarmDaemon[],
): Promise<void> {
  const names = new Set(of.map(({ hostname }) => hostname));
  const own = before.filter(({ nodeId }) => names.has(swarm.hostnameOf(nodeId)));
  expect(own).not.toEqual([]);
  expect(await swarm.containers(...of)).toEqual(expect.arrayContaining([...own]));
}
