import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SystemClock } from '../../../src/runtime/index.ts';
import { sharedEngine } from '../../support/shared-engine.ts';
import { Swarm } from '../../support/swarm.ts';
import { freePort, SwarmDaemon } from '../../support/swarm-daemon.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const shared = sharedEngine();
const dockerHost = shared?.dockerHost ?? '';
const clock = new SystemClock();

/** How a daemon that cannot begin ended, and what it wrote. */
async function refusal(
  daemon: SwarmDaemon,
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly text: string }> {
  const before = daemon.log.length;
  daemon.launch(...args);
  const { code } = await daemon.ended;
  return { code, text: daemon.log.slice(before).join('\n') };
}

/** Every file below a directory with the hash of what it holds, but for LevelDB's own diary. */
function fingerprint(directory: string): Readonly<Record<string, string>> {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(directory, path)).isFile() && !/\/LOG(\.old)?$/u.test(path))
    .toSorted();
  return Object.fromEntries(
    files.map((path) => [
      path,
      createHash('sha256')
        .update(readFileSync(join(directory, path)))
        .digest('hex'),
    ]),
  );
}

const damagedLog = 'raft log is damaged';

const remove =
  (path: string) =>
  (directory: string): void => {
    rmSync(join(directory, path), { recursive: true });
  };

const aDaemon = async (
  mode: 'manager' | 'worker' | 'daemon',
  args: readonly string[] = [],
): Promise<SwarmDaemon> => SwarmDaemon.create({ mode, hostname: 'bad', dockerHost, args });

describe.skipIf(shared === undefined)('a join that cannot succeed', () => {
  let swarm: Swarm;
  let token: string;

  beforeAll(async () => {
    swarm = await Swarm.start([dockerHost]);
    token = await swarm.token();
  });

  afterAll(async () => {
    await swarm[Symbol.asyncDispose]();
  });

  const withSecret = (secret: string): string => token.replace(/[^-]+$/u, secret);
  const withDigest = (digest: string): string => token.replace(/^(SWMTKN-1-)[^-]+/u, `$1${digest}`);

  test('fails at once, says why, and leaves the node as it was', async () => {
    await using node = await aDaemon('daemon');
    await node.start();
    const nobody = `127.0.0.1:${await freePort()}`;
    const attempts = [
      ['garbage', swarm.manager.address, 'invalid join token'],
      ['SWMTKN-1-aaa-bbb', swarm.manager.address, 'invalid join token'],
      ['', swarm.manager.address, 'invalid join token'],
      [
        withSecret('0'.repeat(25)),
        swarm.manager.address,
        'A valid join token is necessary to join this cluster',
      ],
      [
        withDigest('0'.repeat(50)),
        swarm.manager.address,
        'remote CA does not match fingerprint. Expected: 0000',
      ],
      [token, nobody, nobody],
      [token, '127.0.0.1:99999', '"127.0.0.1:99999" is not HOST:PORT'],
    ] as const;
    for (const [joinToken, address, reason] of attempts) {
      const begun = clock.monotonic();
      const { status, body } = await node.ask('/swarm/join', {
        method: 'POST',
        body: { ListenAddr: node.address, RemoteAddrs: [address], JoinToken: joinToken },
      });
      expect({ joinToken, status, body }).toMatchObject({
        joinToken,
        body: { message: expect.stringContaining(reason) as unknown },
      });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(clock.monotonic() - begun).toBeLessThan(10_000); // It is told, and not left to time out.
      expect(readdirSync(node.stateDir)).toEqual([]);
      expect(await node.info()).toMatchObject({ LocalNodeState: 'inactive', Error: '' });
    }
    // After all that it joins as if nothing had been.
    expect(await node.prints('swarm', 'join', '--token', token, swarm.manager.address)).toBe(
      'This node joined a swarm as a worker.\n',
    );
  });

  test('ends a worker with exit code 1 and a last line that says why', async () => {
    await using worker = await aDaemon('worker');
    const wrong = await refusal(
      worker,
      '--join',
      swarm.manager.address,
      '--token',
      withSecret('0'.repeat(25)),
    );
    expect(wrong.code).toBe(1);
    expect(wrong.text.split('\n').at(-1)).toContain(
      'A valid join token is necessary to join this cluster',
    );
    expect(readdirSync(worker.stateDir)).toEqual([]);
    expect(existsSync(worker.socketPath)).toBe(false);
  });

  test('does not tell the log what the token was', async () => {
    const everything = swarm.daemons.flatMap(({ log }) => log).join('\n');
    expect(everything).not.toContain('SWMTKN');
    expect(everything).not.toContain(token.split('-').at(-1));
  });

  test('an address in use is named by the daemon that wanted it', async () => {
    await using other = await aDaemon('manager');
    const { code, text } = await refusal(other, '--listen-addr', swarm.manager.address);
    expect(code).toBe(1);
    expect(text.split('\n').at(-1)).toContain(swarm.manager.address);
    expect(text.split('\n').at(-1)).toMatch(/in use/iu);
    expect(readdirSync(other.stateDir)).toEqual([]);
  });

  test('a state directory has one daemon, and a second one names it', async () => {
    await using other = await aDaemon('manager');
    const { stateDir } = swarm.manager;
    const before = fingerprint(join(stateDir, 'certificates'));
    const { code, text } = await refusal(other, '--state-dir', stateDir);
    expect(code).toBe(1);
    expect(text).toBe(
      `state directory ${stateDir} is in use by another swarmd: stop it, or give this one a --state-dir of its own`,
    );
    expect(fingerprint(join(stateDir, 'certificates'))).toEqual(before);
    expect(await swarm.manager.info()).toMatchObject({ LocalNodeState: 'active' });
  });

  test('a socket in use is named by the daemon that wanted it, and stays its owner’s', async () => {
    await using other = await aDaemon('daemon');
    const { socketPath } = swarm.manager;
    const { code, text } = await refusal(other, '--host', `unix://${socketPath}`);
    expect(code).toBe(1);
    expect(text.split('\n').at(-1)).toContain(socketPath);
    expect(await swarm.manager.info()).toMatchObject({ LocalNodeState: 'active' });
  });
});

