import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { registryOf } from '../../src/cli/registry-auth.ts';
import { runInProcess } from '../support/cli.ts';
import { FakeDaemon } from '../support/fake-daemon.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** What `service create` sends as credentials, where the user's file says `config`. */
async function sent(image: string, config: object | string | undefined, flags: string[]) {
  await using home = await TemporaryDirectory.create();
  await using daemon = await FakeDaemon.start();
  daemon.on('POST /services/create', { ID: 'web' });
  if (config !== undefined) {
    await mkdir(join(home.path, '.docker'));
    const text = typeof config === 'string' ? config : JSON.stringify(config);
    await writeFile(join(home.path, '.docker/config.json'), text);
  }
  const typed = ['service', 'create', '--detach', ...flags, image];
  const ran = await runInProcess(typed, daemon, { env: { HOME: home.path } });
  const headers = daemon.asked.map(({ headers: all }) => all['x-registry-auth']);
  const [header] = new Set(headers);
  expect(new Set(headers).size).toBeLessThanOrEqual(1);
  return {
    ...ran,
    header,
    credentials:
      typeof header === 'string'
        ? (JSON.parse(Buffer.from(header, 'base64url').toString()) as unknown)
        : undefined,
  };
}

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
const withAuth = ['--with-registry-auth'];

describe('registryOf', () => {
  test.each([
    ['nginx', 'https://index.docker.io/v1/'],
    ['library/nginx:1', 'https://index.docker.io/v1/'],
    ['docker.io/library/nginx', 'https://index.docker.io/v1/'],
    ['localhost/web', 'localhost'],
    ['localhost:5000/web', 'localhost:5000'],
    ['registry.example/team/web@sha256:00', 'registry.example'],
  ])('%s comes from %s', (image, registry) => {
    expect(registryOf(image)).toBe(registry);
  });
});

describe('--with-registry-auth', () => {
  test("sends the credentials of the image's registry, as the Engine API takes them", async () => {
    const config = {
      auths: {
        'https://index.docker.io/v1/': auth('me:hub'),
        'https://registry.example': auth('ä>?:pass:word'),
      },
    };
    const own = await sent('registry.example/web', config, withAuth);
    expect(own.credentials).toEqual({
      username: 'ä>?',
      password: 'pass:word',
      serveraddress: 'registry.example',
    });
    expect(own.header).toMatch(/^[A-Za-z0-9_-]+={0,2}$/u);
    const hub = await sent('nginx', config, withAuth);
    expect(hub.credentials).toMatchObject({ username: 'me', password: 'hub' });
  });

  test('sends a token that a registry gave in place of the password', async () => {
    const config = { auths: { 'r.example': { ...auth('me:'), identitytoken: 'T' } } };
    const { credentials } = await sent('r.example/web', config, withAuth);
    expect(credentials).toMatchObject({ username: 'me', identitytoken: 'T' });
  });

  test('sends nothing if nobody has logged in, or without the flag', async () => {
    const config = { auths: { 'r.example': auth('me:x') } };
    expect((await sent('r.example/web', undefined, withAuth)).header).toBeUndefined();
    expect((await sent('other.example/web', config, withAuth)).header).toBeUndefined();
    expect((await sent('r.example/web', config, [])).header).toBeUndefined();
  });

  test('says that credential helpers are not supported, and whose credentials it cannot get', async () => {
    const { exitCode, err } = await sent(
      'r.example/web',
      { auths: { 'r.example': {} }, credsStore: 'secretservice' },
      withAuth,
    );
    expect(exitCode).toBe(1);
    expect(err).toMatch(/r\.example are with the credential helper secretservice/u);
  });

  test('names a file that it cannot read', async () => {
    const { exitCode, err } = await sent('r.example/web', '{', withAuth);
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^--with-registry-auth: .*config\.json: /u);
  });
});
