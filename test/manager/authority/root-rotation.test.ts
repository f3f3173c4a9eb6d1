import { describe, expect, test } from 'vitest';
import type { Cluster, Node } from '../../../src/api/index.ts';
import {
  certificatesOf,
  issuerInfoOf,
  newCsr,
  newKey,
  keyToPem,
  parseJoinToken,
  RootCa,
  rootDigest,
  SecurityConfig,
} from '../../../src/ca/index.ts';
import { CertificateIssuer } from '../../../src/manager/authority/certificate-signing.ts';
import {
  rotatedAtOnceMax,
  rotationPaceMs,
  runRootRotation,
} from '../../../src/manager/authority/root-rotation.ts';
import type { Store } from '../../../src/manager/store/store.ts';
import { CryptoRandom, runTogether } from '../../../src/runtime/index.ts';
import { aNode } from '../../support/builders.ts';
import { aStore } from '../../support/immediate-log.ts';
import { silentLog } from '../../support/silent-log.ts';
import { TestSwarm } from '../../support/test-swarm.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const random = new CryptoRandom();

/** A swarm of so many nodes that begins to rotate to another root. */
class RotatingSwarm {
  readonly clock = new VirtualClock();
  readonly old = new TestSwarm(this.clock);
  readonly next = RootCa.create({ random, clock: this.clock });
  readonly store: Store = aStore(this.clock);
  readonly #keys = new Map<string, string>();

