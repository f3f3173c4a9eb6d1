import type { ObjectKind } from '../../../api/index.ts';
import { SwarmError } from '../../../runtime/index.ts';

/** What the caller sent is not acceptable, and why. */
export const invalid = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/** The answer to a request that lacks what it must have: an ID, a version, a spec. */
export const invalidArgument = (): SwarmError => invalid('invalid argument');

/** The state of the swarm does not allow what is asked. */
export const refused = (message: string): SwarmError =>
  new SwarmError('failed-precondition', message);

/** What this manager cannot do, in a sentence that says what to do instead where there is such. */
export const unimplemented = (message: string): SwarmError =>
  new SwarmError('unimplemented', message);

export const notFound = (kind: ObjectKind, id: string): SwarmError =>
  new SwarmError('not-found', `${kind} ${id} not found`);

/** @throws SwarmError invalid-argument, if a field that a request must have is absent or empty */
export function required<T>(field: T | null | undefined): T {
  if (field === undefined || field === null || field === '') throw invalidArgument();
  return field;
}
