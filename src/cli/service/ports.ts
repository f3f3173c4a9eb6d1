import type { ServiceObject } from './spec.ts';

/** Ports next to each other, as a table shows them: `*:8000-8001->80-81/tcp`. */
interface Run {
  readonly protocol: string;
  readonly published: readonly [first: number, last: number];
  readonly target: readonly [first: number, last: number];
}

const range = ([first, last]: readonly [number, number]): string =>
  last > first ? `${first}-${last}` : `${first}`;

const runText = ({ protocol, published, target }: Run): string =>
  `*:${range(published)}->${range(target)}/${protocol}`;

/**
 * The ports of a service that every node listens on, those next to each other in one.
 * docker/cli command/service/formatter.go
 */
export function ingressPorts({ Endpoint }: ServiceObject): string {
  const ports = (Endpoint?.Ports ?? [])
    .filter(({ PublishMode }) => PublishMode === 'ingress')
    .map(({ Protocol, TargetPort, PublishedPort = 0 }) => ({ Protocol, TargetPort, PublishedPort }))
    .toSorted((a, b) =>
      a.Protocol === b.Protocol
        ? a.PublishedPort - b.PublishedPort
        : Number(a.Protocol > b.Protocol) * 2 - 1,
    );
  const runs: Run[] = [];
  for (const { Protocol: protocol, PublishedPort, TargetPort } of ports) {
    const last = runs.at(-1);
    const joins =
      last?.protocol === protocol &&
      PublishedPort === last.published[1] + 1 &&
      (TargetPort === last.target[1] + 1 ||
        (TargetPort === last.target[1] && last.target[0] === last.target[1]));
    if (joins) {
      const published = [last.published[0], PublishedPort] as const;
      runs.splice(-1, 1, { protocol, published, target: [last.target[0], TargetPort] });
    } else {
      const [published, target] = [
        [PublishedPort, PublishedPort] as const,
        [TargetPort, TargetPort] as const,
      ];
      runs.push({ protocol, published, target });
    }
  }
  return runs.map(runText).join(', ');
}
