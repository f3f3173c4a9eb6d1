/**
 * What went wrong, as the caller may act on it. The names are gRPC's, because both faces of
 * the manager speak them: `api/status.ts` maps a code to a gRPC status, `manager/http/server.ts`
 * maps it to an HTTP status, and no third mapping exists.
 */
export type ErrorCode =
  | 'cancelled'
  | 'unknown'
  | 'invalid-argument'
  | 'deadline-exceeded'
  | 'not-found'
  | 'already-exists'
  | 'permission-denied'
  | 'resource-exhausted'
  | 'failed-precondition'
  | 'aborted'
  | 'out-of-range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data-loss'
  | 'unauthenticated';

/** An operating error: expected, handled by someone, never a bug in this process. */
export class SwarmError extends Error {
  override readonly name = 'SwarmError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const isSwarmError = (error: unknown, code?: ErrorCode): error is SwarmError =>
  error instanceof SwarmError && (code === undefined || error.code === code);

/** Thrown by {@link assert}: the process has a bug and must not carry on. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/**
 * States an invariant. A false one is a bug in this process, never a fault of its peers or of
 * its disk: those are {@link SwarmError}s.
 */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(invariant);
}

/** The text of whatever was thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
