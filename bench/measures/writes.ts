import { SystemClock } from '../../src/runtime/index.ts';
import type { Bench, Context } from '../lib/bench.ts';
import type { EngineClient } from '../lib/engine-client.ts';
import { startManagers } from '../lib/hosts.ts';
import { foundSwarm } from '../lib/managers.ts';

const clock = new SystemClock();

/** A process that has written for so long does not get faster by writing more. */
const warmUpMs = 15_000;

/** How many changes are committed in a second: small configs, through the Engine API. */
export const writes: Bench = {
  name: 'writes',
  about: 'writes per second: small configs through the Engine API of the leader',
  contenders: ['swarmd', 'stock'],
  rows: {
    'one of one': { what: 'one manager, one client', unit: '/s', budget: { least: 900 } },
    'eight of one': { what: 'one manager, eight clients', unit: '/s', budget: { least: 3_000 } },
    'one of three': { what: 'three managers, one client', unit: '/s', budget: { least: 400 } },
    'eight of three': {
      what: 'three managers, eight clients',
      unit: '/s',
      budget: { least: 1_500 },
    },
  },
  measure: async (context) => {
    context.tell('one manager');
    const { client } = await foundSwarm(context);
    await measureClients(context, client, 'one');
    context.tell('three managers');
    const { hosts } = await startManagers(context, 3);
    const [leader] = hosts;
    if (leader !== undefined) await measureClients(context, leader.client, 'three');
  },
};

async function measureClients(
  { note, isQuick }: Context,
  client: EngineClient,
  managers: string,
): Promise<void> {
  const forMs = isQuick ? 1_000 : 4_000;
  await writesPerSecond(client, 8, isQuick ? 1_000 : warmUpMs);
  note(`one of ${managers}`, await writesPerSecond(client, 1, forMs));
  note(`eight of ${managers}`, await writesPerSecond(client, 8, forMs));
}

let written = 0;

/** Creates configs for a while, each client one after the other. */
async function writesPerSecond(
  client: EngineClient,
  clients: number,
  forMs: number,
): Promise<number> {
  const begun = clock.monotonic();
  const before = written;
  const write = async (): Promise<void> => {
    while (clock.monotonic() - begun < forMs) {
      written += 1;
      const config = { Name: `write-${written}`, Data: 'YQ==' };
      await client.change('POST', '/configs/create', config);
    }
  };
  await Promise.all(Array.from({ length: clients }, write));
  return ((written - before) * 1_000) / (clock.monotonic() - begun);
}
