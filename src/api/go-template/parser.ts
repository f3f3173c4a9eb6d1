import { SwarmError } from '../../runtime/index.ts';
import type { Functions, Value } from './value.ts';

/** The smallest piece of an action. */
export interface Token {
  readonly kind: 'field' | 'variable' | 'word' | 'string' | 'number' | 'mark';
  readonly text: string;
  /** Where it stands in the whole text. */
  readonly at: number;
}

/** What a command is given. */
export type Operand =
  | { readonly kind: 'constant'; readonly value: Value }
  | { readonly kind: 'path'; readonly root: string; readonly path: Token[]; readonly at: number }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline };

/** A call of a function, or a value by itself. */
export interface Command {
  readonly word: Token | undefined;
  readonly operands: readonly Operand[];
}

/** Commands, each of which is given the result of the one before. */
export interface Pipeline {
  readonly variables: readonly string[];
  readonly commands: readonly Command[];
}

/** A piece of a template. */
export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly Part[];
      readonly otherwise: readonly Part[];
    };

/** A group that took no part in a match is undefined, whatever the types say. */
const isMatched = (group: string | undefined): boolean => group !== undefined;

const tokenPattern =
  /\s+|(?<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<number>-?\d+)|(?<field>\.[A-Za-z_]\w*|\.)|(?<variable>\$\w*)|(?<word>[A-Za-z_]\w*)|(?<mark>:=|[()|,])/uy;

/** Text becomes parts: recursive descent, an action at a time. */
export class Parser {
  readonly #name: string;
  readonly #text: string;
  readonly #functions: Functions;
  #at = 0;
  /** Of the action being parsed. */
  #tokens: Token[] = [];

  constructor({ name, text }: { name: string; text: string }, functions: Functions) {
    this.#name = name;
    this.#text = text;
    this.#functions = functions;
  }

  parse(): readonly Part[] {
    const [parts, end] = this.#parts();
    if (end !== undefined) throw this.#error(`unexpected {{${end}}}`);
    return parts;
  }

