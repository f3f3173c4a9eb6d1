import type { CertificateRole, Node } from '../../api/index.ts';

/**
 * The role that a node is to renew its certificate for, if it is to, having heard what the swarm
 * says of it. swarmkit node/node.go
 *
 * Only a role that it has, and that it is to keep, is worth a certificate: one that is only desired
 * so far would be issued for the role before, and one that is about to go would be out of date.
 *
 * @param held what its certificate says
 * @param asked what it asked for last, if it did: the answer may still be on its way
 */
export function followedRole(
  { role, spec }: Pick<Node, 'role' | 'spec'>,
  held: CertificateRole,
  asked: CertificateRole | undefined,
): CertificateRole | undefined {
  if (spec?.desiredRole !== role) return undefined;
  const own = role === 'MANAGER' ? 'swarm-manager' : 'swarm-worker';
  return own === held && own === (asked ?? held) ? undefined : own;
}
