import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { codecOf, type Secret, type Task, taskName } from '../../../src/api/index.ts';
import type { ContainerSpecInput, TaskInput } from '../../../src/api/gen/types.ts';
import { type Controller, TaskExit } from '../../../src/worker/execution.ts';
import { DockerExecutor } from '../../../src/worker/docker/executor.ts';
import { aContainerTask, noDependencies } from '../../support/engine-tasks.ts';
import { FakeEngine } from '../../support/fake-engine.ts';
import { silentLog } from '../../support/silent-log.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const { signal } = new AbortController();
const check = { test: ['CMD', 'true'], retries: 2 };

describe('DockerController', () => {
  let clock: VirtualClock;
  let engine: FakeEngine;
  let executor: DockerExecutor;
  let directory: string;
  let stop: AbortController;
  let running: Promise<void>;

  beforeEach(async () => {
    clock = new VirtualClock();
    engine = new FakeEngine({ clock });
    engine.images.add('busybox:latest');
    engine.programs.set('hold', { trapsTerm: true });
    engine.programs.set('fail', { exitCode: 3 });
    engine.programs.set('done', { exitCode: 0 });
    directory = await mkdtemp(join(tmpdir(), 'task-files-'));
    executor = new DockerExecutor({ engine, clock, log: silentLog, filesDirectory: directory });
    stop = new AbortController();
    running = executor.run(stop.signal);
    await clock.advance(0);
  });

  afterEach(async () => {
    stop.abort();
    await running;
    await rm(directory, { recursive: true });
  });

  /** What becomes of a promise once everything that is due has happened; `waits` as a rule. */
  async function settled(promise: Promise<unknown>): Promise<unknown> {
    let outcome: unknown = 'waits';
    promise.then(
      () => (outcome = 'done'),
      (error: unknown) => (outcome = error),
    );
    await clock.advance(0);
    await clock.advance(0);
    return outcome;
  }

  function given(
    container: ContainerSpecInput,
    more?: TaskInput,
  ): { task: Task; name: string; controller: Controller } {
    const task = aContainerTask(container, more);
    const controller = executor.controllerOf(task, noDependencies);
    return { task, name: taskName(task), controller };
  }

  async function started(
    container: ContainerSpecInput,
    more?: TaskInput,
  ): Promise<{ task: Task; name: string; controller: Controller }> {
    const it = given(container, more);
    await it.controller.prepare(signal);
    await it.controller.start(signal);
    return it;
  }

  test('a task is prepared, starts, and ends with its container', async () => {
    const { controller, name } = await started({ args: ['hold'] });
    const waiting = controller.wait(signal);
    expect(await settled(waiting)).toBe('waits');
    engine.exit(name, 0);
    await expect(waiting).resolves.toBeUndefined();
  });

  test('each wait looks once, and then only when something happened', async () => {
    const { controller, name } = await started({ args: ['hold'] });
    const waiting = controller.wait(signal);
    await settled(waiting);
    const before = engine.inspections;
    await clock.advance(3_600_000);
    expect(engine.inspections).toBe(before);
    engine.exit(name, 7);
    await expect(waiting).rejects.toEqual(new TaskExit(7));
    expect(engine.inspections).toBe(before + 1);
  });

  describe('prepare', () => {
    test('a missing image is told in the words of the Engine', async () => {
      const { controller } = given({ image: 'nosuchimage:1' });
      await expect(controller.prepare(signal)).rejects.toThrow('No such image: nosuchimage:1');
    });

    test('repeated, it pulls once and creates once', async () => {
      const { controller } = given({ args: ['hold'], pullOptions: { registryAuth: 'e30=' } });
      await controller.prepare(signal);
      await controller.prepare(signal);
      expect(engine.pulls).toEqual([{ image: 'busybox:latest', auth: 'e30=' }]);
    });

    test('after a restart the container that is there is taken over, without a pull', async () => {
      const { task } = await started({ args: ['hold'] });
      const pulls = engine.pulls.length;
      const again = executor.controllerOf(task, noDependencies);
      await again.prepare(signal);
      await again.start(signal);
      expect(engine.pulls.length).toBe(pulls);
      expect(await settled(again.wait(signal))).toBe('waits');
    });
  });

  describe('start', () => {
    test('a container that cannot be started says so', async () => {
      engine.programs.set('broken', { startError: 'no such executable' });
      const { controller } = given({ args: ['broken'] });
      await controller.prepare(signal);
      await expect(controller.start(signal)).rejects.toThrow(
        'starting container failed: no such executable',
      );
    });

    test('a container that ran is not started twice', async () => {
      const { task } = await started({ args: ['done'] });
      engine.programs.set('done', { exitCode: 9 });
      const again = executor.controllerOf(task, noDependencies);
      await expect(again.start(signal)).resolves.toBeUndefined();
      await expect(again.wait(signal)).resolves.toBeUndefined();
    });

    test('one that ends at once has started, and then failed', async () => {
      const { task, controller } = await started({ args: ['fail'] });
      await expect(controller.wait(signal)).rejects.toEqual(new TaskExit(3));
      const again = executor.controllerOf(task, noDependencies);
      await expect(again.start(signal)).rejects.toEqual(new TaskExit(3));
    });

    test('with a health check it lasts until that succeeds', async () => {
      const { controller, name } = given({ args: ['hold'], healthcheck: check });
      await controller.prepare(signal);
      const starting = controller.start(signal);
      expect(await settled(starting)).toBe('waits');
      engine.setHealth(name, 'healthy', 0);
      await expect(starting).resolves.toBeUndefined();
    });

    test('a health check that fails ends the task, even if the container then exits with 0', async () => {
      const { controller, name } = given({ args: ['hold'], healthcheck: check });
      await controller.prepare(signal);
      const starting = controller.start(signal);
      await settled(starting);
      engine.setHealth(name, 'unhealthy', 2);
      await expect(starting).rejects.toEqual(new TaskExit(0, 'dockerexec: unhealthy container'));
    });
  });

  describe('wait', () => {
    test('an unhealthy container is stopped, and its task has failed', async () => {
      const { controller, name } = given({ args: ['stubborn'], healthcheck: check });
      await controller.prepare(signal);
      const starting = controller.start(signal);
      await settled(starting);
      engine.setHealth(name, 'healthy', 0);
      await starting;
      const waiting = controller.wait(signal);
      await settled(waiting);
      engine.setHealth(name, 'unhealthy', 2);
      expect(await settled(waiting)).toBe('waits');
      await clock.advance(1_000);
      await expect(waiting).rejects.toEqual(new TaskExit(137, 'dockerexec: unhealthy container'));
    });

    test('a container whose checks ended with it was not unhealthy for that', async () => {
      const { controller, name } = given({ args: ['hold'], healthcheck: check });
      await controller.prepare(signal);
      const starting = controller.start(signal);
      await settled(starting);
      engine.setHealth(name, 'healthy', 0);
      await starting;
      const waiting = controller.wait(signal);
      engine.exit(name, 0);
      await expect(waiting).resolves.toBeUndefined();
    });

    test('a container removed by hand has failed, with the code of its kill', async () => {
      const { controller, name } = await started({ args: ['hold'] });
      const waiting = controller.wait(signal);
      await settled(waiting);
      await engine.removeContainer(name, signal);
      await expect(waiting).rejects.toEqual(new TaskExit(137));
    });

    test('one that was removed while nobody looked is destroyed', async () => {
      const { controller, name } = await started({ args: ['hold'] });
      await engine.removeContainer(name, signal);
      await clock.advance(0);
      await expect(controller.wait(signal)).rejects.toThrow('dockerexec: container destroyed');
    });

    test('what happens in a gap of the events is not missed', async () => {
      const { controller, name } = await started({ args: ['hold'] });
      const waiting = controller.wait(signal);
      await settled(waiting);
      engine.setAway(true);
      await clock.advance(0);
      engine.exit(name, 4);
      await clock.advance(60_000);
      expect(await settled(waiting)).toBe('waits');
      engine.setAway(false);
      await clock.advance(5_000);
      await expect(waiting).rejects.toEqual(new TaskExit(4));
    });

    test('an Engine that is away is a failure that may pass', async () => {
      const { controller } = await started({ args: ['hold'] });
      engine.setAway(true);
      await expect(controller.wait(signal)).rejects.toMatchObject({ code: 'unavailable' });
    });

    test('it ends with its signal', async () => {
      const { controller } = await started({ args: ['hold'] });
      const abort = new AbortController();
      const waiting = controller.wait(abort.signal);
      await settled(waiting);
      const reason = new Error('no longer');
      abort.abort(reason);
      expect(await settled(waiting)).toBe(reason);
    });
  });

  describe('shutdown and remove', () => {
    test('a container that listens is stopped at once', async () => {
      const { controller } = await started({ args: ['hold'] });
      await controller.shutdown(signal);
      expect(await controller.containerStatus(signal)).toMatchObject({ pid: 0, exitCode: 0 });
    });

    test('one that does not is killed after the grace period', async () => {
      const { controller } = await started({ args: ['stubborn'] });
      const stopping = controller.shutdown(signal);
      await clock.advance(999);
      expect(await settled(stopping)).toBe('waits');
      await clock.advance(1);
      await expect(stopping).resolves.toBeUndefined();
      expect((await controller.containerStatus(signal))?.exitCode).toBe(137);
    });

    test('what is not there is no error', async () => {
      const { controller } = given({});
      await controller.shutdown(signal);
      await controller.remove(signal);
      expect(await controller.containerStatus(signal)).toBeUndefined();
      expect(await controller.portStatus(signal)).toBeUndefined();
    });

    test('removal stops the container first', async () => {
      const { controller } = await started({ args: ['hold'] });
      await controller.remove(signal);
      await controller.remove(signal);
      expect(await controller.containerStatus(signal)).toBeUndefined();
    });
  });

  test('a port bound for IPv4 and IPv6 is told once', async () => {
    const ports = [{ targetPort: 80, publishedPort: 8080, publishMode: 'HOST' as const }];
    const { controller } = await started({ args: ['hold'] }, { endpoint: { ports } });
    expect(await controller.portStatus(signal)).toEqual({
      ports: [
        { name: '', protocol: 'TCP', targetPort: 80, publishedPort: 8080, publishMode: 'HOST' },
      ],
    });
  });

  test('logs that are followed wait for the container to start', async () => {
    engine.programs.set('talk', { stdout: 'hello\n', exitCode: 0 });
    const { controller } = given({ args: ['talk'] });
    const options = { stdout: true, stderr: true, tail: 'all', sinceMs: undefined } as const;
    const read = async (follow: boolean): Promise<string[]> => {
      const lines: string[] = [];
      for await (const { data } of controller.logs({ ...options, follow }, signal)) {
        lines.push(data.toString());
      }
      return lines;
    };
    expect(await read(false)).toEqual([]);
    const followed = read(true);
    expect(await settled(followed)).toBe('waits');
    await controller.prepare(signal);
    await controller.start(signal);
    expect(await followed).toEqual(['hello\n']);
  });

  describe('secrets and configs', () => {
    const file = { name: 'pw', uid: '0', gid: '0', mode: 0o440 };
    const spec: ContainerSpecInput = {
      args: ['hold'],
      secrets: [{ secretId: 's1', secretName: 'pw', file, target: 'file' }],
      configs: [
        { configId: 'c1', configName: 'c', file: { ...file, name: '/etc/c.conf' }, target: 'file' },
        { configId: 'c1', configName: 'c', runtime: {}, target: 'runtime' },
      ],
    };
    const secret: Secret = codecOf('Secret').create({
      id: 's1',
      spec: { data: Buffer.from('s3cret') },
    });
    const dependencies = {
      secret: () => secret,
      config: () =>
        codecOf('Config').create({
          id: 'c1',
          spec: {
            data: Buffer.from('{{.Service.Name}} {{secret "pw"}}'),
            templating: { name: 'golang' },
          },
        }),
    };

    test('they are files, mounted read-only, until the task has ended', async () => {
      const task = aContainerTask(spec);
      const controller = executor.controllerOf(task, dependencies);
      await controller.prepare(signal);
      const mounts = engine.bodyOf(taskName(task)).HostConfig.Mounts ?? [];
      expect(mounts).toMatchObject([
        { Type: 'bind', Target: '/run/secrets/pw', ReadOnly: true },
        { Type: 'bind', Target: '/etc/c.conf', ReadOnly: true },
      ]);
      const [secretFile = '', configFile = ''] = mounts.map(({ Source }) => Source);
      expect(await readFile(secretFile, 'utf8')).toBe('s3cret');
      expect(await readFile(configFile, 'utf8')).toBe('web s3cret');
      expect((await stat(secretFile)).mode & 0o7777).toBe(0o440);
      await controller.start(signal);
      await controller.shutdown(signal);
      expect(await readdir(directory)).toEqual([]);
    });

    test('a task that may not have them is not created', async () => {
      const task = aContainerTask(spec);
      const controller = executor.controllerOf(task, noDependencies);
      await expect(controller.prepare(signal)).rejects.toThrow('secret s1 not found');
      expect(await controller.containerStatus(signal)).toBeUndefined();
    });

    test('the ID of a task leads nowhere else', async () => {
      const task = aContainerTask(spec, { id: '../../etc' });
      const controller = executor.controllerOf(task, dependencies);
      await expect(controller.prepare(signal)).rejects.toThrow('invalid task ID');
    });
  });
});
