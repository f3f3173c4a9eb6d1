import { describe, expect, test } from 'vitest';
import { SystemClock } from '../../src/runtime/index.ts';
import { DockerEngine } from '../../src/worker/docker/engine.ts';
import { sharedEngine } from '../support/shared-engine.ts';
import { startTinyRegistry } from '../support/tiny-registry.ts';

const shared = sharedEngine();
const { signal } = new AbortController();

describe.skipIf(shared === undefined)('a pull from a registry', () => {
  const engine = new DockerEngine({ clock: new SystemClock() }, shared?.dockerHost);

  const pulled = async (image: string, auth?: string): Promise<string[]> => {
    const statuses: string[] = [];
    for await (const { status } of engine.pullImage(image, auth, signal))
      statuses.push(status ?? '');
    return statuses;
  };

  test('it takes the right credentials, and tells how it goes', async () => {
    await using registry = await startTinyRegistry();
    const image = `${shared?.registryHost}:${registry.port}/app:1`;
    await expect(pulled(image)).rejects.toThrow(/^Head .*: no basic auth credentials$/u);
    expect(await engine.hasImage(image, signal)).toBe(false);
    const statuses = await pulled(image, registry.auth);
    expect(statuses).toContain('Pulling from app');
    expect(statuses).toContain('Pull complete');
    expect(await engine.hasImage(image, signal)).toBe(true);
  });

  test('a tag that is not there is an error', async () => {
    await using registry = await startTinyRegistry();
    const image = `${shared?.registryHost}:${registry.port}/app:2`;
    await expect(pulled(image, registry.auth)).rejects.toThrow(/manifest unknown/u);
  });
});
