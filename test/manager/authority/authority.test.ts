import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Caller, localClient, type RpcClient } from '../../../src/api/index.ts';
import { keyOfCsr, newCsr, newKey, rootDigest } from '../../../src/ca/index.ts';
import { Authority } from '../../../src/manager/authority/authority.ts';
import { runSigner } from '../../../src/manager/authority/signer.ts';
import type { Store } from '../../../src/manager/store/store.ts';
import { CryptoRandom, isSwarmError } from '../../../src/runtime/index.ts';
import { aNode } from '../../support/builders.ts';
import { aStore } from '../../support/immediate-log.ts';
import { silentLog } from '../../support/silent-log.ts';
import { TestSwarm } from '../../support/test-swarm.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const call = { signal: new AbortController().signal, deadlineMs: 5_000 };
const csr = Buffer.from(newCsr(newKey()));
const anyone: Caller = { kind: 'anyone', remoteIp: '10.0.0.5' };

async function setup() {
  const clock = new VirtualClock();
  const swarm = new TestSwarm(clock);
  const store = aStore(clock);
  const cluster = swarm.cluster();
  await store.update((tx) => {
    tx.create('cluster', cluster);
  });
  const deps = { store, clock, random: new CryptoRandom(), log: silentLog };
  const authority = new Authority(deps);
  const as = (caller: Caller): RpcClient =>
    localClient({ CA: authority, NodeCA: authority }, caller);
  const node = (nodeId: string): RpcClient =>
    as({
      kind: 'node',
      nodeId,
      role: 'swarm-worker',
      clusterId: swarm.clusterId,
      remoteIp: '10.0.0.5',
    });
  const tokens = cluster.rootCa?.joinTokens ?? { worker: '', manager: '' };
  return { clock, swarm, store, deps, as, node, anyone: as(anyone), tokens };
}

const nodesOf = (store: Store) => store.view((view) => view.find('node'));

const answerOf = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: unknown) => (isSwarmError(error) ? `${error.code}: ${error.message}` : String(error)),
  );

