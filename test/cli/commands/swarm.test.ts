import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { runInProcess } from '../../support/cli.ts';
import { FakeDaemon } from '../../support/fake-daemon.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const spec = {
  Orchestration: { TaskHistoryRetentionLimit: 5 },
  Raft: { SnapshotInterval: 10_000, KeepOldSnapshots: 0, HeartbeatTick: 1, ElectionTick: 10 },
  Dispatcher: { HeartbeatPeriod: 5e9 },
  CAConfig: { NodeCertExpiry: 7776e12 },
};

const info = {
  Name: 'node-01',
  Swarm: {
    NodeID: 'node1',
    NodeAddr: '10.0.0.1',
    LocalNodeState: 'active',
    ControlAvailable: true,
    Error: '',
    RemoteManagers: [
      { NodeID: 'node2', Addr: '10.0.0.2:2377' },
      { NodeID: 'node1', Addr: '10.0.0.1:2377' },
    ],
    Nodes: 3,
    Managers: 2,
    Cluster: { ID: 'cluster1', Spec: spec },
  },
};

const unlockKey = `SWMKEY-1-${'k'.repeat(43)}`;
const unlockText = `To unlock a swarm manager after it restarts, run the \`swarmd swarm unlock\`
command and provide the following key:

    ${unlockKey}

Remember to store this key in a password manager, since without it you
will not be able to restart the manager.
`;

/** @param autolocks whether the swarm locks its managers; `undefined` before anybody has said so */
async function run(
  words: readonly string[],
  swarmInfo: object = info,
  { autolocks, typed = '' }: { readonly autolocks?: boolean; readonly typed?: string } = {},
) {
  await using daemon = await FakeDaemon.start();
  let isLocked = autolocks === true;
  daemon
    .on('GET /swarm/unlockkey', () => ({ UnlockKey: isLocked ? unlockKey : '' }))
    .on('POST /swarm/unlock', {})
    .on('GET /info', swarmInfo)
    .on('GET /nodes/node1', { ID: 'node1', ManagerStatus: { Addr: '10.0.0.1:2377' } })
    .on('GET /swarm', {
      Version: { Index: 7 },
      Spec:
        autolocks === undefined
          ? spec
          : { ...spec, EncryptionConfig: { AutoLockManagers: autolocks } },
      JoinTokens: { Worker: 'SWMTKN-1-w', Manager: 'SWMTKN-1-m' },
      TLSInfo: { TrustRoot: 'ROOT\n' },
    })
    .on('GET /nodes', [
      { ID: 'node1', Spec: {}, Description: { TLSInfo: { TrustRoot: 'ROOT\n' } } },
    ])
    .on('POST /swarm/init', () => {
      isLocked = true;
      return '"node1"';
    })
    .on('POST /swarm/join', {})
    .on('POST /swarm/leave', {})
    .on('POST /swarm/update', () => {
      isLocked = true;
      return {};
    });
  const ran = await runInProcess(['swarm', ...words], daemon, {
    secret: async () => Promise.resolve(typed),
  });
  const [sent] = daemon.sent('POST');
  return { ...ran, query: sent?.query, body: sent?.body };
}

describe('swarm join-token', () => {
  test('says what to type on the new node', async () => {
    expect((await run(['join-token', 'manager'])).out).toBe(
      'To add a manager to this swarm, run the following command:\n\n' +
        '    swarmd manager --join 10.0.0.1:2377 --token SWMTKN-1-m\n\n',
    );
  });

  test('--quiet says the token alone', async () => {
    expect((await run(['join-token', '-q', 'worker'])).out).toBe('SWMTKN-1-w\n');
  });

  test('--rotate asks for a new one first', async () => {
    const { out, query, body } = await run(['join-token', '--rotate', 'worker']);
    expect(query).toEqual({ version: '7', rotateWorkerToken: 'true' });
    expect(body).toEqual(spec);
    expect(out).toMatch(/^Successfully rotated worker join token\.\n\nTo add a worker/u);
  });

  test('knows two roles', async () => {
    expect(await run(['join-token', 'king'])).toMatchObject({
      exitCode: 1,
      err: 'unknown role king\n',
    });
  });
});

