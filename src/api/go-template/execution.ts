import { SwarmError } from '../../runtime/index.ts';
import type { Command, Operand, Part, Pipeline } from './parser.ts';
import { byKey, type Functions, isTrue, Struct, textOf, typeOf, type Value } from './value.ts';

const failure = (message: string): SwarmError => new SwarmError('invalid-argument', message);

/** Parts become text. */
export class Execution {
  readonly #template: { readonly name: string; readonly text: string };
  readonly #functions: Functions;
  readonly #variables = new Map<string, Value>();

  constructor(template: { name: string; text: string }, functions: Functions, dot: Value) {
    this.#template = template;
    this.#functions = functions;
    this.#variables.set('$', dot);
  }

  run(parts: readonly Part[], dot: Value): string {
    return parts.map((part) => this.#part(part, dot)).join('');
  }

  #part(part: Part, dot: Value): string {
    switch (part.kind) {
      case 'text':
        return part.text;
      case 'action': {
        const value = this.#pipeline(part.pipeline, dot);
        return part.pipeline.variables.length > 0 ? '' : textOf(value);
      }
      case 'if':
      case 'with': {
        const value = this.#pipeline(part.pipeline, dot);
        if (!isTrue(value)) return this.run(part.otherwise, dot);
        return this.run(part.body, part.kind === 'with' ? value : dot);
      }
      case 'range': {
        const value = this.#pipeline({ ...part.pipeline, variables: [] }, dot);
        if (!(value instanceof Map)) throw failure(`range can't iterate over ${textOf(value)}`);
        if (value.size === 0) return this.run(part.otherwise, dot);
        const [key, element] = part.pipeline.variables;
        return [...value]
          .toSorted(byKey)
          .map(([k, v]) => {
            if (element !== undefined && key !== undefined) this.#variables.set(key, k);
            const name = element ?? key;
            if (name !== undefined) this.#variables.set(name, v);
            return this.run(part.body, v);
          })
          .join('');
      }
    }
  }

  #pipeline({ commands, variables }: Pipeline, dot: Value): Value {
    let value: Value | undefined;
    for (const command of commands) value = this.#command(command, dot, value);
    const result = value ?? '';
    for (const name of variables) this.#variables.set(name, result);
    return result;
  }

  #command({ word, operands }: Command, dot: Value, piped: Value | undefined): Value {
    const args = operands.map((operand) => this.#operand(operand, dot));
    if (piped !== undefined) args.push(piped);
    if (word === undefined) return args[0] ?? '';
    try {
      return this.#functions[word.text]?.(...args) ?? '';
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw this.#error(word.at, word.text, `error calling ${word.text}: ${reason}`);
    }
  }

  #operand(operand: Operand, dot: Value): Value {
    switch (operand.kind) {
      case 'constant':
        return operand.value;
      case 'pipeline':
        return this.#pipeline(operand.pipeline, dot);
      case 'path': {
        const isDot = operand.root === '.';
        let value = isDot ? dot : this.#variables.get(operand.root);
        if (value === undefined) throw failure(`undefined variable: ${operand.root}`);
        const context = (isDot ? '' : operand.root) + operand.path.map(({ text }) => text).join('');
        for (const { text } of operand.path) {
          value = this.#field(value, text.slice(1), { at: operand.at, context });
        }
        return value;
      }
    }
  }

  #field(of: Value, name: string, place: { at: number; context: string }): Value {
    if (of instanceof Struct && Object.hasOwn(of.fields, name)) return of.fields[name] ?? '';
    if (of instanceof Map) {
      const entry = of.get(name);
      if (entry !== undefined) return entry;
      const missing = `map has no entry for key ${JSON.stringify(name)}`;
      throw this.#error(place.at, place.context, missing);
    }
    const message = `can't evaluate field ${name} in type ${typeOf(of)}`;
    throw this.#error(place.at, place.context, message);
  }

  #error(at: number, context: string, message: string): SwarmError {
    const { name, text } = this.#template;
    const before = text.slice(0, at).split('\n');
    const column = before.at(-1)?.length ?? 0;
    const shown = context.length > 20 ? `${context.slice(0, 20)}...` : context;
    return failure(
      `template: ${name}:${before.length}:${column}: executing "${name}" at <${shown}>: ${message}`,
    );
  }
}
