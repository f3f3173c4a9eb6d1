import { SwarmError } from '../../runtime/index.ts';

/** A part of a Go template, as docker's `--format` takes one. */
export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | { readonly kind: 'set'; readonly name: string; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with';
      readonly pipe: Pipe;
      readonly body: readonly Part[];
      readonly otherwise: readonly Part[];
    }
  | {
      readonly kind: 'range';
      readonly variables: readonly string[];
      readonly pipe: Pipe;
      readonly body: readonly Part[];
      readonly otherwise: readonly Part[];
    };

/** Commands, each given the result of the one before as its last argument. */
export type Pipe = readonly Command[];
export type Command = readonly Operand[];

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'path'; readonly root: PathRoot; readonly fields: readonly string[] };

/** Where a path begins: the dot, a variable (`$` is the whole), or a pipe in parentheses. */
export type PathRoot =
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'pipe'; readonly pipe: Pipe };

const tokenPattern =
  /\s+|(?<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?<number>-?\d+(?:\.\d+)?)|(?<path>\$?[\w]*(?:\.[\w-]*)+|\$\w*)|(?<word>\w+)|(?<sign>:=|[|(),])/uy;

/**
 * Parses the subset of Go's text/template that docker's users write: fields, variables, pipes,
 * functions, `if`, `else`, `with`, `range`, `end`, comments and trim markers.
 *
 * @throws SwarmError invalid-argument `template parsing error: …`
 */
export function parseTemplate(source: string): readonly Part[] {
  const parser = new Parser(split(source));
  const { parts } = parser.parts(true);
  return parts;
}

const failure = (message: string): SwarmError =>
  new SwarmError('invalid-argument', `template parsing error: ${message}`);

type Piece = { readonly kind: 'text' | 'action'; readonly text: string };

/** The template's texts and actions, trimmed where `{{-` and `-}}` say so. */
function split(source: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let rest = source;
  let trimNext = false;
  while (rest !== '') {
    const start = rest.indexOf('{{');
    let text = start < 0 ? rest : rest.slice(0, start);
    if (trimNext) text = text.trimStart();
    if (start < 0) {
      pieces.push({ kind: 'text', text });
      break;
    }
    const end = rest.indexOf('}}', start);
    if (end < 0) throw failure(`unclosed action: ${rest.slice(start)}`);
    let action = rest.slice(start + 2, end);
    if (/^-\s/u.test(action)) {
      text = text.trimEnd();
      action = action.slice(1);
    }
    trimNext = /\s-$/u.test(action);
    if (trimNext) action = action.slice(0, -1);
    pieces.push({ kind: 'text', text });
    if (!/^\s*\/\*/u.test(action)) pieces.push({ kind: 'action', text: action.trim() });
    rest = rest.slice(end + 2);
  }
  return pieces;
}

