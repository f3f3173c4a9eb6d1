import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localClient } from '../../src/api/index.ts';
import { type Connect, KeyStore, Renewal, SecurityConfig } from '../../src/ca/index.ts';
import { renewalTime } from '../../src/ca/renewal.ts';
import { Authority } from '../../src/manager/authority/authority.ts';
import { CryptoRandom, SwarmError } from '../../src/runtime/index.ts';
import { aNode } from '../support/builders.ts';
import { aStore } from '../support/immediate-log.ts';
import { silentLog } from '../support/silent-log.ts';
import { TestSwarm } from '../support/test-swarm.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const hour = 3_600_000;
const random = new CryptoRandom();

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'swarmd-renewal-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

/** A worker with a certificate for 100 hours, its renewal running, and the manager it asks. */
async function setup() {
  const clock = new VirtualClock();
  const swarm = new TestSwarm(clock);
  const store = aStore(clock);
  await store.update((tx) => {
    tx.create('cluster', swarm.cluster());
    tx.create('node', aNode({ id: 'n1', role: 'WORKER' }));
  });
  const authority = new Authority({ store, clock, random, log: silentLog });
  const manager = { asked: 0, isDown: false };
  const connect: Connect = () => {
    manager.asked += 1;
    if (manager.isDown) throw new SwarmError('unavailable', 'connection refused');
    const caller = { kind: 'node', nodeId: 'n1', role: 'swarm-worker', clusterId: 'c' } as const;
    const client = localClient({ CA: authority, NodeCA: authority }, { ...caller, remoteIp: '' });
    return { ...client, [Symbol.dispose]: () => undefined };
  };
  const identity = swarm.identity('swarm-worker', { nodeId: 'n1', expiryMs: 100 * hour });
  const security = new SecurityConfig({ clock }, identity);
  const keyStore = new KeyStore({ directory, random });
  const renewal = new Renewal({ security, keyStore, connect, clock, random, log: silentLog });
  const controller = new AbortController();
  const running = renewal.run(controller.signal).catch(() => undefined);
  const end = async (): Promise<void> => {
    controller.abort();
    await running;
  };
  /** The swarm locks its managers with this key. */
  const lock = async (key: Buffer): Promise<void> =>
    store.update((tx) => {
      const [cluster] = tx.find('cluster');
      if (cluster === undefined) return;
      const ofManagers = { subsystem: 'swarm-manager', algorithm: 'AES_128_GCM' } as const;
      tx.update('cluster', { ...cluster, unlockKeys: [{ ...ofManagers, key, lamportTime: '0' }] });
    });
  const setRole = async (role: 'WORKER' | 'MANAGER'): Promise<void> =>
    store.update((tx) => {
      const node = tx.get('node', 'n1');
      if (node !== undefined) tx.update('node', { ...node, role });
    });
  /** Lets time pass, and the disk keep up. */
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    for (let turns = 0; turns < 200; turns += 1) await turn();
  };
  return { clock, security, renewal, manager, keyStore, lock, setRole, pass, end };
}

describe('the renewal of a certificate', () => {
  test('falls on a whole minute in 50 to 80 % of its life', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.integer({ min: 60_000, max: 1e10 }), (notBefore, life) => {
        const at = renewalTime({ notBefore, notAfter: notBefore + life }, random) - notBefore;
        expect(at % 60_000).toBe(0);
        expect(at).toBeGreaterThanOrEqual(Math.floor(Math.floor(life / 60_000) * 0.5) * 60_000);
        expect(at).toBeLessThanOrEqual(0.8 * life);
      }),
    );
  });

  test('happens then by itself', async () => {
    const { security, manager, pass, end } = await setup();
    const before = security.current.certPem;
    await pass(49 * hour);
    expect(manager.asked).toBe(0);
    await pass(32 * hour);
    await expect.poll(() => security.current.certPem).not.toBe(before);
    expect(manager.asked).toBe(1);
    await end();
  });

  test('happens at once when it is asked for, once for all who ask', async () => {
    const { security, renewal, manager, pass, end } = await setup();
    const before = security.current.certPem;
    renewal.renewNow();
    renewal.renewNow();
    await pass(0);
    await expect.poll(() => security.current.certPem).not.toBe(before);
    await pass(hour);
    expect(manager.asked).toBe(1);
    await end();
  });

  test('goes on until the node has the role it is to have', async () => {
    const { security, renewal, manager, setRole, pass, end } = await setup();
    renewal.renewNow('swarm-manager');
    await pass(0);
    await expect.poll(() => manager.asked).toBe(1);
    expect(security.current.role).toBe('swarm-worker');
    await setRole('MANAGER');
    await expect
      .poll(async () => {
        await pass(100);
        return security.current.role;
      })
      .toBe('swarm-manager');
    const { asked } = manager;
    await pass(10 * hour);
    expect(manager.asked).toBe(asked);
    await end();
  });

  test('is tried again at growing intervals while no manager answers', async () => {
    const { security, renewal, manager, pass, end } = await setup();
    const before = security.current.certPem;
    manager.isDown = true;
    renewal.renewNow();
    await pass(0);
    expect(manager.asked).toBe(1);
    await pass(5_000);
    expect(manager.asked).toBe(2);
    await pass(9_000);
    expect(manager.asked).toBe(2);
    await pass(1_000);
    expect(manager.asked).toBe(3);
    renewal.renewNow();
    await pass(0);
    expect(manager.asked).toBe(3);
    manager.isDown = false;
    await pass(20_000);
    await expect.poll(() => security.current.certPem).not.toBe(before);
    await end();
  });

  test('seals the key of who becomes a manager, keeps it sealed, and opens that of a worker', async () => {
    const { security, renewal, keyStore, lock, setRole, pass, end } = await setup();
    const kek = random.bytes(32);
    await lock(kek);
    const becomes = async (change: () => void): Promise<void> => {
      const before = security.current.certPem;
      change();
      await expect
        .poll(async () => {
          await pass(100);
          return security.current.certPem !== before;
        })
        .toBe(true);
    };
    const onDisk = (): KeyStore => new KeyStore({ directory, random });

    await becomes(() => {
      renewal.renewNow();
    });
    expect(security.current.role).toBe('swarm-worker');
    expect(await onDisk().isLocked()).toBe(false);
    await setRole('MANAGER');
    await becomes(() => {
      renewal.renewNow('swarm-manager');
    });
    expect(await onDisk().isLocked()).toBe(true);
    const secrets = await keyStore.logSecrets();
    await becomes(() => {
      renewal.renewNow();
    });
    const next = onDisk();
    expect(await next.unlock(kek)).toBe(true);
    expect(await next.load()).toMatchObject({ certPem: security.current.certPem });
    expect(await next.logSecrets()).toEqual(secrets);
    await setRole('WORKER');
    await becomes(() => {
      renewal.renewNow('swarm-worker');
    });
    expect(await onDisk().isLocked()).toBe(false);
    await end();
  });
});
