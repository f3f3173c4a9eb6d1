/**
 * A history: what clients asked of named objects of the Engine API, when, and what they were told.
 *
 * An object is a register with a version. Each value is written at most once in a history, so a
 * value says which write it stems from.
 */

/** What a client asks. */
export type Call =
  | { readonly kind: 'create'; readonly value: string }
  /** Writes `value` if the object's version is still `version`. */
  | { readonly kind: 'update'; readonly version: number; readonly value: string }
  | { readonly kind: 'read' }
  | { readonly kind: 'remove' };

/** What a client is told. */
export type Answer =
  | { readonly kind: 'done' }
  /** To a read: what is there. */
  | { readonly kind: 'found'; readonly value: string; readonly version: number }
  /** There is no such object. */
  | { readonly kind: 'absent' }
  /** To a create: there is one already. */
  | { readonly kind: 'exists' }
  /** To an update: the object's version is another. */
  | { readonly kind: 'stale' };

/** One request of one client. */
export interface Operation {
  /** The name of the object. */
  readonly key: string;
  readonly call: Call;
  /** Undefined where the client cannot know: it may have been done, may yet be done, or never. */
  readonly answer: Answer | undefined;
  /** On a clock that never goes back and that all clients share, in any unit. */
  readonly calledAt: number;
  /** On the same clock. It is not looked at where there is no answer. */
  readonly answeredAt: number;
}

/** An operation as one line, for a person. */
export function describeOperation({ key, call, answer, calledAt, answeredAt }: Operation): string {
  const asked = `${call.kind} ${key}`;
  const what =
    call.kind === 'create'
      ? `${asked} = ${call.value}`
      : call.kind === 'update'
        ? `${asked}@${call.version} = ${call.value}`
        : asked;
  const told =
    answer === undefined
      ? 'unknown'
      : answer.kind === 'found'
        ? `${answer.value}@${answer.version}`
        : answer.kind;
  const until = answer === undefined ? '…' : answeredAt.toFixed(1);
  return `[${calledAt.toFixed(1)}, ${until}] ${what} → ${told}`;
}
