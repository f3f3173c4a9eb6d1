import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DockerExecutor } from '../../../src/worker/docker/executor.ts';
import { aContainerTask, noDependencies } from '../../support/engine-tasks.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const { signal } = new AbortController();

test('the container of a stray is found by its labels, and no other is touched', async () => {
  const clock = new VirtualClock();
  const engine = new FakeEngine({ clock });
  engine.images.add('busybox:latest');
  engine.programs.set('hold', { trapsTerm: true });
  const filesDirectory = join(tmpdir(), 'no-files-of-strays');
  const executor = new DockerExecutor({ engine, clock, log: silentLog, filesDirectory });
  const [stray, other] = [1, 2].map((slot) =>
    aContainerTask({ args: ['hold'] }, { id: `task${slot}`, nodeId: 'node', slot }),
  );
  if (stray === undefined || other === undefined) throw new Error('two tasks were made');
  for (const task of [stray, other]) {
    const controller = executor.controllerOf(task, noDependencies);
    await controller.prepare(signal);
    await controller.start(signal);
  }
  expect(await executor.taskIds('node', signal)).toEqual(['task1', 'task2']);
  await executor.removeStray(stray.id, signal);
  expect(await executor.taskIds('node', signal)).toEqual(['task2']);
  await executor.removeStray('unknown', signal);
});
