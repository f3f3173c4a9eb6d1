import { mkdtemp, readdir, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { codecOf, type Task } from '../../src/api/index.ts';
import type { ContainerSpecInput, HealthConfigInput, TaskInput } from '../../src/api/gen/types.ts';
import { CryptoRandom, newId, SystemClock } from '../../src/runtime/index.ts';
import { DockerEngine } from '../../src/worker/docker/engine.ts';
import { DockerExecutor } from '../../src/worker/docker/executor.ts';
import {
  type Controller,
  type LogChunk,
  type LogOptions,
  TaskExit,
} from '../../src/worker/execution.ts';
import { aContainerTask, noDependencies } from '../support/engine-tasks.ts';
import { sharedEngine } from '../support/shared-engine.ts';
import { silentLog } from '../support/silent-log.ts';

const shared = sharedEngine();
const { signal } = new AbortController();
const random = new CryptoRandom();

const clock = new SystemClock();

const taskOf = (container: ContainerSpecInput, more: TaskInput = {}): Task =>
  aContainerTask(container, { id: newId(random), ...more });

const shell = (script: string): ContainerSpecInput => ({ command: ['sh', '-c', script] });

async function gathered(controller: Controller, options: Partial<LogOptions>): Promise<LogChunk[]> {
  const all: LogOptions = {
    stdout: true,
    stderr: true,
    follow: false,
    tail: 'all',
    sinceMs: undefined,
  };
  const chunks: LogChunk[] = [];
  for await (const chunk of controller.logs({ ...all, ...options }, signal)) chunks.push(chunk);
  return chunks;
}

/** All that a task writes until it ends, stream by stream. */
async function written(controller: Controller): Promise<string[]> {
  const chunks = await gathered(controller, { follow: true });
  return chunks.map(({ stream, data }) => `${stream} ${data.toString().trimEnd()}`);
}

describe.skipIf(shared === undefined)('tasks on a real Engine', () => {
  const stop = new AbortController();
  const made: Controller[] = [];
  let executor: DockerExecutor;
  let running: Promise<void>;
  let filesDirectory: string;

  const open = (): DockerExecutor => {
    const engine = new DockerEngine({ clock }, shared?.dockerHost);
    return new DockerExecutor({ engine, clock, log: silentLog, filesDirectory });
  };

  beforeAll(async () => {
    filesDirectory = await mkdtemp(join(tmpdir(), 'task-files-'));
    executor = open();
    running = executor.run(stop.signal);
  });

  afterEach(async () => {
    await Promise.all(made.splice(0).map(async (controller) => controller.remove(signal)));
  });

  afterAll(async () => {
    stop.abort();
    await running;
    await rm(filesDirectory, { recursive: true });
  });

  function controllerOf(task: Task, dependencies = noDependencies): Controller {
    const controller = executor.controllerOf(task, dependencies);
    made.push(controller);
    return controller;
  }

  /** A container that was prepared and started. */
  async function started(container: ContainerSpecInput, more?: TaskInput): Promise<Controller> {
    const controller = controllerOf(taskOf(container, more));
    await controller.prepare(signal);
    await controller.start(signal);
    return controller;
  }

  test('the Engine describes a node', async () => {
    const description = await executor.describe(signal);
    expect(description).toMatchObject({ platform: { os: 'linux' } });
    expect(description.engine?.plugins).toContainEqual({ type: 'Volume', name: 'local' });
  });

  test('a task that does its work is complete', async () => {
    const controller = await started(shell('exit 0'));
    await expect(controller.wait(signal)).resolves.toBeUndefined();
    expect((await controller.containerStatus(signal))?.containerId).toMatch(/^[0-9a-f]{64}$/u);
  });

  test('a task that fails tells its exit code', async () => {
    const controller = await started(shell('sleep 0.3; exit 3'));
    await expect(controller.wait(signal)).rejects.toEqual(new TaskExit(3));
  });

  test('a command that does not exist says so in the words of the Engine', async () => {
    const controller = controllerOf(taskOf({ args: ['nosuchcmd'] }));
    await controller.prepare(signal);
    await expect(controller.start(signal)).rejects.toThrow(
      /^starting container failed: .*"nosuchcmd": executable file not found in \$PATH/u,
    );
  });

  test('an image that is nowhere says so', async () => {
    const controller = controllerOf(taskOf({ image: 'nosuchimage:1' }));
    await expect(controller.prepare(signal)).rejects.toThrow(/^No such image: nosuchimage:1$/u);
  });

  test('a bind source that is nowhere says so', async () => {
    const mounts = [{ type: 'BIND' as const, source: '/nosuch', target: '/x' }];
    await expect(controllerOf(taskOf({ mounts })).prepare(signal)).rejects.toThrow(
      /^invalid mount config for type "bind": bind source path does not exist: \/nosuch$/u,
    );
  });

  test('the grace period is kept for a process that ignores its signal', async () => {
    const controller = await started({ args: ['sleep', '1000'] });
    const start = clock.monotonic();
    await controller.shutdown(signal);
    expect(clock.monotonic() - start).toBeGreaterThan(900);
    await expect(controller.wait(signal)).rejects.toEqual(new TaskExit(137));
  });

  test('a stop signal of its own is the one that is sent', async () => {
    const controller = await started({
      ...shell("trap 'exit 7' INT; while :; do sleep 0.05; done"),
      stopSignal: 'SIGINT',
      stopGracePeriod: { seconds: '20' },
    });
    await controller.shutdown(signal);
    expect((await controller.containerStatus(signal))?.exitCode).toBe(7);
  });

  describe('health', () => {
    const second = { seconds: '1' };
    const check = (script: string, retries = 2): HealthConfigInput => ({
      test: ['CMD-SHELL', script],
      interval: { nanos: 200_000_000 },
      timeout: second,
      retries,
    });

    test('a task has started once it is healthy', async () => {
      const controller = await started({
        ...shell("trap 'exit 0' TERM; sleep 0.5; touch /up; while :; do sleep 0.05; done"),
        healthcheck: check('test -e /up', 100), // However slow this machine is.
      });
      expect((await controller.containerStatus(signal))?.pid).toBeGreaterThan(0);
    });

    test('one that never gets healthy fails, even if it then ends well', async () => {
      const task = taskOf({
        ...shell("trap 'exit 0' TERM; while :; do sleep 0.05; done"),
        healthcheck: check('false'),
      });
      const controller = controllerOf(task);
      await controller.prepare(signal);
      const failure = new TaskExit(0, 'dockerexec: unhealthy container');
      await expect(controller.start(signal)).rejects.toEqual(failure);
      // Whoever comes later finds the same.
      await expect(controllerOf(task).wait(signal)).rejects.toEqual(failure);
    });

    test('one that gets unhealthy is stopped', async () => {
      const controller = await started({
        ...shell('touch /up; sleep 1; rm /up; sleep 1000'),
        healthcheck: check('test -e /up'),
      });
      await expect(controller.wait(signal)).rejects.toEqual(
        new TaskExit(137, 'dockerexec: unhealthy container'),
      );
    });

    test('a healthy one that ends well is complete', async () => {
      const controller = await started({
        ...shell('sleep 1; exit 0'),
        healthcheck: check('true'),
      });
      await expect(controller.wait(signal)).resolves.toBeUndefined();
    });
  });

  test('logs tell stream, order and time', async () => {
    const before = clock.now() / 1_000 - 5;
    const controller = await started(
      shell('echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three'),
    );
    expect(await written(controller)).toEqual(['STDOUT one', 'STDERR two', 'STDOUT three']);
    const [last, ...others] = await gathered(controller, { tail: 1 });
    expect(others).toEqual([]);
    expect(last?.data.toString()).toBe('three\n');
    expect(Number(last?.timestamp.seconds)).toBeGreaterThan(before);
    expect(await gathered(controller, { sinceMs: clock.now() + 60_000 })).toEqual([]);
    expect(await gathered(controller, { stdout: false })).toHaveLength(1);
  });

  test('the log of a terminal is read line by line', async () => {
    const controller = await started({ ...shell('echo one; echo two'), tty: true });
    expect(await written(controller)).toEqual(['STDOUT one', 'STDOUT two']);
  });

  test('volumes, tmpfs and bind mounts are there', async () => {
    await using folder = await temporaryFolder();
    const controller = await started({
      ...shell('touch /vol/x && touch /ro/x; df -P /tmp-fs | tail -1 | cut -d" " -f1; ls /vol'),
      mounts: [
        { type: 'VOLUME', source: '', target: '/vol' },
        { type: 'BIND', source: folder.path, target: '/ro', readonly: true },
        { type: 'TMPFS', target: '/tmp-fs', tmpfsOptions: { sizeBytes: '65536', mode: 0o700 } },
      ],
    });
    expect((await written(controller)).toSorted()).toEqual([
      'STDERR touch: /ro/x: Read-only file system',
      'STDOUT tmpfs',
      'STDOUT x',
    ]);
  });

  test('environment, host name, user, limits and a read-only root are as asked', async () => {
    const controller = await started(
      {
        ...shell('echo $A $(hostname) $(id -u); ulimit -n; touch /x'),
        env: ['A={{.Service.Name}}'],
        hostname: 'h-{{.Task.Slot}}',
        user: '1000',
        readOnly: true,
        ulimits: [{ name: 'nofile', soft: '99', hard: '99' }],
      },
      { spec: { resources: { limits: { memoryBytes: String(32 * 2 ** 20) } } } },
    );
    expect((await written(controller)).toSorted()).toEqual([
      'STDERR touch: /x: Read-only file system',
      'STDOUT 99',
      'STDOUT web h-1 1000',
    ]);
  });

  test('secrets and configs are files, read-only, and gone from the host afterwards', async () => {
    const file = { uid: '1', gid: '2', mode: 0o400 };
    const task = taskOf({
      ...shell(
        'stat -c "%n %a %u %g" /run/secrets/pw /etc/app.conf; cat /run/secrets/pw; echo; echo x > /etc/app.conf',
      ),
      readOnly: true,
      secrets: [{ secretId: 's', secretName: 'pw', file: { ...file, name: 'pw' } }],
      configs: [
        { configId: 'c', configName: 'c', file: { ...file, name: '/etc/app.conf', mode: 0o444 } },
      ],
    });
    const controller = controllerOf(task, {
      secret: () => codecOf('Secret').create({ id: 's', spec: { data: Buffer.from('s3cret') } }),
      config: () => codecOf('Config').create({ id: 'c', spec: { data: Buffer.from('conf') } }),
    });
    await controller.prepare(signal);
    await controller.start(signal);
    await expect(controller.wait(signal)).rejects.toThrow(TaskExit);
    expect((await written(controller)).toSorted()).toEqual([
      "STDERR sh: can't create /etc/app.conf: Read-only file system",
      'STDOUT /etc/app.conf 444 1 2',
      'STDOUT /run/secrets/pw 400 1 2',
      'STDOUT s3cret',
    ]);
    expect(await readdir(filesDirectory)).toEqual([]);
  });

  test('a port in host mode is served by the host', async () => {
    const port = { targetPort: 80, publishedPort: 0, publishMode: 'HOST' as const };
    const controller = await started({ image: 'nginx' }, { endpoint: { ports: [port] } });
    const status = await controller.portStatus(signal);
    expect(status?.ports).toHaveLength(1);
    expect(status?.ports[0]).toMatchObject({ targetPort: 80, protocol: 'TCP' });
    const page = await eventually(async () =>
      read(`http://${shared?.address}:${status?.ports[0]?.publishedPort}/`),
    );
    expect(page).toContain('Welcome to nginx');
  });

  test.each(['host', 'none'])('the network %s of the Engine itself is joined', async (name) => {
    const labels = { 'com.docker.swarm.predefined': 'true' };
    const controller = await started(shell('ls /sys/class/net'), {
      networks: [{ network: { id: 'n', spec: { annotations: { name, labels } } } }],
    });
    const interfaces = await written(controller);
    expect(interfaces).toContain('STDOUT lo');
    expect(interfaces.includes('STDOUT docker0')).toBe(name === 'host');
  });

  test('a restarted worker takes over its containers', async () => {
    const task = taskOf(shell('trap "exit 5" TERM; while :; do sleep 0.05; done'));
    const first = controllerOf(task);
    await first.prepare(signal);
    await first.start(signal);
    const before = await first.containerStatus(signal);

    const restarted = open();
    const ended = new AbortController();
    const listening = restarted.run(ended.signal);
    expect(await restarted.taskIds('node1', signal)).toContain(task.id);
    const again = restarted.controllerOf(task, noDependencies);
    await again.prepare(signal);
    await again.start(signal);
    expect(await again.containerStatus(signal)).toEqual(before);
    await again.shutdown(signal);
    await expect(again.wait(signal)).rejects.toEqual(new TaskExit(5));
    ended.abort();
    await listening;
  });

  test('a container removed by hand is a task that failed', async () => {
    const task = taskOf({ args: ['sleep', '1000'] });
    const controller = controllerOf(task);
    await controller.prepare(signal);
    await controller.start(signal);
    const waiting = controller.wait(signal);
    const failure = expect(waiting).rejects.toEqual(new TaskExit(137));
    const engine = new DockerEngine({ clock }, shared?.dockerHost);
    await engine.removeContainer(
      (await controller.containerStatus(signal))?.containerId ?? '',
      signal,
    );
    await failure;
  });

  test('many tasks are waited for over one connection', async () => {
    const controllers = await Promise.all(
      Array.from({ length: 8 }, async (_, code) => started(shell(`sleep 1; exit ${code}`))),
    );
    const ends = controllers.map(async (controller) =>
      controller.wait(signal).catch((error: unknown) => error),
    );
    expect(await Promise.all(ends)).toEqual([
      undefined,
      ...[1, 2, 3, 4, 5, 6, 7].map((code) => new TaskExit(code)),
    ]);
  });
});

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'bind-'));
  return { path, [Symbol.asyncDispose]: async () => rm(path, { recursive: true }) };
}

async function read(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { timeout: 2_000 }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(text));
      })
      .on('error', reject);
  });
}

/** The first answer of a few attempts. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 50) throw error;
      await clock.sleep(100, signal);
    }
  }
}
