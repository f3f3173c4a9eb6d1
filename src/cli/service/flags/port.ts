import { isIP } from 'node:net';
import type { Port } from '../spec.ts';
import { fields, invalid } from './values.ts';

const portMax = 65_535;
const protocols = ['tcp', 'udp', 'sctp'];

/** The numbers of `80` or `8000-8010`; `undefined` if the text is neither. */
function range(text: string): readonly number[] | undefined {
  const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/u.exec(text) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === '' || to < from || to > portMax) return undefined;
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/**
 * `published=8080,target=80,mode=host`, or `8080:80/tcp` with ranges: as many ports on both sides,
 * or any number of published ones for one target.
 */
export function ports(flag: string, text: string): readonly Port[] {
  if (text.includes('=')) return [longPort(flag, text)];
  return shortPorts(flag, text);
}

function shortPorts(flag: string, text: string): readonly Port[] {
  const [address = '', protocol = 'tcp'] = text.split('/');
  if (!protocols.includes(protocol)) throw invalid(flag, text, `invalid proto: ${protocol}`);
  const parts = address.split(':');
  if (parts.length > 2) {
    const host = parts.slice(0, -2).join(':').replaceAll(/[[\]]/gu, '');
    throw invalid(
      flag,
      text,
      isIP(host) === 0 ? `invalid IP address: ${host}` : 'hostip is not supported',
    );
  }
  const [target = '', host = '0'] = parts.toReversed();
  const targets = range(target);
  const published = range(host);
  if (targets === undefined) throw invalid(flag, text, `invalid containerPort: ${target}`);
  if (published === undefined) throw invalid(flag, text, `invalid hostPort: ${host}`);
  const port = (TargetPort: number, PublishedPort: number): Port => ({
    Protocol: protocol,
    TargetPort,
    PublishedPort,
    PublishMode: 'ingress',
  });
  const [only = 0] = targets;
  if (targets.length === 1) return published.map((one) => port(only, one));
  if (parts.length > 1 && published.length !== targets.length) {
    const reason = `invalid ranges specified for container and host Ports: ${target} and ${host}`;
    throw invalid(flag, text, reason);
  }
  // Port 0 is one that the swarm chooses.
  return targets.map((one, at) => port(one, published[at] ?? 0));
}

function longPort(flag: string, text: string): Port {
  const given = fields(flag, text);
  const number = (key: string): number => {
    const value = given.get(key) ?? '0';
    const isNumber = /^\d+$/u.test(value);
    if (isNumber && Number(value) <= portMax) return Number(value);
    const why = `value must be an integer: ${isNumber ? 'value out of range' : 'invalid syntax'}`;
    throw invalid(flag, text, `invalid ${key} port (${value}): ${why}`);
  };
  for (const key of given.keys()) {
    if (!['published', 'target', 'protocol', 'mode'].includes(key)) {
      throw invalid(flag, text, `invalid field key: ${key}`);
    }
  }
  if (!given.has('target')) throw invalid(flag, text, "missing mandatory field 'target'");
  const [mode, protocol] = [given.get('mode') ?? 'ingress', given.get('protocol') ?? 'tcp'];
  if (!['ingress', 'host'].includes(mode)) {
    const reason = `invalid publish mode value (${mode}): must be either 'ingress' or 'host'`;
    throw invalid(flag, text, reason);
  }
  if (!protocols.includes(protocol)) {
    throw invalid(flag, text, `invalid protocol value '${protocol}'`);
  }
  return {
    Protocol: protocol,
    TargetPort: number('target'),
    PublishedPort: number('published'),
    PublishMode: mode,
  };
}

/**
 * The ports that a text after `--publish-rm` means: those of its target and protocol, published in
 * any way unless the text names one.
 */
export function portsRemoved(flag: string, text: string): (port: Port) => boolean {
  const meant = ports(flag, text);
  const hasMode = /(?:^|,)mode=/u.test(text);
  return ({ TargetPort, Protocol, PublishMode }) =>
    meant.some(
      (port) =>
        port.TargetPort === TargetPort &&
        port.Protocol === Protocol &&
        (!hasMode || port.PublishMode === PublishMode),
    );
}
