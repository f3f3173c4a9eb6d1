import { beforeEach, describe, expect, test } from 'vitest';
import { imageDefaults, Images } from '../../../src/worker/docker/images.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const { signal } = new AbortController();
const digest = `sha256:${'b'.repeat(64)}`;

describe('Images', () => {
  let clock: VirtualClock;
  let engine: FakeEngine;
  let images: Images;

  beforeEach(() => {
    clock = new VirtualClock();
    engine = new FakeEngine({ clock });
    images = new Images({ engine, clock, log: silentLog });
  });

  /** How long it takes to obtain an image, in seconds. */
  async function timeOf(image: string): Promise<number> {
    const start = clock.monotonic();
    const obtained = images.obtain(image, undefined, signal).then(() => clock.monotonic());
    await clock.advance(60_000);
    return Math.floor(((await obtained) - start) / 1_000);
  }

  test('an image that is here is pulled all the same: its tag may have moved on', async () => {
    engine.images.add('nginx:latest');
    engine.registry = 'gives';
    await timeOf('nginx:latest');
    await timeOf('nginx:latest');
    expect(engine.pulls).toHaveLength(2);
  });

  test('an image named by its ID is never pulled, nor one by a digest that is here', async () => {
    engine.images.add(`nginx@${digest}`);
    await timeOf(digest);
    await timeOf(`nginx@${digest}`);
    expect(engine.pulls).toEqual([]);
    await timeOf(`redis@${digest}`);
    expect(engine.pulls).toHaveLength(1);
  });

  test('a pull that fails is no error, whether or not the image is here', async () => {
    await expect(images.obtain('nginx:latest', undefined, signal)).resolves.toBeUndefined();
    engine.images.add('nginx:latest');
    await expect(images.obtain('nginx:latest', undefined, signal)).resolves.toBeUndefined();
  });

  test('a silent registry costs little where the image is here, and the next task nothing', async () => {
    engine.images.add('nginx:latest');
    engine.registry = 'is silent';
    const first = images.obtain('nginx:latest', undefined, signal);
    await clock.advance(imageDefaults.patienceMs);
    await first;
    await images.obtain('nginx:latest', undefined, signal);
    expect(engine.pulls).toHaveLength(1);
    await clock.advance(imageDefaults.retryMs);
    expect(await timeOf('nginx:latest')).toBe(imageDefaults.patienceMs / 1_000);
    expect(engine.pulls).toHaveLength(2);
  });

  test('a registry that has answered may take its time', async () => {
    engine.images.add('nginx:latest');
    engine.registry = 'gives';
    expect(await timeOf('nginx:latest')).toBe(10);
  });

  test('tasks of one image share a pull', async () => {
    engine.registry = 'gives';
    const all = Promise.all(
      Array.from({ length: 100 }, async () =>
        images.obtain('nginx:latest', undefined, new AbortController().signal),
      ),
    );
    await clock.advance(20_000);
    await all;
    expect(engine.pulls).toHaveLength(1);
  });

  test('whoever gives up leaves the pull to the others; the last one ends it', async () => {
    engine.registry = 'gives';
    const [first, second] = [new AbortController(), new AbortController()];
    const one = images.obtain('nginx:latest', undefined, first.signal);
    const two = images.obtain('nginx:latest', undefined, second.signal);
    await clock.advance(0);
    const reason = new Error('task is gone');
    const gone = expect(one).rejects.toBe(reason);
    first.abort(reason);
    await gone;
    await clock.advance(20_000);
    await two;
    expect(engine.images.has('nginx:latest')).toBe(true);

    const third = new AbortController();
    const three = images.obtain('redis:latest', undefined, third.signal);
    await clock.advance(0);
    const ended = expect(three).rejects.toBe(reason);
    third.abort(reason);
    await ended;
    await clock.advance(20_000);
    expect(engine.images.has('redis:latest')).toBe(false);
  });

  test('who prefers local images asks no registry for one that is here', async () => {
    const settings = { ...imageDefaults, prefersLocal: true };
    images = new Images({ engine, clock, log: silentLog }, settings);
    engine.images.add('nginx:latest');
    await timeOf('nginx:latest');
    expect(engine.pulls).toEqual([]);
  });
});
