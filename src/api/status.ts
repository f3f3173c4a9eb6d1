import { status } from '@grpc/grpc-js';
import { type ErrorCode, messageOf, SwarmError } from '../runtime/index.ts';

/** Each code with gRPC's number and the name Go prints for it. */
const codes: Readonly<Record<ErrorCode, readonly [number: number, name: string]>> = {
  cancelled: [status.CANCELLED, 'Canceled'],
  unknown: [status.UNKNOWN, 'Unknown'],
  'invalid-argument': [status.INVALID_ARGUMENT, 'InvalidArgument'],
  'deadline-exceeded': [status.DEADLINE_EXCEEDED, 'DeadlineExceeded'],
  'not-found': [status.NOT_FOUND, 'NotFound'],
  'already-exists': [status.ALREADY_EXISTS, 'AlreadyExists'],
  'permission-denied': [status.PERMISSION_DENIED, 'PermissionDenied'],
  'resource-exhausted': [status.RESOURCE_EXHAUSTED, 'ResourceExhausted'],
  'failed-precondition': [status.FAILED_PRECONDITION, 'FailedPrecondition'],
  aborted: [status.ABORTED, 'Aborted'],
  'out-of-range': [status.OUT_OF_RANGE, 'OutOfRange'],
  unimplemented: [status.UNIMPLEMENTED, 'Unimplemented'],
  internal: [status.INTERNAL, 'Internal'],
  unavailable: [status.UNAVAILABLE, 'Unavailable'],
  'data-loss': [status.DATA_LOSS, 'DataLoss'],
  unauthenticated: [status.UNAUTHENTICATED, 'Unauthenticated'],
};

const byNumber = new Map(
  Object.entries(codes).map(([code, [number]]) => [number, code as ErrorCode]),
);

/** An error as gRPC sends it. What is no {@link SwarmError} is sent as Unknown, as Go does. */
export function toStatus(error: unknown): { readonly code: number; readonly details: string } {
  const code = error instanceof SwarmError ? error.code : 'unknown';
  return { code: codes[code][0], details: messageOf(error) };
}

/** What gRPC reports, as the error its caller may act on. */
export function fromStatus(error: unknown): SwarmError {
  if (error instanceof SwarmError) return error;
  const { code, details } = error as { code?: unknown; details?: unknown };
  return new SwarmError(
    byNumber.get(Number(code)) ?? 'unknown',
    typeof details === 'string' ? details : messageOf(error),
    { cause: error },
  );
}

/**
 * An error in the words of a Go client, as the Engine API shows what its manager answered:
 * `rpc error: code = NotFound desc = …`.
 */
export const goErrorText = (error: SwarmError): string =>
  `rpc error: code = ${codes[error.code][1]} desc = ${error.message}`;
