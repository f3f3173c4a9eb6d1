import { byteSize, goDuration, humanDuration } from '../output/units.ts';
import { compareNaturally } from '../output/table.ts';
import { nameOf, type ServiceMode, type ServiceObject, type UpdateConfig } from './spec.ts';

type Lines = readonly string[];

const entries = (
  map: Readonly<Record<string, string>> = {},
): readonly (readonly [string, string])[] =>
  Object.entries(map).toSorted(([a], [b]) => compareNaturally(a, b));

/** A heading and what is under it, if there is anything. */
const section = (heading: string, lines: Lines): Lines =>
  lines.length === 0 ? [] : [heading, ...lines];

/** A line, if there is something to show. */
const line = (label: string, value: string | number | undefined): Lines =>
  value === undefined || value === '' || value === 0 ? [] : [`${label}${value}`];

/** Words with a space after each, as docker writes them. */
const words = (label: string, list: readonly string[] = []): Lines =>
  list.length === 0 ? [] : [`${label}${list.map((word) => `${word} `).join('')}`];

function jobLines({ ReplicatedJob }: ServiceMode): Lines {
  if (ReplicatedJob === undefined) return ['Service Mode:\tGlobal Job'];
  return [
    'Service Mode:\tReplicated Job',
    ` Max Concurrent:\t${ReplicatedJob.MaxConcurrent ?? 1}`,
    ` Completions:\t${ReplicatedJob.TotalCompletions ?? 1}`,
  ];
}

function modeLines({ Spec: { Mode = {} } }: ServiceObject): Lines {
  if (Mode.Replicated !== undefined) {
    return ['Service Mode:\tReplicated', ` Replicas:\t${Mode.Replicated.Replicas ?? 1}`];
  }
  return Mode.Global === undefined ? jobLines(Mode) : ['Service Mode:\tGlobal'];
}

function statusLines({ UpdateStatus }: ServiceObject, nowMs: number): Lines {
  if (UpdateStatus?.State === undefined) return [];
  const ago = (text: string): string => humanDuration(nowMs - Date.parse(text)).toLowerCase();
  const { State, StartedAt, CompletedAt, Message } = UpdateStatus;
  return [
    'UpdateStatus:',
    ` State:\t\t${State}`,
    ...(StartedAt === undefined ? [] : [` Started:\t${ago(StartedAt)} ago`]),
    ...(State === 'completed' && CompletedAt !== undefined
      ? [` Completed:\t${ago(CompletedAt)} ago`]
      : []),
    ` Message:\t${Message ?? ''}`,
  ];
}

function updateLines(heading: string, config: UpdateConfig | undefined): Lines {
  if (config === undefined) return [];
  const order = heading === 'UpdateConfig:' ? ' Update order:      ' : ' Rollback order:    ';
  return [
    heading,
    ` Parallelism:\t${config.Parallelism}`,
    ...((config.Delay ?? 0) === 0 ? [] : [` Delay:\t\t${goDuration(config.Delay ?? 0)}`]),
    ` On failure:\t${config.FailureAction ?? 'pause'}`,
    ` Monitoring Period: ${goDuration(config.Monitor ?? 5e9)}`,
    ` Max failure ratio: ${config.MaxFailureRatio ?? 0}`,
    `${order}${config.Order ?? 'stop-first'}`,
  ];
}

function placementLines({ Spec }: ServiceObject): Lines {
  const { Constraints = [], Preferences = [], MaxReplicas } = Spec.TaskTemplate.Placement ?? {};
  return [
    'Placement:',
    ...(Constraints.length === 0 ? [] : [` Constraints:\t[${Constraints.join(' ')}]`]),
    ...(Preferences.length === 0
      ? []
      : [
          ` Preferences:   [${Preferences.map(({ Spread }) => `spread=${Spread.SpreadDescriptor}`).join(' ')}]`,
        ]),
    ...line(' Max Replicas Per Node:   ', MaxReplicas),
  ];
}

