import { type Command, type Flag, globalFlags } from './command.ts';

/** The hidden command by which a shell asks for completions: `swarmd __complete service l`. */
export const completeWord = '__complete';

/** What a shell runs at its start, to complete what is typed after `swarmd`. */
export const completionScripts = {
  bash: `# bash completion for swarmd: source <(swarmd completion bash)
_swarmd() {
  local IFS=$'\\n'
  local candidates
  candidates="$(swarmd ${completeWord} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)"
  COMPREPLY=($(compgen -W "$candidates" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _swarmd swarmd
`,
  zsh: `#compdef swarmd
# zsh completion for swarmd: source <(swarmd completion zsh)
_swarmd() {
  local -a candidates
  candidates=("\${(@f)$(swarmd ${completeWord} "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  candidates=(\${candidates:#})
  if (( \${#candidates} )); then compadd -a candidates; else _files; fi
}
compdef _swarmd swarmd
`,
} as const;

/** Whether `candidate` begins with all of `words`. */
const beginsWith = (candidate: readonly string[], words: readonly string[]): boolean =>
  words.every((word, at) => candidate[at] === word);

const optionsOf = (flags: Readonly<Record<string, Flag>>): readonly string[] =>
  [...Object.keys(flags), 'help'].map((name) => `--${name}`);

/** The flag that `word` is, if its value is the next word. */
function awaitsValue(word: string, flags: Readonly<Record<string, Flag>>): boolean {
  return Object.entries(flags).some(
    ([name, { kind, alias }]) =>
      kind === 'text' && (word === `--${name}` || (alias !== undefined && word === `-${alias}`)),
  );
}

/** The words without the flags of `swarmd` itself before them; none, if the last is one's value. */
function withoutGlobalFlags(words: readonly string[]): readonly string[] {
  const [first = '', ...rest] = words;
  if (rest.length === 0 || !first.startsWith('-')) return words;
  return withoutGlobalFlags(awaitsValue(first, globalFlags) ? rest.slice(1) : rest);
}

/**
 * What the last of the words may become: a word of a command, or a flag of one.
 *
 * @param typed everything after `swarmd`; the last word is the one being typed, and may be empty
 */
export function completionsOf(
  typed: readonly string[],
  commands: readonly Command[],
): readonly string[] {
  const words = withoutGlobalFlags(typed);
  const [before, current] = [words.slice(0, -1), words.at(-1)];
  if (current === undefined) return [];
  const named = commands.map((command) => ({ command, words: command.words.split(' ') }));
  const found = named.find((one) => beginsWith(before, one.words))?.command;
  const candidates =
    found === undefined
      ? nextWords(
          named.map((one) => one.words),
          before,
          current,
        )
      : flagsOf(found, before, current);
  return [...new Set(candidates)].filter((word) => word.startsWith(current)).toSorted();
}

function nextWords(
  all: readonly (readonly string[])[],
  before: readonly string[],
  current: string,
): readonly string[] {
  if (current.startsWith('-')) return before.length === 0 ? optionsOf(globalFlags) : ['--help'];
  return all
    .filter((words) => beginsWith(words, before))
    .flatMap((words) => words[before.length] ?? []);
}

function flagsOf(
  { words, flags }: Command,
  before: readonly string[],
  current: string,
): readonly string[] {
  const typed = before.slice(words.split(' ').length);
  if (!current.startsWith('-') || awaitsValue(typed.at(-1) ?? '', flags)) return [];
  return optionsOf(flags);
}
