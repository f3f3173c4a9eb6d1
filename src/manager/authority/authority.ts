import type { KeyObject } from 'node:crypto';
import type {
  GetRootCACertificateResponseInput,
  GetUnlockKeyResponseInput,
  IssueNodeCertificateRequest,
  IssueNodeCertificateResponseInput,
  NodeCertificateStatusRequest,
  NodeCertificateStatusResponseInput,
} from '../../api/gen/types.ts';
import {
  type CallContext,
  type Cluster,
  codecOf,
  type Handlers,
  type Node,
} from '../../api/index.ts';
import { keyOfCsr, roleOfToken } from '../../ca/index.ts';
import {
  type Clock,
  isSwarmError,
  type Log,
  newId,
  type Random,
  SwarmError,
} from '../../runtime/index.ts';
import type { Store } from '../store/store.ts';
import type { ReadView, Transaction } from '../store/view.ts';
import { CertificateIssuer, isAwaitingCertificate } from './certificate-signing.ts';
import { JoinRate } from './join-rate.ts';

interface Deps {
  readonly store: Pick<Store, 'view' | 'update' | 'subscribeToNode'>;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
}

/** Tries to draw a node ID that is free. */
const idAttemptsMax = 3;
/** Nodes that may wait for their certificate at the same time: anyone may wait. */
const waitingMax = 10_000;

/** Refused before anything is recorded: whoever asked for a manager would find a worker. */
const tokenOfWorkers =
  "this token lets workers join, not managers: start this node with swarmd worker, or get the managers' token with swarmd swarm join-token manager";

const nodeCodec = codecOf('Node');

/** A request for a certificate, and the key it proved. */
interface Request {
  readonly csr: Buffer;
  readonly key: KeyObject;
}

interface JoinRequest extends Request {
  readonly role: Node['role'];
  readonly availability: IssueNodeCertificateRequest['availability'];
}

/**
 * The CA's server: hands out the root, takes requests for certificates and answers once they are
 * signed. It answers on the leader. swarmkit ca/server.go
 *
 * Whoever has a join token becomes a node, and whoever has a node's certificate gets a fresh one.
 * Both are signed in the transaction that records them where that is possible; the signer does the
 * rest.
 */
