import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isSwarmError, SystemClock } from '../../src/runtime/index.ts';
import { DockerEngine } from '../../src/worker/docker/engine.ts';
import { DockerExecutor } from '../../src/worker/docker/executor.ts';
import { type Controller, TaskExit } from '../../src/worker/execution.ts';
import { type DockerDaemon, startDockerDaemon } from '../support/docker-daemon.ts';
import { aContainerTask, noDependencies } from '../support/engine-tasks.ts';
import { sharedEngine } from '../support/shared-engine.ts';
import { silentLog } from '../support/silent-log.ts';

const { signal } = new AbortController();
const clock = new SystemClock();

/** The end of a task, for which an Engine that is away is waited for, as an agent does. */
async function endOf(controller: Controller): Promise<unknown> {
  for (;;) {
    const end = await controller.wait(signal).catch((error: unknown) => error);
    if (!isSwarmError(end, 'unavailable')) return end;
    await clock.sleep(200, signal);
  }
}

// An Engine of its own: it is killed.
describe.skipIf(sharedEngine() === undefined)('an Engine that is killed and restarted', () => {
  const stop = new AbortController();
  let daemon: DockerDaemon;
  let executor: DockerExecutor;
  let running: Promise<void>;

  beforeAll(async () => {
    daemon = await startDockerDaemon({ args: ['--live-restore'], images: ['busybox:latest'] });
    const engine = new DockerEngine({ clock }, daemon.dockerHost);
    const filesDirectory = join(tmpdir(), 'no-files');
    executor = new DockerExecutor({ engine, clock, log: silentLog, filesDirectory });
    running = executor.run(stop.signal);
  });

  afterAll(async () => {
    stop.abort();
    await running;
    await daemon.stop();
  });

  test('its tasks go on, and what they do next is noticed', async () => {
    const task = aContainerTask({ args: ['sleep', '1000'] }, { id: 'survivor' });
    const short = aContainerTask({ command: ['sh', '-c', 'sleep 3; exit 4'] }, { id: 'short' });
    const controllers = [task, short].map((each) => executor.controllerOf(each, noDependencies));
    const [survivor, ended] = controllers;
    if (survivor === undefined || ended === undefined) throw new Error('two controllers were made');
    for (const controller of controllers) {
      await controller.prepare(signal);
      await controller.start(signal);
    }
    const before = await survivor.containerStatus(signal);
    const end = endOf(survivor);
    const outcome = endOf(ended);

    await daemon.kill();
    await expect(executor.describe(signal)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(survivor.containerStatus(signal)).rejects.toMatchObject({ code: 'unavailable' });
    await clock.sleep(3_500, signal);
    await daemon.start();

    expect(await outcome).toEqual(new TaskExit(4));
    expect(await survivor.containerStatus(signal)).toEqual(before);
    await survivor.shutdown(signal);
    expect(await end).toEqual(new TaskExit(137));
  });
});
