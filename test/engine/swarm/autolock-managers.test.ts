import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sharedEngine } from '../../support/shared-engine.ts';
import { Swarm } from '../../support/swarm.ts';
import type { SwarmDaemon } from '../../support/swarm-daemon.ts';

const shared = sharedEngine();

const keyFileOf = ({ stateDir }: SwarmDaemon): string =>
  readFileSync(join(stateDir, 'certificates', 'swarm-node.key'), 'utf8');
const isSealed = (daemon: SwarmDaemon): boolean =>
  keyFileOf(daemon).includes('BEGIN ENCRYPTED PRIVATE KEY');

test.skipIf(shared === undefined)(
  'every manager of a swarm is locked, and no worker is',
  { timeout: 180_000 },
  async () => {
    const dockerHost = shared?.dockerHost ?? '';
    await using swarm = await Swarm.start([dockerHost]);
    const { manager } = swarm;
    const second = await swarm.join(dockerHost, 'manager');
    await manager.prints('swarm', 'update', '--autolock');
    const key = await manager.prints('swarm', 'unlock-key', '-q');
    await manager.until('be sealed', async () => Promise.resolve(isSealed(manager)));
    await second.until('be sealed', async () => Promise.resolve(isSealed(second)));

    // One that comes later is sealed from the beginning.
    const third = await swarm.join(dockerHost, 'manager');
    expect(isSealed(third)).toBe(true);
    expect(keyFileOf(third)).not.toContain('kek-version: 0\n');
    const worker = await swarm.join(dockerHost);
    expect(isSealed(worker)).toBe(false);

    // One that was away has the key it had, until it has heard of the new one.
    await third.kill();
    await manager.prints('swarm', 'unlock-key', '--rotate', '-q');
    const before = keyFileOf(third);
    third.launch();
    await third.until('be locked', async () => {
      return (await third.info()).LocalNodeState === 'locked';
    });
    const unlocked = await third.run(['swarm', 'unlock'], { input: key });
    expect(unlocked).toMatchObject({ code: 0, stderr: '' });
    await third.until('hear of the new key', async () =>
      Promise.resolve(isSealed(third) && keyFileOf(third) !== before),
    );
    await third.until('have sealed its log with it', async () =>
      Promise.resolve(!/raft-dek-(?:pending|needs-rotation)/u.test(keyFileOf(third))),
    );

    // One that is a worker from now on is locked no more, and has no log to read.
    await manager.prints('node', 'demote', 'node-02');
    await second.until('be a worker', async () =>
      Promise.resolve(!isSealed(second) && !existsSync(join(second.stateDir, 'raft'))),
    );
    expect(keyFileOf(second)).not.toContain('raft-dek');
    expect(swarm.complaints).toEqual([]);
  },
);
