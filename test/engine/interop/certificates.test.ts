import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MixedSwarm, mixtures } from '../../support/mixed-swarm.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import type { TaskContainer } from '../../support/swarm.ts';

const shared = sharedEngine();

interface TrustedRoot {
  readonly Description: { readonly TLSInfo: { readonly TrustRoot: string } };
}

// The tests of a swarm go on in it: each begins where the one before it ended.
describe.skipIf(shared === undefined).each(mixtures)(
  'certificates in a swarm of $who',
  (mixture) => {
    let swarm: MixedSwarm;
    let probes = 0;

    /**
     * Has the worker run one thing more: what the manager knew before would prove nothing.
     *
     * @returns all that runs on it
     */
    const obedience = async (): Promise<readonly TaskContainer[]> => {
      probes += 1;
      const name = `probe-${probes}`;
      await swarm.createService(name, '--mode', 'global', '--restart-delay', '0s', 'nginx:1.24');
      await swarm.untilSpread(name, { manager: 1, worker: 1 });
      return swarm.running();
    };

    /** All that ran before, and one more. */
    const oneMoreThan = (before: readonly TaskContainer[]): unknown =>
      expect.toSatisfy(
        (now: readonly TaskContainer[]) =>
          now.length === probes &&
          before.length === probes - 1 &&
          before.every(({ id, startedAt }) =>
            now.some((container) => container.id === id && container.startedAt === startedAt),
          ),
        `one more than ${JSON.stringify(before)}`,
      );

    /** Gives the swarm another root, and waits until every node trusts it. */
    const rotate = async (): Promise<void> => {
      const oldRoot = await swarm.docker('swarm', 'ca');
      const rotated = await swarm.docker('swarm', 'ca', '--rotate');
      const root = await swarm.docker('swarm', 'ca');
      expect(root).not.toBe(oldRoot);
      expect(rotated.endsWith(root)).toBe(true);
      expect(await swarm.docker('node', 'ls', '--format', '{{.Status}} {{.TLSStatus}}')).toBe(
        'Ready Ready\n'.repeat(2),
      );
      const path = `/nodes/${await swarm.workerId()}`;
      const { Description } = await swarm.manager.get<TrustedRoot>(path);
      expect(Description.TLSInfo.TrustRoot.trim()).toBe(root.trim());
    };

    beforeAll(async () => {
      swarm = await MixedSwarm.start(mixture, shared?.dockerHost ?? '', { isRelayed: true });
      await obedience();
    });

    afterAll(async () => {
      await swarm[Symbol.asyncDispose]();
    });

    test('a manager that is killed finds its worker again, and no container of it was touched', async () => {
      const before = await swarm.running();
      await swarm.manager.kill();
      await swarm.manager.start();
      expect(await obedience()).toEqual(oneMoreThan(before));
    });

    test('a rotation of the root renews every certificate, and touches no container', async () => {
      const before = await swarm.running();
      await rotate();
      expect(await obedience()).toEqual(oneMoreThan(before));
    });

    test('a worker that is cut off after its renewal comes back, whether it names its protocol or not', async () => {
      const before = await swarm.running();
      const known = swarm.relay.hellos.length;
      const isStock = swarm.worker === swarm.stock;
      swarm.relay.cut();
      await swarm.manager.until('hear the worker again', async () =>
        swarm.relay.hellos
          .slice(known)
          // A stock agent offers no protocol once its certificate was renewed.
          .some(({ from, alpn }) => from === swarm.workerHost && alpn.includes('h2') !== isStock),
      );
      expect(await obedience()).toEqual(oneMoreThan(before));
    });

    test('a worker that is killed comes back with what it wrote down', async () => {
      const before = await swarm.running();
      await swarm.worker.kill();
      await swarm.worker.start();
      await obedience();
      await swarm.worker.until('run all again', async () => {
        return (await swarm.running()).length === probes;
      });
      // A stock Engine's containers end with it, and are replaced.
      const kept = swarm.worker === swarm.swarmd ? before : [];
      expect(await swarm.running()).toEqual(expect.arrayContaining([...kept]));
    });

    test('another rotation is followed, and what is known of it outlives the manager', async () => {
      const before = await swarm.running();
      await rotate();
      await swarm.manager.kill();
      await swarm.manager.start();
      expect(await obedience()).toEqual(oneMoreThan(before));
      expect(swarm.swarmd.complaints).toEqual([]);
    });
  },
);
