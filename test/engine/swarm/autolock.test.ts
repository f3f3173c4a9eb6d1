import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sharedEngine } from '../../support/shared-engine.ts';
import { SwarmDaemon } from '../../support/swarm-daemon.ts';

const shared = sharedEngine();

const lockedText =
  'Error response from daemon: Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.\n';
interface Named {
  readonly Name: string;
}

const secretData = 'what nobody may read from the disk';

/** What is said of an unlock key, and the key. */
const unlockText = (program: string): RegExp =>
  new RegExp(`To unlock a swarm manager after it restarts, run the \`${program} swarm unlock\`
command and provide the following key:

    (SWMKEY-1-[A-Za-z0-9+/]{43})

Remember to store this key in a password manager, since without it you
will not be able to restart the manager.
$`);

const isBase64 = (line: string): boolean => /^[A-Za-z0-9+/]+=*$/u.test(line);

/** A file as it is, and what is in base64 in it: the body of a PEM block, and its headers. */
function readable(file: Buffer): readonly Buffer[] {
  const lines = file.toString('latin1').split('\n');
  const body = lines.filter(isBase64).join('');
  const headers = lines.map((line) => line.replace(/^[a-z-]+: /u, '')).filter(isBase64);
  return [file, ...[body, ...headers].map((text) => Buffer.from(text, 'base64'))];
}

const isIn = (texts: readonly Buffer[], bytes: Buffer): boolean =>
  texts.some((text) => text.includes(bytes));

