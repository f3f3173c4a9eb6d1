import type { Access, Caller, CertificateRole } from '../../api/index.ts';
import type { ClaimedIdentity, ForwardedCall } from '../../ca/index.ts';
import { SwarmError } from '../../runtime/index.ts';

/** Who stands at the other end of a connection, and whom it speaks for. */
export interface Peer {
  /** What its certificate says, which TLS has verified; `undefined` without one. */
  readonly identity: ClaimedIdentity | undefined;
  /** `undefined`, if it calls for itself. */
  readonly forwarded: ForwardedCall | undefined;
  readonly remoteIp: string;
}

/** What a certificate must agree with to count here. */
export interface Membership {
  readonly clusterId: string;
  /** Whether a node was removed from the swarm: its certificate may still be valid. */
  readonly isRemoved: (nodeId: string) => boolean;
}

const noCertificate = 'rpc error: code = PermissionDenied desc = no client certificates in request';

/**
 * Who calls, if it may: the caller's role against the roles a method declares. Every refusal is in
 * SwarmKit's words. swarmkit ca/auth.go
 *
 * A caller that another manager passes on is believed from managers alone, and must not have been
 * removed either. For a method that is open to anyone, a caller that proves nothing is anyone.
 *
 * @throws SwarmError permission-denied
 */
export function authorize(peer: Peer, access: Access, membership: Membership): Caller {
  if (access.kind === 'roles') return nodeCaller(peer, access.roles, membership);
  try {
    return nodeCaller(peer, ['swarm-worker', 'swarm-manager'], membership);
  } catch {
    const isManager = refusal(peer.identity, ['swarm-manager'], membership) === '';
    const forwardedIp = isManager ? peer.forwarded?.remoteIp : undefined;
    return { kind: 'anyone', remoteIp: forwardedIp ?? peer.remoteIp };
  }
}

function nodeCaller(peer: Peer, roles: readonly string[], membership: Membership): Caller {
  const { identity, forwarded, remoteIp } = peer;
  if (forwarded === undefined) {
    const why = refusal(identity, roles, membership);
    if (why !== '') throw denied(`unauthorized peer role: ${why}`);
    return asCaller(identity, remoteIp);
  }
  const why = refusal(identity, ['swarm-manager'], membership);
  if (why !== '') throw denied(`unauthorized forwarder role: ${why}`);
  return forwardedCaller(forwarded, roles, membership, remoteIp);
}

function forwardedCaller(
  { identity, remoteIp }: ForwardedCall,
  roles: readonly string[],
  { clusterId, isRemoved }: Membership,
  forwarderIp: string,
): Caller {
  if (identity === undefined || identity.nodeId === '' || identity.organization === '') {
    throw denied('missing information in forwarded request');
  }
  if (!hasRole(identity, roles)) {
    throw denied(`unauthorized forwarded role, expecting: [${roles.join(' ')}]`);
  }
  if (identity.organization !== clusterId) {
    throw denied(`organization mismatch, expecting: ${clusterId}`);
  }
  if (isRemoved(identity.nodeId)) throw denied(`node ${identity.nodeId} was removed from swarm`);
  return asCaller(identity, remoteIp ?? forwarderIp);
}

/** Why a peer may not act in one of the roles; empty, if it may. */
function refusal(
  identity: ClaimedIdentity | undefined,
  roles: readonly string[],
  { clusterId, isRemoved }: Membership,
): string {
  if (identity === undefined) return noCertificate;
  const { nodeId, organization } = identity;
  if (!hasRole(identity, roles)) {
    return goText(`remote certificate not part of OUs: [${roles.join(' ')}]`);
  }
  if (isRemoved(nodeId)) return goText(`node ${nodeId} was removed from swarm`);
  if (organization !== clusterId) {
    return goText(`remote certificate not part of organization: ${clusterId}`);
  }
  return '';
}

const hasRole = (identity: ClaimedIdentity, roles: readonly string[]): boolean =>
  identity.roles.some((role) => roles.includes(role));

function asCaller(identity: ClaimedIdentity | undefined, remoteIp: string): Caller {
  const role: CertificateRole =
    (identity?.roles.includes('swarm-manager') ?? false) ? 'swarm-manager' : 'swarm-worker';
  return {
    kind: 'node',
    nodeId: identity?.nodeId ?? '',
    role,
    clusterId: identity?.organization ?? '',
    remoteIp,
  };
}

const goText = (reason: string): string =>
  `rpc error: code = PermissionDenied desc = Permission denied: ${reason}`;

const denied = (reason: string): SwarmError =>
  new SwarmError('permission-denied', `Permission denied: ${reason}`);
