import { messageOf, SwarmError } from '../../runtime/index.ts';

/** What a response body is made of. An `undefined` member is left out; a bigint is a number. */
export type Json =
  | undefined
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** An object of a response body. */
export type JsonObject = { readonly [name: string]: Json };

/** A string or a number, whole. */
const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/gu;

/** An integer that a double may not hold. */
const longInteger = /^-?\d{16,}$/u;
const hasLongInteger = /\d{16}/u;

/**
 * Marks an integer that travels through JSON.parse or JSON.stringify as a string: a character of
 * Unicode's private area, with which no name or value of the Engine API begins.
 */
const mark = '\uE000';
const markedText = /^\uE000-?\d+$/u;
const markedJson = /"\uE000(-?\d+)"/gu;

/**
 * Reads a request body. Integers of 16 digits and more are bigints: durations in nanoseconds
 * exceed 2^53 after 104 days.
 *
 * @throws SwarmError invalid-argument
 */
export function parseJson(text: string): unknown {
  try {
    return hasLongInteger.test(text) ? JSON.parse(marked(text), unmark) : JSON.parse(text);
  } catch (error) {
    throw new SwarmError(
      'invalid-argument',
      `invalid JSON: ${messageOf(error).replaceAll(mark, '')}`,
      { cause: error },
    );
  }
}

const marked = (text: string): string =>
  text.replaceAll(stringOrNumber, (token) =>
    longInteger.test(token) ? `"${mark}${token}"` : token,
  );

const unmark = (_name: string, value: unknown): unknown =>
  typeof value === 'string' && markedText.test(value) ? BigInt(value.slice(mark.length)) : value;

/** Writes a response body as Go does: no HTML escaping, one newline at the end. */
export function stringifyJson(value: Json): string {
  try {
    return `${JSON.stringify(value)}\n`;
  } catch (error) {
    // It does not know what to do with a bigint. They are rare, and to look for them is slow.
    if (error instanceof TypeError) return stringifyMarked(value);
    throw error;
  }
}

function stringifyMarked(value: Json): string {
  const text = JSON.stringify(value, (_name, member: unknown) => {
    if (typeof member !== 'bigint') return member;
    return Number.isSafeInteger(Number(member)) ? Number(member) : `${mark}${member}`;
  });
  return `${text.replaceAll(markedJson, '$1')}\n`;
}