  /** Parts up to an `end` or `else`, or up to the end of the text. */
  #parts(): [Part[], string | undefined] {
    const parts: Part[] = [];
    for (;;) {
      const action = this.#nextAction(parts);
      if (!action) return [parts, undefined];
      const [first] = this.#tokens;
      if (first === undefined) continue;
      if (first.kind === 'word' && (first.text === 'end' || first.text === 'else')) {
        this.#tokens.shift();
        return [parts, first.text];
      }
      if (first.kind === 'word' && /^(?:if|with|range)$/u.test(first.text)) {
        parts.push(this.#block(first.text as 'if' | 'with' | 'range')); // the pattern says so
      } else {
        parts.push({ kind: 'action', pipeline: this.#pipeline() });
        this.#expectEnd();
      }
    }
  }

  #block(kind: 'if' | 'with' | 'range'): Part {
    this.#tokens.shift();
    const pipeline = this.#pipeline();
    this.#expectEnd();
    const [body, end] = this.#parts();
    if (end === undefined) throw this.#error('unexpected EOF');
    if (end === 'end') return { kind, pipeline, body, otherwise: [] };
    if (this.#tokens[0]?.text === 'if') {
      return { kind, pipeline, body, otherwise: [this.#block('if')] };
    }
    const [otherwise, last] = this.#parts();
    if (last !== 'end') throw this.#error('unexpected EOF');
    return { kind, pipeline, body, otherwise };
  }

  /** Takes the text before the next action and that action's tokens; false at the end. */
  #nextAction(parts: Part[]): boolean {
    const open = this.#text.indexOf('{{', this.#at);
    let text = this.#text.slice(this.#at, open < 0 ? undefined : open);
    if (open < 0) {
      if (text !== '') parts.push({ kind: 'text', text });
      this.#at = this.#text.length;
      return false;
    }
    this.#at = open + 2;
    if (/^-\s/u.test(this.#text.slice(this.#at))) {
      text = text.trimEnd();
      this.#at += 1;
    }
    if (text !== '') parts.push({ kind: 'text', text });
    this.#tokens = this.#lex();
    return true;
  }

  #lex(): Token[] {
    const comment = /^\s*\/\*[\s\S]*?\*\/\s*/u.exec(this.#text.slice(this.#at));
    if (comment !== null) this.#at += comment[0].length;
    const tokens: Token[] = [];
    for (;;) {
      const rest = this.#text.slice(this.#at);
      const close = /^(?:\s-)?\}\}/u.exec(rest);
      if (close !== null) {
        this.#at += close[0].length;
        if (close[0].length > 2)
          this.#at += /^\s*/u.exec(this.#text.slice(this.#at))?.[0].length ?? 0;
        return tokens;
      }
      if (rest === '') throw this.#error('unclosed action');
      tokenPattern.lastIndex = this.#at;
      const match = tokenPattern.exec(this.#text);
      if (match === null) throw this.#error(`unexpected ${JSON.stringify(rest[0])} in operand`);
      const [kind] = Object.entries(match.groups ?? {}).find(([, text]) => isMatched(text)) ?? [];
      if (kind !== undefined) {
        // The groups of the pattern are the kinds.
        tokens.push({ kind: kind as Token['kind'], text: match[0], at: this.#at });
      }
      this.#at += match[0].length;
    }
  }

  #pipeline(): Pipeline {
    const variables: string[] = [];
    const declares = this.#tokens.findIndex((token) => token.text === ':=');
    if (declares > 0 && this.#tokens[0]?.kind === 'variable') {
      const declared = this.#tokens.splice(0, declares + 1);
      variables.push(...declared.filter(({ kind }) => kind === 'variable').map(({ text }) => text));
    }
    const commands = [this.#command()];
    while (this.#tokens[0]?.text === '|') {
      this.#tokens.shift();
      commands.push(this.#command());
    }
    return { variables, commands };
  }

  #command(): Command {
    let word: Token | undefined;
    if (this.#tokens[0]?.kind === 'word' && !/^(?:true|false)$/u.test(this.#tokens[0].text)) {
      word = this.#tokens.shift();
      if (word !== undefined && !Object.hasOwn(this.#functions, word.text)) {
        throw this.#error(`function ${JSON.stringify(word.text)} not defined`);
      }
    }
    const operands: Operand[] = [];
    for (;;) {
      const [next] = this.#tokens;
      if (next === undefined || next.text === '|' || next.text === ')') break;
      operands.push(this.#operand(next));
    }
    if (word === undefined && operands.length === 0) throw this.#error('missing value for command');
    return { word, operands };
  }

  #operand(token: Token): Operand {
    this.#tokens.shift();
    if (token.text === '(') {
      const pipeline = this.#pipeline();
      if (this.#tokens.shift()?.text !== ')') throw this.#error('unclosed left paren');
      return { kind: 'pipeline', pipeline };
    }
    switch (token.kind) {
      case 'string':
        return { kind: 'constant', value: this.#unquote(token.text) };
      case 'number':
        return { kind: 'constant', value: Number(token.text) };
      case 'field':
      case 'variable':
        return this.#path(token);
      case 'word':
        if (token.text === 'true' || token.text === 'false') {
          return { kind: 'constant', value: token.text === 'true' };
        }
        return { kind: 'pipeline', pipeline: this.#call(token) };
      case 'mark':
        throw this.#error(`unexpected ${JSON.stringify(token.text)} in operand`);
    }
  }

  /** A function without arguments among the operands of another. */
  #call(word: Token): Pipeline {
    if (!Object.hasOwn(this.#functions, word.text)) {
      throw this.#error(`function ${JSON.stringify(word.text)} not defined`);
    }
    return { variables: [], commands: [{ word, operands: [] }] };
  }

  /** `.A.B` or `$v.A`: fields that follow each other without a space. */
  #path(first: Token): Operand {
    const isVariable = first.kind === 'variable';
    const path = isVariable || first.text === '.' ? [] : [first];
    let end = first.at + first.text.length;
    while (this.#tokens[0]?.kind === 'field' && this.#tokens[0].at === end) {
      const [field] = this.#tokens.splice(0, 1);
      if (field !== undefined) path.push(field);
      end += field?.text.length ?? 0;
    }
    // Go tells of a chain by where its second field stands.
    const at = (isVariable ? first : (path[1] ?? first)).at;
    return { kind: 'path', root: isVariable ? first.text : '.', path, at };
  }

  #unquote(literal: string): string {
    if (literal.startsWith('`')) return literal.slice(1, -1);
    try {
      return String(JSON.parse(literal));
    } catch {
      throw this.#error(`invalid syntax: ${literal}`);
    }
  }

  #expectEnd(): void {
    const [rest] = this.#tokens;
    if (rest !== undefined) throw this.#error(`unexpected ${JSON.stringify(rest.text)} in command`);
  }

  #error(message: string): SwarmError {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    return new SwarmError('invalid-argument', `template: ${this.#name}:${line}: ${message}`);
  }
}
