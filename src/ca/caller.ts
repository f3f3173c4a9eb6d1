import { isIP } from 'node:net';
import type { Caller } from '../api/index.ts';

/** The subject of a certificate, as TLS hands it out: a field that is repeated is a list. */
export interface CertificateSubject {
  readonly CN?: string | readonly string[];
  readonly OU?: string | readonly string[];
  readonly O?: string | readonly string[];
}

/** What a certificate, or a manager that passes a call on, says of a caller. Nothing is checked. */
export interface ClaimedIdentity {
  readonly nodeId: string;
  readonly organization: string;
  readonly roles: readonly string[];
}

/** A caller that another manager answers for. */
export interface ForwardedCall {
  /** `undefined` for a caller without a certificate. */
  readonly identity: ClaimedIdentity | undefined;
  /** The IP it called that manager from, if the manager said. */
  readonly remoteIp: string | undefined;
}

export function identityOfSubject({ CN, OU, O }: CertificateSubject): ClaimedIdentity {
  return {
    nodeId: listed(CN)[0] ?? '',
    organization: listed(O)[0] ?? '',
    roles: listed(OU),
  };
}

/** Values of a call's metadata by name. */
type Metadata = (name: string) => readonly string[];

/**
 * What a call's metadata says of a caller behind the peer. Only a manager is believed: that is the
 * reader's to check. swarmkit ca/forward.go
 *
 * @returns `undefined`, if the peer calls for itself
 */
export function forwardedCall(metadata: Metadata): ForwardedCall | undefined {
  if (metadata('forwarded_cert')[0] !== 'true') return undefined;
  const nodeId = metadata('forwarded_cert_cn')[0] ?? '';
  const organization = metadata('forwarded_cert_org')[0] ?? '';
  const roles = metadata('forwarded_cert_ou').filter((role) => role !== '');
  const isAnyone = nodeId === '' && organization === '' && roles.length === 0;
  return {
    identity: isAnyone ? undefined : { nodeId, organization, roles },
    remoteIp: ipOf(metadata('remote_addr')[0] ?? ''),
  };
}

/**
 * A caller as metadata for another manager. Of a caller without a certificate it is blank, and all
 * the same there: otherwise the call would count as this manager's own. swarmkit ca/forward.go
 */
export function metadataOfCaller(caller: Caller): Readonly<Record<string, string>> {
  const host = isIP(caller.remoteIp) === 6 ? `[${caller.remoteIp}]` : caller.remoteIp;
  const isNode = caller.kind === 'node';
  return {
    forwarded_cert: 'true',
    forwarded_cert_cn: isNode ? caller.nodeId : '',
    forwarded_cert_org: isNode ? caller.clusterId : '',
    forwarded_cert_ou: isNode ? caller.role : '',
    remote_addr: `${host}:0`,
  };
}

/** The IP of a `host:port`; an IPv4 address that came in over IPv6 as the IPv4 address it is. */
export function ipOf(address: string): string | undefined {
  const host = /^\[(?<v6>.+)\](?::\d+)?$/u.exec(address)?.groups?.['v6'] ?? address;
  const bare = isIP(host) === 0 ? host.replace(/:\d+$/u, '') : host;
  const ip = bare.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/u, '');
  return isIP(ip) === 0 ? undefined : ip;
}

const listed = (field: string | readonly string[] | undefined): readonly string[] =>
  field === undefined ? [] : typeof field === 'string' ? [field] : field;
