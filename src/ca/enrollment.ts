import type { NodeSpecAvailability } from '../api/gen/types.ts';
import { type CertificateRole, count, type RpcClient, type RpcConnection } from '../api/index.ts';
import { type Clock, isSwarmError, type Log, SwarmError } from '../runtime/index.ts';
import { type Kek, noKek } from './at-rest/unlock-key.ts';
import { asDialError } from './dial-error.ts';
import { parseJoinToken } from './join-token.ts';
import type { KeyStore } from './key-store.ts';
import { rootDigest } from './root-ca.ts';
import { readIdentity, SecurityConfig, type TlsMaterial } from './security-config.ts';
import { newCsr } from './x509/csr.ts';
import { keyToPem, newKey } from './x509/key.ts';

/** How a connection to a manager is to be secured. */
export interface ConnectOptions {
  /** `none` only to fetch the root, whose digest the join token has. */
  readonly verify:
    | 'none'
    | { readonly rootCaPem: string; readonly serverName: 'swarm-ca' | 'swarm-manager' };
  /** Without it the caller is anyone. */
  readonly identity?: { readonly certPem: string; readonly keyPem: string };
}

/** Opens a connection to a manager. What it fails with is final: it has tried whom it knows. */
export type Connect = (options: ConnectOptions) => RpcConnection;

/** How long one call may take. */
const callMs = 5_000;
/** Tries of a join that meets silence, or a manager that is still starting; and the pause between. */
const attemptsMax = 5;
const attemptPauseMs = 2_000;
/** The pause between looks at a certificate that is not signed yet: doubled each time. */
const pollPauseMs = 1_000;
const pollPauseMsMax = 30_000;

interface Deps {
  readonly connect: Connect;
  readonly keyStore: KeyStore;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Makes this node a member of a swarm, with the role its token gives.
 *
 * A token that is refused, a root that does not match it and a port nobody listens on fail at once:
 * no later try would go better. (A stock node repeats them for ten seconds.) Nothing is written
 * before everything is checked. swarmkit ca/certificates.go RequestAndSaveNewCertificates
 *
 * @throws SwarmError invalid-argument `invalid join token`; failed-precondition `remote CA does not
 *   match fingerprint`; what the manager answered
 */
export async function enroll(
  deps: Deps,
  request: {
    readonly token: string;
    readonly availability: NodeSpecAvailability;
    /** What this node is to be, if the token is not to decide it alone. */
    readonly wanted?: CertificateRole | undefined;
  },
  signal: AbortSignal,
): Promise<SecurityConfig> {
  const { digest, isFips } = parseJoinToken(request.token);
  if (isFips) {
    throw new SwarmError(
      'failed-precondition',
      'node is not FIPS-enabled but cluster requires FIPS',
    );
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await join(deps, { ...request, digest }, signal);
    } catch (error) {
      signal.throwIfAborted();
      const mayPass = isSwarmError(error, 'deadline-exceeded') || isSwarmError(error, 'aborted');
      if (!mayPass || attempt === attemptsMax) throw asDialError(error);
      deps.log.warn({ err: error, attempt }, 'the swarm does not answer yet');
      await deps.clock.sleep(attemptPauseMs, signal);
    }
  }
}

async function join(
  { connect, keyStore, clock }: Deps,
  request: CertificateRequest & { readonly digest: string },
  signal: AbortSignal,
): Promise<SecurityConfig> {
  const rootCaPem = await fetchRootCa(connect, request.digest, signal);
  using manager = connect({ verify: { rootCaPem, serverName: 'swarm-ca' } });
  const issued = await requestCertificate({ manager, clock }, request, signal);
  const identity = { rootCaPem, certPem: issued.certPem, keyPem: issued.keyPem };
  const security = new SecurityConfig({ clock }, identity);
  if (security.current.nodeId !== issued.nodeId) throw anotherNode(issued.nodeId);
  const { role } = security.current;
  if (request.wanted !== undefined && request.wanted !== role) throw anotherRole(role);
  const kek = await kekFor({ connect, clock }, security.current, signal);
  await keyStore.forgetRootKey(); // Of a founding that was never finished.
  await keyStore.save(identity, kek);
  return security;
}

async function fetchRootCa(connect: Connect, digest: string, signal: AbortSignal): Promise<string> {
  using manager = connect({ verify: 'none' });
  const { certificate } = await manager.unary(
    'CA',
    'GetRootCACertificate',
    {},
    { signal, deadlineMs: callMs },
  );
  if (rootDigest(certificate) !== digest) {
    throw new SwarmError(
      'failed-precondition',
      `remote CA does not match fingerprint. Expected: ${digest.replace(/^sha256:/u, '')}`,
    );
  }
  return certificate.toString();
}

/** What a certificate is asked for with: a token, or, to renew one, the connection's own. */
interface CertificateRequest {
  readonly token: string;
  readonly availability: NodeSpecAvailability;
  readonly wanted?: CertificateRole | undefined;
}

