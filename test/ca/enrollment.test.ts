import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  connectRpc,
  goErrorText,
  type Handlers,
  localClient,
  type RpcConnection,
} from '../../src/api/index.ts';
import {
  type Connect,
  type ConnectOptions,
  enroll,
  foundIdentity,
  KeyStore,
  loadIdentity,
  newJoinToken,
  SecurityConfig,
} from '../../src/ca/index.ts';
import { renew } from '../../src/ca/enrollment.ts';
import { Authority } from '../../src/manager/authority/authority.ts';
import { serveCluster } from '../../src/manager/grpc/server.ts';
import { CryptoRandom, isSwarmError, SwarmError, SystemClock } from '../../src/runtime/index.ts';
import { aStore } from '../support/immediate-log.ts';
import { silentLog } from '../support/silent-log.ts';
import { TestSwarm } from '../support/test-swarm.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const clock = new SystemClock();
const random = new CryptoRandom();
const log = silentLog;

let state = '';
let keyStore = new KeyStore({ directory: '', random });
const ending: (() => Promise<void>)[] = [];
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'swarmd-enroll-'));
  keyStore = new KeyStore({ directory: join(state, 'certificates'), random });
});
afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  await rm(state, { recursive: true });
});

/** A manager that answers joins, on a port. */
async function aManager(swarm = new TestSwarm()) {
  const store = aStore();
  const cluster = swarm.cluster();
  await store.update((tx) => {
    tx.create('cluster', cluster);
  });
  const authority = new Authority({ store, clock, random, log });
  const controller = new AbortController();
  let running = Promise.resolve();
  const port = await new Promise<number>((resolve) => {
    running = serveCluster(
      {
        security: swarm.security('swarm-manager'),
        handlers: { CA: authority, NodeCA: authority },
        clusterId: swarm.clusterId,
        isRemoved: () => false,
        onListening: resolve,
        clock,
        log,
      },
      { host: '127.0.0.1', port: 0 },
      controller.signal,
    );
  });
  ending.push(async () => {
    controller.abort();
    await running;
  });
  const tokens = cluster.rootCa?.joinTokens ?? { worker: '', manager: '' };
  return { swarm, store, tokens, connect: connectTo(`127.0.0.1:${port}`) };
}

const connectTo =
  (address: string): Connect =>
  ({ verify, identity }: ConnectOptions): RpcConnection =>
    connectRpc({
      kind: 'tls',
      address,
      serverName: verify === 'none' ? 'swarm-ca' : verify.serverName,
      ...(verify === 'none' ? {} : { ca: verify.rootCaPem }),
      ...(identity === undefined
        ? {}
        : { identity: { cert: identity.certPem, key: identity.keyPem } }),
    });

const { signal } = new AbortController();

/** What a docker CLI would show of a join. */
async function joinText(connect: Connect, token: string): Promise<string> {
  const request = { token, availability: 'ACTIVE' } as const;
  return enroll({ connect, keyStore, clock, log }, request, signal).then(
    () => 'joined',
    (error: unknown) => (isSwarmError(error) ? goErrorText(error) : String(error)),
  );
}

describe('enroll', () => {
  test.each(['worker', 'manager'] as const)(
    'makes this node a %s, on disk and in use',
    async (role) => {
      const { swarm, store, tokens, connect } = await aManager();
      const security = await enroll(
        { connect, keyStore, clock, log },
        { token: tokens[role], availability: 'PAUSE' },
        signal,
      );
      const [node] = store.view((view) => view.find('node'));
      expect(security.current).toMatchObject({
        nodeId: node?.id,
        role: `swarm-${role}`,
        clusterId: swarm.clusterId,
        rootCaPem: swarm.rootCa.certPem,
      });
      expect(node?.spec?.availability).toBe('PAUSE');
      const loaded = await loadIdentity({ keyStore, clock, random });
      expect(loaded?.security.current).toEqual(security.current);
      expect(loaded?.rootCa).toBeUndefined();
    },
  );

  test('fails at once on what no later try would change, and writes nothing', async () => {
    const { swarm, tokens, connect } = await aManager();
    const other = newJoinToken(random, new TestSwarm().rootCa.digest);
    const wrongSecret = newJoinToken(random, swarm.rootCa.digest);
    const startedAt = clock.monotonic();
    expect(await joinText(connect, 'foo')).toContain('invalid join token');
    expect(await joinText(connect, other)).toMatch(
      /desc = remote CA does not match fingerprint\. Expected: [0-9a-f]{64}$/u,
    );
    expect(await joinText(connect, wrongSecret)).toBe(
      'rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster',
    );
    expect(await joinText(connectTo('127.0.0.1:1'), tokens.worker)).toBe(
      'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while ' +
        'dialing dial tcp 127.0.0.1:1: connect: connection refused"',
    );
    expect(clock.monotonic() - startedAt).toBeLessThan(2_000);
    expect(await readdir(state)).toEqual([]);
  });

  test('asks a manager that is still starting again, and gives up after a while', async () => {
    const virtual = new VirtualClock();
    let asked = 0;
    const starting: Pick<Handlers<'CA'>, 'getRootCACertificate'> = {
      getRootCACertificate: async () => {
        asked += 1;
        await Promise.resolve();
        throw new SwarmError('aborted', 'CA signer is still starting');
      },
    };
    const connect: Connect = () => ({
      ...localClient({ CA: starting }, { kind: 'anyone', remoteIp: '' }),
      [Symbol.dispose]: () => undefined,
    });
    const token = newJoinToken(random, new TestSwarm().rootCa.digest);
    const joining = enroll(
      { connect, keyStore, clock: virtual, log },
      { token, availability: 'ACTIVE' },
      signal,
    ).catch((error: unknown) => String(error));
    await virtual.advance(20_000);
    expect(await joining).toContain('CA signer is still starting');
    expect(asked).toBe(5);
  });

  test('does not take a certificate of another root', async () => {
    const { swarm, tokens } = await aManager();
    const impostor = new TestSwarm();
    const root = Buffer.from(swarm.rootCa.certPem);
    let csr: Buffer = Buffer.alloc(0);
    const connect: Connect = () => ({
      ...localClient(
        {
          CA: { getRootCACertificate: async () => Promise.resolve({ certificate: root }) },
          NodeCA: {
            issueNodeCertificate: async (request) => {
              csr = request.csr;
              return Promise.resolve({ nodeId: 'n1' });
            },
            nodeCertificateStatus: async () =>
              Promise.resolve({
                status: { state: 'ISSUED' },
                certificate: {
                  csr,
                  certificate: Buffer.from(impostor.identity('swarm-worker').certPem),
                },
              }),
          },
        },
        { kind: 'anyone', remoteIp: '' },
      ),
      [Symbol.dispose]: () => undefined,
    });
    expect(await joinText(connect, tokens.worker)).toContain('signed by unknown authority');
    expect(await readdir(state)).toEqual([]);
  });
});

