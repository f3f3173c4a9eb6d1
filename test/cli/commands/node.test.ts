import { describe, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { FakeDaemon } from '../../support/fake-daemon.ts';

const node = {
  ID: 'node1',
  Version: { Index: 9 },
  Spec: { Labels: { zone: 'a', disk: 'ssd' }, Role: 'worker', Availability: 'active' },
};

async function run(...words: readonly string[]) {
  await using daemon = await FakeDaemon.start();
  daemon.on('GET /nodes/node-01', node).on('POST /nodes/node1/update', {});
  const ran = await runInProcess(['node', ...words], daemon);
  return { ...ran, query: daemon.sent('POST')[0]?.query, body: daemon.sent('POST')[0]?.body };
}

describe('node update', () => {
  test('changes what is said, in the version that was read', async () => {
    const ran = await run(
      ...'update --label-add zone=b --label-add x=y=z --label-rm disk'.split(' '),
      ...'--availability Drain --role manager node-01'.split(' '),
    );
    expect(ran).toEqual({
      exitCode: 0,
      out: 'node-01\n',
      err: '',
      query: { version: '9' },
      body: { Labels: { zone: 'b', x: 'y=z' }, Role: 'manager', Availability: 'drain' },
    });
  });

  test('leaves it to the manager to judge an availability', async () => {
    const { body } = await run('update', '--availability', 'sleeping', 'node-01');
    expect(body).toMatchObject({ Availability: 'sleeping' });
  });

  test.each([
    ['--label-rm nosuch', 1, "key nosuch doesn't exist in node's labels\n"],
    ['--label-add =x', 125, 'invalid argument "" for "--label-add" flag: a label needs a key\n'],
  ])('%s is refused', async (words, exitCode, message) => {
    const ran = await run('update', ...words.split(' '), 'node-01');
    expect(ran).toMatchObject({ exitCode, body: undefined });
    expect(ran.err).toContain(message);
  });
});

describe('node promote and demote', () => {
  test('change the role', async () => {
    const { body, out } = await run('promote', 'node-01');
    expect(body).toEqual({ ...node.Spec, Role: 'manager' });
    expect(out).toBe('Node node-01 promoted to a manager in the swarm.\n');
  });

  test('do nothing to a node that has the role', async () => {
    const { body, out, exitCode } = await run('demote', 'node-01');
    expect({ body, out, exitCode }).toEqual({
      body: undefined,
      out: 'Node node1 is already a worker.\n',
      exitCode: 0,
    });
  });

  test('stop at a node that is not there', async () => {
    const { err, exitCode, body } = await run('promote', 'nosuch', 'node-01');
    expect({ err, exitCode, body }).toEqual({
      err: 'Error response from daemon: node nosuch not found\n',
      exitCode: 1,
      body: undefined,
    });
  });
});