export class Authority implements Handlers<'CA'>, Handlers<'NodeCA'> {
  readonly #deps: Deps;
  readonly #joins: JoinRate;
  readonly #issuer: CertificateIssuer;
  #waiting = 0;

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#joins = new JoinRate(deps);
    this.#issuer = new CertificateIssuer(deps);
  }

  async getRootCACertificate(): Promise<GetRootCACertificateResponseInput> {
    const { caCert } = this.#deps.store.view(clusterOf).rootCa ?? {};
    return caCert === undefined ? {} : { certificate: caCert };
  }

  /** The key that managers seal their own keys with; empty unless the swarm locks itself. */
  async getUnlockKey(): Promise<GetUnlockKeyResponseInput> {
    const { meta, unlockKeys } = this.#deps.store.view(clusterOf);
    const [unlockKey] = unlockKeys.filter(({ subsystem }) => subsystem === 'swarm-manager');
    return {
      ...(unlockKey === undefined ? {} : { unlockKey: unlockKey.key }),
      version: { index: meta?.version?.index ?? '0' },
    };
  }

  async issueNodeCertificate(
    { csr, token, availability, role: wanted }: IssueNodeCertificateRequest,
    { caller }: CallContext,
  ): Promise<IssueNodeCertificateResponseInput> {
    if (csr.length === 0) throw new SwarmError('invalid-argument', 'InvalidArgument');
    const { store, log } = this.#deps;
    if (caller.kind === 'node') {
      const key = keyOfCsr(csr); // Nothing is stored for what is no request.
      const node = await store.update((tx) => this.#renew(tx, caller.nodeId, { csr, key }));
      log.info({ 'node.id': node.id, role: node.role }, 'certificate renewal');
      return { nodeId: node.id, nodeMembership: node.spec?.membership ?? 'ACCEPTED' };
    }
    const role = this.#roleOf(token); // First: it is cheap, and anyone may ask.
    if (wanted === 'MANAGER' && role === 'WORKER') {
      throw new SwarmError('failed-precondition', tokenOfWorkers);
    }
    const key = keyOfCsr(csr);
    this.#joins.take();
    const node = await store.update((tx) => this.#admit(tx, { role, availability, csr, key }));
    log.info({ 'node.id': node.id, role, from: caller.remoteIp }, 'node joins');
    return { nodeId: node.id, nodeMembership: 'ACCEPTED' };
  }

  async nodeCertificateStatus(
    { nodeId }: NodeCertificateStatusRequest,
    { signal }: CallContext,
  ): Promise<NodeCertificateStatusResponseInput> {
    if (nodeId === '') throw new SwarmError('invalid-argument', 'InvalidArgument');
    const { store } = this.#deps;
    if (this.#waiting >= waitingMax) {
      throw new SwarmError('resource-exhausted', 'too many nodes wait for a certificate');
    }
    using changes = store.subscribeToNode(nodeId, ({ kind }) => kind === 'node');
    this.#waiting += 1;
    try {
      for (;;) {
        changes.drain();
        const node = store.view((view) => view.get('node', nodeId));
        if (node === undefined) throw new SwarmError('not-found', `node ${nodeId} not found`);
        const { certificate } = node;
        if (isFinal(certificate?.status?.state)) {
          return { status: certificate?.status ?? null, certificate };
        }
        await changes.changed(signal);
      }
    } finally {
      this.#waiting -= 1;
    }
  }

  #roleOf(token: string): Node['role'] {
    const tokens = this.#deps.store.view(clusterOf).rootCa?.joinTokens;
    if (tokens === undefined || tokens === null) {
      throw new SwarmError('aborted', 'CA signer is still starting');
    }
    const role = roleOfToken(token, tokens);
    if (role === undefined) {
      throw new SwarmError(
        'invalid-argument',
        'A valid join token is necessary to join this cluster',
      );
    }
    return role;
  }

  #renew(tx: Transaction, nodeId: string, { csr, key }: Request): Node {
    const node = tx.get('node', nodeId);
    if (node === undefined) {
      throw new SwarmError(
        'not-found',
        `node ${nodeId} not found when attempting to renew certificate`,
      );
    }
    const renewed = this.#signed(tx, requested(node, csr, 'RENEW'), key);
    tx.update('node', renewed);
    return renewed;
  }

  #admit(tx: Transaction, { role, availability, csr, key }: JoinRequest): Node {
    const node = nodeCodec.create({
      id: this.#freeId(tx),
      role,
      spec: { desiredRole: role, membership: 'ACCEPTED', availability },
      VXLANUDPPort: clusterOf(tx).VXLANUDPPort,
    });
    const admitted = this.#signed(tx, requested(node, csr, 'PENDING'), key);
    tx.create('node', admitted);
    return admitted;
  }

  /** Signs at once if it can be done; else the request stays as it is, for the signer. */
  #signed(tx: Transaction, node: Node, key: KeyObject): Node {
    if (!isAwaitingCertificate(node)) return node;
    try {
      return this.#issuer.withCertificate(clusterOf(tx), node, key);
    } catch (error) {
      if (isSwarmError(error, 'failed-precondition')) return node;
      throw error;
    }
  }

  #freeId(tx: Transaction): string {
    for (let attempt = 0; attempt < idAttemptsMax; attempt += 1) {
      const id = newId(this.#deps.random);
      if (tx.get('node', id) === undefined) return id;
    }
    throw new SwarmError('already-exists', 'no free node ID found');
  }
}

const requested = (node: Node, csr: Buffer, state: 'RENEW' | 'PENDING'): Node => ({
  ...node,
  certificate: {
    csr,
    cn: node.id,
    role: node.role,
    status: { state, err: '' },
    certificate: Buffer.alloc(0),
  },
});

const isFinal = (state: string | undefined): boolean =>
  state === 'ISSUED' || state === 'FAILED' || state === 'ROTATE';

/** @throws SwarmError aborted, before the first leader has written the cluster's object */
function clusterOf(view: ReadView): Cluster {
  const [cluster] = view.find('cluster');
  if (cluster === undefined) throw new SwarmError('aborted', 'CA signer is still starting');
  return cluster;
}
