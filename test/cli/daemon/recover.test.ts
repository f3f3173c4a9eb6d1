import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatUnlockKey, KeyStore } from '../../../src/ca/index.ts';
import { StateDir } from '../../../src/cli/daemon/state-dir.ts';
import { logKeysOf } from '../../../src/manager/index.ts';
import { LevelLog, type LogKeys, type RaftId } from '../../../src/raft/index.ts';
import { newHardState } from '../../../src/raft/storage/log-store.ts';
import { CryptoRandom } from '../../../src/runtime/index.ts';
import { encodeMemberChange } from '../../../src/raft/wire.ts';
import { runInProcess } from '../../support/cli.ts';
import { aLogIdentity } from '../../support/memory-log-store.ts';
import { anEntry } from '../../support/raft-network.ts';
import { runCommand } from '../../support/run-command.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { TestSwarm } from '../../support/test-swarm.ts';

let directory: TemporaryDirectory;
let stateDir: string;
let raft: string;
/** What a person types here to recover. */
let command: string;

beforeEach(async () => {
  directory = await TemporaryDirectory.create();
  stateDir = join(directory.path, 'state');
  command = `swarmd recover --state-dir ${stateDir} --host unix://${directory.path}/s.sock`;
  raft = join(stateDir, 'raft');
  await mkdir(stateDir);
});
afterEach(async () => directory[Symbol.asyncDispose]());

/** The log of the only manager, or of one of several, with five entries in as many batches. */
async function write(...members: readonly string[]): Promise<void> {
  await writeSealed(undefined, ...members);
}

async function writeSealed(
  keys: LogKeys | undefined,
  ...members: readonly string[]
): Promise<void> {
  const log = await LevelLog.create(raft, aLogIdentity(), keys);
  await log.load();
  const hardState = { ...newHardState, currentTerm: 1, votedFor: '1' as RaftId };
  for (let index = 1; index <= 5; index += 1) {
    const id = members[index - 1] as RaftId | undefined;
    const member = id && { raftId: id, nodeId: `node-${id}`, addr: `host:${id}` };
    const entry =
      member === undefined
        ? anEntry(1, index, `write ${index}`)
        : {
            ...anEntry(1, index),
            type: 'EntryConfChange' as const,
            data: encodeMemberChange({ type: 'ConfChangeAddNode', raftId: member.raftId, member }),
          };
    await log.save({
      hardState: { ...hardState, commitIndex: index - 1 },
      entries: [entry],
      snapshot: undefined,
    });
  }
  await log.close();
}

async function journal(): Promise<string> {
  const names = await readdir(join(raft, 'db'));
  return join(raft, 'db', names.find((name) => name.endsWith('.log')) ?? '');
}

/** The last batch but one with a flipped bit: what was acknowledged is gone from there on. */
async function damage(): Promise<void> {
  const bytes = await readFile(await journal());
  const place = Math.floor(0.7 * bytes.length);
  bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
  await writeFile(await journal(), bytes);
}

const recover = async (...args: readonly string[]): ReturnType<typeof runInProcess> =>
  runInProcess(['recover', '--state-dir', stateDir, '--host', `${directory.path}/s.sock`, ...args]);