describe('a node that joins', () => {
  test.each(['worker', 'manager'] as const)('gets the role of its %s token', async (role) => {
    const { anyone: joiner, tokens, store, swarm } = await setup();
    const token = tokens[role];
    const request = { csr, token, availability: 'DRAIN' } as const;
    const { nodeId } = await joiner.unary('NodeCA', 'IssueNodeCertificate', request, call);
    const [node] = nodesOf(store);
    expect(node).toMatchObject({
      id: nodeId,
      role: role === 'worker' ? 'WORKER' : 'MANAGER',
      spec: {
        desiredRole: role === 'worker' ? 'WORKER' : 'MANAGER',
        membership: 'ACCEPTED',
        availability: 'DRAIN',
      },
      VXLANUDPPort: 4789,
    });

    const { status, certificate } = await joiner.unary(
      'NodeCA',
      'NodeCertificateStatus',
      { nodeId },
      call,
    );
    expect(status?.state).toBe('ISSUED');
    expect(certificate?.csr.equals(csr)).toBe(true);
    const issued = new X509Certificate(certificate?.certificate ?? '');
    expect(issued.subject).toBe(`O=${swarm.clusterId}\nOU=swarm-${role}\nCN=${nodeId}`);
    expect(issued.publicKey.equals(keyOfCsr(csr))).toBe(true);
  });

  test('as a manager with the token of workers is refused, says what to do, and leaves nothing', async () => {
    const { anyone: joiner, tokens, store } = await setup();
    const join = async (token: string): Promise<string> =>
      answerOf(
        joiner.unary('NodeCA', 'IssueNodeCertificate', { csr, token, role: 'MANAGER' }, call),
      );
    expect(await join(tokens.worker)).toBe(
      "failed-precondition: this token lets workers join, not managers: start this node with swarmd worker, or get the managers' token with swarmd swarm join-token manager",
    );
    expect(nodesOf(store)).toEqual([]);
    expect(await join(tokens.manager)).toBe('ok');
  });

  test('is signed for in the transaction that records it', async () => {
    const { anyone: joiner, tokens, store } = await setup();
    const events = store.subscribe((event) => event.action === 'committed');
    const request = { csr, token: tokens.worker };
    await joiner.unary('NodeCA', 'IssueNodeCertificate', request, call);
    expect(events.drain()).toHaveLength(1);
  });

  test.each([
    { token: '', why: 'no token' },
    { token: 'SWMTKN-1-x-y', why: 'no such token' },
  ])('with $why is refused, and nothing is stored', async ({ token }) => {
    const { anyone: joiner, store } = await setup();
    const events = store.subscribe();
    expect(
      await answerOf(joiner.unary('NodeCA', 'IssueNodeCertificate', { csr, token }, call)),
    ).toBe('invalid-argument: A valid join token is necessary to join this cluster');
    expect(events.drain()).toEqual([]);
  });

  test.each([
    { request: Buffer.alloc(0), told: 'invalid-argument: InvalidArgument' },
    {
      request: Buffer.from('garbage'),
      told: 'invalid-argument: invalid certificate signing request: not one in PEM',
    },
    {
      request: Buffer.concat([csr, Buffer.alloc(4_096, ' ')]),
      told: `invalid-argument: invalid certificate signing request: ${csr.length + 4_096} bytes are more than 4096`,
    },
  ])('with what is no request leaves nothing behind ($told)', async ({ request, told }) => {
    const { anyone: joiner, store, tokens } = await setup();
    expect(
      await answerOf(
        joiner.unary(
          'NodeCA',
          'IssueNodeCertificate',
          { csr: request, token: tokens.worker },
          call,
        ),
      ),
    ).toBe(told);
    expect(nodesOf(store)).toEqual([]);
  });

  test('waits while there is no cluster yet', async () => {
    const clock = new VirtualClock();
    const store = aStore(clock);
    const authority = new Authority({ store, clock, random: new CryptoRandom(), log: silentLog });
    const joiner = localClient({ NodeCA: authority }, anyone);
    expect(
      await answerOf(joiner.unary('NodeCA', 'IssueNodeCertificate', { csr, token: 'x' }, call)),
    ).toBe('aborted: CA signer is still starting');
  });
});

describe('a node that renews', () => {
  test('keeps its ID, and gets the role it plays now without a token', async () => {
    const { node, store } = await setup();
    const old = aNode({ role: 'MANAGER', spec: { desiredRole: 'WORKER', membership: 'ACCEPTED' } });
    await store.update((tx) => {
      tx.create('node', old);
    });
    const renewing = node(old.id);
    expect(await renewing.unary('NodeCA', 'IssueNodeCertificate', { csr }, call)).toEqual({
      nodeId: old.id,
      nodeMembership: 'ACCEPTED',
    });
    const { certificate } = await renewing.unary(
      'NodeCA',
      'NodeCertificateStatus',
      { nodeId: old.id },
      call,
    );
    expect(certificate?.role).toBe('MANAGER');
    expect(new X509Certificate(certificate?.certificate ?? '').subject).toContain(
      'OU=swarm-manager',
    );
    expect(nodesOf(store)).toHaveLength(1);
  });

  test('is refused when it is no node any more', async () => {
    const { node } = await setup();
    expect(
      await answerOf(node('gone').unary('NodeCA', 'IssueNodeCertificate', { csr }, call)),
    ).toBe('not-found: node gone not found when attempting to renew certificate');
  });
});