  async begin(nodes: number): Promise<void> {
    const cluster = this.old.cluster();
    await this.store.update((tx) => {
      tx.create('cluster', cluster);
      for (let n = 0; n < nodes; n += 1) tx.create('node', this.#withOldCertificate());
    });
    await this.rotateTo(this.next);
  }

  async rotateTo(next: RootCa): Promise<void> {
    const { rootCa } = this.cluster;
    if (rootCa === null) throw new Error('no root');
    const rootRotation = {
      caCert: Buffer.from(next.certPem),
      caKey: Buffer.from(next.keyPem ?? ''),
      crossSignedCaCert: Buffer.from(this.old.rootCa.crossSign(random, next.certPem)),
    };
    await this.store.update((tx) => {
      tx.update('cluster', { ...this.cluster, rootCa: { ...rootCa, rootRotation } });
    });
  }

  #withOldCertificate(): Node {
    const node = aNode();
    const { certPem, keyPem } = this.old.identity('swarm-worker', { nodeId: node.id });
    this.#keys.set(node.id, keyPem);
    const state = 'ISSUED' as const;
    return this.#said(
      {
        ...node,
        certificate: {
          csr: Buffer.alloc(0),
          cn: node.id,
          role: 'WORKER',
          status: { state, err: '' },
          certificate: Buffer.from(certPem),
        },
      },
      this.old.rootCa.certPem,
    );
  }

  #said(node: Node, issuerPem: string): Node {
    const tlsInfo = { trustRoot: Buffer.alloc(0), ...issuerInfoOf(issuerPem) };
    return { ...node, description: node.description && { ...node.description, tlsInfo } };
  }

  get cluster(): Cluster {
    const [cluster] = this.store.view((view) => view.find('cluster'));
    if (cluster === undefined) throw new Error('no cluster');
    return cluster;
  }

  get nodes(): readonly Node[] {
    return this.store.view((view) => view.find('node'));
  }

  /** Nodes that are sent for a new certificate, and have not asked for one. */
  get sent(): readonly Node[] {
    return this.nodes.filter(({ certificate }) => certificate?.status?.state === 'ROTATE');
  }

  /** A node asks for a certificate and gets it; nobody hears of it yet. */
  async renew(node: Node): Promise<void> {
    const key = newKey();
    this.#keys.set(node.id, keyToPem(key));
    const issuer = new CertificateIssuer({ random, clock: this.clock });
    await this.store.update((tx) => {
      const { certificate } = node;
      if (certificate === null) throw new Error('no certificate');
      const asking = { ...node, certificate: { ...certificate, csr: Buffer.from(newCsr(key)) } };
      tx.update('node', issuer.withCertificate(this.cluster, asking));
    });
  }

  /** Its agent opens a session, which says who issued its certificate. */
  async say(id: string, issuerPem = this.next.certPem): Promise<void> {
    await this.store.update((tx) => {
      const node = tx.get('node', id);
      if (node !== undefined) tx.update('node', this.#said(node, issuerPem));
    });
  }

  /** What a node has on its disk. */
  identityOf({ id, certificate }: Node, rootCaPem: string) {
    const certPem = certificate?.certificate.toString() ?? '';
    return { rootCaPem, certPem, keyPem: this.#keys.get(id) ?? '' };
  }

  async lead(body: () => Promise<void>): Promise<void> {
    const end = new AbortController();
    const { store, clock } = this;
    const loop = runTogether(end.signal, [
      async (signal) => runRootRotation({ store, clock, random, log: silentLog }, signal),
    ]);
    await clock.advance(0);
    await body();
    end.abort();
    await loop;
  }
}

describe('runRootRotation', () => {
  test('sends every node for a new certificate, and ends when all have said that they have it', async () => {
    const swarm = new RotatingSwarm();
    await swarm.begin(3);
    const { joinTokens } = swarm.cluster.rootCa ?? {};
    await swarm.lead(async () => {
      expect(swarm.sent).toHaveLength(3);
      for (const node of swarm.sent) {
        expect(swarm.cluster.rootCa?.caCert.toString()).toBe(swarm.old.rootCa.certPem);
        await swarm.renew(node);
        await swarm.say(node.id);
      }
      await swarm.clock.advance(0);
      const { rootCa } = swarm.cluster;
      expect(rootCa?.rootRotation).toBeNull();
      expect(rootCa?.caCert.toString()).toBe(swarm.next.certPem);
      expect(rootCa?.caKey.toString()).toBe(swarm.next.keyPem);
      expect(rootCa?.caCertHash).toBe(rootDigest(swarm.next.certPem));
      for (const role of ['worker', 'manager'] as const) {
        const token = rootCa?.joinTokens?.[role] ?? '';
        expect(token).not.toBe(joinTokens?.[role]);
        expect(parseJoinToken(token).digest).toBe(swarm.next.digest);
      }
    });
  });

  test('what is issued meanwhile is good for who trusts the old root, and for who trusts the new one', async () => {
    const swarm = new RotatingSwarm();
    await swarm.begin(1);
    await swarm.lead(async () => {
      const [sent] = swarm.sent;
      if (sent !== undefined) await swarm.renew(sent);
    });
    const [node] = swarm.nodes;
    if (node === undefined) throw new Error('no node');
    const identity = swarm.identityOf(node, swarm.old.rootCa.certPem);
    expect(certificatesOf(identity.certPem)).toHaveLength(2);
    const security = new SecurityConfig(swarm, identity);
    expect(security.current.tlsInfo).toMatchObject(issuerInfoOf(swarm.next.certPem));
    security.replaceRootCa(swarm.next.certPem);
    expect(security.current.tlsInfo).toMatchObject(issuerInfoOf(swarm.next.certPem));
    const third = RootCa.create({ random, clock: swarm.clock });
    expect(() => {
      security.replaceRootCa(third.certPem);
    }).toThrow('new root CA does not match existing TLS credentials');
  });

  test(`sends ${rotatedAtOnceMax} nodes at a time`, async () => {
    const swarm = new RotatingSwarm();
    await swarm.begin(rotatedAtOnceMax + 5);
    await swarm.lead(async () => {
      expect(swarm.sent).toHaveLength(rotatedAtOnceMax);
      await swarm.clock.advance(rotationPaceMs - 1);
      expect(swarm.sent).toHaveLength(rotatedAtOnceMax);
      await swarm.clock.advance(1);
      expect(swarm.sent).toHaveLength(rotatedAtOnceMax + 5);
    });
  });

  test('waits for a node that is down, until it renews or is removed', async () => {
    const swarm = new RotatingSwarm();
    await swarm.begin(2);
    await swarm.lead(async () => {
      const [up, down] = swarm.sent;
      await swarm.renew(up ?? aNode());
      await swarm.say(up?.id ?? '');
      await swarm.clock.advance(600_000);
      expect(swarm.cluster.rootCa?.rootRotation).not.toBeNull();
      await swarm.store.update((tx) => {
        tx.remove('node', down?.id ?? '');
      });
      await swarm.clock.advance(0);
      expect(swarm.cluster.rootCa?.rootRotation).toBeNull();
    });
  });

  test('a node that was given its certificate and goes on without it is sent again, not at once', async () => {
    const swarm = new RotatingSwarm();
    await swarm.begin(1);
    await swarm.lead(async () => {
      const [node] = swarm.sent;
      if (node !== undefined) await swarm.renew(node);
      await swarm.clock.advance(rotationPaceMs);
      expect(swarm.sent).toHaveLength(0);
      await swarm.clock.advance(rotationPaceMs);
      expect(swarm.sent).toHaveLength(1);
    });
  });

  test('one that is replaced by another goes on with that, from the same old root', async () => {
    const swarm = new RotatingSwarm();
    await swarm.begin(2);
    await swarm.lead(async () => {
      for (const node of swarm.sent.slice(0, 1)) {
        await swarm.renew(node);
        await swarm.say(node.id);
      }
      const other = RootCa.create({ random, clock: swarm.clock });
      await swarm.rotateTo(other);
      await swarm.clock.advance(0);
      expect(swarm.sent).toHaveLength(2);
      for (const node of swarm.sent) {
        await swarm.renew(node);
        await swarm.say(node.id, other.certPem);
      }
      await swarm.clock.advance(0);
      expect(swarm.cluster.rootCa?.caCert.toString()).toBe(other.certPem);
    });
  });
});