describe('renew', () => {
  test('replaces the certificate and its key, on disk and in use', async () => {
    const { tokens, connect, store } = await aManager();
    const deps = { connect, keyStore, clock, log };
    const security = await enroll(deps, { token: tokens.worker, availability: 'ACTIVE' }, signal);
    using changes = security.watch();
    const before = security.current;
    await store.update((tx) => {
      for (const node of tx.find('node')) tx.update('node', { ...node, role: 'MANAGER' });
    });
    await renew({ ...deps, security }, signal);
    const { current } = security;
    expect(current.nodeId).toBe(before.nodeId);
    expect(current.role).toBe('swarm-manager');
    expect(current.keyPem).not.toBe(before.keyPem);
    expect(changes.drain()).toEqual([current]);
    expect(await keyStore.load()).toEqual({
      rootCaPem: current.rootCaPem,
      certPem: current.certPem,
      keyPem: current.keyPem,
    });
  });
});

describe('foundIdentity', () => {
  test('makes this node the first manager of a new swarm', async () => {
    const { security, rootCa } = await foundIdentity({ keyStore, clock, random });
    expect(security.current.role).toBe('swarm-manager');
    expect(security.current.nodeId).not.toBe(security.current.clusterId);
    expect(rootCa?.certPem).toBe(security.current.rootCaPem);
  });

  test('is remembered with the key of its root, until the log has it', async () => {
    const { security, rootCa } = await foundIdentity({ keyStore, clock, random });
    const again = await loadIdentity({ keyStore, clock, random });
    expect(again?.security.current).toEqual(security.current);
    expect(again?.rootCa?.keyPem).toBe(rootCa?.keyPem);
    await keyStore.forgetRootKey();
    expect((await loadIdentity({ keyStore, clock, random }))?.rootCa).toBeUndefined();
  });

  test('nothing is loaded where nothing was founded', async () => {
    expect(await loadIdentity({ keyStore, clock, random })).toBeUndefined();
  });
});

describe('SecurityConfig', () => {
  const swarm = new TestSwarm();

  test('tells the swarm who issued its certificate', () => {
    const { tlsInfo, rootCaPem } = swarm.security('swarm-worker').current;
    expect(tlsInfo.trustRoot.toString()).toBe(rootCaPem);
    // The DER of CN=swarm-ca, as Go writes it.
    expect(tlsInfo.certIssuerSubject.toString('hex')).toBe(
      '30133111300f06035504031308737761726d2d6361',
    );
    expect(tlsInfo.certIssuerPublicKey).toHaveLength(91);
  });

  test('does not trust roots its own certificate does not lead to', () => {
    const security = swarm.security('swarm-worker');
    const before = security.current;
    expect(() => {
      security.replaceRootCa(new TestSwarm().rootCa.certPem);
    }).toThrow('new root CA does not match existing TLS credentials');
    expect(security.current).toBe(before);
    const both = before.rootCaPem + new TestSwarm().rootCa.certPem;
    security.replaceRootCa(both);
    expect(security.current.rootCaPem).toBe(both);
  });

  test('does not take a certificate that has expired, nor one without its key', async () => {
    const virtual = new VirtualClock();
    const identity = new TestSwarm(virtual).identity('swarm-worker', { expiryMs: 3_600_000 });
    const { keyPem } = swarm.identity('swarm-worker');
    const load = (): SecurityConfig => new SecurityConfig({ clock: virtual }, identity);
    expect(load).not.toThrow();
    expect(() => new SecurityConfig({ clock: virtual }, { ...identity, keyPem })).toThrow(
      'certificate key mismatch',
    );
    await virtual.advance(3_700_000);
    expect(load).toThrow('not valid after');
  });
});
