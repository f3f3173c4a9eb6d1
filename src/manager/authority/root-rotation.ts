import type { Cluster, Node } from '../../api/index.ts';
import { issuerInfoOf, newJoinTokens, rootDigest } from '../../ca/index.ts';
import {
  type Clock,
  firstOf,
  type Log,
  promptTiming,
  type Random,
  runReconcileLoop,
} from '../../runtime/index.ts';
import { changesOf } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import type { ReadView, Transaction } from '../store/view.ts';

interface Deps {
  readonly store: Pick<Store, 'view' | 'subscribe' | 'batch' | 'update'>;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
}

/** So many nodes at most are sent for a new certificate at a time. swarmkit ca/reconciler.go */
export const rotatedAtOnceMax = 30;
/** The next ones follow after so long. swarmkit ca/reconciler.go */
export const rotationPaceMs = 3_000;

/**
 * Carries out a rotation of the root: sends every node for a certificate of the next root, and
 * makes that one the root when all nodes say that they have theirs. A leader's loop.
 *
 * Until then the present root is the one that is trusted, and what the next one signs is trusted by
 * way of its cross-signed certificate. A node that is down is waited for: it renews when it is
 * back, or it is removed. swarmkit ca/reconciler.go
 */
export async function runRootRotation(deps: Deps, signal: AbortSignal): Promise<void> {
  const rotation = new Rotation(deps);
  using changes = deps.store.subscribe(changesOf('cluster', 'node'));
  await runReconcileLoop(
    { clock: deps.clock, timing: promptTiming },
    async (inner) => {
      const { dueInMs } = rotation;
      await firstOf(
        inner,
        async (waiting) => changes.changed(waiting),
        ...(dueInMs === undefined
          ? []
          : [async (waiting: AbortSignal) => deps.clock.sleep(dueInMs, waiting)]),
      );
    },
    async () => {
      changes.drain();
      await rotation.advance();
    },
    signal,
  );
}

class Rotation {
  readonly #deps: Deps;
  #target = '';
  #sentAt = -Infinity;
  #hasMore = false;
  /** Nodes that had their certificate, and had not said so, when nodes were sent last. */
  #silent: ReadonlySet<string> = new Set();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** When the next nodes are to be sent; `undefined`, if nothing is to be done before a change. */
  get dueInMs(): number | undefined {
    if (!this.#hasMore) return undefined;
    return Math.max(0, this.#sentAt + rotationPaceMs - this.#deps.clock.monotonic());
  }

  async advance(): Promise<void> {
    const { store, log, random } = this.#deps;
    const { rotation, behind } = store.view(progressOf);
    this.#hasMore = behind.some(isIdle);
    const target = rotation === undefined ? '' : rootDigest(rotation.caCert);
    if (target !== this.#target) {
      this.#target = target;
      this.#sentAt = -Infinity;
      this.#silent = new Set();
      if (target !== '') log.info({ root: target, nodes: behind.length }, 'root rotation begins');
    }
    if (rotation === undefined) return;
    if (behind.length > 0) {
      await this.#send(behind, rotation);
      return;
    }
    const isDone = await store.update((tx) => complete(tx, random));
    if (isDone) log.info({ root: target }, 'root rotation is complete');
  }

  async #send(behind: readonly Node[], { crossSignedCaCert }: RootRotation): Promise<void> {
    const { store, clock } = this.#deps;
    if (clock.monotonic() - this.#sentAt < rotationPaceMs) return;
    this.#sentAt = clock.monotonic();
    const issued = behind.filter((node) => isSignedBy(node, crossSignedCaCert));
    // It may be about to say so; it may also have failed to store it.
    const patientWith = new Set(issued.map(({ id }) => id).filter((id) => !this.#silent.has(id)));
    this.#silent = new Set(issued.map(({ id }) => id));
    const sent = behind.filter((node) => isIdle(node) && !patientWith.has(node.id));
    this.#hasMore = sent.length > rotatedAtOnceMax || patientWith.size > 0;
    await store.batch(
      sent.slice(0, rotatedAtOnceMax).map(({ id }) => (tx: Transaction) => {
        const node = tx.get('node', id);
        const certificate = node?.certificate ?? null;
        if (node === undefined || certificate === null || !isIdle(node)) return;
        tx.update('node', {
          ...node,
          certificate: { ...certificate, status: { state: 'ROTATE', err: '' } },
        });
      }),
    );
  }
}

type RootRotation = NonNullable<NonNullable<Cluster['rootCa']>['rootRotation']>;

/** The rotation that is under way, and the nodes that have not said yet that they are done. */
function progressOf(view: ReadView): {
  readonly rotation: RootRotation | undefined;
  readonly behind: readonly Node[];
} {
  const rotation = view.find('cluster')[0]?.rootCa?.rootRotation ?? undefined;
  if (rotation === undefined) return { rotation, behind: [] };
  const wanted = issuerInfoOf(rotation.caCert.toString());
  const behind = view.find('node').filter(({ description }) => {
    const { certIssuerSubject, certIssuerPublicKey } = description?.tlsInfo ?? {};
    return (
      certIssuerSubject?.equals(wanted.certIssuerSubject) !== true ||
      certIssuerPublicKey?.equals(wanted.certIssuerPublicKey) !== true
    );
  });
  return { rotation, behind };
}

/**
 * Makes the next root the root, with tokens of its own: those there were name the old one.
 *
 * @returns whether it was time
 */
function complete(tx: Transaction, random: Random): boolean {
  const { rotation, behind } = progressOf(tx);
  const [cluster] = tx.find('cluster');
  if (rotation === undefined || behind.length > 0 || !cluster?.rootCa) return false;
  const { caCert, caKey } = rotation;
  const caCertHash = rootDigest(caCert);
  tx.update('cluster', {
    ...cluster,
    rootCa: {
      ...cluster.rootCa,
      caCert,
      caKey,
      caCertHash,
      joinTokens: newJoinTokens(random, caCertHash),
      rootRotation: null,
    },
  });
  return true;
}

/** Whether the last certificate that was issued to a node is the next root's. */
const isSignedBy = ({ certificate }: Node, crossSigned: Buffer): boolean =>
  certificate?.status?.state === 'ISSUED' && certificate.certificate.includes(crossSigned);

/** Whether a node has no new certificate coming. */
function isIdle({ certificate }: Node): boolean {
  const state = certificate?.status?.state;
  return certificate !== null && state !== 'RENEW' && state !== 'PENDING' && state !== 'ROTATE';
}
