import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SystemClock } from '../../src/runtime/index.ts';
import { type DockerDaemon, startDockerDaemon } from '../support/docker-daemon.ts';
import { runCommand } from '../support/run-command.ts';
import { jsonSpecs, type JsonSpec, type Names } from '../support/service-specs.ts';
import { sharedEngine } from '../support/shared-engine.ts';
import { Swarm } from '../support/swarm.ts';

/** A task, as far as this looks at it. Engine API 1.47 `Task` */
interface ListedTask {
  readonly ID: string;
  readonly NodeID?: string;
  readonly Status: { readonly State: string; readonly Message?: string; readonly Err?: string };
}

const shared = sharedEngine();
const clock = new SystemClock();
const { signal: never } = new AbortController();

/** Whether no agent has said anything of a task yet. */
const isWaiting = ({ Status }: ListedTask): boolean =>
  ['new', 'pending', 'assigned'].includes(Status.State);

/** Whether an agent has: what the manager says itself is not the Engine's answer. */
const isAnswered = (task: ListedTask): boolean =>
  !isWaiting(task) &&
  (task.NodeID ?? '') !== '' &&
  !(task.Status.Message ?? '').includes('dispatcher');

const hasNoPlace = ({ Status }: ListedTask): boolean =>
  /no suitable node|missing plugin|insufficient resources/u.test(Status.Err ?? '');

/** So many different tasks the Engine is given. */
const wanted = Number(process.env['GENERATED_TASKS'] ?? 1_000);
const seed = Number(process.env['GENERATED_TASKS_SEED'] ?? 1);
const servicesAtOnce = 30;
/** A batch whose tasks are not all taken by then goes, too. */
const batchMs = 8_000;

describe.skipIf(shared === undefined)('a stock Engine that is given generated tasks', () => {
  let engine: DockerDaemon;
  let swarm: Swarm;
  let names: Names;
  /** IDs of tasks that the Engine has said something of. */
  const taken = new Set<string>();

  const onEngine = async (...args: readonly string[]) =>
    runCommand('docker', ['-H', engine.dockerHost, ...args], {
      env: { PATH: process.env['PATH'], HOME: '/nonexistent' },
    });

  /** The ID of an object that is made. */
  const create = async (path: string, body: JsonSpec): Promise<string | undefined> => {
    const answer = await swarm.manager.ask(`${path}/create`, { method: 'POST', body });
    expect(answer.status).toBeLessThan(500);
    const { ID } = answer.body as { readonly ID?: string };
    return ID;
  };

  const isReady = async (): Promise<boolean> => {
    const nodes = await swarm.nodes();
    return nodes.filter(({ Status }) => Status.State === 'ready').length === 2;
  };

  /** Whether the Engine has taken every task that has a node; notes those it has. */
  async function isTaken(): Promise<boolean> {
    const tasks = await swarm.manager.get<readonly ListedTask[]>('/tasks');
    for (const task of tasks) {
      if (isAnswered(task)) taken.add(task.ID);
    }
    return tasks.length > 0 && !tasks.some((task) => isWaiting(task) && !hasNoPlace(task));
  }

  /** Has services with these specs for a while. */
  async function give(specs: readonly JsonSpec[], first: number): Promise<number> {
    const made: string[] = [];
    for (const [index, spec] of specs.entries()) {
      const ID = await create('/services', { ...spec, Name: `s${first + index}` });
      if (ID !== undefined) made.push(ID);
    }
    const deadline = clock.monotonic() + batchMs;
    while (!(await isTaken()) && clock.monotonic() < deadline) await clock.sleep(100, never);
    for (const id of made) await swarm.manager.ask(`/services/${id}`, { method: 'DELETE' });
    return made.length;
  }

  beforeAll(async () => {
    engine = await startDockerDaemon({ images: ['hold:latest'] });
    swarm = await Swarm.start([shared?.dockerHost ?? ''], { host: engine.machineAddress });
    const { manager } = swarm;
    await manager.prints('node', 'update', '--availability', 'drain', 'node-01');
    await onEngine('swarm', 'join', '--token', await swarm.token(), manager.address);
    await manager.until('call the Engine ready', isReady);
    const Data = Buffer.from('data').toString('base64');
    const made = async (path: string, Name: string) =>
      [(await create(path, { Name, Data })) ?? '', Name] as const;
    names = {
      secrets: [await made('/secrets', 'pw'), await made('/secrets', 'key')],
      configs: [await made('/configs', 'conf')],
      networks: ['bridge', 'host', 'none'],
      // Few that it has: to run them takes it longer than to look at them.
      images: [
        ...['a', 'b', 'c', 'd'].map((digit) => `nosuch@sha256:${digit.repeat(64)}`),
        'nosuch:1',
        'nosuch:2',
        'user/nosuch',
        'hold:latest',
      ],
    };
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
    await engine.stop();
  });

  test(
    `lives on after ${wanted} of them (seed ${seed})`,
    { timeout: 300_000 + wanted * 200 },
    async () => {
      const { pid } = engine;
      const services = { asked: 0, made: 0 };
      for (let batch = 0; taken.size < wanted; batch += 1) {
        const arbitrary = jsonSpecs(names, { replicas: 6 });
        const specs = fc.sample(arbitrary, { numRuns: servicesAtOnce, seed: seed + batch });
        services.made += await give(specs, services.asked);
        services.asked += specs.length;
      }
      // Most specs are accepted: otherwise few of their parts are seen.
      expect(services.made).toBeGreaterThan(services.asked / 2);
      expect((await onEngine('info', '--format', '{{.Swarm.LocalNodeState}}')).stdout).toBe(
        'active\n',
      );
      expect(pid === undefined ? undefined : process.kill(pid, 0)).toBe(true);
      expect(await isReady()).toBe(true);
      expect(readFileSync(engine.log, 'utf8')).not.toMatch(/^panic|goroutine \d+ \[/mu);
      process.stderr.write(
        `the Engine took ${taken.size} tasks of ${services.made} services; ${services.asked - services.made} were refused\n`,
      );
    },
  );

  test('comes back when it is started anew with such tasks on its disk', async () => {
    const specs = fc.sample(jsonSpecs(names, { replicas: 3 }), { numRuns: 10, seed });
    for (const [index, spec] of specs.entries()) {
      await create('/services', { ...spec, Name: `last${index}` });
    }
    await swarm.manager.until('have them taken', isTaken).catch(() => undefined);
    await engine.kill();
    await engine.start();
    await swarm.manager.until('call the Engine ready', isReady);
    expect(readFileSync(engine.log, 'utf8')).not.toMatch(/^panic|goroutine \d+ \[/mu);
  });
});
