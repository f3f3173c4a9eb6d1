import { describe, expect, test } from 'vitest';
import { runInProcess, startOfTests } from '../../support/cli.ts';
import { FakeDaemon, refusal } from '../../support/fake-daemon.ts';

const ago = (seconds: number): string => new Date(startOfTests - seconds * 1_000).toISOString();

const payload = (ID: string, Name: string, seconds: number, more: object = {}) => ({
  ID,
  CreatedAt: ago(seconds),
  UpdatedAt: ago(0),
  Spec: { Name, Labels: {}, ...more },
});

const secrets = [
  payload('czkn0svz7x9a78zyy39qb1uzg', 'pw10', 7_200),
  payload('sgl543c1bx2wt3kmtmt4nhlvo', 'pw2', 2, {
    Labels: { 'com.example.zone-name': 'a', b: '' },
    Driver: { Name: 'vault' },
  }),
];
const configs = [payload('mgillzb5xjwdf7vy7chnx70jf', 'conf', 90, { Data: 'eA==' })];

async function run(...words: readonly string[]) {
  await using daemon = await FakeDaemon.start();
  daemon
    .on('GET /secrets', secrets)
    .on('GET /configs', configs)
    .on('DELETE /secrets/pw2', {})
    .on('DELETE /secrets/czkn0', {})
    .on(
      'DELETE /configs/conf',
      refusal(400, "config 'conf' is in use by the following service: app"),
    );
  const ran = await runInProcess(words, daemon);
  return { ...ran, asked: daemon.asked };
}

describe('secret ls and config ls', () => {
  test('show payloads by name, with their whole IDs and ages', async () => {
    expect((await run('secret', 'ls')).out.split('\n')).toEqual([
      'ID                          NAME      DRIVER    CREATED         UPDATED',
      'sgl543c1bx2wt3kmtmt4nhlvo   pw2       vault     2 seconds ago   Less than a second ago',
      'czkn0svz7x9a78zyy39qb1uzg   pw10                2 hours ago     Less than a second ago',
      '',
    ]);
    expect((await run('config', 'list')).out.split('\n')).toEqual([
      'ID                          NAME      CREATED              UPDATED',
      'mgillzb5xjwdf7vy7chnx70jf   conf      About a minute ago   Less than a second ago',
      '',
    ]);
  });

  test('--quiet shows IDs', async () => {
    expect((await run('secret', 'ls', '-q')).out).toBe(
      'sgl543c1bx2wt3kmtmt4nhlvo\nczkn0svz7x9a78zyy39qb1uzg\n',
    );
  });

  test('--format json has labels in one text', async () => {
    expect((await run('secret', 'ls', '--format', 'json')).out.split('\n')[0]).toBe(
      '{"CreatedAt":"2 seconds ago","Driver":"vault","ID":"sgl543c1bx2wt3kmtmt4nhlvo","Labels":"b=,com.example.zone-name=a","Name":"pw2","UpdatedAt":"Less than a second ago"}',
    );
    expect((await run('config', 'ls', '--format', 'json')).out).not.toContain('Driver');
  });

  test('--format takes a single label by its key, and its last word for a header', async () => {
    const format = 'table {{.Name}}\\t{{.Label "com.example.zone-name"}}';
    expect((await run('secret', 'ls', '--format', format)).out).toBe(
      'NAME      zone name\npw2       a\npw10      \n',
    );
  });

  test('--format knows no field that docker does not know', async () => {
    const { exitCode, err } = await run('config', 'ls', '--format', '{{.Driver}}');
    expect({ exitCode, err }).toEqual({
      exitCode: 1,
      err: "template: can't evaluate field Driver\n",
    });
  });

  test('--filter is for the daemon to apply', async () => {
    const { asked } = await run('config', 'ls', '-f', 'label=a=b', '-f', 'name=c', '-f', 'id=m');
    expect(JSON.parse(asked[0]?.query['filters'] ?? '')).toEqual({
      label: { 'a=b': true },
      name: { c: true },
      id: { m: true },
    });
  });
});

describe('secret rm and config rm', () => {
  test('go on past what is not there, and repeat each name as it was given', async () => {
    const { out, err, exitCode } = await run('secret', 'rm', 'nosuch', 'pw2', '', 'czkn0');
    expect({ out, err, exitCode }).toEqual({
      out: 'pw2\nczkn0\n',
      err: 'Error response from daemon: secret nosuch not found\ninvalid secret name or ID: value is empty\n',
      exitCode: 1,
    });
  });

  test('say which service still uses it', async () => {
    expect(await run('config', 'remove', 'conf')).toMatchObject({
      out: '',
      err: "Error response from daemon: config 'conf' is in use by the following service: app\n",
      exitCode: 1,
    });
  });
});
