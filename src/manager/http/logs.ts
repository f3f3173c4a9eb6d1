import type {
  LogMessage,
  LogSelectorInput,
  LogSubscriptionOptionsInput,
} from '../../api/gen/types.ts';
import { goErrorText, type RpcClient } from '../../api/index.ts';
import { isSwarmError, messageOf, SwarmError } from '../../runtime/index.ts';
import type { ApiCall } from './api-call.ts';

/** What a client wants to read of logs. Engine API 1.47 `GET /services/{id}/logs` */
export interface LogRequest {
  readonly options: LogSubscriptionOptionsInput;
  readonly withTimestamps: boolean;
  readonly withDetails: boolean;
}

const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/** @throws SwarmError invalid-argument */
export function logRequestOf(call: ApiCall): LogRequest {
  const streams = [
    ...(call.lax('stdout') ? (['LOG_STREAM_STDOUT'] as const) : []),
    ...(call.lax('stderr') ? (['LOG_STREAM_STDERR'] as const) : []),
  ];
  if (streams.length === 0) throw invalid("must specify at least one of 'stdout' or 'stderr'");
  return {
    options: {
      streams,
      follow: call.lax('follow'),
      tail: tailOf(call.query.get('tail') ?? ''),
      since: sinceOf(call.query.get('since') ?? ''),
    },
    withTimestamps: call.lax('timestamps'),
    withDetails: call.lax('details'),
  };
}

/** On the wire 0 is everything, and −(n + 1) the last n lines. */
function tailOf(written: string): string {
  if (written === '' || written === 'all') return '0';
  if (!/^[+-]?\d{1,15}$/u.test(written)) {
    throw invalid('tail value must be a positive integer or "all"');
  }
  const lines = Number(written);
  if (lines < 0) throw invalid('negative tail values not supported');
  return String(-lines - 1);
}

/** Seconds since the epoch, with up to nine digits behind a point. */
function sinceOf(written: string): { seconds: string; nanos: number } | null {
  if (written === '' || written === '0') return null;
  const match = /^(-?\d{1,15})(?:\.(\d{1,9}))?$/u.exec(written);
  if (match === null) throw invalid(`invalid value for since: "${written}"`);
  return { seconds: match[1] ?? '0', nanos: Number((match[2] ?? '').padEnd(9, '0')) };
}

/** The stream a frame belongs to. */
const streamNumbers = { stdout: 1, stderr: 2, system: 3 } as const;

const headerBytes = 8;

/** A frame of a multiplexed stream: its stream, three zeros, its length, its bytes. */
function frame(stream: keyof typeof streamNumbers, payload: Buffer): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt8(streamNumbers[stream], 0);
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
}

/** Details of a message that the swarm knows; a task's own of these names are not shown. */
const contextDetails = {
  'com.docker.swarm.node.id': 'nodeId',
  'com.docker.swarm.service.id': 'serviceId',
  'com.docker.swarm.task.id': 'taskId',
} as const;

/** One line of a log: its time, its details, its text, as wanted. */
export function lineOf(
  message: LogMessage,
  { withTimestamps, withDetails }: Pick<LogRequest, 'withTimestamps' | 'withDetails'>,
): Buffer {
  const time = withTimestamps ? `${timeOf(message)} ` : '';
  const details = withDetails ? `${detailsOf(message)} ` : '';
  return Buffer.concat([Buffer.from(`${time}${details}`), message.data]);
}

/** RFC 3339 with all nine digits of the second, so that lines align. */
function timeOf({ timestamp }: LogMessage): string {
  const { seconds, nanos } = timestamp ?? { seconds: '0', nanos: 0 };
  const whole = new Date(Number(seconds) * 1_000).toISOString().slice(0, -'.000Z'.length);
  return `${whole}.${String(nanos).padStart(9, '0')}Z`;
}

function detailsOf({ attrs, context }: LogMessage): string {
  const details = new Map(attrs.map(({ key, value }) => [key, value]));
  for (const [key, field] of Object.entries(contextDetails)) {
    details.set(key, context?.[field] ?? '');
  }
  return [...details]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${escape(key)}=${escape(value)}`)
    .join(',');
}

/** As Go's url.QueryEscape: a space is a plus. */
const escape = (text: string): string =>
  encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/gu, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/**
 * The logs of services or tasks, as they go to the client. What fails once the stream is open is
 * told inside of it.
 *
 * @param isMultiplexed false for the raw bytes of a terminal
 */
export async function* logStream(
  managers: RpcClient,
  selector: LogSelectorInput,
  request: LogRequest,
  how: { readonly isMultiplexed: boolean; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const { signal, isMultiplexed } = how;
  try {
    const subscription = managers.serverStream(
      'Logs',
      'SubscribeLogs',
      { selector, options: request.options },
      { signal },
    );
    for await (const { messages } of subscription) {
      for (const message of messages) {
        const line = lineOf(message, request);
        const stream = message.stream === 'LOG_STREAM_STDERR' ? 'stderr' : 'stdout';
        yield isMultiplexed ? frame(stream, line) : line;
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    const reason = isSwarmError(error) ? goErrorText(error) : messageOf(error);
    const text = Buffer.from(`Error grabbing logs: ${reason}\n`);
    yield isMultiplexed ? frame('system', text) : text;
  }
}
