import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sharedEngine } from '../support/shared-engine.ts';
import { Swarm } from '../support/swarm.ts';
import type { SwarmDaemon } from '../support/swarm-daemon.ts';

const shared = sharedEngine();

interface JobObject {
  readonly JobStatus?: { readonly JobIteration: { readonly Index?: number } };
  readonly Spec: { readonly Mode: object };
}

describe.skipIf(shared === undefined)('what a job promises', () => {
  const dockerHost = shared?.dockerHost ?? '';
  let swarm: Swarm;
  let manager: SwarmDaemon;

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost, dockerHost]);
    ({ manager } = swarm);
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  const listed = async (...args: readonly string[]): Promise<readonly string[]> => {
    const { stdout } = await manager.docker(['service', ...args]);
    return stdout.trim().split('\n').toSorted();
  };

  test('a replicated job runs so many tasks to their end, a few at a time, and again when it is updated', async () => {
    const args = ['--name', 'job', '--mode', 'replicated-job', '--replicas', '4'];
    const waited = await manager.swarmd(
      'service',
      'create',
      '--no-resolve-image',
      ...args,
      '--max-concurrent',
      '2',
      'busybox',
      'true',
    );
    expect(waited.stderr).toBe('');
    expect(waited.stdout).toMatch(/^job progress: \d out of 4 complete$/mu);
    expect(waited.stdout).toMatch(/^job complete$/mu);
    expect(await listed('ls', '--format', '{{.Name}} {{.Mode}} {{.Replicas}}')).toEqual([
      'job replicated job 0/2 (4/4 completed)',
    ]);
    const tasks = await listed(
      'ps',
      '--format',
      '{{.Name}} {{.DesiredState}} {{.CurrentState}}',
      'job',
    );
    // The first one has number 0: the stock CLI names it by its node, so where it sorts is chance.
    const run = tasks.map((task) => task.replace(/[.][0-9a-z]{25} /u, '.0 ')).toSorted();
    expect(run).toEqual(
      [0, 1, 2, 3].map(
        (slot) => expect.stringMatching(`^job[.]${slot} Complete Complete `) as string,
      ),
    );

    // The stock CLI waits for the second run's end.
    const again = await manager.docker(['service', 'scale', 'job=5']);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toMatch(/^job scaled to 5\n[\s\S]*job complete\n$/u);
    expect(await manager.get<JobObject>('/services/job')).toMatchObject({
      JobStatus: { JobIteration: { Index: 1 } },
      Spec: { Mode: { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 5 } } },
    });
    expect(await listed('ls', '--format', '{{.Replicas}}')).toEqual(['0/2 (5/5 completed)']);
  });

  test('a global job runs once on every node, and on one that comes later', async () => {
    const create = ['service', 'create', '--no-resolve-image', '--name', 'each'];
    const args = [...create, '--mode', 'global-job', 'busybox', 'true'];
    const waited = await manager.docker(args);
    expect(waited).toMatchObject({ code: 0, stderr: '' });
    expect(waited.stdout).toMatch(/^job complete$/mu);
    expect(
      await listed('ls', '--filter', 'name=each', '--format', '{{.Mode}} {{.Replicas}}'),
    ).toEqual(['global job 0/0 (2/2 completed)']);
    await swarm.join(dockerHost);
    await manager.until('run the job on the new node', async () => {
      const [job] = await listed('ls', '--filter', 'name=each', '--format', '{{.Replicas}}');
      return job === '0/0 (3/3 completed)';
    });
  });
});
