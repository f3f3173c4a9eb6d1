import { SwarmError } from '../../../runtime/index.ts';

/**
 * A 64-bit field of a spec as a number.
 *
 * @throws SwarmError invalid-argument, if it is too large for one: it comes from a user
 */
export function integerOf(field: string, what: string): number {
  const value = Number(field);
  if (Number.isSafeInteger(value)) return value;
  throw new SwarmError('invalid-argument', `invalid ${what}: ${field} is out of range`);
}
