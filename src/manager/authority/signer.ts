import type { Node } from '../../api/index.ts';
import {
  type Clock,
  isSwarmError,
  type Log,
  messageOf,
  type Random,
  runReconcileLoop,
} from '../../runtime/index.ts';
import { changesOf } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/view.ts';
import { CertificateIssuer, isAwaitingCertificate } from './certificate-signing.ts';

interface Deps {
  readonly store: Pick<Store, 'view' | 'subscribe' | 'batch'>;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
}

/** What cannot be signed yet is tried again after so long. swarmkit ca/server.go */
const timing = { settleMs: 0, latencyMaxMs: 1_000, resyncMs: 10_000 };

/**
 * Signs what the authority could not sign at once: requests of nodes that were accepted later, and
 * those that came while no key was at hand. A leader's loop.
 */
export async function runSigner(deps: Deps, signal: AbortSignal): Promise<void> {
  const issuer = new CertificateIssuer(deps);
  using changes = deps.store.subscribe(
    (event) =>
      changesOf('cluster')(event) ||
      (event.action !== 'committed' &&
        event.kind === 'node' &&
        isAwaitingCertificate(event.object)),
  );
  await runReconcileLoop(
    { clock: deps.clock, timing },
    async (inner) => changes.changed(inner),
    async () => {
      changes.drain();
      await signAll(deps, issuer);
    },
    signal,
  );
}

async function signAll(deps: Deps, issuer: CertificateIssuer): Promise<void> {
  const waiting = deps.store.view((view) => view.find('node').filter(isAwaitingCertificate));
  await deps.store.batch(
    waiting.map(({ id }) => (tx: Transaction) => {
      const [cluster] = tx.find('cluster');
      const node = tx.get('node', id);
      if (cluster === undefined || node === undefined || !isAwaitingCertificate(node)) return;
      const signed = signedOrFailed(() => issuer.withCertificate(cluster, node), node, deps.log);
      if (signed !== undefined) tx.update('node', signed);
    }),
  );
}

/** The node as it is to be; `undefined`, if it has to wait. */
function signedOrFailed(sign: () => Node, node: Node, log: Log): Node | undefined {
  try {
    return sign();
  } catch (error) {
    log.warn({ err: error, 'node.id': node.id }, 'certificate not issued');
    const { certificate } = node;
    // Without a key to sign with, the request may still be signed when there is one.
    if (isSwarmError(error, 'failed-precondition') || certificate === null) return undefined;
    return {
      ...node,
      certificate: { ...certificate, status: { state: 'FAILED', err: messageOf(error) } },
    };
  }
}
