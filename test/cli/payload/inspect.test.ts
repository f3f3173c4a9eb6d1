import { describe, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { FakeDaemon } from '../../support/fake-daemon.ts';

const meta = (ID: string) => ({
  ID,
  Version: { Index: 21 },
  CreatedAt: '2026-11-22T16:11:45.847619726Z',
  UpdatedAt: '2026-11-22T16:11:47.31820317Z',
});
const pw = { ...meta('sgl543c1bx2wt3kmtmt4nhlvo'), Spec: { Name: 'pw', Labels: {} } };
const pw2 = {
  ...meta('czkn0svz7x9a78zyy39qb1uzg'),
  Spec: { Name: 'pw2', Labels: { zone: 'a', b: '' }, Driver: { Name: 'vault' } },
};
const conf = {
  ...meta('mgillzb5xjwdf7vy7chnx70jf'),
  Spec: { Name: 'conf', Labels: {}, Data: 'bGlzdGVuIDgwCg==' },
};

async function run(...words: readonly string[]) {
  await using daemon = await FakeDaemon.start();
  daemon
    .on('GET /secrets', [])
    .on('GET /secrets/pw', pw)
    .on('GET /secrets/pw2', pw2)
    .on('GET /configs/conf', conf);
  return await runInProcess(words, daemon);
}

describe('secret inspect and config inspect', () => {
  test('show what is there, and fail for what is not', async () => {
    const { out, err, exitCode } = await run('secret', 'inspect', 'nosuch', 'pw', '', 'pw2');
    expect(JSON.parse(out)).toEqual([pw, pw2]);
    expect({ err, exitCode }).toEqual({
      err: 'Error response from daemon: secret nosuch not found\ninvalid secret name or ID: value is empty\n',
      exitCode: 1,
    });
  });

  test('show the data of a config in base64', async () => {
    expect((await run('config', 'inspect', 'conf')).out).toBe(
      `${JSON.stringify([conf], undefined, 4)}\n`,
    );
    expect((await run('config', 'inspect', '-f', '{{json .Spec.Data}}', 'conf')).out).toBe(
      '"bGlzdGVuIDgwCg=="\n',
    );
  });

  test('--format has the data of a config as bytes, and by %s as text', async () => {
    const format = '{{len .Spec.Data}} {{printf "%s" .Spec.Data}}{{.Spec.Data}}';
    expect((await run('config', 'inspect', '-f', format, 'conf')).out).toBe(
      '10 listen 80\n[108 105 115 116 101 110 32 56 48 10]\n',
    );
  });

  test('--pretty shows secrets as docker does', async () => {
    expect((await run('secret', 'inspect', '--pretty', 'pw', 'pw2')).out)
      .toBe(`ID:              sgl543c1bx2wt3kmtmt4nhlvo
Name:              pw
Driver:            ${''}
Created at:        2026-11-22 16:11:45.847619726 +0000 utc
Updated at:        2026-11-22 16:11:47.31820317 +0000 utc
ID:              czkn0svz7x9a78zyy39qb1uzg
Name:              pw2
Labels:
 - b
 - zone=a
Driver:            vault
Created at:        2026-11-22 16:11:45.847619726 +0000 utc
Updated at:        2026-11-22 16:11:47.31820317 +0000 utc
`);
  });

  test('--pretty shows a config with what it holds', async () => {
    expect((await run('config', 'inspect', '--pretty', 'conf')).out)
      .toBe(`ID:\t\t\tmgillzb5xjwdf7vy7chnx70jf
Name:\t\t\tconf
Created at:            \t2026-11-22 16:11:45.847619726 +0000 utc
Updated at:            \t2026-11-22 16:11:47.31820317 +0000 utc
Data:
listen 80

`);
  });

  test('--pretty shows all or nothing, and stops at the first that is not there', async () => {
    expect(await run('secret', 'inspect', '--pretty', 'pw', 'nosuch', 'none')).toEqual({
      exitCode: 1,
      out: '',
      err: 'Error response from daemon: secret nosuch not found\n',
    });
  });

  test('--pretty counts for more than --format, which takes it for a name too', async () => {
    const { out } = await run('secret', 'inspect', '--pretty', 'pw');
    expect((await run('secret', 'inspect', '--pretty', '-f', '{{.ID}}', 'pw')).out).toBe(out);
    expect((await run('secret', 'inspect', '-f', 'pretty', 'pw')).out).toBe(out);
    expect(await run('secret', 'inspect', '-f', 'pretty {{.ID}}', 'pw')).toEqual({
      exitCode: 1,
      out: '',
      err: 'cannot supply extra formatting options to the pretty template\n',
    });
  });
});
