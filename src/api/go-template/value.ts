/** What a template calculates with. */
export type Value = string | number | boolean | Map<string, string> | Struct;
/** The functions a template may call, by name. What one throws becomes part of the error. */
export type Functions = Readonly<Record<string, (...args: readonly Value[]) => Value>>;

/** A Go struct: unlike a map it has the fields its type has, and no others. */
export class Struct {
  /** As Go would print it in an error. */
  readonly type: string;
  readonly fields: Readonly<Record<string, Value>>;

  constructor(type: string, fields: Readonly<Record<string, Value>>) {
    this.type = type;
    this.fields = fields;
  }
}

/** The type of a value as Go names it. */
export const typeOf = (value: Value | undefined): string => {
  if (value instanceof Struct) return value.type;
  if (value instanceof Map) return 'map[string]string';
  if (value === undefined) return '<nil>';
  return typeof value === 'number' ? 'int' : typeof value === 'boolean' ? 'bool' : 'string';
};

/** A value as Go prints it. */
export function textOf(value: Value | undefined): string {
  if (value instanceof Map) {
    const entries = [...value].toSorted(byKey);
    return `map[${entries.map(([key, entry]) => `${key}:${entry}`).join(' ')}]`;
  }
  if (value instanceof Struct) return `{${Object.values(value.fields).map(textOf).join(' ')}}`;
  return value === undefined ? '<no value>' : `${value}`;
}

/** The order in which Go goes through a map in a template. */
export const byKey = ([a]: readonly [string, string], [b]: readonly [string, string]): number =>
  a < b ? -1 : Number(a > b);

/** Whether a value counts as true: empty ones do not. */
export const isTrue = (value: Value | undefined): boolean =>
  value instanceof Map ? value.size > 0 : value instanceof Struct || Boolean(value);
