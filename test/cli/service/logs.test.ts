import { describe, expect, test } from 'vitest';
import { runInProcess, startOfTests } from '../../support/cli.ts';
import { FakeDaemon, refusal } from '../../support/fake-daemon.ts';

/** A line of a multiplexed stream: 1 is standard output, 2 standard error, 3 the daemon itself. */
function frame(stream: 1 | 2 | 3, text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(body.length, 4);
  return Buffer.concat([head, body]);
}

const label = 'com.docker.swarm.';
const details = (task: string): string =>
  `${label}node.id=node1,${label}service.id=service1,${label}task.id=${task}`;

async function logs(words: readonly string[], frames: readonly Buffer[], container: object = {}) {
  await using daemon = await FakeDaemon.start();
  const service = {
    ID: 'service1',
    Spec: {
      Name: 'web',
      TaskTemplate: { ContainerSpec: container },
      Mode: { Replicated: { Replicas: 10 } },
    },
  };
  const task = { ID: 'task1task1task1task1', Slot: 2, Spec: { ContainerSpec: container } };
  daemon
    .on('GET /services/web', service)
    .on('GET /services', [service])
    .on('GET /nodes', [{ ID: 'node1', Spec: {}, Description: { Hostname: 'node-01' } }])
    .on('GET /tasks/task1task1task1task1', task)
    .on('GET /services/service1/logs', Buffer.concat(frames))
    .on('GET /tasks/task1task1task1task1/logs', Buffer.concat(frames));
  const ran = await runInProcess(['service', 'logs', ...words], daemon);
  const asked = daemon.asked.filter(({ path }) => path.endsWith('/logs'));
  return { ...ran, path: asked[0]?.path, query: asked[0]?.query };
}

const task = 'task1task1task1task1';
const hello = frame(1, `${details(task)} hello world\n`);

describe('service logs', () => {
  test('puts before each line which task on which node it is of', async () => {
    const { out, err, query } = await logs(['web'], [hello, frame(2, `${details(task)} oh\n`)]);
    expect(out).toBe('web.2.task1task1ta@node-01     | hello world\n');
    expect(err).toBe('web.2.task1task1ta@node-01     | oh\n');
    expect(query).toEqual({
      stdout: '1',
      stderr: '1',
      follow: '0',
      timestamps: '0',
      tail: 'all',
      details: '1',
    });
  });

  test.each([
    ['--no-trunc', `web.2.${task}@node-01     | hello world\n`],
    ['--no-task-ids', 'web.2@node-01     | hello world\n'],
    ['--no-resolve', `service1.2.task1task1ta@node1     | hello world\n`],
  ])('%s', async (flag, line) => {
    expect((await logs([flag, 'web'], [hello])).out).toBe(line);
  });

  test('shows moments and details where it is asked to', async () => {
    const line = frame(1, `2026-11-22T18:00:00Z ${details(task)},a%3Db=c%2Cd hello\n`);
    const { out, query } = await logs(['-t', '--details', 'web'], [line]);
    expect(out).toBe('2026-11-22T18:00:00Z web.2.task1task1ta@node-01     | a=b=c,d hello\n');
    expect(query).toMatchObject({ timestamps: '1', details: '1' });
  });

  test('leave room for details that a line does not have', async () => {
    const { out } = await logs(['--details', 'web'], [hello]);
    expect(out).toBe('web.2.task1task1ta@node-01     |  hello world\n');
  });

  test('--raw shows what the tasks wrote', async () => {
    const { out, query } = await logs(['--raw', 'web'], [frame(1, 'hello\n')]);
    expect(out).toBe('hello\n');
    expect(query).toMatchObject({ details: '0' });
  });

  test('of one task are asked of the task', async () => {
    const { out, path } = await logs([task], [hello]);
    expect(path).toBe(`/tasks/${task}/logs`);
    expect(out).toContain('| hello world\n');
  });

  test('go back as far as they are told to', async () => {
    const ago = await logs(['--since', '1m', '-n', '5', 'web'], []);
    expect(ago.query).toMatchObject({ tail: '5', since: String(startOfTests / 1_000 - 60) });
    const at = await logs(['--since', '2026-11-22T18:00:00Z', 'web'], []);
    expect(at.query).toMatchObject({ since: '1795370400' });
    expect((await logs(['--since', 'then', 'web'], [])).exitCode).toBe(125);
  });

  test('that break off say why, and fail', async () => {
    const frames = [hello, frame(3, 'Error grabbing logs: node1 is not available\n')];
    const { out, err, exitCode } = await logs(['web'], frames);
    expect(out).toContain('hello world');
    expect({ err, exitCode }).toEqual({
      err: 'Error grabbing logs: node1 is not available\n',
      exitCode: 1,
    });
  });

  test('of what has a terminal come raw only', async () => {
    const { exitCode, err } = await logs(['web'], [], { TTY: true });
    expect({ exitCode, err }).toEqual({
      exitCode: 1,
      err: 'tty service logs only supported with --raw\n',
    });
    const raw = await logs(['--raw', 'web'], [Buffer.from('as it\r\nis')], { TTY: true });
    expect(raw.out).toBe('as it\r\nis');
  });

  test('that the daemon refuses fail with its words', async () => {
    await using daemon = await FakeDaemon.start();
    daemon
      .on('GET /services/web', { ID: 'service1', Spec: { TaskTemplate: { ContainerSpec: {} } } })
      .on('GET /services/service1/logs', refusal(400, 'tail value must be a number '));
    const ran = await runInProcess(['service', 'logs', '--tail', 'x', 'web'], daemon);
    expect(ran).toEqual({
      exitCode: 1,
      out: '',
      err: 'Error response from daemon: tail value must be a number\n',
    });
  });

  test('of nothing fail', async () => {
    expect(await logs(['nosuch'], [])).toMatchObject({
      exitCode: 1,
      err: 'no such task or service: nosuch\n',
    });
  });
});
