import type { Answer, Call, Operation } from './history.ts';

/** One object between two operations. */
export interface Register {
  /** Undefined where there is no object. */
  readonly value: string | undefined;
  /** The highest version known to have been given so far: versions grow, removed objects' too. */
  readonly floor: number;
}

/** Before the first operation there is nothing. */
export const emptyRegister: Register = { value: undefined, floor: -1 };

/** Which version each value was given, as far as anybody read it. */
export type Versions = ReadonlyMap<string, number>;

/**
 * Reads from a history which versions its values have.
 *
 * @returns the read that contradicts an earlier one, if there is such
 */
export function versionsOf(
  operations: readonly Operation[],
): { readonly versions: Versions } | { readonly contradiction: Operation } {
  const versions = new Map<string, number>();
  for (const operation of operations) {
    const { answer } = operation;
    if (answer?.kind !== 'found') continue;
    const known = versions.get(answer.value);
    if (known !== undefined && known !== answer.version) return { contradiction: operation };
    versions.set(answer.value, answer.version);
  }
  return { versions };
}

/** Carries a call out. What it gives back says what a client has to be told. */
export function carryOut(
  register: Register,
  call: Call,
  versions: Versions,
): { readonly register: Register; readonly answer: Answer } | 'impossible' {
  const { value } = register;
  const version = value === undefined ? undefined : versions.get(value);
  switch (call.kind) {
    case 'create':
      if (value !== undefined) return { register, answer: { kind: 'exists' } };
      return written(register, call.value, versions);
    case 'update':
      if (value === undefined) return { register, answer: { kind: 'absent' } };
      if (version !== call.version) return { register, answer: { kind: 'stale' } };
      return written(register, call.value, versions);
    case 'read':
      if (value === undefined) return { register, answer: { kind: 'absent' } };
      // A value of unknown version was never read, so whatever is answered here differs from it.
      return { register, answer: { kind: 'found', value, version: version ?? -1 } };
    case 'remove':
      if (value === undefined) return { register, answer: { kind: 'absent' } };
      return { register: { ...register, value: undefined }, answer: { kind: 'done' } };
  }
}

/** A write gives a version that is higher than any before. */
function written(
  { floor }: Register,
  value: string,
  versions: Versions,
): { readonly register: Register; readonly answer: Answer } | 'impossible' {
  const version = versions.get(value);
  if (version !== undefined && version <= floor) return 'impossible';
  return { register: { value, floor: version ?? floor }, answer: { kind: 'done' } };
}

/** Whether two answers say the same. */
export function isSameAnswer(one: Answer, other: Answer): boolean {
  if (one.kind !== 'found' || other.kind !== 'found') return one.kind === other.kind;
  return one.value === other.value && one.version === other.version;
}

/** Whether a call can no longer change anything, now or later. */
export function isSpent({ value, floor }: Register, call: Call, versions: Versions): boolean {
  switch (call.kind) {
    case 'read':
      return true;
    case 'update':
      // The version it waits for has been given, and to another value than the one that is there.
      return floor >= call.version && (value === undefined || versions.get(value) !== call.version);
    case 'create': {
      const version = versions.get(call.value);
      return version !== undefined && version <= floor;
    }
    case 'remove':
      return false;
  }
}