/** A certificate as a manager issued it. It is not checked yet. */
interface IssuedCertificate {
  readonly nodeId: string;
  /** The chain, PEM. */
  readonly certPem: string;
  /** The new key it is for, PEM. */
  readonly keyPem: string;
}

/**
 * Asks for a certificate on a new key, and waits until it is signed.
 *
 * @throws SwarmError what the manager answered; failed-precondition, if it will not be signed
 */
async function requestCertificate(
  { manager, clock }: { readonly manager: RpcClient; readonly clock: Clock },
  request: CertificateRequest,
  signal: AbortSignal,
): Promise<IssuedCertificate> {
  const key = newKey();
  const csr = Buffer.from(newCsr(key));
  const options = { signal, deadlineMs: callMs };
  const { nodeId } = await manager.unary(
    'NodeCA',
    'IssueNodeCertificate',
    {
      csr,
      token: request.token,
      availability: request.availability,
      role: request.wanted === 'swarm-manager' ? 'MANAGER' : 'WORKER',
    },
    options,
  );
  for (let pauseMs = pollPauseMs; ; pauseMs = Math.min(2 * pauseMs, pollPauseMsMax)) {
    const certPem = await issuedCertificate(manager, { nodeId, csr }, options);
    if (certPem !== undefined) return { nodeId, certPem, keyPem: keyToPem(key) };
    await clock.sleep(pauseMs, signal);
  }
}

/** The certificate issued for a request; `undefined`, if there is none yet. */
async function issuedCertificate(
  manager: RpcClient,
  { nodeId, csr }: { readonly nodeId: string; readonly csr: Buffer },
  options: { readonly signal: AbortSignal; readonly deadlineMs: number },
): Promise<string | undefined> {
  try {
    const { status, certificate } = await manager.unary(
      'NodeCA',
      'NodeCertificateStatus',
      { nodeId },
      options,
    );
    // The answer may still be that of an earlier request.
    if (certificate === null || !certificate.csr.equals(csr)) return undefined;
    if (status?.state === 'FAILED') {
      throw new SwarmError('failed-precondition', `certificate request failed: ${status.err}`);
    }
    const isIssued = status?.state === 'ISSUED' || status?.state === 'ROTATE';
    return isIssued ? certificate.certificate.toString() : undefined;
  } catch (error) {
    if (isSwarmError(error, 'deadline-exceeded')) return undefined;
    throw error;
  }
}

/**
 * Asks for a new certificate with the one there is, and makes it this node's, on disk and in use.
 * No connection is dropped.
 *
 * @throws SwarmError what the manager answered; invalid-argument, if what it issued is not valid
 */
export async function renew(
  { connect, keyStore, clock, security }: Deps & { readonly security: SecurityConfig },
  signal: AbortSignal,
): Promise<void> {
  const { nodeId, rootCaPem, certPem, keyPem } = security.current;
  using manager = connect({
    verify: { rootCaPem, serverName: 'swarm-manager' },
    identity: { certPem, keyPem },
  });
  const issued = await requestCertificate(
    { manager, clock },
    { token: '', availability: 'ACTIVE' },
    signal,
  );
  const identity = {
    // The roots may have changed meanwhile.
    rootCaPem: security.current.rootCaPem,
    certPem: issued.certPem,
    keyPem: issued.keyPem,
  };
  const renewed = readIdentity(identity, clock.now());
  if (renewed.nodeId !== nodeId) throw anotherNode(nodeId);
  await keyStore.save(identity, await kekFor({ connect, clock }, renewed, signal));
  security.replace(identity);
}

/**
 * What a new certificate's key is to be sealed with: asked for with that certificate, so that the
 * key of a manager is never on a disk in the clear. swarmkit ca/certificates.go GetRemoteUnlockKey
 *
 * @throws SwarmError what the manager answered
 */
async function kekFor(
  { connect, clock }: Pick<Deps, 'connect' | 'clock'>,
  { role, rootCaPem, certPem, keyPem }: TlsMaterial,
  signal: AbortSignal,
): Promise<Kek> {
  if (role !== 'swarm-manager') return noKek;
  const verify = { rootCaPem, serverName: 'swarm-ca' } as const;
  using manager = connect({ verify, identity: { certPem, keyPem } });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const options = { signal, deadlineMs: callMs };
      const { unlockKey, version } = await manager.unary('CA', 'GetUnlockKey', {}, options);
      const key = unlockKey.length === 0 ? undefined : unlockKey;
      return { key, version: count(version?.index) };
    } catch (error) {
      if (signal.aborted || attempt === attemptsMax) throw error;
      await clock.sleep(pollPauseMs, signal);
    }
  }
}

const anotherNode = (nodeId: string): SwarmError =>
  new SwarmError('failed-precondition', `the certificate issued is not for node ${nodeId}`);

/** A manager that knows nothing of roles asked for: it has recorded the node already. */
const anotherRole = (role: CertificateRole): SwarmError =>
  new SwarmError(
    'failed-precondition',
    `the token is for another role: it made this node a ${role}`,
  );
