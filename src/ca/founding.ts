import type { RootCAInput } from '../api/gen/types.ts';
import { type Clock, newId, type Random, SwarmError } from '../runtime/index.ts';
import { newJoinTokens } from './join-token.ts';
import type { KeyStore } from './key-store.ts';
import { defaultCertExpiryMs, RootCa } from './root-ca.ts';
import { SecurityConfig } from './security-config.ts';
import { newKey, keyToPem } from './x509/key.ts';

interface Deps {
  readonly keyStore: KeyStore;
  readonly random: Random;
  readonly clock: Clock;
}

/** The identity of a node, and the root it founds a swarm with while no log has it yet. */
export interface LoadedIdentity {
  readonly security: SecurityConfig;
  /** With its key, until {@link KeyStore.forgetRootKey}. */
  readonly rootCa: RootCa | undefined;
}

/**
 * Makes this node the first of a new swarm: a new root, and a manager's certificate with a new node
 * ID and a new cluster ID, both on disk. swarmkit node/node.go loadSecurityConfig
 *
 * The root's key is on disk too until `keyStore.forgetRootKey()`, which is for whoever has written
 * it to the log: a founder that crashes before comes back as the founder it was.
 */
export async function foundIdentity(deps: Deps): Promise<Required<LoadedIdentity>> {
  const rootCa = RootCa.create(deps);
  const key = newKey();
  const certPem = rootCa.sign(deps, key, {
    nodeId: newId(deps.random),
    role: 'swarm-manager',
    clusterId: newId(deps.random),
    expiryMs: defaultCertExpiryMs,
  });
  const identity = { rootCaPem: rootCa.certPem, certPem, keyPem: keyToPem(key) };
  const security = new SecurityConfig(deps, identity);
  await deps.keyStore.saveRootKey(rootCa.keyPem ?? '');
  await deps.keyStore.save(identity);
  return { security, rootCa };
}

/**
 * The identity this node had when it last ran.
 *
 * @returns `undefined`, if it never had one
 * @throws SwarmError failed-precondition, if the state directory holds something else, or a
 *   certificate that is not valid now
 */
export async function loadIdentity(deps: Deps): Promise<LoadedIdentity | undefined> {
  const identity = await deps.keyStore.load();
  if (identity === undefined) return undefined;
  const rootKeyPem = await deps.keyStore.rootKey();
  const { rootCaPem: certPem } = identity;
  try {
    return {
      security: new SecurityConfig(deps, identity),
      rootCa:
        rootKeyPem === undefined
          ? undefined
          : RootCa.load({ certPem, signer: { certPem, keyPem: rootKeyPem } }),
    };
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error;
    throw new SwarmError('failed-precondition', error.message, { cause: error });
  }
}

/** What the cluster object holds of a root that founds a swarm, with tokens to join it. */
export function clusterRootCa(random: Random, rootCa: RootCa): RootCAInput {
  return {
    caKey: Buffer.from(rootCa.keyPem ?? ''),
    caCert: Buffer.from(rootCa.certPem),
    caCertHash: rootCa.digest,
    joinTokens: newJoinTokens(random, rootCa.digest),
  };
}
