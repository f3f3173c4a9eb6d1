import { codecOf, type Node } from '../../../../src/api/index.ts';
import { aTlsInfo } from '../../ports/identity.ts';

/** A node as the managers have one that has joined, and that nobody has heard from. */
export function aNode(id: string, hostname: string, role: Node['role']): Node {
  const isAgent = hostname.startsWith('a');
  return codecOf('Node').create({
    id,
    role,
    spec: {
      membership: 'ACCEPTED',
      // Hosts of managers have no agent.
      availability: isAgent ? 'ACTIVE' : 'DRAIN',
      desiredRole: role,
    },
    certificate: { cn: id, role, status: { state: 'ISSUED' } },
    description: { hostname, tlsInfo: aTlsInfo },
    status: { state: 'UNKNOWN' },
  });
}