function containerLines({ Spec }: ServiceObject): Lines {
  const container = Spec.TaskTemplate.ContainerSpec;
  return [
    'ContainerSpec:',
    ` Image:\t\t${container.Image ?? ''}`,
    ...words(' Args:\t\t', container.Args),
    ...words(' Env:\t\t', container.Env),
    ...line(' Dir:\t\t', container.Dir),
    ...(container.Init === undefined ? [] : [` Init:\t\t${container.Init}`]),
    ...line(' User: ', container.User),
    ...section('Capabilities:', [
      ...line(' Add: ', container.CapabilityAdd?.join(', ')),
      ...line(' Drop: ', container.CapabilityDrop?.join(', ')),
    ]),
    ...section(
      'SysCtls:',
      entries(container.Sysctls).map(([key, value]) => ` ${key}: ${value}`),
    ),
    ...section(
      'Ulimits:',
      (container.Ulimits ?? []).map(({ Name, Soft, Hard }) => ` ${Name}: ${Soft}:${Hard}`),
    ),
    ...section(
      'Mounts:',
      (container.Mounts ?? []).flatMap(({ Target, Source, ReadOnly, Type }) => [
        ` Target:\t${Target}`,
        `  Source:\t${Source ?? ''}`,
        `  ReadOnly:\t${ReadOnly ?? false}`,
        `  Type:\t\t${Type}`,
      ]),
    ),
    ...section(
      'Configs:',
      (container.Configs ?? []).flatMap(({ File, ConfigName }) => [
        ` Target:\t${File.Name}`,
        `  Source:\t${ConfigName ?? ''}`,
      ]),
    ),
    ...section(
      'Secrets:',
      (container.Secrets ?? []).flatMap(({ File, SecretName }) => [
        ` Target:\t${File.Name}`,
        `  Source:\t${SecretName ?? ''}`,
      ]),
    ),
  ];
}

function logDriverLines({ Spec }: ServiceObject): Lines {
  const driver = Spec.TaskTemplate.LogDriver;
  if (driver === undefined) return [];
  const options = entries(driver.Options).map(([key, value]) => `  ${key}:       ${value}`);
  return ['Log Driver:', ` Name:\t\t${driver.Name}`, ...section(' LogOpts:', options), ''];
}

function resourceLines({ Spec }: ServiceObject): Lines {
  const { Limits, Reservations } = Spec.TaskTemplate.Resources ?? {};
  const amounts = (of: { NanoCPUs?: number; MemoryBytes?: number } | undefined): Lines => [
    ...line('  CPU:\t\t', (of?.NanoCPUs ?? 0) / 1e9),
    ...((of?.MemoryBytes ?? 0) === 0 ? [] : [`  Memory:\t${byteSize(of?.MemoryBytes ?? 0)}`]),
  ];
  return [
    'Resources:',
    ...section(' Reservations:', amounts(Reservations)),
    ...section(' Limits:', [...amounts(Limits), ...line('  PIDs:\t\t', Limits?.Pids)]),
  ];
}

function endpointLines({ Spec, Endpoint }: ServiceObject, networks: readonly string[]): Lines {
  const ports = (Endpoint?.Ports ?? []).flatMap((port) => [
    ` PublishedPort = ${port.PublishedPort ?? 0}`,
    `  Protocol = ${port.Protocol}`,
    `  TargetPort = ${port.TargetPort}`,
    `  PublishMode = ${port.PublishMode}`,
  ]);
  // What docker's template leaves at the end of its lists.
  const last = ports.length - 1;
  return [
    ...(networks.length === 0 ? [] : [`Networks: ${networks.join(' ')} `]),
    `Endpoint Mode:\t${Spec.EndpointSpec?.Mode ?? 'vip'}`,
    ...section(
      'Ports:',
      ports.map((text, at) => (at === last ? `${text} ` : text)),
    ),
  ];
}

function healthLines({ Spec }: ServiceObject): Lines {
  const check = Spec.TaskTemplate.ContainerSpec.Healthcheck;
  if (check === undefined) return [];
  return [
    ' Healthcheck:',
    `  Interval = ${goDuration(check.Interval ?? 0)}`,
    `  Retries = ${check.Retries ?? 0}`,
    `  StartPeriod =\t${goDuration(check.StartPeriod ?? 0)}`,
    `  Timeout =\t${goDuration(check.Timeout ?? 0)}`,
    ...section(
      '  Tests:',
      (check.Test ?? []).map(
        (test, at, all) => `\t Test = ${test}${at === all.length - 1 ? ' ' : ''}`,
      ),
    ),
  ];
}

/** A service as `service inspect --pretty` shows it. docker/cli command/service/formatter.go */
export function prettyService(
  service: ServiceObject,
  { nowMs, networks }: { readonly nowMs: number; readonly networks: readonly string[] },
): string {
  const labels = entries(service.Spec.Labels).map(([key, value]) => ` ${key}=${value}`);
  const lines = [
    '',
    `ID:\t\t${service.ID}`,
    `Name:\t\t${nameOf(service)}`,
    ...section('Labels:', labels),
    ...modeLines(service),
    ...statusLines(service, nowMs),
    ...placementLines(service),
    ...updateLines('UpdateConfig:', service.Spec.UpdateConfig),
    ...updateLines('RollbackConfig:', service.Spec.RollbackConfig),
    ...containerLines(service),
    ...logDriverLines(service),
    ...resourceLines(service),
    ...endpointLines(service, networks),
    ...healthLines(service),
  ];
  return `${lines.join('\n')}\n\n`;
}
