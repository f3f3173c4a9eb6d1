import { writeSync } from 'node:fs';
import { RaftDriver } from '../../../src/raft/driver.ts';
import { LevelLog } from '../../../src/raft/storage/level-log.ts';
import { CryptoRandom, SystemClock } from '../../../src/runtime/index.ts';
import { ListMachine } from '../../support/list-machine.ts';
import { logKeys } from '../../support/log-keys.ts';
import { aLogIdentity } from '../../support/memory-log-store.ts';
import { silentLog } from '../../support/silent-log.ts';
import { orders } from './orders.ts';

/**
 * A process that writes numbers to a log through the driver, and says each once it is acknowledged.
 * It goes on from the last number it finds, and ends when it is killed.
 */
const { directory } = await orders();
const keys = logKeys('key');
const machine = new ListMachine();
const logStore = (await LevelLog.exists(directory))
  ? await LevelLog.open(directory, keys)
  : await LevelLog.create(directory, aLogIdentity(), keys);
const deps = {
  clock: new SystemClock(),
  random: new CryptoRandom(),
  log: silentLog,
  logStore,
  stateMachine: machine,
  send: () => undefined,
};
const config = { snapshotEntries: 40, keptEntries: 10 };
const driver = logStore.isEmpty
  ? await RaftDriver.found(deps, { addr: 'host:1' }, config)
  : await RaftDriver.open(deps, config);
const running = driver.run(new AbortController().signal);
const watch = driver.watchStatus();
while (!driver.status().isLeader) {
  await watch.changed(new AbortController().signal);
  watch.drain();
}
const isRight = machine.applied.every((number, position) => number === String(position + 1));
let next = machine.applied.length;
writeSync(1, isRight ? `found ${next}\n` : `wrong ${machine.applied.join(',')}\n`);

const writeForEver = async (): Promise<void> => {
  for (;;) {
    next += 1;
    const number = String(next);
    await driver.propose(Buffer.from(number));
    writeSync(1, `acknowledged ${number}\n`);
  }
};
await Promise.all([running, writeForEver(), writeForEver(), writeForEver()]);
