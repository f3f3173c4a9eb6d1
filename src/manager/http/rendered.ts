import { type JsonObject, stringifyJson } from './json.ts';

/**
 * The JSON of objects that never change, each written once and kept for as long as the object lives.
 * A list shows hundreds that are as they were when it was asked for the last time.
 */
export class Rendered<T extends object> {
  readonly #texts = new WeakMap<T, string>();
  readonly #toEngine: (object: T) => JsonObject;

  constructor(toEngine: (object: T) => JsonObject) {
    this.#toEngine = toEngine;
  }

  /** An object, as a member of a list. */
  of(object: T): string {
    const known = this.#texts.get(object);
    if (known !== undefined) return known;
    const text = stringifyJson(this.#toEngine(object)).trimEnd();
    this.#texts.set(object, text);
    return text;
  }

  /** The same with one member more, that is of the moment. The object has others. */
  with(object: T, name: string, value: JsonObject): string {
    const member = `${JSON.stringify(name)}:${stringifyJson(value).trimEnd()}`;
    return `${this.of(object).slice(0, -1)},${member}}`;
  }
}