describe('the status of a certificate', () => {
  test('is answered once it is final', async () => {
    const { anyone: joiner, store, deps, tokens } = await setup();
    const controller = new AbortController();
    const pending = aNode({
      spec: { membership: 'PENDING' },
      certificate: { csr, status: { state: 'PENDING' } },
    });
    await store.update((tx) => {
      tx.create('node', pending);
    });
    const signing = runSigner(deps, controller.signal).catch(() => undefined);
    const status = joiner.unary('NodeCA', 'NodeCertificateStatus', { nodeId: pending.id }, call);
    await joiner.unary('NodeCA', 'IssueNodeCertificate', { csr, token: tokens.worker }, call);
    await store.update((tx) => {
      const node = tx.get('node', pending.id) ?? pending;
      tx.update('node', { ...node, spec: { ...(node.spec ?? aSpec), membership: 'ACCEPTED' } });
    });
    expect((await status).status?.state).toBe('ISSUED');
    controller.abort();
    await signing;
  });

  test('is refused for a node that is not, or is no more', async () => {
    const { anyone: joiner, store } = await setup();
    const ask = async (nodeId: string): Promise<string> =>
      answerOf(joiner.unary('NodeCA', 'NodeCertificateStatus', { nodeId }, call));
    expect(await ask('')).toBe('invalid-argument: InvalidArgument');
    expect(await ask('x')).toBe('not-found: node x not found');
    const node = aNode({ certificate: { csr, status: { state: 'PENDING' } } });
    await store.update((tx) => {
      tx.create('node', node);
    });
    const waiting = ask(node.id);
    await store.update((tx) => {
      tx.remove('node', node.id);
    });
    expect(await waiting).toBe(`not-found: node ${node.id} not found`);
  });
});

const aSpec = aNode().spec ?? {
  annotations: null,
  desiredRole: 'WORKER' as const,
  membership: 'ACCEPTED' as const,
  availability: 'ACTIVE' as const,
};

describe('the signer', () => {
  test('waits for a key, and signs when there is one', async () => {
    const { anyone: joiner, store, deps, tokens, clock } = await setup();
    const setKey = async (key: Buffer): Promise<Buffer> =>
      store.update((tx) => {
        const [cluster] = tx.find('cluster');
        if (cluster?.rootCa === null || cluster === undefined) throw new Error('no cluster');
        tx.update('cluster', { ...cluster, rootCa: { ...cluster.rootCa, caKey: key } });
        return cluster.rootCa.caKey;
      });
    const key = await setKey(Buffer.alloc(0));
    const controller = new AbortController();
    const signing = runSigner(deps, controller.signal).catch(() => undefined);
    await joiner.unary('NodeCA', 'IssueNodeCertificate', { csr, token: tokens.worker }, call);
    await clock.advance(20_000);
    const stateOf = () => nodesOf(store)[0]?.certificate?.status?.state;
    expect(stateOf()).toBe('PENDING');
    await setKey(key);
    await clock.advance(0);
    expect(stateOf()).toBe('ISSUED');
    controller.abort();
    await signing;
  });

  test('says why it will never sign what is no request', async () => {
    const { store, deps, clock } = await setup();
    const controller = new AbortController();
    const node = aNode({ certificate: { csr: Buffer.from('x'), status: { state: 'RENEW' } } });
    await store.update((tx) => {
      tx.create('node', node);
    });
    const signing = runSigner(deps, controller.signal).catch(() => undefined);
    await clock.advance(0);
    expect(nodesOf(store)[0]?.certificate?.status).toEqual({
      state: 'FAILED',
      err: 'invalid certificate signing request: not one in PEM',
    });
    controller.abort();
    await signing;
  });
});

describe('the CA', () => {
  test('hands out the root to anyone', async () => {
    const { anyone: joiner, swarm } = await setup();
    const { certificate } = await joiner.unary('CA', 'GetRootCACertificate', {}, call);
    expect(rootDigest(certificate)).toBe(swarm.rootCa.digest);
  });

  test('has an unlock key only for a swarm that locks itself', async () => {
    const { node, store } = await setup();
    const manager = node('m1');
    expect((await manager.unary('CA', 'GetUnlockKey', {}, call)).unlockKey).toHaveLength(0);
    const key = Buffer.alloc(32, 7);
    await store.update((tx) => {
      for (const cluster of tx.find('cluster')) {
        const unlockKey = { subsystem: 'swarm-manager', key, lamportTime: '0' } as const;
        tx.update('cluster', {
          ...cluster,
          unlockKeys: [{ ...unlockKey, algorithm: 'AES_128_GCM' }],
        });
      }
    });
    const { unlockKey, version } = await manager.unary('CA', 'GetUnlockKey', {}, call);
    expect(unlockKey.equals(key)).toBe(true);
    expect(version?.index).toBe('2');
  });
});
