import { connectRpc, type RpcConnection } from '../../src/api/index.ts';
import { keyToPem, newCsr, newKey } from '../../src/ca/index.ts';

/** Where a swarm is joined. */
export interface Door {
  /** `host:port` of a manager. */
  readonly address: string;
  readonly token: string;
}

/** A node of a swarm, and what it proves that with. */
export interface Member {
  readonly nodeId: string;
  readonly rootCaPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

const deadlineMs = 120_000;

/** Joins as a stock node does: on a connection for the root, and another for the certificate. */
export async function enrol({ address, token }: Door, signal: AbortSignal): Promise<Member> {
  const options = { signal, deadlineMs };
  const target = { kind: 'tls', address, serverName: 'swarm-ca' } as const;
  using anonymous = connectRpc(target);
  const { certificate: root } = await anonymous.unary('CA', 'GetRootCACertificate', {}, options);
  const rootCaPem = root.toString();
  using verified = connectRpc({ ...target, ca: rootCaPem });
  const key = newKey();
  const csr = Buffer.from(newCsr(key));
  const request = { csr, token, availability: 'ACTIVE', role: 'WORKER' } as const;
  const { nodeId } = await verified.unary('NodeCA', 'IssueNodeCertificate', request, options);
  const { certificate } = await verified.unary(
    'NodeCA',
    'NodeCertificateStatus',
    { nodeId },
    options,
  );
  const certPem = certificate?.certificate.toString() ?? '';
  return { nodeId, rootCaPem, certPem, keyPem: keyToPem(key) };
}

/** The one connection of an agent. */
export const connectionOf = (
  { address }: Door,
  { rootCaPem: ca, certPem: cert, keyPem: key }: Member,
): RpcConnection =>
  connectRpc({
    kind: 'tls',
    address,
    serverName: 'swarm-manager',
    ca,
    identity: { cert, key },
  });
