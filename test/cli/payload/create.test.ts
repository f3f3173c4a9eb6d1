import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { FakeDaemon, refusal } from '../../support/fake-daemon.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

let directory: TemporaryDirectory;
const inDirectory = (name: string): string => join(directory.path, name);

beforeAll(async () => {
  directory = await TemporaryDirectory.create();
  await writeFile(inDirectory('key'), Buffer.from([0, 255, 10]));
  await writeFile(inDirectory('empty'), '');
});

afterAll(async () => {
  await directory[Symbol.asyncDispose]();
});

/** Runs a command with something on its standard input, against a daemon that accepts all. */
async function run(words: readonly string[], input = '') {
  await using daemon = await FakeDaemon.start();
  daemon
    .on('POST /secrets/create', { ID: 'sgl543c1bx2wt3kmtmt4nhlvo' })
    .on('POST /configs/create', { ID: 'mgillzb5xjwdf7vy7chnx70jf' });
  const ran = await runInProcess(words, daemon, {
    input: async () => Promise.resolve(Buffer.from(input)),
  });
  return { ...ran, path: daemon.sent('POST')[0]?.path, body: daemon.sent('POST')[0]?.body };
}

const data = (text: string | Buffer): string => Buffer.from(text).toString('base64');

describe('secret create', () => {
  test('takes standard input for -, and shows the ID', async () => {
    expect(await run(['secret', 'create', 'pw', '-'], 's3cret')).toEqual({
      exitCode: 0,
      out: 'sgl543c1bx2wt3kmtmt4nhlvo\n',
      err: '',
      path: '/secrets/create',
      body: { Name: 'pw', Labels: {}, Data: data('s3cret') },
    });
  });

  test('takes the bytes of a file as they are', async () => {
    const { body } = await run(['secret', 'create', 'key', inDirectory('key')]);
    expect(body).toMatchObject({ Data: data(Buffer.from([0, 255, 10])) });
  });

  test('gives labels and a template driver to the daemon', async () => {
    const line =
      'secret create -l zone=a --label b -l c=d=e -l zone=z --template-driver golang pw -';
    expect((await run(line.split(' '), 'x')).body).toEqual({
      Name: 'pw',
      Labels: { zone: 'z', b: '', c: 'd=e' },
      Data: data('x'),
      Templating: { Name: 'golang' },
    });
  });

  test('leaves it to the daemon to judge a driver, which knows the data', async () => {
    const { body } = await run(['secret', 'create', '-d', 'vault', 'pw'], 'x');
    expect(body).toEqual({ Name: 'pw', Labels: {}, Driver: { Name: 'vault' } });
    expect(await run(['secret', 'create', '-d', 'vault', 'pw', '-'], 'x')).toMatchObject({
      exitCode: 1,
      err: 'When using secret driver secret data must be empty\n',
      body: undefined,
    });
  });

  test.each([['pw'], ['pw', '']])('needs a file or -', async (...args) => {
    const { exitCode, err } = await run(['secret', 'create', ...args]);
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: 'secret file is required\n' });
  });

  test('takes no empty data', async () => {
    const piped = await run(['secret', 'create', 'pw', '-']);
    expect(piped).toMatchObject({
      exitCode: 1,
      err: 'error reading from STDIN: data is empty\n',
      body: undefined,
    });
    const file = await run(['secret', 'create', 'pw', inDirectory('empty')]);
    expect(file.err).toBe(`error reading from ${inDirectory('empty')}: data is empty\n`);
  });

  test.each([
    ['nosuch', 'open PATH: no such file or directory'],
    ['.', 'read PATH: is a directory'],
    ['key/x', 'open PATH: not a directory'],
    ['x'.repeat(300), 'open PATH: file name too long'],
  ])('says why %.8s cannot be read, as docker does', async (name, reason) => {
    const path = `${directory.path}/${name}`;
    expect(await run(['secret', 'create', 'pw', path])).toMatchObject({
      exitCode: 1,
      err: `error reading from ${path}: ${reason.replace('PATH', path)}\n`,
      body: undefined,
    });
  });

  test.each([
    ['=x', "invalid label '=x': empty name"],
    ['', "invalid label '': empty name"],
    ['a b=x', "label 'a b' contains whitespaces"],
  ])('refuses the label "%s" with 125', async (label, reason) => {
    const { exitCode, err, body } = await run(['secret', 'create', '-l', label, 'pw', '-'], 'x');
    expect({ exitCode, body }).toEqual({ exitCode: 125, body: undefined });
    expect(err.split('\n')[0]).toBe(
      `invalid argument "${label}" for "-l, --label" flag: ${reason}`,
    );
  });

  test('passes on what the daemon says of data that is too large, of which it reads enough', async () => {
    await using daemon = await FakeDaemon.start();
    const reason = 'secret data must be larger than 0 and less than 512000 bytes';
    daemon.on('POST /secrets/create', refusal(400, reason));
    let asked = 0;
    const ran = await runInProcess(['secret', 'create', 'pw', '-'], daemon, {
      input: async (bytesMax) => {
        asked = bytesMax;
        return Promise.resolve(Buffer.alloc(bytesMax));
      },
    });
    expect(ran).toEqual({ exitCode: 1, out: '', err: `Error response from daemon: ${reason}\n` });
    expect(asked).toBeGreaterThan(512_000);
  });

  test('ends with 130 after Ctrl-C, without a word', async () => {
    const interrupted = AbortSignal.abort(new Error('SIGINT'));
    for (const words of [
      ['secret', 'create', 'pw', inDirectory('key')],
      ['config', 'create', 'pw', inDirectory('key')],
    ]) {
      const ran = await runInProcess(words, undefined, { signal: interrupted });
      expect(ran).toEqual({ exitCode: 130, out: '', err: '' });
    }
  });
});

describe('config create', () => {
  test('sends data, labels and a template driver, and shows the ID', async () => {
    const line = 'config create --label tier=front --template-driver golang conf -';
    expect(await run(line.split(' '), 'listen 80\n')).toEqual({
      exitCode: 0,
      out: 'mgillzb5xjwdf7vy7chnx70jf\n',
      err: '',
      path: '/configs/create',
      body: {
        Name: 'conf',
        Labels: { tier: 'front' },
        Data: data('listen 80\n'),
        Templating: { Name: 'golang' },
      },
    });
  });

  test.each([
    ['-', 'error reading from STDIN: data is empty'],
    ['', 'config file is required'],
    ['/nosuch', 'error reading from /nosuch: open /nosuch: no such file or directory'],
  ])('names the file "%s" whose content cannot be read', async (file, reason) => {
    expect(await run(['config', 'create', 'conf', file])).toMatchObject({
      exitCode: 1,
      err: `Error reading content from "${file}": ${reason}\n`,
      body: undefined,
    });
  });

  test('has no driver, and always a file', async () => {
    expect((await run(['config', 'create', '-d', 'x', 'conf', '-'])).exitCode).toBe(125);
    expect((await run(['config', 'create', 'conf'])).err).toBe(
      "swarmd: 'swarmd config create' requires 2 arguments\n\nUsage:  swarmd config create [OPTIONS] CONFIG file|-\n\nRun 'swarmd config create --help' for more information\n",
    );
  });
});