class Parser {
  readonly #pieces: readonly Piece[];
  #at = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  /** Parts up to the end of the template, or of the block they stand in. */
  parts(isTop: boolean): { parts: Part[]; endedBy: string } {
    const parts: Part[] = [];
    for (;;) {
      const piece = this.#pieces[this.#at];
      this.#at += 1;
      if (piece === undefined) {
        if (!isTop) throw failure('unexpected EOF');
        return { parts, endedBy: '' };
      }
      if (piece.kind === 'text') {
        if (piece.text !== '') parts.push({ kind: 'text', text: piece.text });
        continue;
      }
      const word = /^\w+/u.exec(piece.text)?.[0] ?? '';
      if (word === 'end' || word === 'else') {
        if (isTop) throw failure(`unexpected {{${piece.text}}}`);
        return { parts, endedBy: piece.text };
      }
      parts.push(this.#part(word, piece.text));
    }
  }

  #part(word: string, text: string): Part {
    if (word === 'if' || word === 'with') {
      return { kind: word, pipe: parsePipe(text.slice(word.length)), ...this.#branches() };
    }
    if (word === 'range') {
      const match = /^range\s+(?:(?<names>\$\w+(?:\s*,\s*\$\w+)?)\s*:=)?(?<pipe>.*)$/su.exec(text);
      const names = match?.groups?.['names'];
      return {
        kind: 'range',
        variables: names === undefined ? [] : names.split(',').map((name) => name.trim()),
        pipe: parsePipe(match?.groups?.['pipe'] ?? ''),
        ...this.#branches(),
      };
    }
    const set = /^(?<name>\$\w+)\s*:?=(?<pipe>.*)$/su.exec(text)?.groups;
    if (set !== undefined) {
      return { kind: 'set', name: set['name'] ?? '', pipe: parsePipe(set['pipe'] ?? '') };
    }
    return { kind: 'print', pipe: parsePipe(text) };
  }

  #branches(): { body: readonly Part[]; otherwise: readonly Part[] } {
    const { parts: body, endedBy } = this.parts(false);
    if (endedBy === 'end') return { body, otherwise: [] };
    const chained = /^else\s+(?<rest>(?<word>if|with)\b.*)$/su.exec(endedBy)?.groups;
    if (chained !== undefined) {
      return { body, otherwise: [this.#part(chained['word'] ?? '', chained['rest'] ?? '')] };
    }
    const { parts: otherwise } = this.parts(false);
    return { body, otherwise };
  }
}

type Token = {
  readonly kind: 'string' | 'number' | 'path' | 'word' | 'sign';
  readonly text: string;
};

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < source.length) {
    const from = tokenPattern.lastIndex;
    const groups = tokenPattern.exec(source)?.groups;
    if (groups === undefined) throw failure(`unexpected "${source.slice(from)}" in {{${source}}}`);
    for (const kind of ['string', 'number', 'path', 'word', 'sign'] as const) {
      const text = groups[kind];
      if (text !== undefined) tokens.push({ kind, text });
    }
  }
  return tokens;
}

function parsePipe(source: string): Pipe {
  const tokens = tokensOf(source);
  const pipe = pipeOf(tokens, source);
  if (tokens.length > 0) throw failure(`unexpected "${tokens[0]?.text ?? ''}" in {{${source}}}`);
  return pipe;
}

function pipeOf(tokens: Token[], source: string): Pipe {
  const commands: Operand[][] = [[]];
  while (tokens.length > 0 && tokens[0]?.text !== ')') {
    const token = tokens.shift();
    if (token === undefined) break;
    if (token.text === '|' && token.kind === 'sign') commands.push([]);
    else commands.at(-1)?.push(operandOf(token, tokens, source));
  }
  if (commands.some(({ length }) => length === 0)) throw failure(`missing value in {{${source}}}`);
  return commands;
}

const constants: Readonly<Record<string, boolean | null>> = { true: true, false: false, nil: null };

function operandOf(token: Token, tokens: Token[], source: string): Operand {
  switch (token.kind) {
    case 'string':
      return { kind: 'literal', value: unquote(token.text) };
    case 'number':
      return { kind: 'literal', value: Number(token.text) };
    case 'path': {
      const [root = '', ...fields] = token.text.split('.');
      const named = fields.filter((field) => field !== '');
      return {
        kind: 'path',
        root: root === '' ? { kind: 'dot' } : { kind: 'variable', name: root },
        fields: named,
      };
    }
    case 'word': {
      const constant = constants[token.text];
      return constant === undefined
        ? { kind: 'name', name: token.text }
        : { kind: 'literal', value: constant };
    }
    case 'sign':
      return parenthesized(token, tokens, source);
  }
}

/** A pipe in parentheses, and the fields that follow it. */
function parenthesized(open: Token, tokens: Token[], source: string): Operand {
  if (open.text !== '(') throw failure(`unexpected "${open.text}" in {{${source}}}`);
  const pipe = pipeOf(tokens, source);
  if (tokens.shift()?.text !== ')') throw failure(`unclosed left paren in {{${source}}}`);
  const next = tokens[0];
  const fields = next?.kind === 'path' && next.text.startsWith('.') ? next.text : '';
  if (fields !== '') tokens.shift();
  return {
    kind: 'path',
    root: { kind: 'pipe', pipe },
    fields: fields.split('.').filter((field) => field !== ''),
  };
}

function unquote(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
  return text.slice(1, -1).replaceAll(/\\(.)/gu, (_, letter: string) => escapes[letter] ?? letter);
}
