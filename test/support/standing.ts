import type { ManagerApi } from './service-tasks.ts';
import type { NodeObject } from './swarm.ts';

/** What a test looks at of a node. */
type StandingOf = (node: NodeObject) => string;

/** How the nodes stand, by their names, as a daemon tells it. */
export async function standings(
  daemon: ManagerApi,
  standingOf: StandingOf,
): Promise<Readonly<Record<string, string>>> {
  const nodes = await daemon.get<readonly NodeObject[]>('/nodes');
  return Object.fromEntries(nodes.map((node) => [node.Description.Hostname, standingOf(node)]));
}

/** Waits until a daemon tells of these nodes what a test wants to hear. */
export async function untilStanding(
  daemon: ManagerApi,
  standingOf: StandingOf,
  wanted: Readonly<Record<string, string>>,
): Promise<void> {
  let seen: Readonly<Record<string, string>> = {};
  await daemon
    .until('see the nodes as they are to be', async () => {
      seen = await standings(daemon, standingOf);
      return Object.entries(wanted).every(([name, standing]) => seen[name] === standing);
    })
    .catch((error: unknown) => {
      throw new Error(`saw ${JSON.stringify(seen)} and not ${JSON.stringify(wanted)}`, {
        cause: error,
      });
    });
}
