import forge from 'node-forge';
import { SwarmError } from '../runtime/index.ts';

/**
 * ASN.1 in its distinguished encoding: form alone. What the values mean is the business of `x509/`; keys and
 * signatures are node:crypto's, since node-forge knows no elliptic curves.
 */
export type Asn1 = forge.asn1.Asn1;

const { asn1 } = forge;
const { Class, Type } = asn1;

/** node-forge's, for any tag: its own type knows the universal ones alone. */
const create: (
  tagClass: number,
  tag: number,
  isConstructed: boolean,
  value: string | Asn1[],
) => Asn1 = asn1.create;

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const primitive = (type: number, value: string): Asn1 =>
  create(Class.UNIVERSAL, type, false, value);

const constructed = (type: number, items: readonly Asn1[]): Asn1 =>
  create(Class.UNIVERSAL, type, true, [...items]);

export const sequence = (...items: readonly Asn1[]): Asn1 => constructed(Type.SEQUENCE, items);

export const set = (...items: readonly Asn1[]): Asn1 => constructed(Type.SET, items);

/** A non-negative integer, given as its big-endian bytes. */
export function integer(magnitude: Uint8Array): Asn1 {
  const start = magnitude.findIndex((byte) => byte !== 0);
  const digits = start === -1 ? Buffer.of(0) : Buffer.from(magnitude.subarray(start));
  const isNegative = (digits[0] ?? 0) >= 0x80;
  return primitive(Type.INTEGER, binary(isNegative ? Buffer.from([0, ...digits]) : digits));
}

/** An object identifier, written `2.5.4.3`. */
export const objectId = (dotted: string): Asn1 =>
  primitive(Type.OID, asn1.oidToDer(dotted).getBytes());

export const nothing = (): Asn1 => primitive(Type.NULL, '');

export const boolean = (value: boolean): Asn1 => primitive(Type.BOOLEAN, value ? '\u00ff' : '\0');

/** A text: PrintableString where its alphabet suffices, else UTF8String, as Go chooses. */
export const text = (value: string): Asn1 =>
  /^[A-Za-z0-9 '()+,\-./:=?]*$/u.test(value)
    ? primitive(Type.PRINTABLESTRING, value)
    : primitive(Type.UTF8, binary(Buffer.from(value)));

export const octetString = (bytes: Uint8Array): Asn1 => primitive(Type.OCTETSTRING, binary(bytes));

export const bitString = (bytes: Uint8Array, unusedBits = 0): Asn1 =>
  primitive(Type.BITSTRING, String.fromCharCode(unusedBits) + binary(bytes));

/** A time in milliseconds since the epoch: UTCTime until 2049, GeneralizedTime after. RFC 5280 §4.1.2.5 */
export function time(ms: number): Asn1 {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(date))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

/** `[tag] EXPLICIT`: the item inside a context-specific wrapper. */
export const explicit = (tag: number, ...items: readonly Asn1[]): Asn1 =>
  create(Class.CONTEXT_SPECIFIC, tag, true, [...items]);

/** `[tag] IMPLICIT` over a primitive: its bytes under a context-specific tag. */
export const implicit = (tag: number, bytes: Uint8Array): Asn1 =>
  create(Class.CONTEXT_SPECIFIC, tag, false, binary(bytes));

export const encode = (item: Asn1): Buffer => Buffer.from(asn1.toDer(item).getBytes(), 'latin1');

/** @throws SwarmError invalid-argument, if the bytes are not exactly one ASN.1 item */
export function decode(der: Uint8Array): Asn1 {
  try {
    return asn1.fromDer(binary(der), true);
  } catch (error) {
    throw new SwarmError('invalid-argument', 'not an ASN.1 structure', { cause: error });
  }
}

/** @throws SwarmError invalid-argument, if the item has no n-th part */
export function part(item: Asn1, index: number): Asn1 {
  const child = Array.isArray(item.value) ? item.value[index] : undefined;
  if (child === undefined) throw new SwarmError('invalid-argument', 'an ASN.1 part is missing');
  return child;
}

/** The parts of a constructed item; none of a primitive one. */
export const parts = (item: Asn1): readonly Asn1[] => (Array.isArray(item.value) ? item.value : []);

/** @throws SwarmError invalid-argument, if the item is no object identifier */
export function objectIdOf(item: Asn1): string {
  if (item.type !== Type.OID || typeof item.value !== 'string') {
    throw new SwarmError('invalid-argument', 'an ASN.1 object identifier is missing');
  }
  return asn1.derToOid(item.value);
}

/**
 * The bytes of an OCTET STRING.
 *
 * @throws SwarmError invalid-argument, if the item is none
 */
export function octetsOf(item: Asn1): Buffer {
  if (item.type !== Type.OCTETSTRING || typeof item.value !== 'string') {
    throw new SwarmError('invalid-argument', 'an ASN.1 octet string is missing');
  }
  return Buffer.from(item.value, 'latin1');
}

/**
 * The bytes of a whole-byte BIT STRING.
 *
 * @throws SwarmError invalid-argument, if the item is none
 */
export function bitsOf(item: Asn1): Buffer {
  // node-forge parses what happens to be ASN.1 inside a bit string, and keeps the bytes beside it.
  const { bitStringContents } = item as Asn1 & { readonly bitStringContents?: string };
  const contents = bitStringContents ?? item.value;
  if (item.type !== Type.BITSTRING || typeof contents !== 'string' || !contents.startsWith('\0')) {
    throw new SwarmError('invalid-argument', 'an ASN.1 bit string is missing');
  }
  return Buffer.from(contents.slice(1), 'latin1');
}