describe.skipIf(shared === undefined)('addresses that a manager cannot have', () => {
  test.each([
    [
      ['--advertise-addr', 'eth99'],
      'advertise address must be a non-zero IP address or network interface (with optional port number)',
    ],
    [
      ['--advertise-addr', '1.2.3'],
      'advertise address must be a non-zero IP address or network interface (with optional port number)',
    ],
    [
      ['--advertise-addr', '0.0.0.0'],
      'advertise address must be a non-zero IP address or network interface (with optional port number)',
    ],
    [
      ['--listen-addr', 'eth99'],
      'listen address must be an IP address or network interface (with optional port number)',
    ],
    [['--listen-addr', '203.0.113.7:2377'], '203.0.113.7:2377'],
  ])('%j', async (args, reason) => {
    await using manager = await aDaemon('manager');
    const { code, text } = await refusal(manager, ...args);
    expect(code).toBe(1);
    expect(text.split('\n').at(-1)).toContain(reason);
    expect(readdirSync(manager.stateDir)).toEqual([]);
  });
});

describe.skipIf(shared === undefined)('a damaged state directory', () => {
  let manager: SwarmDaemon;
  let copy: TemporaryDirectory;

  beforeAll(async () => {
    copy = await TemporaryDirectory.create();
    manager = await aDaemon('manager');
    await manager.start();
    const body = {
      Name: 'kept',
      TaskTemplate: { ContainerSpec: { Image: 'hold' } },
      Mode: { Replicated: { Replicas: 0 } },
    };
    await manager.ask('/services/create', { method: 'POST', body });
    await manager.stop();
    cpSync(manager.stateDir, copy.path, { recursive: true });
  });

  afterAll(async () => {
    await manager[Symbol.asyncDispose]();
    await copy[Symbol.asyncDispose]();
  });

  const restore = (): void => {
    rmSync(manager.stateDir, { recursive: true, force: true });
    cpSync(copy.path, manager.stateDir, { recursive: true });
  };

  /** The file to which LevelDB has written last. */
  const logFile = (): string => {
    const [path = ''] = readdirSync(join(manager.stateDir, 'raft/db'))
      .filter((name) => name.endsWith('.log'))
      .toSorted()
      .toReversed();
    return join('raft/db', path);
  };

  const damages: readonly (readonly [string, (directory: string) => void, string])[] = [
    [
      'state.json',
      (at) => writeFileSync(join(at, 'state.json'), '{"listenAddr"'),
      'state.json is damaged',
    ],
    ['all certificates', remove('certificates'), 'certificates are missing'],
    ['the certificate', remove('certificates/swarm-node.crt'), 'swarm-node.crt is missing'],
    ['the key', remove('certificates/swarm-node.key'), 'swarm-node.key is missing'],
    [
      'the root certificate',
      remove('certificates/swarm-root-ca.crt'),
      'swarm-root-ca.crt is missing',
    ],
    ['the whole log', remove('raft'), damagedLog],
    ['the database', remove('raft/db/CURRENT'), damagedLog],
    [
      'the end of the log',
      (at) => {
        const path = join(at, logFile());
        truncateSync(path, statSync(path).size >> 1); // The last batch alone, the sentinel has.
      },
      damagedLog,
    ],
    [
      'a bit of the log',
      (at) => {
        const path = join(at, logFile());
        const data = readFileSync(path);
        const place = data.length >> 2;
        data.writeUInt8(data.readUInt8(place) ^ 1, place);
        writeFileSync(path, data);
      },
      damagedLog,
    ],
  ];

  test.each(damages)(
    '%s: the manager refuses to begin, and changes nothing',
    async (_, damage, reason) => {
      restore();
      damage(manager.stateDir);
      const before = fingerprint(manager.stateDir);
      for (let attempt = 1; attempt <= (reason === damagedLog ? 2 : 1); attempt += 1) {
        const { code, text } = await refusal(manager);
        expect(text.split('\n').at(-1)).toContain(reason);
        expect(code).toBe(1);
        expect(manager.printed).toBe('');
        expect(fingerprint(manager.stateDir)).toEqual(before);
      }
    },
  );

  test('restored from a copy, it is the manager it was', async () => {
    restore();
    await manager.start();
    const services =
      await manager.get<readonly { readonly Spec: { readonly Name: string } }[]>('/services');
    expect(services.map(({ Spec }) => Spec.Name)).toEqual(['kept']);
  });
});

describe.skipIf(shared === undefined)('an Engine that is not there', () => {
  test('is waited for: the swarm is founded meanwhile, and the node says what is missing', async () => {
    await using directory = await TemporaryDirectory.create();
    const socket = join(directory.path, 'absent.sock');
    await using manager = await SwarmDaemon.create({
      mode: 'manager',
      hostname: 'alone',
      dockerHost: `unix://${socket}`,
    });
    await manager.start();
    const { Warnings } = await manager.get<{ readonly Warnings: readonly string[] }>('/info');
    expect(Warnings).toEqual([
      expect.stringContaining(`cannot reach the local Docker Engine at unix://${socket}`),
    ]);
    const listed = await manager.docker([
      'node',
      'ls',
      '--format',
      '{{.Hostname}} {{.ManagerStatus}} {{.EngineVersion}}',
    ]);
    expect(listed).toMatchObject({ code: 0, stdout: 'alone Leader unreachable\n' });
    expect(await manager.stop()).toEqual({ code: 0, signal: null });
  });
});