describe('swarm update', () => {
  test('changes what is said and keeps the rest', async () => {
    const words =
      'update --cert-expiry 80h --task-history-limit 3 --dispatcher-heartbeat 10s --snapshot-interval 5 --max-snapshots 2';
    const { out, query, body } = await run(words.split(' '));
    expect(out).toBe('Swarm updated.\n');
    expect(query).toEqual({ version: '7' });
    expect(body).toEqual({
      Orchestration: { TaskHistoryRetentionLimit: 3 },
      Raft: { ...spec.Raft, SnapshotInterval: 5, KeepOldSnapshots: 2 },
      Dispatcher: { HeartbeatPeriod: 10e9 },
      CAConfig: { NodeCertExpiry: 80 * 3600e9 },
    });
  });

  test('without anything to change shows its help', async () => {
    const { out, body } = await run(['update']);
    expect(out).toMatch(/^Usage: {2}swarmd swarm update/u);
    expect(body).toBeUndefined();
  });

  test('refuses what is no duration, with 125', async () => {
    const { exitCode, err } = await run(['update', '--cert-expiry', 'long']);
    expect(exitCode).toBe(125);
    expect(err).toContain('invalid argument "long" for "--cert-expiry" flag: it is a duration');
  });
});

describe('swarm init, join and leave', () => {
  test('send what they were told', async () => {
    const join = await run(['join', '--token', 'T', '10.0.0.1:2377', '10.0.0.2:2377']);
    expect(join.body).toMatchObject({
      JoinToken: 'T',
      RemoteAddrs: ['10.0.0.1:2377', '10.0.0.2:2377'],
      ListenAddr: '0.0.0.0:2377',
      Availability: 'active',
    });
    expect(join.out).toBe('This node joined a swarm as a manager.\n');
    const init = await run(['init', '--advertise-addr', '10.0.0.1', '--force-new-cluster']);
    expect(init.body).toMatchObject({ AdvertiseAddr: '10.0.0.1', ForceNewCluster: true });
    expect(init.out).toContain('swarmd worker --join 10.0.0.1:2377 --token SWMTKN-1-w');
    const leave = await run(['leave', '--force']);
    expect(leave).toMatchObject({ query: { force: 'true' }, out: 'Node left the swarm.\n' });
  });

  test('refuse an availability that is none', async () => {
    expect(await run(['init', '--availability', 'foo'])).toMatchObject({
      exitCode: 1,
      err: 'invalid availability "foo", only active, pause and drain are supported\n',
      body: undefined,
    });
  });
});

describe('the lock of a swarm', () => {
  const locked = { ...info, Swarm: { ...info.Swarm, LocalNodeState: 'locked' } };

  test('is turned on with a key that is shown once', async () => {
    const first = await run(['update', '--autolock'], info, { autolocks: false });
    expect(first.body).toEqual({ ...spec, EncryptionConfig: { AutoLockManagers: true } });
    expect(first.out).toBe(`Swarm updated.\n${unlockText}`);
    const again = await run(['update', '--autolock'], info, { autolocks: true });
    expect(again.out).toBe('Swarm updated.\n');
  });

  test('is turned off', async () => {
    const { out, body } = await run(['update', '--autolock=false'], info, { autolocks: true });
    expect(body).toEqual({ ...spec, EncryptionConfig: { AutoLockManagers: false } });
    expect(out).toBe('Swarm updated.\n');
  });

  test('can be there from the beginning', async () => {
    const { out, body } = await run(['init', '--autolock']);
    expect(body).toMatchObject({
      AutoLockManagers: true,
      Spec: { EncryptionConfig: { AutoLockManagers: true } },
    });
    expect(out.endsWith(`and follow the instructions.\n\n${unlockText}`)).toBe(true);
  });

  test('has a key that is shown, alone if wanted, and replaced', async () => {
    const on = { autolocks: true };
    expect(await run(['unlock-key'], info, on)).toMatchObject({ out: unlockText, body: undefined });
    expect((await run(['unlock-key', '-q'], info, on)).out).toBe(`${unlockKey}\n`);
    const rotated = await run(['unlock-key', '--rotate'], info, on);
    expect(rotated.query).toEqual({ version: '7', rotateManagerUnlockKey: 'true' });
    expect(rotated.out).toBe(`Successfully rotated manager unlock key.\n${unlockText}`);
    expect((await run(['unlock-key', '--rotate', '-q'], info, on)).out).toBe(`${unlockKey}\n`);
  });

  test('has no key while it is off', async () => {
    const off = { autolocks: false };
    expect(await run(['unlock-key'], info, off)).toMatchObject({
      exitCode: 1,
      err: 'no unlock key is set\n',
    });
    expect(await run(['unlock-key', '--rotate'], info, off)).toMatchObject({
      exitCode: 1,
      err: 'cannot rotate because autolock is not turned on\n',
      body: undefined,
    });
  });

  test('is opened with what is typed', async () => {
    const { exitCode, out, body } = await run(['unlock'], locked, { typed: unlockKey });
    expect([exitCode, out, body]).toEqual([0, '', { UnlockKey: unlockKey }]);
  });

  test('is not asked for a key while it is open', async () => {
    expect(await run(['unlock'], info)).toMatchObject({
      exitCode: 1,
      err: 'Error: swarm is not locked\n',
      body: undefined,
    });
    const none = { Swarm: { ...info.Swarm, LocalNodeState: 'inactive' } };
    expect((await run(['unlock'], none)).err).toBe('Error: this node is not part of a swarm\n');
    expect((await run(['info'], locked)).out).toBe('Swarm: locked\n');
  });
});

