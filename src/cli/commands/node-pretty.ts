import type { NodeObject } from '../engine-types.ts';
import { labelLines, moment } from '../output/pretty.ts';
import { pretty } from '../output/table.ts';
import { byteSize } from '../output/units.ts';

/** A line, if there is something to show. */
const line = (label: string, value: string | undefined): readonly string[] =>
  value === undefined || value === '' ? [] : [`${label}${value}`];

function statusLines({ Status, Spec }: NodeObject): readonly string[] {
  return [
    'Status:',
    ` State:\t\t\t${pretty(Status?.State ?? '')}`,
    ...line(' Message:              \t', pretty(Status?.Message ?? '')),
    ` Availability:         \t${pretty(Spec.Availability ?? '')}`,
    ...line(' Address:\t\t', Status?.Addr),
  ];
}

function managerLines({ ManagerStatus }: NodeObject): readonly string[] {
  if (ManagerStatus === undefined) return [];
  return [
    'Manager Status:',
    ` Address:\t\t${ManagerStatus.Addr ?? ''}`,
    ` Raft Status:\t\t${pretty(ManagerStatus.Reachability ?? '')}`,
    ` Leader:\t\t${ManagerStatus.Leader === true ? 'Yes' : 'No'}`,
  ];
}

type Engine = NonNullable<NonNullable<NodeObject['Description']>['Engine']>;

function engineLines({ Plugins = [], EngineVersion = '', Labels }: Engine): readonly string[] {
  const types = [...new Set(Plugins.map(({ Type }) => Type))];
  const plugins = types.map((type) => {
    const names = Plugins.filter(({ Type }) => Type === type).map(({ Name }) => Name);
    return ` ${type}:\t\t${names.join(', ')}`;
  });
  const labels = labelLines(Labels);
  return [
    ...(plugins.length > 0 ? ['Plugins:', ...plugins] : []),
    `Engine Version:\t\t${EngineVersion}`,
    ...(labels.length > 0 ? ['Engine Labels:', ...labels] : []),
  ];
}

function tlsLines({ Description }: NodeObject): readonly string[] {
  const tls = Description?.TLSInfo;
  if (tls?.TrustRoot === undefined) return [];
  return [
    'TLS Info:',
    ' TrustRoot:',
    tls.TrustRoot,
    ` Issuer Subject:\t${tls.CertIssuerSubject ?? ''}`,
    ` Issuer Public Key:\t${tls.CertIssuerPublicKey ?? ''}`,
  ];
}

/** A node as `node inspect --pretty` shows it. docker/cli command/node/formatter.go */
export function prettyNode(node: NodeObject): string {
  const { Platform, Resources, Engine, Hostname } = node.Description ?? {};
  const labels = labelLines(node.Spec.Labels);
  const lines = [
    `ID:\t\t\t${node.ID}`,
    ...line('Name:\t\t\t', node.Spec.Name),
    ...(labels.length > 0 ? ['Labels:', ...labels] : []),
    `Hostname:              \t${Hostname ?? ''}`,
    `Joined at:             \t${moment(node.CreatedAt ?? '')}`,
    ...statusLines(node),
    ...managerLines(node),
    'Platform:',
    ` Operating System:\t${Platform?.OS ?? ''}`,
    ` Architecture:\t\t${Platform?.Architecture ?? ''}`,
    'Resources:',
    ` CPUs:\t\t\t${Math.trunc((Resources?.NanoCPUs ?? 0) / 1e9)}`,
    ` Memory:\t\t${byteSize(Resources?.MemoryBytes ?? 0)}`,
    ...engineLines(Engine ?? {}),
    ...tlsLines(node),
  ];
  return `${lines.join('\n')}\n`;
}
