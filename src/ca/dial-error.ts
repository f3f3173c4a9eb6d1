import { isSwarmError, SwarmError } from '../runtime/index.ts';

/** The words of Go for what Node names by its number. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
};

/**
 * A connection that could not be made, as a docker CLI is used to reading it: `connection error:
 * desc = "transport: Error while dialing dial tcp 10.0.0.1:2377: connect: connection refused"`.
 * Any other error stays what it is. google.golang.org/grpc
 */
export function asDialError(error: unknown): unknown {
  if (!isSwarmError(error, 'unavailable')) return error;
  const { code = '', address } =
    /\bconnect (?<code>E[A-Z]+) (?<address>\S+:\d+)/u.exec(error.message)?.groups ?? {};
  const { host } =
    /Name resolution failed for target (?:dns:)?(?<host>\S+?)(?::\d+)?$/u.exec(error.message)
      ?.groups ?? {};
  const refusal = words[code];
  if (host === undefined && refusal === undefined) return error;
  const reason = host === undefined ? ` ${address}: ${refusal}` : `: lookup ${host}: no such host`;
  return new SwarmError(
    'unavailable',
    `connection error: desc = "transport: Error while dialing dial tcp${reason}"`,
    { cause: error },
  );
}
