import { SwarmError } from '../../../runtime/index.ts';

const wrongType = (name: string, wanted: string): SwarmError =>
  new SwarmError('invalid-argument', `invalid JSON: field ${name} must be ${wanted}`);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The members of a JSON object, read as Go reads them into a struct: names match without regard to
 * case, the last of several counts, `null` and absent are the zero value, and members nobody asks
 * for are ignored. Every reader throws SwarmError invalid-argument for a value of another type.
 */
export class Fields {
  readonly #values: ReadonlyMap<string, unknown>;

  private constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  /**
   * @param name how an error calls the value
   * @throws SwarmError invalid-argument, if the value is no object
   */
  static of(value: unknown, name: string = 'body'): Fields {
    if (value === undefined || value === null) return new Fields(new Map());
    if (!isRecord(value)) throw wrongType(name, 'an object');
    return new Fields(
      new Map(Object.entries(value).map(([key, member]) => [key.toLowerCase(), member])),
    );
  }

  /** Whether the member is there and not null. */
  has(name: string): boolean {
    return this.#at(name) !== undefined;
  }

  text(name: string): string {
    const value = this.#at(name);
    if (value === undefined) return '';
    if (typeof value !== 'string') throw wrongType(name, 'a string');
    return value;
  }

  flag(name: string): boolean {
    return this.optionalFlag(name) ?? false;
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.#at(name);
    if (value !== undefined && typeof value !== 'boolean') throw wrongType(name, 'a boolean');
    return value;
  }

  /** A 64-bit integer, as the wire's types have it: decimal digits. */
  integer(name: string): string {
    return this.optionalInteger(name) ?? '0';
  }

  optionalInteger(name: string): string | undefined {
    const value = this.#at(name);
    if (value === undefined) return undefined;
    if (typeof value === 'bigint') {
      if (BigInt.asIntN(64, value) !== value && BigInt.asUintN(64, value) !== value) {
        throw wrongType(name, 'a 64-bit integer');
      }
      return String(value);
    }
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
      throw wrongType(name, 'an integer');
    }
    return String(value);
  }

  /** As {@link integer}, and not negative. */
  count(name: string): string {
    return this.optionalCount(name) ?? '0';
  }

  optionalCount(name: string): string | undefined {
    const value = this.optionalInteger(name);
    if (value?.startsWith('-') === true) throw wrongType(name, 'a non-negative integer');
    return value;
  }

  /** An integer that fits 32 bits. */
  small(name: string): number {
    const value = Number(this.integer(name));
    if (Math.abs(value) > 0xffff_ffff) throw wrongType(name, 'a 32-bit integer');
    return value;
  }

  decimal(name: string): number {
    const value = this.#at(name);
    if (value === undefined) return 0;
    if (typeof value !== 'number') throw wrongType(name, 'a number');
    return value;
  }

  texts(name: string): string[] {
    return this.#list(name).map((value) => {
      if (typeof value !== 'string') throw wrongType(name, 'a list of strings');
      return value;
    });
  }

  /** A map of strings; its keys keep their case. */
  map(name: string): Record<string, string> {
    const value = this.#at(name) ?? {};
    if (!isRecord(value)) throw wrongType(name, 'an object');
    const entries = Object.entries(value).map(([key, member]): [string, string] => {
      if (typeof member !== 'string') throw wrongType(`${name}.${key}`, 'a string');
      return [key, member];
    });
    return Object.fromEntries(entries);
  }

  object(name: string): Fields | undefined {
    const value = this.#at(name);
    return value === undefined ? undefined : Fields.of(value, name);
  }

  objects(name: string): Fields[] {
    return this.#list(name).map((value) => Fields.of(value, name));
  }

  /** Bytes in standard base64. */
  bytes(name: string): Buffer {
    const text = this.text(name);
    if (!/^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/u.test(text)) throw wrongType(name, 'base64');
    return Buffer.from(text, 'base64');
  }

  list(name: string): readonly unknown[] {
    return this.#list(name);
  }

  #list(name: string): readonly unknown[] {
    const value = this.#at(name) ?? [];
    if (!Array.isArray(value)) throw wrongType(name, 'a list');
    return value;
  }

  #at(name: string): unknown {
    return this.#values.get(name.toLowerCase()) ?? undefined;
  }
}
