import type { Cluster, ClusterSpec } from '../../../api/index.ts';
import { certificatesOf, normalizedPem, RootCa, validityOf } from '../../../ca/index.ts';
import { type Clock, messageOf, type Random } from '../../../runtime/index.ts';
import { invalid, unimplemented } from '../common/errors.ts';

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
}

type ClusterRoot = NonNullable<Cluster['rootCa']>;

/** A root is not begun with if it ends sooner. swarmkit manager/controlapi/ca_rotation.go */
const rootLifeMsMin = 365 * 24 * 3_600_000;

/**
 * The root a cluster is to have by its settings: the present one, or a rotation to another, begun
 * here and carried out by the leader. A rotation that is begun replaces one that is under way; the
 * present root, given as the one wanted, ends it. swarmkit manager/controlapi/ca_rotation.go
 *
 * @throws SwarmError invalid-argument, in SwarmKit's words; unimplemented, for external CAs
 */
export function rootCaFor(
  deps: Deps,
  caConfig: ClusterSpec['caConfig'],
  rootCa: Cluster['rootCa'],
): Cluster['rootCa'] {
  if (caConfig === null || rootCa === null) return rootCa;
  const { signingCaCert, signingCaKey, externalCas, forceRotate } = caConfig;
  if (signingCaKey.length > 0 && signingCaCert.length === 0) {
    throw invalid('if a signing CA key is provided, the signing CA cert must also be provided');
  }
  if (externalCas.length > 0) {
    throw unimplemented('external CAs are not supported yet: the managers sign certificates');
  }
  if (signingCaCert.length > 0) return wantedRoot(deps, caConfig, rootCa);
  if (forceRotate === rootCa.lastForcedRotation) return rootCa;
  return { ...rotationTo(deps, rootCa, RootCa.create(deps)), lastForcedRotation: forceRotate };
}

/** The settings as they are kept: whose key signs is the root's own business from here on. */
export const withoutSigner = (spec: ClusterSpec): ClusterSpec => ({
  ...spec,
  caConfig: spec.caConfig && {
    ...spec.caConfig,
    signingCaCert: Buffer.alloc(0),
    signingCaKey: Buffer.alloc(0),
  },
});

function wantedRoot(
  deps: Deps,
  { signingCaCert, signingCaKey, forceRotate }: NonNullable<ClusterSpec['caConfig']>,
  rootCa: ClusterRoot,
): ClusterRoot {
  if (signingCaKey.length === 0) {
    throw unimplemented('external CAs are not supported yet: give the key of the CA certificate');
  }
  const keyPem = signingCaKey.toString();
  const certPem = readable('the desired CA certificate', () =>
    normalizedPem(signingCaCert.toString()),
  );
  const [certificate, ...others] = certificatesOf(certPem);
  const wanted = RootCa.load({ certPem, signer: { certPem, keyPem } });
  if (others.length > 0) {
    throw invalid('the desired CA certificate cannot contain multiple certificates');
  }
  if (validityOf(certificate).notAfter < deps.clock.now() + rootLifeMsMin) {
    throw invalid('CA certificate expires too soon');
  }
  const kept = { ...rootCa, lastForcedRotation: forceRotate };
  if (isSameRoot(rootCa.caCert, certPem)) {
    return { ...kept, caKey: Buffer.from(keyPem), rootRotation: null };
  }
  if (wanted.keyPem === RootCa.load(presentOf(rootCa)).keyPem) {
    throw invalid('Cannot update to a cert with an identical key');
  }
  const { rootRotation } = rootCa;
  if (rootRotation !== null && isSameRoot(rootRotation.caCert, certPem)) {
    return { ...kept, rootRotation: { ...rootRotation, caKey: Buffer.from(keyPem) } };
  }
  return { ...rotationTo(deps, rootCa, wanted), lastForcedRotation: forceRotate };
}

const rotationTo = ({ random }: Deps, rootCa: ClusterRoot, next: RootCa): ClusterRoot => ({
  ...rootCa,
  rootRotation: {
    caCert: Buffer.from(next.certPem),
    caKey: Buffer.from(next.keyPem ?? ''),
    crossSignedCaCert: Buffer.from(RootCa.load(presentOf(rootCa)).crossSign(random, next.certPem)),
  },
});

/** The root that is trusted now, with its own key, whatever rotation is under way. */
function presentOf({ caCert, caKey }: ClusterRoot): Parameters<typeof RootCa.load>[0] {
  const certPem = caCert.toString();
  if (caKey.length === 0) {
    throw unimplemented(
      'external CAs are not supported yet: the key of the present root is not here',
    );
  }
  return { certPem, signer: { certPem, keyPem: caKey.toString() } };
}

const isSameRoot = (stored: Buffer, certPem: string): boolean =>
  normalizedPem(stored.toString()) === certPem;

function readable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw invalid(`could not parse ${what}: ${messageOf(error)}`);
  }
}