describe('swarm ca', () => {
  test('shows the root', async () => {
    expect((await run(['ca'])).out).toBe('ROOT\n');
  });

  test('--rotate counts on, says how far it is, and ends when every node trusts the root', async () => {
    const { out, query, body } = await run(['ca', '--rotate', '--cert-expiry', '80h']);
    expect(query).toEqual({ version: '7' });
    expect(body).toEqual({
      ...spec,
      CAConfig: { NodeCertExpiry: 80 * 3600e9, ForceRotate: 1 },
    });
    expect(out).toMatch(
      /^desired root digest: sha256:[0-9a-f]{64}\n {2}rotated TLS certificates: 1\/1 nodes\n {2}rotated CA certificates: 1\/1 nodes\nROOT\n$/u,
    );
    expect((await run(['ca', '--rotate', '--quiet'])).out).toBe('ROOT\n');
    expect((await run(['ca', '--rotate', '--detach'])).out).toBe('');
  });

  test('--rotate takes a root and its key', async () => {
    await using directory = await TemporaryDirectory.create();
    const [cert, key] = [`${directory.path}/ca.crt`, `${directory.path}/ca.key`];
    await writeFile(cert, '-----BEGIN CERTIFICATE-----');
    await writeFile(key, '-----BEGIN PRIVATE KEY-----');
    const { body } = await run(['ca', '--rotate', '-d', '--ca-cert', cert, '--ca-key', key]);
    expect(body).toEqual({
      ...spec,
      CAConfig: {
        ...spec.CAConfig,
        SigningCACert: '-----BEGIN CERTIFICATE-----',
        SigningCAKey: '-----BEGIN PRIVATE KEY-----',
      },
    });
    const { exitCode, err } = await run(['ca', '--rotate', '--ca-cert', cert]);
    expect(exitCode).toBe(1);
    expect(err).toContain('the --ca-cert flag requires that a --ca-key flag be provided');
  });

  test('changes nothing without --rotate', async () => {
    const { exitCode, err, body } = await run(['ca', '--cert-expiry', '80h']);
    expect(exitCode).toBe(1);
    expect(err).toBe('`--cert-expiry` flag requires the `--rotate` flag to update the CA\n');
    expect(body).toBeUndefined();
  });
});

describe('swarm info', () => {
  test('shows what a manager knows', async () => {
    expect((await run(['info'])).out).toBe(`Swarm: active
 NodeID: node1
 Is Manager: true
 ClusterID: cluster1
 Managers: 2
 Nodes: 3
 Data Path Port: 4789
 Orchestration:
  Task History Retention Limit: 5
 Raft:
  Snapshot Interval: 10000
  Number of Old Snapshots to Retain: 0
  Heartbeat Tick: 1
  Election Tick: 10
 Dispatcher:
  Heartbeat Period: 5 seconds
 CA Configuration:
  Expiry Duration: 3 months
  Force Rotate: 0
 Autolock Managers: false
 Root Rotation In Progress: false
 Node Address: 10.0.0.1
 Manager Addresses:
  10.0.0.1:2377
  10.0.0.2:2377
`);
  });

  test('shows what a worker knows, and why it has no part in a swarm', async () => {
    const worker = { ...info.Swarm, ControlAvailable: false, Error: 'token is wrong' };
    const { out } = await run(['info'], { Swarm: worker });
    expect(out).toContain(' Error: token is wrong\n Is Manager: false\n Node Address: 10.0.0.1\n');
    const none = { ...info.Swarm, LocalNodeState: 'inactive' };
    expect((await run(['info'], { Swarm: none })).out).toBe('Swarm: inactive\n');
    const format = ['info', '--format', '{{.Swarm.NodeID}}'];
    expect((await run(format)).out).toBe('node1\n');
  });
});