describe('swarmd recover', () => {
  test('shows what is left and changes nothing', async () => {
    await write('1');
    await damage();
    const before = await readFile(await journal());
    const shown = await recover();
    expect(shown.out).toContain('State:            damaged\n');
    expect(shown.out).toContain('Certainly there:  everything up to index 3 of term 1\n');
    expect(shown.out).toContain('Acknowledged:     everything up to index 5 of term 1\n');
    expect(shown.out).toContain('May be missing:   2 entries\n');
    expect(shown.out).toContain(`    ${command} --accept-data-loss\n`);
    expect(shown).toMatchObject({ exitCode: 0, err: '' });
    expect(await readFile(await journal())).toEqual(before);
  });

  test('asks for the unlock key of a manager that is locked', async () => {
    const random = new CryptoRandom();
    const keyStore = new KeyStore({ directory: join(stateDir, 'certificates'), random });
    await keyStore.save(new TestSwarm().identity('swarm-manager'));
    await writeSealed(logKeysOf(await keyStore.logSecrets()), '1');
    await damage();
    const show = async (typed: string): ReturnType<typeof runInProcess> =>
      runInProcess(['recover', '--state-dir', stateDir], undefined, {
        secret: async () => Promise.resolve(typed),
      });
    expect((await show('not asked for')).out).toContain('State:            damaged\n');

    const key = random.bytes(32);
    await keyStore.reseal({ key, version: 1 });
    expect((await show('wrong')).err).toBe('invalid key string\n');
    expect((await show(formatUnlockKey(random.bytes(32)))).err).toBe(
      'swarm could not be unlocked: invalid key provided\n',
    );
    expect((await show(formatUnlockKey(key))).out).toContain('index 3 of term 1\n');
  });

  test('refuses while a daemon holds the directory', async () => {
    await write('1');
    await damage();
    using held = await StateDir.hold(stateDir);
    const refused = await recover('--accept-data-loss');
    expect(refused.err).toContain(`state directory ${held.path} is in use by another swarmd`);
    expect(refused.exitCode).toBe(1);
  });

  test('as a process: sets the damaged log aside and goes on with what is left', async () => {
    await write('1');
    await damage();
    const before = await readFile(await journal());
    const accepted = await runCommand(
      process.execPath,
      [
        '--import',
        'tsx',
        'src/cli/main.ts',
        'recover',
        '--state-dir',
        stateDir,
        '--accept-data-loss',
      ],
      { env: process.env },
    );
    expect(accepted.stderr).toBe('');
    expect(accepted.code).toBe(0);
    const damaged = /kept as (?<path>\S+)\. /u.exec(accepted.stdout)?.groups?.['path'] ?? '';
    expect(damaged).toMatch(/\/raft\.damaged-\d{8}T\d{6}Z$/u);
    expect(await readdir(stateDir)).not.toContain('raft.recovered');
    const [name = ''] = (await readdir(join(damaged, 'db'))).filter((file) =>
      file.endsWith('.log'),
    );
    expect(await readFile(join(damaged, 'db', name))).toEqual(before);

    const log = await LevelLog.open(raft, undefined);
    const { hardState, entries } = await log.load();
    expect(entries.map(({ data }) => data.toString()).slice(1)).toEqual(['write 2', 'write 3']);
    expect(hardState).toEqual({ currentTerm: 1, votedFor: '1', commitIndex: 2 });
    await log.close();
  }, 60_000);

  test('what is intact is left alone', async () => {
    await write('1');
    expect((await recover()).out).toContain('State:            intact\n');
    const refused = await recover('--accept-data-loss');
    expect(refused.exitCode).toBe(1);
    expect(refused.err).toContain('is intact: nothing is lost');
    expect(await readdir(stateDir)).toEqual(['raft', 'raft.witness']);
  });

  test.each(['identity.json', 'sentinel', 'db/CURRENT'])(
    'without %s nothing else is missing',
    async (name) => {
      await write('1');
      await rm(join(raft, name));
      expect((await recover()).out).toContain('May be missing:   nothing\n');
      expect((await recover('--accept-data-loss')).err).toBe('');
      const log = await LevelLog.open(raft, undefined);
      expect((await log.load()).entries).toHaveLength(5);
      await log.close();
    },
  );

  test('without a log there is nothing to go on with', async () => {
    await write('1');
    await rm(raft, { recursive: true });
    expect((await recover()).out).toContain('Certainly there:  nothing\n');
    expect(await recover('--accept-data-loss')).toMatchObject({
      exitCode: 1,
      err: `nothing of raft log ${raft} can be verified; to go on, either put back a copy of all of ${stateDir} that was made while swarmd was stopped; or, if the swarm has other managers, have this one join them anew with "${command} --rejoin"\n`,
    });
  });

  test('one of several managers must not forget what it acknowledged', async () => {
    await write('1', '2');
    await damage();
    expect(await recover('--accept-data-loss')).toMatchObject({ exitCode: 1 });
    const { err } = await recover('--accept-data-loss');
    expect(err).toContain('is of one of 2 managers');
    expect(err).toContain(`join them anew with "${command} --rejoin"`);
    expect(err).toContain(`go on without them with "${command} --force-new-cluster --accept-`);
  });

  test('a directory that is no manager’s is left alone', async () => {
    expect((await recover()).err).toBe(`${stateDir} is not a manager's state directory\n`);
    await rm(stateDir, { recursive: true });
    expect((await recover()).err).toBe(`state directory ${stateDir} does not exist\n`);
    expect(await readdir(directory.path)).toEqual([]);
  });

  test('an old copy of the log, put back alone, is not what was acknowledged', async () => {
    await write('1');
    await damage();
    await recover('--accept-data-loss');
    const [damaged = ''] = (await readdir(stateDir)).filter((name) => name.includes('damaged'));
    await rm(raft, { recursive: true });
    await rename(join(stateDir, damaged), raft);
    expect((await recover()).out).toMatch(/it ends at index 3 of term 1 .* was acknowledged/u);
  });

  test('an old copy of the whole directory is known by the witness beside the socket', async () => {
    await write('1');
    const copy = join(directory.path, 'copy');
    await cp(stateDir, copy, { recursive: true });
    const witness = join(directory.path, 's.sock.witness');
    const log = await LevelLog.open(raft, undefined, witness);
    await log.load();
    const hardState = { ...newHardState, currentTerm: 1, votedFor: '1' as RaftId };
    await log.save({ hardState, entries: [anEntry(1, 6)], snapshot: undefined });
    await log.close();
    await rm(stateDir, { recursive: true });
    await rename(copy, stateDir);

    await expect(LevelLog.open(raft, undefined, witness)).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/it ends at index 5 .* but index 6 /u) as unknown,
    });
    expect((await recover()).out).toContain('May be missing:   1 entry\n');
    expect((await recover('--accept-data-loss')).err).toBe('');
    const again = await LevelLog.open(raft, undefined, witness);
    expect((await again.load()).entries).toHaveLength(5);
    await again.close();
  });

  test('a witness beside the socket that is of another log tells nothing', async () => {
    await write('1');
    const witness = join(directory.path, 's.sock.witness');
    const other = join(directory.path, 'other');
    const identity = aLogIdentity('2');
    const options = { seq: 100, outsideWitness: witness };
    await (await LevelLog.create(other, identity, undefined, options)).close();
    await (await LevelLog.open(raft, undefined, witness)).close();
    expect((await recover()).out).toContain('State:            intact\n');
  });
});