// The tests of this file are the steps of one walk: each begins where the one before it ended.
describe.skipIf(shared === undefined)('a swarm that locks its managers', () => {
  let manager: SwarmDaemon;
  let unlockKey = '';
  /** Every file of the state directory while it was locked last. */
  let filesWhileLocked: readonly Buffer[] = [];

  beforeAll(async () => {
    const dockerHost = shared?.dockerHost ?? '';
    manager = await SwarmDaemon.create({ mode: 'manager', hostname: 'node-01', dockerHost });
    await manager.start();
    const body = {
      Name: 'web',
      TaskTemplate: { ContainerSpec: { Image: 'hold' } },
      Mode: { Replicated: { Replicas: 0 } },
    };
    await manager.ask('/services/create', { method: 'POST', body });
    await manager.docker(['secret', 'create', 'kept', '-'], { input: secretData });
  });

  afterAll(async () => {
    await manager[Symbol.asyncDispose]();
  });

  const keyFile = (): string =>
    readFileSync(join(manager.stateDir, 'certificates', 'swarm-node.key'), 'utf8');
  const files = (): readonly Buffer[] =>
    readdirSync(manager.stateDir, { recursive: true, encoding: 'utf8' })
      .map((name) => join(manager.stateDir, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => readFileSync(path));
  /** Waits until the key file is as the swarm wants it, and the log has the key that is in it. */
  const sealedAs = async (label: string, { notAs }: { readonly notAs: string }): Promise<void> =>
    manager.until(`have its keys in ${label}`, async () => {
      const text = keyFile();
      const isDone =
        text.includes(`BEGIN ${label}-----`) &&
        text !== notAs &&
        !text.includes('raft-dek-pending') &&
        !text.includes('raft-dek-needs-rotation');
      return Promise.resolve(isDone);
    });
  const restartLocked = async (): Promise<void> => {
    await manager.kill();
    manager.launch();
    await manager.until('be locked', async () => {
      return (await manager.info()).LocalNodeState === 'locked';
    });
  };
  const serves = async (): Promise<void> => {
    expect(await manager.info()).toMatchObject({ LocalNodeState: 'active', Error: '' });
    const services = await manager.get<readonly { readonly Spec: Named }[]>('/services');
    const secrets = await manager.get<readonly { readonly Spec: Named }[]>('/secrets');
    expect([...services, ...secrets].map(({ Spec }) => Spec.Name)).toEqual(['web', 'kept']);
  };

  test('shows the key that it locks them with', async () => {
    expect(await manager.swarmd('swarm', 'unlock-key')).toMatchObject({
      code: 1,
      stderr: 'no unlock key is set\n',
    });
    const before = keyFile();
    const { stdout, code } = await manager.docker(['swarm', 'update', '--autolock']);
    expect(code).toBe(0);
    expect(stdout).toMatch(unlockText('docker'));
    [, unlockKey = ''] = unlockText('docker').exec(stdout) ?? [];
    expect(await manager.prints('swarm', 'unlock-key')).toMatch(unlockText('swarmd'));
    await sealedAs('ENCRYPTED PRIVATE KEY', { notAs: before });
  });

  test('serves nothing of itself while its manager is locked', async () => {
    await restartLocked();
    expect(await manager.swarmd('service', 'ls')).toMatchObject({ code: 1, stderr: lockedText });
    expect(await manager.docker(['node', 'ls'])).toMatchObject({ code: 1, stderr: lockedText });
    expect(await manager.docker(['swarm', 'init'])).toMatchObject({
      code: 1,
      stderr:
        'Error response from daemon: This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.\n',
    });
    expect(await manager.docker(['swarm', 'leave'])).toMatchObject({
      code: 1,
      stderr:
        'Error response from daemon: Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message.\n',
    });
    const info = await manager.docker([
      'info',
      '--format',
      '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}} {{.Swarm.Error}}',
    ]);
    expect(`Error response from daemon: ${info.stdout.replace('locked false ', '')}`).toBe(
      lockedText,
    );
  });

  test('is not opened by a wrong key', async () => {
    const before = keyFile();
    const wrong = `SWMKEY-1-${'A'.repeat(43)}`;
    expect(await manager.docker(['swarm', 'unlock'], { input: 'wrong\n' })).toMatchObject({
      code: 1,
      stderr: 'Error response from daemon: invalid key string\n',
    });
    expect(await manager.run(['swarm', 'unlock'], { input: `${wrong}\n` })).toMatchObject({
      code: 1,
      stderr: 'Error response from daemon: swarm could not be unlocked: invalid key provided\n',
    });
    expect((await manager.info()).LocalNodeState).toBe('locked');
    expect(keyFile()).toBe(before);
  });

  test('is all there once it is unlocked', async () => {
    expect(await manager.run(['swarm', 'unlock'], { input: `${unlockKey}\n` })).toMatchObject({
      code: 0,
      stdout: '',
      stderr: '',
    });
    await serves();
    const { code, stderr } = await manager.docker(['swarm', 'unlock'], { input: `${unlockKey}\n` });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^Error: swarm is not locked\n$/iu)]);
  });

  test('is not opened by the key it had before', async () => {
    const before = keyFile();
    const rotated = await manager.docker(['swarm', 'unlock-key', '--rotate']);
    expect(rotated.stdout).toMatch(/^Successfully rotated manager unlock key\.\n/u);
    const [, nextKey = ''] = unlockText('docker').exec(rotated.stdout) ?? [];
    await sealedAs('ENCRYPTED PRIVATE KEY', { notAs: before });
    await restartLocked();
    filesWhileLocked = files();
    expect(await manager.docker(['swarm', 'unlock'], { input: `${unlockKey}\n` })).toMatchObject({
      code: 1,
      stderr: 'Error response from daemon: swarm could not be unlocked: invalid key provided\n',
    });
    expect((await manager.docker(['swarm', 'unlock'], { input: `${nextKey}\n` })).code).toBe(0);
    await serves();
  });

  test('does not lock them any more when it is told so', async () => {
    const before = keyFile();
    expect(await manager.prints('swarm', 'update', '--autolock=false')).toBe('Swarm updated.\n');
    await sealedAs('PRIVATE KEY', { notAs: before });
    await manager.kill();
    await manager.start();
    await serves();
  });

  test('left neither keys nor state open on the disk', () => {
    const text = keyFile();
    const [header = ''] = /(?<=^raft-dek: ).*$/mu.exec(text) ?? [];
    const key = createPrivateKey(text.replace(/(?:^[a-z-]+: .*\n)+\n/mu, ''));
    const scalar = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url');
    const logSecret = Buffer.from(header, 'base64').subarray(-32);
    expect([scalar.length, logSecret.length]).toEqual([32, 32]);
    // Opened, the same disk shows both: they would have been found.
    const open = files().flatMap(readable);
    expect([scalar, logSecret].map((bytes) => isIn(open, bytes))).toEqual([true, true]);
    const locked = filesWhileLocked.flatMap(readable);
    const hidden = [scalar, logSecret, Buffer.from(secretData)];
    expect(hidden.map((bytes) => isIn(locked, bytes))).toEqual([false, false, false]);
  });

  test('lets a node go that nobody can unlock', async () => {
    const before = keyFile();
    await manager.prints('swarm', 'update', '--autolock');
    await sealedAs('ENCRYPTED PRIVATE KEY', { notAs: before });
    await restartLocked();
    expect(await manager.prints('swarm', 'leave', '--force')).toBe('Node left the swarm.\n');
    expect((await manager.info()).LocalNodeState).toBe('inactive');
    expect(readdirSync(manager.stateDir)).toEqual([]);
    expect(manager.complaints).toEqual([]);
  });
});
