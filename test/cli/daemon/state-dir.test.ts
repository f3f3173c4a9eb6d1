import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StateDir } from '../../../src/cli/daemon/state-dir.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'state-dir-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('a state directory', () => {
  test('is made for this user alone', async () => {
    using directory = await StateDir.hold(join(root, 'a/b'));
    expect(statSync(directory.path).mode & 0o777).toBe(0o700);
  });

  test('is held by one daemon at a time, by whatever path it is reached', async () => {
    const first = await StateDir.hold(root);
    await expect(StateDir.hold(`${root}/../${root.split('/').at(-1) ?? ''}`)).rejects.toThrow(
      'is in use by another swarmd',
    );
    first[Symbol.dispose]();
  });

  test('that cannot be made is refused by name', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    await expect(StateDir.hold(file)).rejects.toThrow(`state directory ${file}`);
  });

  test('gives back what was written, and says so if that is damaged', async () => {
    using directory = await StateDir.hold(root);
    expect(directory.readState()).toBeUndefined();
    const state = {
      listenAddr: '0.0.0.0:2377',
      advertiseAddr: '10.0.0.1:2377',
      managers: [{ nodeId: 'n', addr: '10.0.0.1:2377' }],
    };
    directory.writeState(state);
    expect(directory.readState()).toMatchObject(state);
    expect(statSync(join(root, 'state.json')).mode & 0o777).toBe(0o600);
    writeFileSync(join(root, 'state.json'), '{"managers":');
    expect(() => directory.readState()).toThrow(`${join(root, 'state.json')} is damaged`);
  });

  test('is empty after it was wiped, and still there', async () => {
    using directory = await StateDir.hold(root);
    writeFileSync(join(root, 'x'), '');
    directory.wipe();
    expect(existsSync(join(root, 'x'))).toBe(false);
    expect(existsSync(root)).toBe(true);
  });
});
