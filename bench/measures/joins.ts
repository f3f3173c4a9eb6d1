import type { Bench, Context } from '../lib/bench.ts';
import { initOn, join, nodeOf, serves, startHosts } from '../lib/hosts.ts';
import { SystemClock } from '../../src/runtime/index.ts';
import { until } from '../lib/services.ts';

const clock = new SystemClock();

/** How long a node takes to be of use: daemons that run already, on hosts of their own. */
export const joins: Bench = {
  name: 'joins',
  about: 'a node joins: from the request to its daemon',
  contenders: ['swarmd', 'stock'],
  rows: {
    worker: { what: 'a worker, until it is Ready', unit: 's', budget: { most: 0.1 } },
    promoted: { what: 'a worker is promoted, until it serves', unit: 's', budget: { most: 0.3 } },
    manager: { what: 'a manager, until it serves', unit: 's', budget: { most: 0.3 } },
  },
  measure,
};

async function measure(context: Context): Promise<void> {
  const { note, signal } = context;
  const { hosts } = await startHosts(context, 3);
  const [first, second, third] = hosts;
  if (first === undefined || second === undefined || third === undefined) return;
  await initOn(first);
  const often = { everyMs: 5, signal };

  let begun = clock.monotonic();
  const took = (): number => (clock.monotonic() - begun) / 1_000;
  await join(second, first, 'Worker');
  const isReady = async (): Promise<boolean> =>
    (await nodeOf(first.client, second))?.Status.State === 'ready';
  await until('the worker is ready', isReady, often);
  note('worker', took());

  const node = await nodeOf(first.client, second);
  if (node === undefined) throw new Error('the worker is no node');
  begun = clock.monotonic();
  const path = `/nodes/${node.ID}/update?version=${node.Version.Index}`;
  await first.client.change('POST', path, { ...node.Spec, Role: 'manager' });
  await until('the promoted one serves', async () => serves(second), often);
  note('promoted', took());

  begun = clock.monotonic();
  await join(third, first, 'Manager');
  await until('the manager serves', async () => serves(third), often);
  note('manager', took());
}
