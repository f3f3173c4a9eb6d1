import { Execution } from './execution.ts';
import { Parser } from './parser.ts';
import { type Functions, isTrue, textOf, typeOf, type Value } from './value.ts';

const builtins: Functions = {
  index: (map, key) => {
    if (!(map instanceof Map)) throw new Error(`can't index item of type ${typeOf(map)}`);
    return map.get(textOf(key)) ?? '';
  },
  len: (of) => (of instanceof Map ? of.size : textOf(of).length),
  print: (...args) => args.map(textOf).join(''),
  eq: (first, ...others) => others.some((other) => other === first),
  ne: (first, second) => first !== second,
  not: (value) => !isTrue(value),
  and: (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1) ?? false,
  or: (...args) => args.find(isTrue) ?? args.at(-1) ?? false,
};

/**
 * Fills in a template: Go's text/template, as far as placeholders use it. That is text, fields,
 * variables, strings, numbers, parentheses, pipes, calls of functions, trim markers, comments,
 * `if`, `with` and `range`. A key that is missing is an error, and errors have Go's texts.
 *
 * @param name what errors call it
 * @throws SwarmError invalid-argument, with Go's text
 */
export function execute(
  template: { readonly name: string; readonly text: string },
  dot: Value,
  functions: Functions,
): string {
  const known = { ...builtins, ...functions };
  const parts = new Parser(template, known).parse();
  return new Execution(template, known, dot).run(parts, dot);
}
